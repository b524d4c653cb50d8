-- What is no notice stands in one table, in the states and phases of notices: the letters to the practice, and answers to texts. A letter's key is a digest of
-- its time and its recipient; an answer's is that of the reply. What may have left when the program ended is unknown, and never goes again.
CREATE TABLE outgoing (
    key             TEXT PRIMARY KEY,
    kind            TEXT NOT NULL CHECK (kind IN ('letter', 'answer')),
    recipient       TEXT,                           -- of a letter: the address by its digest
    address         TEXT NOT NULL,                  -- of an answer; sealed; empty: it is over
    address_key     TEXT NOT NULL,                  -- likewise; sealed, the same alike
    answer          TEXT,
    locale          TEXT,
    due_at          INTEGER NOT NULL,               -- of a letter: what it was scheduled for
    useful_until    INTEGER NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('waiting', 'claimed', 'sending', 'accepted', 'rejected', 'unknown', 'cancelled', 'lapsed', 'suppressed')),
    phase           TEXT CHECK (phase IN ('pre', 'doubt')),
    next_attempt_at INTEGER,
    attempts        INTEGER NOT NULL CHECK (attempts >= 0),
    changed_at      INTEGER NOT NULL,
    epoch           INTEGER NOT NULL,
    owner           TEXT,
    lease_until     INTEGER,
    transport       TEXT,
    outcome         TEXT,                           -- the ledger's word of its end
    CHECK ((kind = 'letter') = (recipient IS NOT NULL)),
    CHECK ((kind = 'answer') = (answer IS NOT NULL AND locale IS NOT NULL)),
    CHECK ((state = 'sending') = (phase IS NOT NULL)),
    CHECK ((state IN ('claimed', 'sending')) = (owner IS NOT NULL)),
    CHECK ((owner IS NULL) = (lease_until IS NULL)),
    CHECK ((state IN ('waiting', 'claimed', 'sending')) = (next_attempt_at IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX outgoing_due ON outgoing (kind, due_at);
CREATE INDEX outgoing_open ON outgoing (kind, due_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX outgoing_to ON outgoing (address_key, answer, due_at) WHERE kind = 'answer';

INSERT INTO outgoing (key, kind, address, address_key, answer, locale, due_at, useful_until, state, next_attempt_at, attempts, changed_at, epoch, outcome)
    SELECT reply_id, 'answer', iif(state = 'waiting', address, ''), address_key, kind, locale, at, useful_until,
        CASE WHEN state = 'waiting' THEN 'waiting' WHEN state = 'accepted' THEN 'accepted' WHEN state = 'sending' OR outcome = 'unknown' THEN 'unknown'
             WHEN outcome IN ('rejected', 'not taken') THEN 'rejected' WHEN outcome IN ('lapsed', 'suppressed') THEN outcome
             WHEN outcome GLOB 'not sent*' THEN 'accepted' ELSE 'cancelled' END,
        iif(state = 'waiting', at, NULL), state IN ('sending', 'accepted') OR coalesce(outcome, '') IN ('unknown', 'rejected', 'not taken'), at, 0, outcome
    FROM answer;
-- Their keys are digests, which this language does not make: see outgoing.rs.
INSERT INTO outgoing (key, kind, recipient, address, address_key, due_at, useful_until, state, next_attempt_at, attempts, changed_at, epoch, outcome)
    SELECT 'letter ' || scheduled_at || ' ' || recipient, 'letter', recipient, '', '', scheduled_at, scheduled_at + 43200000,
        CASE state WHEN 'open' THEN 'waiting' WHEN 'doubt' THEN 'unknown' WHEN 'empty' THEN 'cancelled' ELSE state END,
        iif(state = 'open', max(scheduled_at, changed_at), NULL), attempts + (state IN ('doubt', 'accepted', 'rejected')), changed_at, 0,
        iif(state IN ('open', 'doubt'), NULL, state)
    FROM staff_letter;
DROP TABLE answer;
DROP TABLE staff_letter;
