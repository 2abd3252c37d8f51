-- Mailboxes that others may see, and what is said about them (RFC 4314, RFC 5464).

-- 1: nobody's own. Its mailboxes are shown below "Shared/", and nobody logs in to it.
ALTER TABLE account ADD COLUMN shared INTEGER NOT NULL DEFAULT 0;

-- 1: \Seen is one for all who may see the mailbox, not each reader's own.
ALTER TABLE mailbox ADD COLUMN shared_seen INTEGER NOT NULL DEFAULT 0;

-- What others may do with a mailbox. Owners have every right and no row.
CREATE TABLE acl (
  account INTEGER NOT NULL,
  mailbox INTEGER NOT NULL,
  kind    INTEGER NOT NULL,               -- acl.GranteeKind
  grantee INTEGER NOT NULL,               -- an account, or the domain whose accounts are meant
  granted INTEGER NOT NULL,               -- model.Rights
  denied  INTEGER NOT NULL,               -- model.Rights
  PRIMARY KEY (account, mailbox, kind, grantee)
) WITHOUT ROWID;
CREATE INDEX acl_grantee ON acl (kind, grantee);

-- \Seen as a reader of another's mailbox has set it. Rows of messages that are gone are swept now and then.
CREATE TABLE seen (
  account INTEGER NOT NULL,
  mailbox INTEGER NOT NULL,
  reader  INTEGER NOT NULL,
  uid     INTEGER NOT NULL,
  seen    INTEGER NOT NULL,               -- 0: it was taken off again
  modseq  INTEGER NOT NULL,
  PRIMARY KEY (account, mailbox, reader, uid)
) WITHOUT ROWID;
CREATE INDEX seen_reader ON seen (reader);
