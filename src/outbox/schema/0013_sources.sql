-- A session belongs to its SessionId: it stands under one source, and what another one says of it stands beside it.

ALTER TABLE source ADD COLUMN filled INTEGER NOT NULL DEFAULT 0;        -- 1: the first fill is over; who comes later is new
ALTER TABLE source ADD COLUMN adopting TEXT NOT NULL DEFAULT '[]';      -- sessions that were at fault in the first fill: JSON, [id, ...]
ALTER TABLE source ADD COLUMN gone_at INTEGER;                          -- since when it is not in the configuration any more
UPDATE source SET filled = 1;

-- What a source says of a session that stands under another one.
CREATE TABLE also_listed (
    source     TEXT NOT NULL REFERENCES source (name),
    session_id INTEGER NOT NULL,
    start_at   INTEGER NOT NULL,
    record     TEXT NOT NULL,                                           -- sealed
    PRIMARY KEY (source, session_id)
) STRICT, WITHOUT ROWID;
