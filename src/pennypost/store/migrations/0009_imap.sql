-- What IMAP extensions keep.

-- The message that a message was first copied from, NULL when it is no copy: a copy has the EMAILID of the original
-- (RFC 8474 section 4.1), though it is a message of its own.
ALTER TABLE message ADD COLUMN origin INTEGER;
CREATE INDEX message_origin ON message (account, origin) WHERE origin IS NOT NULL;
