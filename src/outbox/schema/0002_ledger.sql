-- The ledger's rows are chained (src/ledger.rs), and only a prune that left a checkpoint may take them away.

-- Rows from before this version are linked by the program, in the same transaction: a row that has its link cannot be changed.
DROP TRIGGER ledger_keeps_its_rows;
CREATE TRIGGER ledger_keeps_its_rows BEFORE UPDATE ON ledger WHEN old.chain IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: a row cannot be changed');
END;

DROP TRIGGER ledger_loses_no_row;
-- A prune goes by the numbers.
DROP INDEX ledger_at;
CREATE INDEX ledger_checkpoint ON ledger (seq) WHERE event = 'checkpoint';

-- A checkpoint's detail begins with the number of the last row that may go: always an older one.
CREATE TRIGGER ledger_loses_no_row BEFORE DELETE ON ledger
WHEN old.seq > coalesce((SELECT CAST(detail AS INTEGER) FROM ledger WHERE event = 'checkpoint' ORDER BY seq DESC LIMIT 1), 0)
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: a row cannot be deleted');
END;

-- Replaced by the checkpoints.
ALTER TABLE identity DROP COLUMN ledger_from;
-- Set in a copy, when it is made: a store that was restored from it holds what the one that ran last may have sent.
ALTER TABLE identity ADD COLUMN copied_at INTEGER;

-- After a restore: sources whose first walks may find again what was told already.
CREATE TABLE restored (
    source        TEXT PRIMARY KEY,
    first_walk_at INTEGER
) STRICT, WITHOUT ROWID;
