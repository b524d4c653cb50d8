-- The outbox of one practice. Times are milliseconds since 1970-01-01 UTC; words are those of the program's enums.

-- Drawn once, when the store is created: Message-IDs and client references are made with it.
CREATE TABLE identity (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    reference_key BLOB NOT NULL CHECK (length(reference_key) = 32),
    ledger_from   INTEGER NOT NULL DEFAULT 0        -- the retention time: rows of the ledger before it may be purged
) STRICT;

CREATE TABLE source (
    name             TEXT PRIMARY KEY,
    last_snapshot_at INTEGER NOT NULL,
    policy_digest    TEXT NOT NULL,
    guard_digest     TEXT,                          -- what waits for an operator; empty: nothing does
    guard_since      INTEGER,
    guard_accepted   TEXT                           -- the digest that an operator let pass
) STRICT, WITHOUT ROWID;

-- What waits for an operator: one row for each session.
CREATE TABLE guard (
    source     TEXT NOT NULL REFERENCES source (name),
    session_id INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    PRIMARY KEY (source, session_id)
) STRICT, WITHOUT ROWID;

-- The last good snapshot, and the revision that fences attempts made from an older one.
CREATE TABLE session (
    source    TEXT NOT NULL REFERENCES source (name),
    id        INTEGER NOT NULL,
    revision  INTEGER NOT NULL CHECK (revision >= 1),
    digest    TEXT NOT NULL,
    start_at  INTEGER NOT NULL,
    ambiguous TEXT NOT NULL,                        -- JSON: [[participation_id, reason], ...]
    record    TEXT NOT NULL,                        -- empty: purged
    PRIMARY KEY (source, id)
) STRICT;

CREATE INDEX session_recorded ON session (start_at) WHERE record <> '';
CREATE INDEX session_start ON session (start_at);

CREATE TABLE participant (
    source           TEXT NOT NULL,
    session_id       INTEGER NOT NULL,
    participation_id INTEGER NOT NULL,
    first_seen       INTEGER NOT NULL,
    start_at         INTEGER NOT NULL,
    start_known_at   INTEGER NOT NULL,
    adopted          INTEGER NOT NULL CHECK (adopted IN (0, 1)),
    facts            TEXT NOT NULL,                 -- digest of what a message says beside the start
    facts_known_at   INTEGER NOT NULL,
    cancelled        INTEGER NOT NULL CHECK (cancelled IN (0, 1)),
    absent_since     INTEGER,
    absences         INTEGER NOT NULL,
    PRIMARY KEY (source, session_id, participation_id),
    FOREIGN KEY (source, session_id) REFERENCES session (source, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE notice (
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
    state            TEXT NOT NULL CHECK (state IN ('waiting', 'claimed', 'sending', 'accepted', 'rejected', 'unknown', 'held',
                                                    'cancelled', 'superseded', 'lapsed', 'suppressed')),
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

-- What is due, and the order of urgency, without a look at the rows themselves.
CREATE INDEX notice_due ON notice (channel, next_attempt_at, start_at, due_at, key, state) WHERE state IN ('waiting', 'unknown');
CREATE INDEX notice_state ON notice (state, due_at, key);
CREATE INDEX notice_listed ON notice (due_at, key);
CREATE INDEX notice_session ON notice (session_id, participation_id);
CREATE INDEX notice_participation ON notice (participation_id);
CREATE INDEX notice_start ON notice (start_at);
CREATE INDEX notice_undecided ON notice (key) WHERE doubt = 'undecided';

-- The frozen bytes of the last attempt; purged after the retention time, the rest of the notice stays.
CREATE TABLE content (
    notice_key BLOB PRIMARY KEY REFERENCES notice (key),
    bytes      BLOB NOT NULL
) STRICT;

CREATE TABLE delivery (
    notice_key BLOB NOT NULL REFERENCES notice (key),
    attempt    INTEGER NOT NULL CHECK (attempt >= 1),
    epoch      INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    phase      TEXT NOT NULL CHECK (phase IN ('pre', 'doubt')),
    ended_at   INTEGER,
    outcome    TEXT,
    transport  TEXT,
    reply      TEXT,
    PRIMARY KEY (notice_key, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE omission (
    source           TEXT NOT NULL,
    session_id       INTEGER NOT NULL,
    position         INTEGER NOT NULL,
    participation_id INTEGER,
    role             TEXT,
    occasion         TEXT,
    rule             TEXT,
    channel          TEXT,
    due_at           INTEGER,
    reason           TEXT NOT NULL,
    detail           TEXT,
    PRIMARY KEY (source, session_id, position),
    FOREIGN KEY (source, session_id) REFERENCES session (source, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX omission_listed ON omission (due_at, source, session_id, position);
CREATE INDEX omission_session ON omission (session_id);
CREATE INDEX omission_participation ON omission (participation_id);
CREATE INDEX omission_reason ON omission (reason);

CREATE TABLE fault (
    source           TEXT NOT NULL REFERENCES source (name),
    position         INTEGER NOT NULL,
    path             TEXT NOT NULL,
    reason           TEXT NOT NULL,
    session_id       INTEGER,
    participation_id INTEGER,
    PRIMARY KEY (source, position)
) STRICT, WITHOUT ROWID;

-- Addresses that get no messages, by digest: the list itself tells nobody's address.
CREATE TABLE suppression (
    address_key TEXT PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('bounced', 'opted_out')),
    since       INTEGER NOT NULL,
    shown       TEXT NOT NULL,                      -- the address as it prints, masked
    notice_key  BLOB                                -- whose rejection said so
) STRICT, WITHOUT ROWID;

-- Append-only, but for what is older than the retention time. Each row is written in the transaction of what it tells.
CREATE TABLE ledger (
    seq              INTEGER PRIMARY KEY AUTOINCREMENT,
    at               INTEGER NOT NULL,
    notice_key       BLOB,
    session_id       INTEGER,
    participation_id INTEGER,
    event            TEXT NOT NULL,
    from_state       TEXT,
    to_state         TEXT,
    reason           TEXT,
    detail           TEXT,
    chain            BLOB                           -- room for a hash over this row and the one before it
) STRICT;

CREATE INDEX ledger_at ON ledger (at);
CREATE INDEX ledger_session ON ledger (session_id, seq) WHERE session_id IS NOT NULL;

CREATE TRIGGER ledger_keeps_its_rows BEFORE UPDATE ON ledger
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: a row cannot be changed');
END;

CREATE TRIGGER ledger_loses_no_row BEFORE DELETE ON ledger WHEN old.at >= (SELECT ledger_from FROM identity)
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: a row cannot be deleted');
END;
