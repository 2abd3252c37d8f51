-- What small bodies are compressed with: texts that many of them have pieces of.
--
-- blob.codec is made of bits now. 1: compressed by zstd; 2: no line of the body begins with "."; the rest, from 4 on: the
-- dictionary it was compressed with, 0 for none. What 0 and 1 meant stays.

CREATE TABLE dictionary (
  id      INTEGER PRIMARY KEY,            -- from 1 on: bodies are lost without it, so no row is ever removed
  data    BLOB,                           -- of zstd; NULL: bodies would not have got smaller by it
  spare   BLOB,                           -- the same again: should one copy be damaged, no body is lost
  hash    BLOB,                           -- SHA-256 of data
  bodies  INTEGER NOT NULL,               -- the highest blob.id when it was made
  made_at INTEGER NOT NULL
);
