-- Why the source could not be read when it was asked last, since when, and whether somebody has to do something before it can be.
ALTER TABLE look ADD COLUMN unread_at bigint;
ALTER TABLE look ADD COLUMN unread_why text;
ALTER TABLE look ADD COLUMN unread_stays boolean NOT NULL DEFAULT false;
ALTER TABLE look ADD CHECK ((unread_at IS NULL) = (unread_why IS NULL));
