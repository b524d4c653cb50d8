-- What outlives a process of a transport: the turns of its rate that were taken, and a pause that it asked for itself.
CREATE TABLE transport (
    channel      TEXT NOT NULL,
    name         TEXT NOT NULL,
    next_turn    INTEGER,                               -- that nobody has; microseconds
    faults       INTEGER NOT NULL CHECK (faults >= 0),  -- pauses in a row; 0: it is well
    noted_at     INTEGER,
    paused_until INTEGER,
    said_until   INTEGER,                               -- so long it asked for a pause itself
    why          TEXT NOT NULL,                         -- what is wrong with it; no contact
    version      INTEGER NOT NULL,                      -- another one after each change of its pause
    probed_by    TEXT,                                  -- who asks it after a fault, for all
    probed_until INTEGER,
    PRIMARY KEY (channel, name),
    CHECK ((probed_by IS NULL) = (probed_until IS NULL))
) STRICT, WITHOUT ROWID;
