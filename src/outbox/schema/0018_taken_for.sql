-- How a session stands whatever its record says: a column of its own. The record is byte for byte what the source said.
-- (src/outbox/sqlite/marks.rs takes the practice's word out of records.)

ALTER TABLE session ADD COLUMN taken_for TEXT CHECK (taken_for IN ('live', 'cancelled', 'over', 'withdrawn'));
ALTER TABLE also_listed ADD COLUMN taken_for TEXT CHECK (taken_for IN ('live', 'cancelled', 'over', 'withdrawn'));
