-- What is asked of a source: looks at it that somebody wants, and until when it is left alone.
CREATE TABLE look (
    source      TEXT PRIMARY KEY,
    wanted      INTEGER NOT NULL DEFAULT 0,
    had         INTEGER NOT NULL DEFAULT 0 CHECK (had <= wanted), -- of those; less, and it is to be looked at
    quiet_until INTEGER,                                -- it asked to be left alone until then
    refusals    INTEGER NOT NULL DEFAULT 0 CHECK (refusals >= 0) -- how often in a row it was too busy to answer
) STRICT, WITHOUT ROWID;
