-- The order of urgency: what is of use for the shortest time comes first, whatever start it speaks of.
DROP INDEX notice_due;
CREATE INDEX notice_due ON notice (channel, next_attempt_at, useful_until, due_at, state) WHERE state IN ('waiting', 'unknown');
