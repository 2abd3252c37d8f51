-- The first schema.
--
-- Written for SQLite. Another engine reads the same statements after replacing words: INTEGER is 64 bits, BLOB is its
-- type for octets, WITHOUT ROWID is left out, and text compares by code point (the range scans over names need that).
--
-- Every key below an account begins with the account. Instants are microseconds since the epoch, UTC. Sizes are octets.
-- Truth values are 0 and 1. There are no foreign keys: operations hold rows together, and `store check` looks.

-- Who we are ------------------------------------------------------------------------------------------------------

CREATE TABLE domain (
  id           INTEGER PRIMARY KEY,
  name         TEXT NOT NULL UNIQUE,      -- lower case, A-labels
  quota_octets INTEGER,                   -- over all its accounts; NULL: no bound
  catch_all    TEXT,                      -- address key, ours or of another host
  created_at   INTEGER NOT NULL
);

CREATE TABLE account (
  id                INTEGER PRIMARY KEY,
  name              TEXT NOT NULL UNIQUE, -- the primary address's key
  display_name      TEXT NOT NULL,
  domain            INTEGER NOT NULL,
  enabled           INTEGER NOT NULL,
  removed           INTEGER NOT NULL,     -- 1: gone for everybody, its rows wait for `removal.step`
  quota_octets      INTEGER,
  created_at        INTEGER NOT NULL,
  modseq            INTEGER NOT NULL,     -- the last one given out
  changes_floor     INTEGER NOT NULL,     -- change rows up to here may have been pruned
  last_uid_validity INTEGER NOT NULL,
  used_octets       INTEGER NOT NULL,     -- sum of message.size
  message_count     INTEGER NOT NULL,     -- rows of message
  entry_count       INTEGER NOT NULL      -- rows of entry; equal to message_count while no message lies in two mailboxes
);
CREATE INDEX account_domain ON account (domain);
CREATE INDEX account_removed ON account (id) WHERE removed = 1;

-- An account's own address is one row with `account`; an alias is one row per target, in order.
CREATE TABLE address (
  address  TEXT NOT NULL,
  position INTEGER NOT NULL,
  account  INTEGER,
  target   TEXT,
  PRIMARY KEY (address, position)
) WITHOUT ROWID;
CREATE INDEX address_target ON address (target) WHERE target IS NOT NULL;

CREATE TABLE credential (
  id            INTEGER PRIMARY KEY,
  account       INTEGER NOT NULL,
  kind          TEXT NOT NULL,            -- model.CredentialKind
  label         TEXT NOT NULL,            -- '' for the password
  password_hash TEXT NOT NULL,            -- Argon2id, encoded
  scram_sha1    BLOB,                     -- packed ScramKeys; NULL: cannot be used with SCRAM
  scram_sha256  BLOB,
  created_at    INTEGER NOT NULL,
  last_used_at  INTEGER
);
CREATE UNIQUE INDEX credential_account ON credential (account, kind, label);

-- What they have --------------------------------------------------------------------------------------------------

