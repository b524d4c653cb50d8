-- A node that lives and does nothing, as all of them see it: since when, and why. Both empty: it works.
ALTER TABLE node ADD COLUMN idle_since timestamptz;
ALTER TABLE node ADD COLUMN idle_why text;
ALTER TABLE node ADD CHECK ((idle_since IS NULL) = (idle_why IS NULL));
