-- Incidents that staff were told of at once: each is told once, and again when it is over, across restarts.
CREATE TABLE alert (
    key   TEXT NOT NULL PRIMARY KEY,              -- what is at fault
    since INTEGER NOT NULL,                       -- when it was told
    text  TEXT NOT NULL                           -- what was told; no name, contact or code
) STRICT, WITHOUT ROWID;
