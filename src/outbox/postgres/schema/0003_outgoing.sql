-- What is no notice stands in one table, in the states and phases of notices: the letters to the practice, and answers to texts. A letter's key is a digest of
-- its time and its recipient; an answer's is that of the reply. What may have left when the daemon ended is unknown, and never goes again.
CREATE TABLE outgoing (
    practice        integer NOT NULL,
    key             text COLLATE "C" NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('letter', 'answer')),
    recipient       text COLLATE "C",               -- of a letter: the address by its digest
    address         text NOT NULL,                  -- of an answer; sealed; empty: it is over
    address_key     text COLLATE "C" NOT NULL,      -- likewise; sealed, the same alike
    answer          text,
    locale          text,
    due_at          bigint NOT NULL,                -- of a letter: what it was scheduled for
    useful_until    bigint NOT NULL,
    state           text NOT NULL CHECK (state IN ('waiting', 'claimed', 'sending', 'accepted', 'rejected', 'unknown', 'cancelled', 'lapsed', 'suppressed')),
    phase           text CHECK (phase IN ('pre', 'doubt')),
    next_attempt_at bigint,
    attempts        bigint NOT NULL CHECK (attempts >= 0),
    changed_at      bigint NOT NULL,
    epoch           bigint NOT NULL,
    owner           text,
    lease_until     timestamptz,
    transport       text,
    outcome         text,                           -- the ledger's word of its end
    PRIMARY KEY (practice, key),
    CHECK ((kind = 'letter') = (recipient IS NOT NULL)),
    CHECK ((kind = 'answer') = (answer IS NOT NULL AND locale IS NOT NULL)),
    CHECK ((state = 'sending') = (phase IS NOT NULL)),
    CHECK ((state IN ('claimed', 'sending')) = (owner IS NOT NULL)),
    CHECK ((owner IS NULL) = (lease_until IS NULL)),
    CHECK ((state IN ('waiting', 'claimed', 'sending')) = (next_attempt_at IS NOT NULL))
);
CREATE INDEX outgoing_due ON outgoing (practice, kind, due_at);
CREATE INDEX outgoing_open ON outgoing (practice, kind, due_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX outgoing_to ON outgoing (practice, address_key, answer, due_at) WHERE kind = 'answer';

INSERT INTO outgoing (practice, key, kind, address, address_key, answer, locale, due_at, useful_until, state, next_attempt_at, attempts, changed_at, epoch,
                      outcome)
    SELECT practice, reply_id, 'answer', CASE state WHEN 'waiting' THEN address ELSE '' END, address_key, kind, locale, at, useful_until,
        CASE WHEN state = 'waiting' THEN 'waiting' WHEN state = 'accepted' THEN 'accepted' WHEN state = 'sending' OR outcome = 'unknown' THEN 'unknown'
             WHEN outcome IN ('rejected', 'not taken') THEN 'rejected' WHEN outcome IN ('lapsed', 'suppressed') THEN outcome
             WHEN outcome LIKE 'not sent%' THEN 'accepted' ELSE 'cancelled' END,
        CASE state WHEN 'waiting' THEN at END,
        (state IN ('sending', 'accepted') OR coalesce(outcome, '') IN ('unknown', 'rejected', 'not taken'))::integer, at, 0, outcome
    FROM answer;
INSERT INTO outgoing (practice, key, kind, recipient, address, address_key, due_at, useful_until, state, next_attempt_at, attempts, changed_at, epoch, outcome)
    SELECT practice, encode(substring(sha256(convert_to('letter ' || scheduled_at || ' ' || recipient, 'UTF8')) FOR 16), 'hex'), 'letter', recipient, '', '',
        scheduled_at, scheduled_at + 43200000,
        CASE state WHEN 'open' THEN 'waiting' WHEN 'doubt' THEN 'unknown' WHEN 'empty' THEN 'cancelled' ELSE state END,
        CASE state WHEN 'open' THEN greatest(scheduled_at, changed_at) END, attempts + (state IN ('doubt', 'accepted', 'rejected'))::integer, changed_at, 0,
        CASE WHEN state NOT IN ('open', 'doubt') THEN state END
    FROM staff_letter;
DROP TABLE answer;
DROP TABLE staff_letter;
