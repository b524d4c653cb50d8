-- What all nodes know of a transport: the turns of its rate that were taken, until when it pauses, and who asks it after a fault.
CREATE TABLE transport (
    practice     integer NOT NULL,
    channel      text NOT NULL,
    name         text COLLATE "C" NOT NULL,
    next_turn    bigint,                                -- that nobody has; microseconds
    faults       bigint NOT NULL DEFAULT 0 CHECK (faults >= 0), -- pauses in a row; 0: it is well
    noted_at     bigint,
    paused_until bigint,
    said_until   bigint,                                -- so long it asked for a pause itself
    why          text NOT NULL DEFAULT '',              -- what is wrong with it; no contact
    version      bigint NOT NULL DEFAULT 0,             -- another one after each change of its pause
    probed_by    text,                                  -- who asks it after a fault, for all
    probed_until bigint,
    PRIMARY KEY (practice, channel, name),
    CHECK ((probed_by IS NULL) = (probed_until IS NULL))
);
