-- The guard is a set that is kept: one row for each kind of change of a session, until the source says again what it said before, or until what
-- an operator decided is done.

CREATE TABLE guard_set (
    source     TEXT NOT NULL REFERENCES source (name),
    session_id INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    people     INTEGER NOT NULL,                    -- how many people of it changed; 1 for the whole session
    says       TEXT NOT NULL,                       -- digest of what the source says instead
    since      INTEGER NOT NULL,
    standing   TEXT NOT NULL CHECK (standing = 'waiting' OR standing = 'accepted' OR standing = 'rejected'),
    PRIMARY KEY (source, session_id, kind)
) STRICT, WITHOUT ROWID;

INSERT INTO guard_set
    SELECT source, session_id, kind, 1, '', coalesce(guard_since, last_snapshot_at), 'waiting' FROM guard JOIN source ON name = source;
DROP TABLE guard;
ALTER TABLE guard_set RENAME TO guard;

ALTER TABLE source DROP COLUMN guard_digest;
ALTER TABLE source DROP COLUMN guard_since;
ALTER TABLE source DROP COLUMN guard_accepted;

-- What was let pass lately, because it was one of few: many of them within minutes are too much, too.
CREATE TABLE guard_passed (
    source     TEXT NOT NULL REFERENCES source (name),
    session_id INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (source, session_id, kind)
) STRICT, WITHOUT ROWID;

-- Sessions at which the next walk looks, whatever their source says.
CREATE INDEX session_unsettled ON session (source, start_at) WHERE replan > 0 OR presence = 'absent';
