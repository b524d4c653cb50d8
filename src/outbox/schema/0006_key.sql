-- A store that was made with a key: something sealed by it, to know it by. Empty: nothing in it is sealed.
ALTER TABLE identity ADD COLUMN key_check TEXT;
