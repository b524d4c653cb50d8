-- The oldest schema whose programs may go on with this one: what only adds lets nodes be brought up to date one after the other.
ALTER TABLE punctual_schema ADD COLUMN serves integer;
