-- Why the source could not be read when it was asked last, since when, and whether somebody has to do something before it can be.
ALTER TABLE look ADD COLUMN unread_at INTEGER;
ALTER TABLE look ADD COLUMN unread_why TEXT;
ALTER TABLE look ADD COLUMN unread_stays INTEGER NOT NULL DEFAULT 0;
