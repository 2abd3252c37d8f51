-- Fewer trees for a delivery to change: each of them costs a page of the log, whatever is put into it.

-- A message is found through its entries, which know the slot of its row. So it needs no index of its own ids, and the
-- index of entries by message tells what came into an account and when: that is not written into `change` once more.
CREATE TABLE message_in_slot (
  slot             INTEGER PRIMARY KEY,   -- deliveries to many accounts append to one place
  account          INTEGER NOT NULL,
  id               INTEGER NOT NULL,      -- unique in the account; the modification sequence that it came with
  blob             INTEGER NOT NULL,
  size             INTEGER NOT NULL,      -- RFC822.SIZE: header and body
  header_size      INTEGER NOT NULL,
  received_at      INTEGER NOT NULL,      -- INTERNALDATE
  sent_at          INTEGER,               -- Date, NULL when there is none that can be read
  thread           INTEGER NOT NULL,
  has_attachment   INTEGER NOT NULL,
  is_reply         INTEGER NOT NULL,      -- 1: its subject is one of a reply or a forward
  origin           INTEGER,               -- the message it was first copied from, NULL when it is no copy
  message_id_field BLOB,                  -- normalized (RFC 5256 section 3)
  links            BLOB,                  -- hashes of Message-IDs: its own (0: none), then its references; NULL: neither
  base_subject     TEXT NOT NULL,         -- casefolded, as the next three: sort keys of RFC 5256
  sort_from        TEXT NOT NULL,
  sort_to          TEXT NOT NULL,
  sort_cc          TEXT NOT NULL,
  header           BLOB NOT NULL,         -- up to and with the empty line
  envelope         BLOB NOT NULL,         -- as IMAP sends it
  bodystructure    BLOB NOT NULL,         -- as IMAP sends it
  mime_index       BLOB NOT NULL
);
INSERT INTO message_in_slot (slot, account, id, blob, size, header_size, received_at, sent_at, thread, has_attachment,
    is_reply, origin, message_id_field, links, base_subject, sort_from, sort_to, sort_cc, header, envelope,
    bodystructure, mime_index)
  SELECT rowid, account, id, blob, size, header_size, received_at, sent_at, thread, has_attachment,
    is_reply, origin, message_id_field, links, base_subject, sort_from, sort_to, sort_cc, header, envelope,
    bodystructure, mime_index
  FROM message ORDER BY rowid;

CREATE TABLE entry_of_slot (
  account     INTEGER NOT NULL,
  mailbox     INTEGER NOT NULL,
  uid         INTEGER NOT NULL,
  message     INTEGER NOT NULL,
  slot        INTEGER NOT NULL,           -- of the message's row
  flags       INTEGER NOT NULL,           -- model.Flags
  keywords    TEXT,                       -- separated by spaces; NULL: none
  modseq      INTEGER NOT NULL,
  received_at INTEGER NOT NULL,           -- as in message
  size        INTEGER NOT NULL,           -- as in message
  saved_at    INTEGER NOT NULL,           -- when it came into this mailbox (RFC 8514)
  PRIMARY KEY (account, mailbox, uid)
) WITHOUT ROWID;
INSERT INTO entry_of_slot (account, mailbox, uid, message, slot, flags, keywords, modseq, received_at, size, saved_at)
  SELECT e.account, e.mailbox, e.uid, e.message, COALESCE(m.rowid, 0), e.flags, e.keywords, e.modseq, e.received_at,
    e.size, e.saved_at
  FROM entry e LEFT JOIN message m ON m.account = e.account AND m.id = e.message
  ORDER BY e.account, e.mailbox, e.uid;

DROP TABLE entry;
DROP INDEX message_origin;
ALTER TABLE message RENAME TO old_message;
ALTER TABLE message_in_slot RENAME TO message;
ALTER TABLE entry_of_slot RENAME TO entry;
CREATE INDEX entry_message ON entry (account, message, slot);
CREATE INDEX message_origin ON message (account, origin) WHERE origin IS NOT NULL;

-- Small bodies are not shared: an index entry for each would cost a page of the log, more than what sharing spares.
CREATE TABLE body (
  id         INTEGER PRIMARY KEY,
  hash       BLOB NOT NULL,               -- SHA-256 of the body as it was received
  size       INTEGER NOT NULL,            -- of the body as it was received
  codec      INTEGER NOT NULL,            -- 0 raw, 1 zstd
  data       BLOB,                        -- NULL: lies in a file
  place      TEXT,                        -- the file, below the data folder; NULL: lies here
  created_at INTEGER NOT NULL             -- made, or last put again
);
INSERT INTO body (id, hash, size, codec, data, place, created_at)
  SELECT id, hash, size, codec, data, place, created_at FROM blob ORDER BY id;

-- Bodies that a row named which is gone: the collector looks whether another row names them.
CREATE TABLE dropped_blob (
  blob       INTEGER PRIMARY KEY,
  dropped_at INTEGER NOT NULL             -- the last time
);
INSERT INTO dropped_blob (blob, dropped_at)
  SELECT id, created_at FROM blob WHERE NOT EXISTS (SELECT 1 FROM old_message m WHERE m.blob = blob.id)
    AND NOT EXISTS (SELECT 1 FROM queued q WHERE q.blob = blob.id);

DROP TABLE blob;
ALTER TABLE body RENAME TO blob;
CREATE UNIQUE INDEX blob_hash ON blob (hash) WHERE size >= 4096 OR place IS NOT NULL;
DROP INDEX queued_blob;
DROP TABLE old_message;
