-- Accounts whose mailboxes are on another server.

ALTER TABLE account ADD COLUMN referral TEXT;  -- imap URL of that server (RFC 2221); NULL: they are here
