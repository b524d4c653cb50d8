-- What comes back: receipts of texts, bounces of mail, and people's replies.

-- What the provider said later of a message that it had taken.
ALTER TABLE delivery ADD COLUMN receipt TEXT CHECK (receipt IN ('sent', 'undelivered', 'failed', 'delivered'));
ALTER TABLE delivery ADD COLUMN receipt_at INTEGER;
ALTER TABLE delivery ADD COLUMN receipt_detail TEXT;                    -- the provider's error, redacted

-- Only for texts: mail servers' queue ids find nothing.
CREATE INDEX notice_reference ON notice (reference) WHERE channel = 'sms' AND reference IS NOT NULL;
CREATE INDEX notice_number ON notice (address, start_at) WHERE channel = 'sms';
CREATE INDEX delivery_undelivered ON delivery (notice_id) WHERE receipt IN ('undelivered', 'failed');

-- Who said that an address gets no messages: a refusal of a message, a receipt, its owner by text, or somebody at the practice.
ALTER TABLE suppression ADD COLUMN said_by TEXT NOT NULL DEFAULT 'person' CHECK (said_by IN ('refusal', 'receipt', 'reply', 'person'));
UPDATE suppression SET said_by = 'refusal' WHERE notice_key IS NOT NULL;

-- Messages that came in, by the provider's id or a digest: the same one again changes nothing. Their texts are not kept.
CREATE TABLE reply (
    id   TEXT PRIMARY KEY,
    at   INTEGER NOT NULL,
    word TEXT NOT NULL                              -- what it was taken for: stop, start, help, yes, no, other
) STRICT, WITHOUT ROWID;

CREATE INDEX reply_at ON reply (at);

-- Our answers to them, each sent once at most: 'sending' is written before anything leaves, and is never tried again.
CREATE TABLE answer (
    reply_id     TEXT PRIMARY KEY REFERENCES reply (id),
    address      TEXT NOT NULL,                     -- empty: sent or given up
    address_key  TEXT NOT NULL,
    kind         TEXT NOT NULL,
    locale       TEXT NOT NULL,
    at           INTEGER NOT NULL,
    useful_until INTEGER NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('waiting', 'sending', 'accepted', 'ended')),
    outcome      TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX answer_waiting ON answer (at) WHERE state = 'waiting';
CREATE INDEX answer_to ON answer (address_key, kind, at);

-- What a participant answered. It holds as long as the source says what it said then.
CREATE TABLE rsvp (
    source           TEXT NOT NULL,
    session_id       INTEGER NOT NULL,
    participation_id INTEGER NOT NULL,
    says             TEXT NOT NULL CHECK (says IN ('confirmed', 'declined')),
    over             TEXT NOT NULL CHECK (over IN ('unknown', 'confirmed', 'declined')),
    at               INTEGER NOT NULL,
    PRIMARY KEY (source, session_id, participation_id),
    FOREIGN KEY (source, session_id, participation_id) REFERENCES participant (source, session_id, participation_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
