-- Refresh tokens that an authorization server gave in the place of the configured ones (RFC 6749 §6).

CREATE TABLE refresh_token (
  login      TEXT PRIMARY KEY,            -- the name of relay.logins
  sealed     BLOB NOT NULL,               -- with what the configured token gives: worth nothing without it
  changed_at INTEGER NOT NULL
) WITHOUT ROWID;
