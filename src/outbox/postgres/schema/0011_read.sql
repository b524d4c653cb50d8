-- The file, or the folder of them, that a node read last: whose it was, when it was written, and a part of a digest of all of it.
ALTER TABLE look ADD COLUMN read_by text;
ALTER TABLE look ADD COLUMN written bigint;
ALTER TABLE look ADD COLUMN said text;
ALTER TABLE look ADD CHECK ((read_by IS NULL) = (written IS NULL) AND (read_by IS NULL) = (said IS NULL));
