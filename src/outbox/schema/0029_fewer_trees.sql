-- Each new list goes into all of them. What is left out is found by its session through the table itself (sources are few), and a person's
-- notices through their session: a person has several notices, and one row as a participant.
DROP INDEX omission_session;
DROP INDEX notice_participation;
CREATE INDEX participant_id ON participant (participation_id);
