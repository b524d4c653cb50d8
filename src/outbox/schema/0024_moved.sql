-- Where the practice's store is now, if it was copied to another place: this one is not used any more.
ALTER TABLE identity ADD COLUMN moved_to TEXT;
