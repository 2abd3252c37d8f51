-- What threads messages (RFC 5256), so that THREAD reads no headers.

-- 64-bit hashes of Message-IDs, each 8 octets: of the message's own (0: it has none), then of its references, oldest
-- first. NULL: neither.
ALTER TABLE message ADD COLUMN links BLOB;

-- 1: its subject is one of a reply or a forward.
ALTER TABLE message ADD COLUMN is_reply INTEGER NOT NULL DEFAULT 0;
