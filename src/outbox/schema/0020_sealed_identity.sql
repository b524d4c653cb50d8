-- A sealed store seals the key that it drew, and keys its ledger's chain (src/outbox/sqlite/admit.rs does both when it is opened).

-- The same table, without a length for what may be sealed.
CREATE TABLE identity_sealed (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    reference_key BLOB NOT NULL,                    -- drawn once; sealed where there is a key
    copied_at     INTEGER,                          -- set in a copy, when it is made
    key_check     TEXT,                             -- something sealed by the store's key, to know it by; empty: nothing is sealed
    key_next      TEXT,                             -- while it gets another key: that one, sealed by the one before
    key_before    TEXT                              -- and the one before, sealed by that one: either opens it until all is sealed anew
) STRICT;
INSERT INTO identity_sealed (id, reference_key, copied_at, key_check) SELECT id, reference_key, copied_at, key_check FROM identity;
DROP TABLE identity;
ALTER TABLE identity_sealed RENAME TO identity;

-- From which row on the ledger's chain is keyed, and by which key: one row for each key that the store had.
CREATE TABLE ledger_key (
    from_seq INTEGER PRIMARY KEY,
    key      BLOB NOT NULL                          -- sealed
) STRICT;
