-- Whether a source still lists a session, or somebody in it, and what the next walk plans again: columns of their own. The record is what the
-- source said, and nothing else. (src/outbox/sqlite/presence.rs takes the marks out of digests and records.)

ALTER TABLE session ADD COLUMN presence TEXT NOT NULL DEFAULT 'listed';
ALTER TABLE session ADD COLUMN replan INTEGER NOT NULL DEFAULT 0;       -- how often since the last walk somebody asked that it be planned again

ALTER TABLE participant ADD COLUMN presence TEXT NOT NULL DEFAULT 'listed';
-- Of somebody whom the source lists no more:
ALTER TABLE participant ADD COLUMN role TEXT CHECK (role IN ('host', 'participant'));
ALTER TABLE participant ADD COLUMN record TEXT;                         -- as the source said it last; sealed

CREATE INDEX participant_departed ON participant (source, session_id) WHERE record IS NOT NULL;
