-- Numbers that somebody answered from, by digest: they know whom our texts are from, and how to stop them.
CREATE TABLE heard (
    address_key TEXT PRIMARY KEY,
    at          INTEGER NOT NULL                    -- last
) STRICT, WITHOUT ROWID;

INSERT INTO heard (address_key, at) SELECT address_key, max(at) FROM answer GROUP BY address_key;
