-- Who may use the pages and the API, where a practice has that in the store ([server] users = "store"): the text of a users file, sealed if there is a key.
ALTER TABLE practice
    ADD COLUMN users text NOT NULL DEFAULT '',
    ADD COLUMN users_version bigint NOT NULL DEFAULT 0;     -- another one after each change
