-- Rows that are written together lie together: a commit writes each page that it touched, and keys are spread over all of them.
-- What hangs on a notice is kept by its number, and what is due at once is in the order in which it was added.

CREATE TABLE content_by_number (
    notice_id INTEGER PRIMARY KEY REFERENCES notice (id),
    packed    BLOB NOT NULL,                        -- the frozen bytes of the last attempt
    size      INTEGER                               -- unpacked (LZ4), in bytes; empty: they are not packed
) STRICT;

INSERT INTO content_by_number (notice_id, packed)
    SELECT notice.id, content.bytes FROM content JOIN notice ON notice.key = content.notice_key;
DROP TABLE content;
ALTER TABLE content_by_number RENAME TO content;

CREATE TABLE delivery_by_number (
    notice_id  INTEGER NOT NULL REFERENCES notice (id),
    attempt    INTEGER NOT NULL CHECK (attempt >= 1),
    epoch      INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    phase      TEXT NOT NULL CHECK (phase IN ('pre', 'doubt')),
    ended_at   INTEGER,
    outcome    TEXT,
    transport  TEXT,
    reply      TEXT,
    PRIMARY KEY (notice_id, attempt)
) STRICT, WITHOUT ROWID;

INSERT INTO delivery_by_number (notice_id, attempt, epoch, started_at, phase, ended_at, outcome, transport, reply)
    SELECT notice.id, attempt, delivery.epoch, started_at, delivery.phase, ended_at, outcome, transport, reply
    FROM delivery JOIN notice ON notice.key = delivery.notice_key;
DROP TABLE delivery;
ALTER TABLE delivery_by_number RENAME TO delivery;

-- Each entry of an index ends in the row's number.
DROP INDEX notice_due;
DROP INDEX notice_state;
DROP INDEX notice_listed;
CREATE INDEX notice_due ON notice (channel, next_attempt_at, start_at, due_at, state) WHERE state IN ('waiting', 'unknown');
CREATE INDEX notice_state ON notice (state, due_at);
CREATE INDEX notice_listed ON notice (due_at);
