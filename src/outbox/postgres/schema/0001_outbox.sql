-- The outbox on PostgreSQL. `practice` leads every key: one database may hold several. Times are milliseconds since 1970-01-01 UTC, but for leases, which
-- are this server's (clock_timestamp()); words are those of the program's enums. What is private is sealed by the program before it comes here.

CREATE TABLE practice (
    id            integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text NOT NULL UNIQUE,
    reference_key bytea NOT NULL,                   -- drawn once; sealed where there is a key
    key_check     text,                             -- something sealed by the store's key, to know it by; empty: nothing is sealed
    lineage       text NOT NULL                     -- of which database the daemon ran last: its identifier and timeline
);

-- The daemon of a practice, as long as it lives. One that has not said so for a while is gone, and may do nothing any more.
CREATE TABLE node (
    practice    integer PRIMARY KEY REFERENCES practice,
    boot        text NOT NULL,                      -- drawn at each start of a process
    process     text NOT NULL,                      -- the same over a reload, which is another start
    says        text NOT NULL,                      -- what a person knows it by
    alive_until timestamptz NOT NULL
);

-- How far the ledger has got. Whoever writes holds this row, so that one transaction of a practice follows another.
CREATE TABLE chain (
    practice integer NOT NULL REFERENCES practice,
    id       integer NOT NULL,
    seq      bigint NOT NULL,
    link     bytea NOT NULL,
    PRIMARY KEY (practice, id)
) WITH (fillfactor = 10);

-- Append-only, but for what a checkpoint lets go. Each row is written in the transaction of what it tells.
CREATE TABLE ledger (
    practice         integer NOT NULL,
    chain            integer NOT NULL,
    seq              bigint NOT NULL,
    at               bigint NOT NULL,
    notice_key       bytea,
    session_id       bigint,
    participation_id bigint,
    event            text NOT NULL,
    from_state       text,
    to_state         text,
    reason           text,
    detail           text,
    link             bytea NOT NULL,
    PRIMARY KEY (practice, chain, seq)
);
CREATE INDEX ledger_session ON ledger (practice, session_id, seq) WHERE session_id IS NOT NULL;
CREATE INDEX ledger_checkpoint ON ledger (practice, chain, seq) WHERE event = 'checkpoint';

-- From which row on the chain is keyed, and by which key.
CREATE TABLE ledger_key (
    practice integer NOT NULL,
    chain    integer NOT NULL,
    from_seq bigint NOT NULL,
    key      bytea NOT NULL,                        -- sealed
    PRIMARY KEY (practice, chain, from_seq)
);

CREATE FUNCTION ledger_keeps_its_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND old.seq <= coalesce((SELECT split_part(detail, ':', 1)::bigint FROM ledger
            WHERE practice = old.practice AND chain = old.chain AND event = 'checkpoint' ORDER BY seq DESC LIMIT 1), 0) THEN
        RETURN old;
    END IF;
    RAISE EXCEPTION 'the ledger is append-only: a row cannot be % by hand', CASE TG_OP WHEN 'DELETE' THEN 'deleted' ELSE 'changed' END;
END $$;
CREATE TRIGGER ledger_keeps_its_rows BEFORE UPDATE OR DELETE ON ledger FOR EACH ROW EXECUTE FUNCTION ledger_keeps_its_rows();
CREATE FUNCTION ledger_is_never_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: it cannot be emptied';
END $$;
CREATE TRIGGER ledger_is_never_emptied BEFORE TRUNCATE ON ledger FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_never_emptied();

CREATE TABLE source (
    practice         integer NOT NULL REFERENCES practice,
    name             text COLLATE "C" NOT NULL,
    last_snapshot_at bigint NOT NULL,
    policy_digest    text NOT NULL,
    filled           boolean NOT NULL,              -- the first fill is over; who comes later is new
    adopting         text NOT NULL,                 -- sessions that were at fault in the first fill: JSON, [id, ...]
    gone_at          bigint,                        -- since when it is not in the configuration any more
    whole_at         bigint,                        -- when it last said all that it lists
    PRIMARY KEY (practice, name)
);

