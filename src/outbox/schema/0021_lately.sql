-- What people of a session had until lately, or got lately: a column of a list may slip over several lists, in several sources.
CREATE TABLE lately (
    source     TEXT NOT NULL,
    session_id INTEGER NOT NULL,
    until      INTEGER NOT NULL,                                        -- nothing of it counts from then on
    items      TEXT NOT NULL,                                           -- sealed: JSON, a list of src/guard.rs `Noted`
    PRIMARY KEY (source, session_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX lately_until ON lately (until);
