-- Who is logged in to the pages: a restart and a reload log nobody out. Of an id only its digest is kept; of a password only a digest of its hash.
CREATE TABLE visit (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),               -- SHA-256 of the id in the browser's cookie
    name   TEXT NOT NULL,                                               -- the user's
    mark   BLOB NOT NULL CHECK (length(mark) = 32),                     -- of password and one-time codes: with others, the visit is over
    began  INTEGER NOT NULL,
    seen   INTEGER NOT NULL                                             -- about a minute early, at the most
) STRICT, WITHOUT ROWID;
