-- Letters to the practice: one row for each scheduled time and recipient, so that none goes out twice.
CREATE TABLE staff_letter (
    scheduled_at INTEGER NOT NULL,
    recipient    TEXT NOT NULL,                     -- the address by its digest
    state        TEXT NOT NULL CHECK (state IN ('open', 'doubt', 'accepted', 'rejected', 'empty')),
    attempts     INTEGER NOT NULL CHECK (attempts >= 0),
    changed_at   INTEGER NOT NULL,
    PRIMARY KEY (scheduled_at, recipient)
) STRICT, WITHOUT ROWID;
