-- Messages are packed against a sample of their kind that the program brings (src/outbox/sqlite/frozen.rs): its number. Empty: against none.
ALTER TABLE content ADD COLUMN sample INTEGER;
