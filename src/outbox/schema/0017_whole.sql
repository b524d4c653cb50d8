-- When the source last said all that it lists: what another source lists no more may stand in what it did not say since. Empty: not known.
ALTER TABLE source ADD COLUMN whole_at INTEGER;
