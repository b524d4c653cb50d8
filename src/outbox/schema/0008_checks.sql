-- The same tables, with checks that cost nothing: for a list of more than two words SQLite builds a table of its own each time a row is
-- written, and a notice is written five times on its way.

CREATE TABLE notice_checked (
    id               INTEGER PRIMARY KEY,
    key              BLOB NOT NULL UNIQUE CHECK (length(key) = 16),
    source           TEXT NOT NULL,
    session_id       INTEGER NOT NULL,
    participation_id INTEGER NOT NULL,
    role             TEXT NOT NULL CHECK (role IN ('host', 'participant')),
    occasion         TEXT NOT NULL,
    rule             TEXT,
    channel          TEXT NOT NULL CHECK (channel IN ('email', 'sms')),
    address          TEXT NOT NULL,
    start_at         INTEGER NOT NULL,
    due_at           INTEGER NOT NULL,
    useful_until     INTEGER NOT NULL,
    state            TEXT NOT NULL CHECK (state = 'waiting' OR state = 'claimed' OR state = 'sending' OR state = 'accepted' OR state = 'rejected'
                                          OR state = 'unknown' OR state = 'held' OR state = 'cancelled' OR state = 'superseded'
                                          OR state = 'lapsed' OR state = 'suppressed'),
    reason           TEXT,
    phase            TEXT CHECK (phase IN ('pre', 'doubt')),
    next_attempt_at  INTEGER,
    attempts         INTEGER NOT NULL CHECK (attempts >= 0),
    accepted_at      INTEGER,
    server_reply     TEXT,
    reference        TEXT,
    changed_at       INTEGER NOT NULL,
    epoch            INTEGER NOT NULL,
    owner            TEXT,
    lease_until      INTEGER,                       -- by this store's clock
    claimed_from     TEXT CHECK (claimed_from IN ('waiting', 'unknown')),
    doubt            TEXT CHECK (doubt IN ('undecided', 'decided')),
    facts            TEXT,                          -- digest of the facts in its frozen bytes
    FOREIGN KEY (source, session_id) REFERENCES session (source, id),
    CHECK ((state IN ('claimed', 'sending')) = (owner IS NOT NULL)),
    CHECK ((owner IS NULL) = (lease_until IS NULL) AND (owner IS NULL) = (claimed_from IS NULL)),
    CHECK ((state = 'sending') = (phase IS NOT NULL))
) STRICT;

INSERT INTO notice_checked
    SELECT id, key, source, session_id, participation_id, role, occasion, rule, channel, address, start_at, due_at, useful_until, state, reason,
           phase, next_attempt_at, attempts, accepted_at, server_reply, reference, changed_at, epoch, owner, lease_until, claimed_from, doubt, facts
    FROM notice;
DROP TABLE notice;
ALTER TABLE notice_checked RENAME TO notice;

CREATE INDEX notice_due ON notice (channel, next_attempt_at, start_at, due_at, state) WHERE state IN ('waiting', 'unknown');
CREATE INDEX notice_state ON notice (state, due_at);
CREATE INDEX notice_listed ON notice (due_at);
CREATE INDEX notice_session ON notice (session_id, participation_id);
CREATE INDEX notice_participation ON notice (participation_id);
CREATE INDEX notice_start ON notice (start_at);
CREATE INDEX notice_undecided ON notice (key) WHERE doubt = 'undecided';
CREATE INDEX notice_reference ON notice (reference) WHERE channel = 'sms' AND reference IS NOT NULL;
CREATE INDEX notice_number ON notice (address, start_at) WHERE channel = 'sms';

CREATE TABLE delivery_checked (
    notice_id      INTEGER NOT NULL REFERENCES notice (id),
    attempt        INTEGER NOT NULL CHECK (attempt >= 1),
    epoch          INTEGER NOT NULL,
    started_at     INTEGER NOT NULL,
    phase          TEXT NOT NULL CHECK (phase IN ('pre', 'doubt')),
    ended_at       INTEGER,
    outcome        TEXT,
    transport      TEXT,
    reply          TEXT,
    receipt        TEXT CHECK (receipt = 'sent' OR receipt = 'undelivered' OR receipt = 'failed' OR receipt = 'delivered'),
    receipt_at     INTEGER,
    receipt_detail TEXT,                            -- the provider's error, redacted
    PRIMARY KEY (notice_id, attempt)
) STRICT, WITHOUT ROWID;

INSERT INTO delivery_checked
    SELECT notice_id, attempt, epoch, started_at, phase, ended_at, outcome, transport, reply, receipt, receipt_at, receipt_detail FROM delivery;
DROP TABLE delivery;
ALTER TABLE delivery_checked RENAME TO delivery;

CREATE INDEX delivery_undelivered ON delivery (notice_id) WHERE receipt IN ('undelivered', 'failed');
