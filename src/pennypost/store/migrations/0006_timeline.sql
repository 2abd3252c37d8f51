-- What happened to each message.
--
-- Rows are appended and pruned from the front, and nothing else: the key is their order. There is no other index, since
-- one would cost a page of the log for each message that comes in; who asks reads through the table, which is small.

CREATE TABLE event (
  id    INTEGER PRIMARY KEY,
  at    INTEGER NOT NULL,
  trace INTEGER NOT NULL,                 -- the message's trace id as a number; 0: known by what stands in the facts
  kind  INTEGER NOT NULL,                 -- timeline.EventKind
  facts TEXT NOT NULL                     -- JSON
);
