-- How bounces of forwarded mail find back to its sender.

-- Keys of the hashes in rewritten reverse-paths; the youngest makes them.
CREATE TABLE srs_key (
  made_at INTEGER PRIMARY KEY,
  key     BLOB NOT NULL
);

-- Senders whose addresses are too long to be written into another one.
CREATE TABLE srs_address (
  id      INTEGER PRIMARY KEY,
  address TEXT NOT NULL UNIQUE,           -- local@domain, unquoted
  seen_at INTEGER NOT NULL                -- when it was last forwarded for
);
CREATE INDEX srs_address_seen ON srs_address (seen_at);