CREATE TABLE mailbox (
  account        INTEGER NOT NULL,
  id             INTEGER NOT NULL,
  name           TEXT NOT NULL,
  role           TEXT,                    -- model.MailboxRole
  selectable     INTEGER NOT NULL,
  removed        INTEGER NOT NULL,        -- 1: gone for everybody, its entries wait for `removal.step`
  uid_validity   INTEGER NOT NULL,
  uid_next       INTEGER NOT NULL,
  highest_modseq INTEGER NOT NULL,
  total          INTEGER NOT NULL,        -- counters over its entries
  unseen         INTEGER NOT NULL,
  deleted        INTEGER NOT NULL,
  octets         INTEGER NOT NULL,
  recent_floor   INTEGER NOT NULL,        -- entries from this UID on were seen by no session
  PRIMARY KEY (account, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX mailbox_name ON mailbox (account, name);
CREATE INDEX mailbox_removed ON mailbox (account, id) WHERE removed = 1;

-- By name, since a subscription outlives the mailbox (RFC 9051 section 6.3.7).
CREATE TABLE subscription (
  account INTEGER NOT NULL,
  name    TEXT NOT NULL,
  PRIMARY KEY (account, name)
) WITHOUT ROWID;

CREATE TABLE blob (
  id         INTEGER PRIMARY KEY,
  hash       BLOB NOT NULL UNIQUE,        -- SHA-256 of the body as it was received
  size       INTEGER NOT NULL,            -- of the body as it was received
  codec      INTEGER NOT NULL,            -- 0 raw, 1 zstd
  data       BLOB,                        -- NULL: lies in a file
  place      TEXT,                        -- the file, below the data folder; NULL: lies here
  created_at INTEGER NOT NULL             -- made, or last put again
);

-- A row never changes after it is made. A table with rowids: deliveries to many accounts append to one place.
CREATE TABLE message (
  account          INTEGER NOT NULL,
  id               INTEGER NOT NULL,
  blob             INTEGER NOT NULL,
  size             INTEGER NOT NULL,      -- RFC822.SIZE: header and body
  header_size      INTEGER NOT NULL,
  received_at      INTEGER NOT NULL,      -- INTERNALDATE
  sent_at          INTEGER,               -- Date, NULL when there is none that can be read
  thread           INTEGER NOT NULL,
  has_attachment   INTEGER NOT NULL,
  message_id_field BLOB,                  -- normalized (RFC 5256 section 3)
  base_subject     TEXT NOT NULL,         -- casefolded, as the next three: sort keys of RFC 5256
  sort_from        TEXT NOT NULL,
  sort_to          TEXT NOT NULL,
  sort_cc          TEXT NOT NULL,
  header           BLOB NOT NULL,         -- up to and with the empty line
  envelope         BLOB NOT NULL,         -- as IMAP sends it
  bodystructure    BLOB NOT NULL,         -- as IMAP sends it
  mime_index       BLOB NOT NULL,
  UNIQUE (account, id)
);
CREATE INDEX message_blob ON message (blob);

-- The table IMAP reads most, clustered by its key. All entries of one message carry the same flags and keywords.
CREATE TABLE entry (
  account     INTEGER NOT NULL,
  mailbox     INTEGER NOT NULL,
  uid         INTEGER NOT NULL,
  message     INTEGER NOT NULL,
  flags       INTEGER NOT NULL,           -- model.Flags
  keywords    TEXT,                       -- separated by spaces; NULL: none
  modseq      INTEGER NOT NULL,
  received_at INTEGER NOT NULL,           -- as in message
  size        INTEGER NOT NULL,           -- as in message
  saved_at    INTEGER NOT NULL,           -- when it came into this mailbox (RFC 8514)
  PRIMARY KEY (account, mailbox, uid)
) WITHOUT ROWID;
CREATE INDEX entry_message ON entry (account, message);

-- A 64-bit hash of a Message-ID with a base subject: messages that share one belong together (RFC 8621 section 3).
CREATE TABLE thread_key (
  account INTEGER NOT NULL,
  key     INTEGER NOT NULL,
  thread  INTEGER NOT NULL,
  PRIMARY KEY (account, key)
) WITHOUT ROWID;

-- What happened, one row per operation, mailbox and kind; uids and messages are sequence-set text.
CREATE TABLE change (
  account  INTEGER NOT NULL,
  modseq   INTEGER NOT NULL,
  mailbox  INTEGER NOT NULL,
  kind     INTEGER NOT NULL,              -- changes.ChangeKind
  uids     TEXT,
  messages TEXT,
  made_at  INTEGER NOT NULL,
  PRIMARY KEY (account, modseq, mailbox, kind)
) WITHOUT ROWID;

-- What waits to be sent -------------------------------------------------------------------------------------------

CREATE TABLE queued (
  id             INTEGER PRIMARY KEY,
  account        INTEGER,                 -- who submitted it; NULL: forwarded or made here
  blob           INTEGER NOT NULL,
  header         BLOB NOT NULL,
  size           INTEGER NOT NULL,
  reverse_path   TEXT,                    -- NULL: the null reverse-path
  body           TEXT NOT NULL,           -- model.BodyType
  smtputf8       INTEGER NOT NULL,
  require_tls    INTEGER NOT NULL,
  return_content TEXT,                    -- model.ReturnContent
  envelope_id    TEXT,
  created_at     INTEGER NOT NULL
);
CREATE INDEX queued_blob ON queued (blob);

CREATE TABLE delivery (
  id                 INTEGER PRIMARY KEY,
  queued             INTEGER NOT NULL,
  recipient_local    TEXT NOT NULL,
  recipient_domain   TEXT NOT NULL,       -- as it was written
  domain             TEXT NOT NULL,       -- without regard to case: what connections are shared by
  notify             INTEGER NOT NULL,    -- model.Notify
  original_recipient TEXT,
  state              INTEGER NOT NULL,    -- queue.DeliveryState
  next_attempt_at    INTEGER NOT NULL,
  attempts           INTEGER NOT NULL,
  lease_holder       TEXT,
  lease_until        INTEGER NOT NULL,    -- 0: not leased
  last_reply         TEXT
);
CREATE INDEX delivery_queued ON delivery (queued);
CREATE INDEX delivery_due ON delivery (state, next_attempt_at);
CREATE INDEX delivery_domain ON delivery (domain, state);

-- What workers agree on -------------------------------------------------------------------------------------------

CREATE TABLE lease (
  name       TEXT PRIMARY KEY,
  holder     TEXT NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE throttle (
  key      TEXT PRIMARY KEY,
  failures INTEGER NOT NULL,
  last_at  INTEGER NOT NULL,
  until_at INTEGER NOT NULL               -- 0: nothing is in force
) WITHOUT ROWID;
CREATE INDEX throttle_last ON throttle (last_at);
