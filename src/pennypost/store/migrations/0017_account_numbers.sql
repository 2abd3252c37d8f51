-- The number of an account that was removed is never given to another one: caches and sessions still mean the old one.

CREATE TABLE account_number (
  last INTEGER NOT NULL                   -- the last one given out; a single row
);
INSERT INTO account_number (last) SELECT coalesce(MAX(id), 0) FROM account;
