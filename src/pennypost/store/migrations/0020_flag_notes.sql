-- A change of flags of many entries is one row, which readers lay over the entries, until it is written into them.
CREATE TABLE flag_note (
  account INTEGER NOT NULL,
  mailbox INTEGER NOT NULL,
  modseq  INTEGER NOT NULL,               -- of the change: entries with a smaller one do not have it yet
  uids    TEXT NOT NULL,                  -- set of UIDs; some may be gone
  kept    INTEGER NOT NULL,               -- flags become (flags & kept) | given
  given   INTEGER NOT NULL,
  mode    TEXT,                           -- what is done with keywords: '' they are replaced, '+', '-'; NULL: nothing
  named   TEXT,                           -- which keywords, separated by spaces
  PRIMARY KEY (account, mailbox, modseq)
) WITHOUT ROWID;
