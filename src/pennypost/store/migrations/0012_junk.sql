-- What was learnt is bounded, by whom it was is known, and who is answered; thresholds; what waits at the door.

ALTER TABLE junk_token ADD COLUMN day INTEGER NOT NULL DEFAULT 0;           -- since the epoch: last learnt
ALTER TABLE junk_message ADD COLUMN shared INTEGER NOT NULL DEFAULT 1;      -- 1: everybody has learnt it, too
ALTER TABLE junk_learnt ADD COLUMN shared_wanted INTEGER NOT NULL DEFAULT 0; -- of them, what everybody has learnt
ALTER TABLE junk_learnt ADD COLUMN shared_junk INTEGER NOT NULL DEFAULT 0;
UPDATE junk_learnt SET shared_wanted = wanted, shared_junk = junk WHERE account <> 0;

-- Message-IDs of what accounts have sent, by which answers are known.
CREATE TABLE sent_id (
  account INTEGER NOT NULL,
  id      INTEGER NOT NULL,               -- hash of the Message-ID
  at      INTEGER NOT NULL,
  PRIMARY KEY (account, id)
) WITHOUT ROWID;
CREATE INDEX sent_id_at ON sent_id (at);

-- From which score on what becomes of a message. NULL: as for the domain, or for all.
CREATE TABLE junk_threshold (
  kind    INTEGER NOT NULL,               -- 0: of a domain, 1: of an account
  owner   INTEGER NOT NULL,
  junk    REAL,
  defer   REAL,                           -- 0: never
  refuse  REAL,                           -- 0: never
  PRIMARY KEY (kind, owner)
) WITHOUT ROWID;

-- What was held at the door, and shown to whom it is for, until its sender comes again.
CREATE TABLE greylist (
  account     INTEGER NOT NULL,
  key         INTEGER NOT NULL,           -- hash of network, reverse-path and message
  route       INTEGER NOT NULL,           -- hash of network and reverse-path
  message     INTEGER NOT NULL,
  first_at    INTEGER NOT NULL,
  released_at INTEGER,                    -- NULL: not yet
  PRIMARY KEY (account, key)
) WITHOUT ROWID;
CREATE INDEX greylist_route ON greylist (account, route);
CREATE INDEX greylist_message ON greylist (account, message);
CREATE INDEX greylist_first ON greylist (first_at);
