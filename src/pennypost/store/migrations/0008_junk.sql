-- What is wanted, and how much of it.

-- How many messages of each kind had a token. Account 0: learnt from everybody.
CREATE TABLE junk_token (
  account INTEGER NOT NULL,
  token   INTEGER NOT NULL,               -- junk.tokens
  wanted  INTEGER NOT NULL,
  junk    INTEGER NOT NULL,
  PRIMARY KEY (account, token)
) WITHOUT ROWID;

-- How many messages were learnt in all, and how far the account's changes were followed.
CREATE TABLE junk_learnt (
  account INTEGER PRIMARY KEY,
  wanted  INTEGER NOT NULL,
  junk    INTEGER NOT NULL
);
CREATE TABLE junk_followed (
  account INTEGER PRIMARY KEY,
  modseq  INTEGER NOT NULL
);

-- What a message was learnt as, so that it is learnt once, and unlearnt when its owner thinks again.
CREATE TABLE junk_message (
  account INTEGER NOT NULL,
  message INTEGER NOT NULL,
  junk    INTEGER NOT NULL,               -- 1: junk, 0: wanted
  PRIMARY KEY (account, message)
) WITHOUT ROWID;

-- What was learnt of senders: "address ann@example.org", "domain example.org", "network 192.0.2.0/24".
CREATE TABLE reputation (
  account INTEGER NOT NULL,
  subject TEXT NOT NULL,
  wanted  INTEGER NOT NULL,
  junk    INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  PRIMARY KEY (account, subject)
) WITHOUT ROWID;
