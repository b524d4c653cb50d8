-- What the migrations make of an empty file. Written by a test of src/outbox/sqlite/migrate.rs; a change is a new migration.

CREATE TABLE alert (
    key   TEXT NOT NULL PRIMARY KEY,              -- what is at fault
    since INTEGER NOT NULL,                       -- when it was told
    text  TEXT NOT NULL                           -- what was told; no name, contact or code
) STRICT, WITHOUT ROWID;

CREATE TABLE also_listed (
    source     TEXT NOT NULL REFERENCES source (name),
    session_id INTEGER NOT NULL,
    start_at   INTEGER NOT NULL,
    record     TEXT NOT NULL, taken_for TEXT CHECK (taken_for IN ('live', 'cancelled', 'over', 'withdrawn')),                                           -- sealed
    PRIMARY KEY (source, session_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE "content" (
    notice_id INTEGER PRIMARY KEY REFERENCES notice (id),
    packed    BLOB NOT NULL,                        -- the frozen bytes of the last attempt
    size      INTEGER                               -- unpacked (LZ4), in bytes; empty: they are not packed
, sample INTEGER) STRICT;

CREATE TABLE "delivery" (
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

CREATE TABLE expected (
    name  TEXT PRIMARY KEY,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE fault (
    source           TEXT NOT NULL REFERENCES source (name),
    position         INTEGER NOT NULL,
    path             TEXT NOT NULL,
    reason           TEXT NOT NULL,
    session_id       INTEGER,
    participation_id INTEGER,
    PRIMARY KEY (source, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE "guard" (
    source     TEXT NOT NULL REFERENCES source (name),
    session_id INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    people     INTEGER NOT NULL,                    -- how many people of it changed; 1 for the whole session
    says       TEXT NOT NULL,                       -- digest of what the source says instead
    since      INTEGER NOT NULL,
    standing   TEXT NOT NULL CHECK (standing = 'waiting' OR standing = 'accepted' OR standing = 'rejected'),
    PRIMARY KEY (source, session_id, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE guard_passed (
    source     TEXT NOT NULL REFERENCES source (name),
    session_id INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (source, session_id, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE heard (
    address_key TEXT PRIMARY KEY,
    at          INTEGER NOT NULL                    -- last
) STRICT, WITHOUT ROWID;

CREATE TABLE "identity" (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    reference_key BLOB NOT NULL,                    -- drawn once; sealed where there is a key
    copied_at     INTEGER,                          -- set in a copy, when it is made
    key_check     TEXT,                             -- something sealed by the store's key, to know it by; empty: nothing is sealed
    key_next      TEXT,                             -- while it gets another key: that one, sealed by the one before
    key_before    TEXT                              -- and the one before, sealed by that one: either opens it until all is sealed anew
, moved_to TEXT) STRICT;

CREATE TABLE lately (
    source     TEXT NOT NULL,
    session_id INTEGER NOT NULL,
    until      INTEGER NOT NULL,                                        -- nothing of it counts from then on
    items      TEXT NOT NULL,                                           -- sealed: JSON, a list of src/guard.rs `Noted`
    PRIMARY KEY (source, session_id)
) STRICT, WITHOUT ROWID;

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

CREATE TABLE ledger_key (
    from_seq INTEGER PRIMARY KEY,
    key      BLOB NOT NULL                          -- sealed
) STRICT;

CREATE TABLE look (
    source      TEXT PRIMARY KEY,
    wanted      INTEGER NOT NULL DEFAULT 0,
    had         INTEGER NOT NULL DEFAULT 0 CHECK (had <= wanted), -- of those; less, and it is to be looked at
    quiet_until INTEGER,                                -- it asked to be left alone until then
    refusals    INTEGER NOT NULL DEFAULT 0 CHECK (refusals >= 0) -- how often in a row it was too busy to answer
, read_by TEXT, written INTEGER, said TEXT, unread_at INTEGER, unread_why TEXT, unread_stays INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;

CREATE TABLE "notice" (
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

CREATE TABLE part (
    source   TEXT NOT NULL,
    name     TEXT NOT NULL,
    read_at  INTEGER,                                                   -- null: whenever the source was last read whole
    sessions TEXT NOT NULL,                                             -- JSON: a list of SessionIds
    PRIMARY KEY (source, name)
) STRICT, WITHOUT ROWID;

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
    absences         INTEGER NOT NULL, presence TEXT NOT NULL DEFAULT 'listed', role TEXT CHECK (role IN ('host', 'participant')), record TEXT, said TEXT, said_of INTEGER, session_seen INTEGER, person TEXT,
    PRIMARY KEY (source, session_id, participation_id),
    FOREIGN KEY (source, session_id) REFERENCES session (source, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE reply (
    id   TEXT PRIMARY KEY,
    at   INTEGER NOT NULL,
    word TEXT NOT NULL                              -- what it was taken for: stop, start, help, yes, no, other
) STRICT, WITHOUT ROWID;

CREATE TABLE restored (
    source        TEXT PRIMARY KEY,
    first_walk_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE rsvp (
    source           TEXT NOT NULL,
    session_id       INTEGER NOT NULL,
    participation_id INTEGER NOT NULL,
    says             TEXT NOT NULL CHECK (says IN ('confirmed', 'declined')),
    over             TEXT NOT NULL CHECK (over IN ('unknown', 'confirmed', 'declined')),
    at               INTEGER NOT NULL, start_at INTEGER,
    PRIMARY KEY (source, session_id, participation_id),
    FOREIGN KEY (source, session_id, participation_id) REFERENCES participant (source, session_id, participation_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE said (
    reply_id TEXT PRIMARY KEY REFERENCES reply (id),
    at       INTEGER NOT NULL,
    shown    TEXT NOT NULL,                         -- the sender's number, masked
    text     TEXT NOT NULL,                         -- without the codes of their sessions
    about    TEXT NOT NULL,                         -- whose it may be: JSON, an array of [source, session, participation]
    read_at  INTEGER                                -- when somebody marked it as read
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    source    TEXT NOT NULL REFERENCES source (name),
    id        INTEGER NOT NULL,
    revision  INTEGER NOT NULL CHECK (revision >= 1),
    digest    TEXT NOT NULL,
    start_at  INTEGER NOT NULL,
    ambiguous TEXT NOT NULL,                        -- JSON: [[participation_id, reason], ...]
    record    TEXT NOT NULL, presence TEXT NOT NULL DEFAULT 'listed', replan INTEGER NOT NULL DEFAULT 0, taken_for TEXT CHECK (taken_for IN ('live', 'cancelled', 'over', 'withdrawn')),                        -- empty: purged
    PRIMARY KEY (source, id)
) STRICT;

CREATE TABLE source (
    name             TEXT PRIMARY KEY,
    last_snapshot_at INTEGER NOT NULL,
    policy_digest    TEXT NOT NULL, filled INTEGER NOT NULL DEFAULT 0, adopting TEXT NOT NULL DEFAULT '[]', gone_at INTEGER, whole_at INTEGER) STRICT, WITHOUT ROWID;

CREATE TABLE suppression (
    address_key TEXT PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('bounced', 'opted_out')),
    since       INTEGER NOT NULL,
    shown       TEXT NOT NULL,                      -- the address as it prints, masked
    notice_key  BLOB                                -- whose rejection said so
, said_by TEXT NOT NULL DEFAULT 'person' CHECK (said_by IN ('refusal', 'receipt', 'reply', 'person'))) STRICT, WITHOUT ROWID;

CREATE TABLE transport (
    channel      TEXT NOT NULL,
    name         TEXT NOT NULL,
    next_turn    INTEGER,                               -- that nobody has; microseconds
    faults       INTEGER NOT NULL CHECK (faults >= 0),  -- pauses in a row; 0: it is well
    noted_at     INTEGER,
    paused_until INTEGER,
    said_until   INTEGER,                               -- so long it asked for a pause itself
    why          TEXT NOT NULL,                         -- what is wrong with it; no contact
    version      INTEGER NOT NULL,                      -- another one after each change of its pause
    probed_by    TEXT,                                  -- who asks it after a fault, for all
    probed_until INTEGER,
    PRIMARY KEY (channel, name),
    CHECK ((probed_by IS NULL) = (probed_until IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE visit (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),               -- SHA-256 of the id in the browser's cookie
    name   TEXT NOT NULL,                                               -- the user's
    mark   BLOB NOT NULL CHECK (length(mark) = 32),                     -- of password and one-time codes: with others, the visit is over
    began  INTEGER NOT NULL,
    seen   INTEGER NOT NULL                                             -- about a minute early, at the most
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_undelivered ON delivery (notice_id) WHERE receipt IN ('undelivered', 'failed');

CREATE INDEX lately_until ON lately (until);

CREATE INDEX ledger_checkpoint ON ledger (seq) WHERE event = 'checkpoint';

CREATE INDEX ledger_session ON ledger (session_id, seq) WHERE session_id IS NOT NULL;

CREATE INDEX notice_due ON notice (channel, next_attempt_at, useful_until, due_at, state) WHERE state IN ('waiting', 'unknown');

CREATE INDEX notice_listed ON notice (due_at);

CREATE INDEX notice_number ON notice (address, start_at) WHERE channel = 'sms';

CREATE INDEX notice_reference ON notice (reference) WHERE channel = 'sms' AND reference IS NOT NULL;

CREATE INDEX notice_session ON notice (session_id, participation_id);

CREATE INDEX notice_start ON notice (start_at);

CREATE INDEX notice_state ON notice (state, due_at);

CREATE INDEX notice_undecided ON notice (key) WHERE doubt = 'undecided';

CREATE INDEX omission_reason ON omission (reason);

CREATE INDEX outgoing_due ON outgoing (kind, due_at);

CREATE INDEX outgoing_open ON outgoing (kind, due_at) WHERE next_attempt_at IS NOT NULL;

CREATE INDEX outgoing_to ON outgoing (address_key, answer, due_at) WHERE kind = 'answer';

CREATE INDEX participant_departed ON participant (source, session_id) WHERE record IS NOT NULL;

CREATE INDEX participant_id ON participant (participation_id);

CREATE INDEX reply_at ON reply (at);

CREATE INDEX said_at ON said (at);

CREATE INDEX said_unread ON said (at) WHERE read_at IS NULL;

CREATE UNIQUE INDEX session_id ON session (id);

CREATE INDEX session_recorded ON session (start_at) WHERE record <> '';

CREATE INDEX session_start ON session (start_at);

CREATE INDEX session_unsettled ON session (source, start_at) WHERE replan > 0 OR presence = 'absent';

CREATE TRIGGER ledger_keeps_its_rows BEFORE UPDATE ON ledger WHEN old.chain IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: a row cannot be changed');
END;

CREATE TRIGGER ledger_loses_no_row BEFORE DELETE ON ledger
WHEN old.seq > coalesce((SELECT CAST(detail AS INTEGER) FROM ledger WHERE event = 'checkpoint' ORDER BY seq DESC LIMIT 1), 0)
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: a row cannot be deleted');
END;
