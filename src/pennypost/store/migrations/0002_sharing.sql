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

-- What is said about mailboxes and, where `mailbox` is 0, about the server to one account (RFC 5464).
CREATE TABLE annotation (
  account INTEGER NOT NULL,               -- whose mailbox it is
  mailbox INTEGER NOT NULL,
  reader  INTEGER NOT NULL,               -- whose /private entry it is; 0: a /shared one
  entry   TEXT NOT NULL,                  -- lower case, without /private or /shared
  value   BLOB NOT NULL,
  PRIMARY KEY (account, mailbox, reader, entry)
) WITHOUT ROWID;
CREATE INDEX annotation_reader ON annotation (reader) WHERE reader <> 0;

-- Bounds beside quota_octets (RFC 9208); NULL: none.
ALTER TABLE account ADD COLUMN quota_messages INTEGER;
ALTER TABLE account ADD COLUMN quota_mailboxes INTEGER;
ALTER TABLE account ADD COLUMN quota_annotation_octets INTEGER;

-- What URLs that an account hands out to messages of a mailbox are signed with (RFC 4467).
CREATE TABLE url_key (
  maker   INTEGER NOT NULL,
  account INTEGER NOT NULL,               -- whose mailbox it is
  mailbox INTEGER NOT NULL,
  key     BLOB NOT NULL,
  PRIMARY KEY (maker, account, mailbox)
) WITHOUT ROWID;
CREATE INDEX url_key_mailbox ON url_key (account, mailbox);