-- Sources that are configured, and since when.
CREATE TABLE expected (
    practice integer NOT NULL REFERENCES practice,
    name     text COLLATE "C" NOT NULL,
    since    bigint NOT NULL,
    PRIMARY KEY (practice, name)
);

-- What each part of a source listed when it was read last.
CREATE TABLE part (
    practice integer NOT NULL REFERENCES practice,
    source   text COLLATE "C" NOT NULL,
    name     text COLLATE "C" NOT NULL,
    read_at  bigint,
    sessions text NOT NULL,                         -- JSON: a list of SessionIds
    PRIMARY KEY (practice, source, name)
);

-- The last good snapshot, and the revision that fences attempts made from an older one.
CREATE TABLE session (
    practice  integer NOT NULL,
    source    text COLLATE "C" NOT NULL,
    id        bigint NOT NULL,
    revision  bigint NOT NULL CHECK (revision >= 1),
    digest    text NOT NULL,                        -- sealed
    start_at  bigint NOT NULL,
    ambiguous text NOT NULL,                        -- JSON: [[participation_id, reason], ...]
    record    text NOT NULL,                        -- sealed; empty: purged
    presence  text NOT NULL,
    replan    bigint NOT NULL,                      -- how often since the last walk somebody asked that it be planned again
    taken_for text CHECK (taken_for IN ('live', 'cancelled', 'over', 'withdrawn')),
    PRIMARY KEY (practice, source, id),
    UNIQUE (practice, id) DEFERRABLE,
    FOREIGN KEY (practice, source) REFERENCES source DEFERRABLE
);
CREATE INDEX session_start ON session (practice, start_at);
CREATE INDEX session_unsettled ON session (practice, source, start_at) WHERE replan > 0 OR presence = 'absent';

-- What a source says of a session that stands under another one.
CREATE TABLE also_listed (
    practice   integer NOT NULL,
    source     text COLLATE "C" NOT NULL,
    session_id bigint NOT NULL,
    start_at   bigint NOT NULL,
    record     text NOT NULL,                       -- sealed
    taken_for  text CHECK (taken_for IN ('live', 'cancelled', 'over', 'withdrawn')),
    PRIMARY KEY (practice, source, session_id),
    FOREIGN KEY (practice, source) REFERENCES source DEFERRABLE
);

CREATE TABLE participant (
    practice         integer NOT NULL,
    source           text COLLATE "C" NOT NULL,
    session_id       bigint NOT NULL,
    participation_id bigint NOT NULL,
    first_seen       bigint NOT NULL,
    session_seen     bigint NOT NULL,
    start_at         bigint NOT NULL,
    start_known_at   bigint NOT NULL,
    adopted          boolean NOT NULL,
    facts            text NOT NULL,                 -- digest of what a message says beside the start; sealed
    facts_known_at   bigint NOT NULL,
    cancelled        boolean NOT NULL,
    absent_since     bigint,
    absences         bigint NOT NULL,
    said             text,                          -- what the source says that they answered
    said_of          bigint,                        -- which start was in force then
    person           text,                          -- who it is, over all sessions: a digest; sealed
    presence         text NOT NULL DEFAULT 'listed',
    role             text CHECK (role IN ('host', 'participant')),
    record           text,                          -- of somebody whom the source lists no more; sealed
    PRIMARY KEY (practice, source, session_id, participation_id),
    FOREIGN KEY (practice, source, session_id) REFERENCES session DEFERRABLE
);
CREATE INDEX participant_departed ON participant (practice, source, session_id) WHERE record IS NOT NULL;

