-- Several daemons serve a practice at once, each a node: a row as long as it lives. What one that is gone had claimed is taken back by the others.
ALTER TABLE node DROP CONSTRAINT node_pkey;
ALTER TABLE node ADD PRIMARY KEY (practice, boot);
ALTER TABLE node ADD COLUMN name text COLLATE "C";              -- [node] name; empty: it serves alone

-- Which of them walks the sources by the clock, and does what is done once. Another one takes its place when it is gone: each time a new term.
CREATE TABLE leader (
    practice integer PRIMARY KEY REFERENCES practice,
    boot     text NOT NULL,
    term     bigint NOT NULL,
    settings text NOT NULL                          -- a digest of what it decides by: a node with another one does nothing
);

-- Whether each commit waited for another server when this was written last: one that takes the primary's place has all that was told.
ALTER TABLE practice ADD COLUMN quorum boolean NOT NULL DEFAULT false;
-- Which database was the last one to be gone on with so.
ALTER TABLE practice ADD COLUMN followed text NOT NULL DEFAULT '';

-- Walks that were applied, of all sources: each is planned upon a number of them, and refused if there is another one by then.
ALTER TABLE practice ADD COLUMN walks bigint NOT NULL DEFAULT 0;
-- The walk that was applied last: of a source, and of a session.
ALTER TABLE source ADD COLUMN walks bigint NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN walks bigint NOT NULL DEFAULT 0;
CREATE INDEX session_walks ON session (practice, walks);

-- How often a log-in was tried of late, over all nodes: of a name, an address or a browser, by a keyed digest.
CREATE TABLE log_in_try (
    practice integer NOT NULL REFERENCES practice,
    digest   bytea NOT NULL CHECK (length(digest) = 32),
    count    bigint NOT NULL,
    since    bigint NOT NULL,
    PRIMARY KEY (practice, digest)
);
-- The step of the last one-time code that a user gave, over all nodes.
CREATE TABLE code_used (
    practice integer NOT NULL REFERENCES practice,
    name     text COLLATE "C" NOT NULL,
    step     bigint NOT NULL,
    PRIMARY KEY (practice, name)
);
