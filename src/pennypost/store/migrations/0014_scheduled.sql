-- What is to be sent later lies in a mailbox of its sender's: who takes it away there takes it back.

CREATE TABLE scheduled (
  queued  INTEGER PRIMARY KEY,            -- until it leaves
  account INTEGER NOT NULL,
  mailbox INTEGER NOT NULL,
  message INTEGER NOT NULL
);
CREATE INDEX scheduled_account ON scheduled (account);
