-- What each part of a source (a file of its folder, the list of one host) listed when it was read last.
CREATE TABLE part (
    source   TEXT NOT NULL,
    name     TEXT NOT NULL,
    read_at  INTEGER,                                                   -- null: whenever the source was last read whole
    sessions TEXT NOT NULL,                                             -- JSON: a list of SessionIds
    PRIMARY KEY (source, name)
) STRICT, WITHOUT ROWID;
