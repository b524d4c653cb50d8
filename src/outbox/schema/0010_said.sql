-- What people wrote that somebody at the practice should read: it was not understood, or says more than a word. Kept as long as contents are.
CREATE TABLE said (
    reply_id TEXT PRIMARY KEY REFERENCES reply (id),
    at       INTEGER NOT NULL,
    shown    TEXT NOT NULL,                         -- the sender's number, masked
    text     TEXT NOT NULL,                         -- without the codes of their sessions
    about    TEXT NOT NULL,                         -- whose it may be: JSON, an array of [source, session, participation]
    read_at  INTEGER                                -- when somebody marked it as read
) STRICT, WITHOUT ROWID;

CREATE INDEX said_at ON said (at);
CREATE INDEX said_unread ON said (at) WHERE read_at IS NULL;