-- What a participant answered. It holds as long as the source says what it said then.
CREATE TABLE rsvp (
    practice         integer NOT NULL,
    source           text COLLATE "C" NOT NULL,
    session_id       bigint NOT NULL,
    participation_id bigint NOT NULL,
    says             text NOT NULL CHECK (says IN ('confirmed', 'declined')),
    over             text NOT NULL CHECK (over IN ('unknown', 'confirmed', 'declined')),
    at               bigint NOT NULL,
    start_at         bigint,
    PRIMARY KEY (practice, source, session_id, participation_id),
    FOREIGN KEY (practice, source, session_id, participation_id) REFERENCES participant ON DELETE CASCADE DEFERRABLE
);

-- `flying` is claimed, or sending with its phase: an attempt's steps change no column that an index has.
CREATE TABLE notice (
    practice         integer NOT NULL,
    id               bigint GENERATED ALWAYS AS IDENTITY,
    key              bytea NOT NULL CHECK (length(key) = 16),
    source           text COLLATE "C" NOT NULL,
    session_id       bigint NOT NULL,
    participation_id bigint NOT NULL,
    role             text NOT NULL CHECK (role IN ('host', 'participant')),
    occasion         text NOT NULL,
    rule             text,
    channel          text NOT NULL CHECK (channel IN ('email', 'sms')),
    address          text NOT NULL,                 -- sealed, the same address alike
    start_at         bigint NOT NULL,
    due_at           bigint NOT NULL,
    useful_until     bigint NOT NULL,
    state            text NOT NULL CHECK (state IN ('waiting', 'flying', 'accepted', 'rejected', 'unknown', 'held', 'cancelled', 'superseded',
                                                    'lapsed', 'suppressed')),
    reason           text,
    phase            text CHECK (phase IN ('pre', 'doubt')),
    next_attempt_at  bigint,
    attempts         bigint NOT NULL CHECK (attempts >= 0),
    accepted_at      bigint,
    server_reply     text,
    reference        text,
    changed_at       bigint NOT NULL,
    epoch            bigint NOT NULL,
    owner            text,
    lease_until      timestamptz,
    claimed_from     text CHECK (claimed_from IN ('waiting', 'unknown')),
    doubt            text CHECK (doubt IN ('undecided', 'decided')),
    facts            text,                          -- digest of the facts in its frozen bytes; sealed
    PRIMARY KEY (practice, id),
    UNIQUE (practice, key),
    FOREIGN KEY (practice, source, session_id) REFERENCES session DEFERRABLE,
    CHECK ((state = 'flying') = (owner IS NOT NULL)),
    CHECK ((owner IS NULL) = (lease_until IS NULL) AND (owner IS NULL) = (claimed_from IS NULL)),
    CHECK (phase IS NULL OR state = 'flying')
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
CREATE INDEX notice_due ON notice (practice, channel, next_attempt_at, useful_until, due_at, id)
    WHERE state IN ('waiting', 'unknown') AND next_attempt_at IS NOT NULL;
CREATE INDEX notice_open ON notice (practice, state, due_at, id) WHERE state IN ('flying', 'held', 'unknown', 'lapsed', 'suppressed', 'rejected');
CREATE INDEX notice_listed ON notice (practice, due_at, id);
CREATE INDEX notice_session ON notice (practice, session_id, participation_id);
CREATE INDEX notice_start ON notice (practice, start_at);
CREATE INDEX notice_undecided ON notice (practice, key) WHERE doubt = 'undecided';
CREATE INDEX notice_reference ON notice (practice, reference) WHERE channel = 'sms' AND reference IS NOT NULL;
CREATE INDEX notice_number ON notice (practice, address, start_at) WHERE channel = 'sms';

-- The frozen bytes of the last attempt; purged after the retention time, the rest of the notice stays. What hangs on a notice is written and removed
-- in its transactions.
CREATE TABLE content (
    practice  integer NOT NULL,
    notice_id bigint NOT NULL,
    packed    bytea NOT NULL,                       -- sealed
    size      bigint,                               -- unpacked (LZ4), in bytes; empty: they are not packed
    sample    bigint,                               -- what they were packed against
    PRIMARY KEY (practice, notice_id)
);
ALTER TABLE content ALTER COLUMN packed SET STORAGE EXTERNAL;

CREATE TABLE delivery (
    practice       integer NOT NULL,
    notice_id      bigint NOT NULL,
    attempt        bigint NOT NULL CHECK (attempt >= 1),
    epoch          bigint NOT NULL,
    started_at     bigint NOT NULL,
    phase          text NOT NULL CHECK (phase IN ('pre', 'doubt')),
    ended_at       bigint,
    outcome        text,
    transport      text,
    reply          text,
    receipt        text CHECK (receipt IN ('sent', 'undelivered', 'failed', 'delivered')),
    receipt_at     bigint,
    receipt_detail text,
    PRIMARY KEY (practice, notice_id, attempt)
) WITH (fillfactor = 80);
CREATE INDEX delivery_undelivered ON delivery (practice, notice_id) WHERE receipt IN ('undelivered', 'failed');

CREATE TABLE omission (
    practice         integer NOT NULL,
    source           text COLLATE "C" NOT NULL,
    session_id       bigint NOT NULL,
    position         bigint NOT NULL,
    participation_id bigint,
    role             text,
    occasion         text,
    rule             text,
    channel          text,
    due_at           bigint,
    reason           text NOT NULL,
    detail           text,
    PRIMARY KEY (practice, source, session_id, position),
    FOREIGN KEY (practice, source, session_id) REFERENCES session DEFERRABLE
);
CREATE INDEX omission_listed ON omission (practice, due_at, source, session_id, position);
CREATE INDEX omission_session ON omission (practice, session_id);
CREATE INDEX omission_participation ON omission (practice, participation_id);

CREATE TABLE fault (
    practice         integer NOT NULL,
    source           text COLLATE "C" NOT NULL,
    position         bigint NOT NULL,
    path             text NOT NULL,
    reason           text NOT NULL,
    session_id       bigint,
    participation_id bigint,
    PRIMARY KEY (practice, source, position),
    FOREIGN KEY (practice, source) REFERENCES source DEFERRABLE
);

-- What waits for an operator, what was decided, and what was let pass lately.
CREATE TABLE guard (
    practice   integer NOT NULL,
    source     text COLLATE "C" NOT NULL,
    session_id bigint NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    people     bigint NOT NULL,
    says       text NOT NULL,                       -- digest of what the source says instead; sealed
    since      bigint NOT NULL,
    standing   text NOT NULL CHECK (standing IN ('waiting', 'accepted', 'rejected')),
    PRIMARY KEY (practice, source, session_id, kind),
    FOREIGN KEY (practice, source) REFERENCES source DEFERRABLE
);
CREATE TABLE guard_passed (
    practice   integer NOT NULL,
    source     text COLLATE "C" NOT NULL,
    session_id bigint NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    at         bigint NOT NULL,
    PRIMARY KEY (practice, source, session_id, kind),
    FOREIGN KEY (practice, source) REFERENCES source DEFERRABLE
);

-- What people of a session had until lately, or got lately.
CREATE TABLE lately (
    practice   integer NOT NULL,
    source     text COLLATE "C" NOT NULL,
    session_id bigint NOT NULL,
    until      bigint NOT NULL,
    items      text NOT NULL,                       -- sealed: JSON
    PRIMARY KEY (practice, source, session_id)
);

-- After a restore: sources whose first walks may find again what was told already.
CREATE TABLE restored (
    practice      integer NOT NULL,
    source        text COLLATE "C" NOT NULL,
    first_walk_at bigint,
    PRIMARY KEY (practice, source)
);

-- Addresses that get no messages, by digest: the list itself tells nobody's address.
CREATE TABLE suppression (
    practice    integer NOT NULL,
    address_key text COLLATE "C" NOT NULL,                      -- sealed, the same alike
    kind        text NOT NULL CHECK (kind IN ('bounced', 'opted_out')),
    since       bigint NOT NULL,
    shown       text NOT NULL,                      -- the address as it prints, masked
    notice_key  bytea,                              -- whose rejection said so
    said_by     text NOT NULL CHECK (said_by IN ('refusal', 'receipt', 'reply', 'person')),
    PRIMARY KEY (practice, address_key)
);
CREATE INDEX suppression_notice ON suppression (practice, notice_key) WHERE notice_key IS NOT NULL;

-- Numbers that somebody answered from, by digest.
CREATE TABLE heard (
    practice    integer NOT NULL,
    address_key text COLLATE "C" NOT NULL,                      -- sealed, the same alike
    at          bigint NOT NULL,
    PRIMARY KEY (practice, address_key)
);

-- Messages that came in, by the provider's id or a digest: the same one again changes nothing. Their texts are not kept.
CREATE TABLE reply (
    practice integer NOT NULL,
    id       text COLLATE "C" NOT NULL,
    at       bigint NOT NULL,
    word     text NOT NULL,
    PRIMARY KEY (practice, id)
);
CREATE INDEX reply_at ON reply (practice, at);

-- Our answers to them, each sent once at most.
CREATE TABLE answer (
    practice     integer NOT NULL,
    reply_id     text COLLATE "C" NOT NULL,
    address      text NOT NULL,                     -- sealed; empty: sent or given up
    address_key  text COLLATE "C" NOT NULL,                     -- sealed, the same alike
    kind         text NOT NULL,
    locale       text NOT NULL,
    at           bigint NOT NULL,
    useful_until bigint NOT NULL,
    state        text NOT NULL CHECK (state IN ('waiting', 'sending', 'accepted', 'ended')),
    outcome      text,
    PRIMARY KEY (practice, reply_id),
    FOREIGN KEY (practice, reply_id) REFERENCES reply (practice, id)
);
CREATE INDEX answer_waiting ON answer (practice, at) WHERE state = 'waiting';
CREATE INDEX answer_to ON answer (practice, address_key, kind, at);

-- What people wrote that somebody at the practice should read. Kept as long as contents are.
CREATE TABLE said (
    practice integer NOT NULL,
    reply_id text COLLATE "C" NOT NULL,
    at       bigint NOT NULL,
    shown    text NOT NULL,                         -- the sender's number, masked
    text     text NOT NULL,                         -- sealed
    about    text NOT NULL,                         -- JSON: [[source, session, participation], ...]
    read_at  bigint,
    PRIMARY KEY (practice, reply_id)
);
CREATE INDEX said_at ON said (practice, at);

-- Letters to the practice: one row for each scheduled time and recipient.
CREATE TABLE staff_letter (
    practice     integer NOT NULL,
    scheduled_at bigint NOT NULL,
    recipient    text COLLATE "C" NOT NULL,
    state        text NOT NULL CHECK (state IN ('open', 'doubt', 'accepted', 'rejected', 'empty')),
    attempts     bigint NOT NULL CHECK (attempts >= 0),
    changed_at   bigint NOT NULL,
    PRIMARY KEY (practice, scheduled_at, recipient)
);

-- Incidents that staff were told of at once, and that last.
CREATE TABLE alert (
    practice integer NOT NULL,
    key      text COLLATE "C" NOT NULL,
    since    bigint NOT NULL,
    text     text NOT NULL,
    PRIMARY KEY (practice, key)
);

-- Who is logged in to the pages, on any machine. Of an id only its digest is kept; of a password only a digest of its hash.
CREATE TABLE visit (
    practice integer NOT NULL,
    digest   bytea NOT NULL CHECK (length(digest) = 32),
    name     text NOT NULL,                         -- the user's
    mark     bytea NOT NULL CHECK (length(mark) = 32),
    began    bigint NOT NULL,
    seen     bigint NOT NULL,
    PRIMARY KEY (practice, digest)
);
