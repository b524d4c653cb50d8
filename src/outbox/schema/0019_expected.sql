-- Sources that are configured, and since when: what another one lists no more may stand in one that was never read whole.
CREATE TABLE expected (
    name  TEXT PRIMARY KEY,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
