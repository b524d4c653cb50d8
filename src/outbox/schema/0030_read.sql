-- The file, or the folder of them, that a node read last: whose it was, when it was written, and a part of a digest of all of it.
ALTER TABLE look ADD COLUMN read_by TEXT;
ALTER TABLE look ADD COLUMN written INTEGER;
ALTER TABLE look ADD COLUMN said TEXT;
