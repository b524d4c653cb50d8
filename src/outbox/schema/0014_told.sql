-- What the source says that a participant answered, and which start was in force when it came to say so.
ALTER TABLE participant ADD COLUMN said TEXT;
ALTER TABLE participant ADD COLUMN said_of INTEGER;
-- When a snapshot first had the session, whoever was in it; empty: when it first had this person.
ALTER TABLE participant ADD COLUMN session_seen INTEGER;
-- Who it is, over all sessions: a digest, sealed where there is a key.
ALTER TABLE participant ADD COLUMN person TEXT;
-- The start that an answer by text was given to.
ALTER TABLE rsvp ADD COLUMN start_at INTEGER;
