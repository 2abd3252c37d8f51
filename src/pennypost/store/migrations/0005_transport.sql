-- What outbound mail remembers: keys, policies, TLS levels, reports.

-- How other domains take mail: policies, and the TLS that was seen ---------------------------------------------------

CREATE TABLE sts_policy (
  domain     TEXT PRIMARY KEY,
  id         TEXT NOT NULL,               -- of the record that led to it
  policy     BLOB NOT NULL,               -- as verify.mta_sts writes it
  fetched_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sts_policy_fetched ON sts_policy (fetched_at);

CREATE TABLE tls_memory (
  domain       TEXT PRIMARY KEY,
  seen_at      INTEGER NOT NULL,          -- when mail last went there under TLS
  missed_since INTEGER                    -- since when it was not to be had; NULL: it is
) WITHOUT ROWID;

-- What TLSRPT reports are made of: sessions by day and policy.
CREATE TABLE tls_result (
  day         TEXT NOT NULL,              -- UTC, 2026-01-31
  domain      TEXT NOT NULL,              -- the policy domain
  policy_type TEXT NOT NULL,              -- tlsa, sts, no-policy-found
  policy      TEXT NOT NULL,              -- JSON: the policy's strings and mx patterns
  result      TEXT NOT NULL,              -- '' is a success, else a result type of RFC 8460
  mx_host     TEXT NOT NULL,
  mx_address  TEXT NOT NULL,
  reason      TEXT NOT NULL,
  sessions    INTEGER NOT NULL,
  PRIMARY KEY (day, domain, policy_type, policy, result, mx_host, mx_address, reason)
) WITHOUT ROWID;

-- Reports that others sent us of their sessions with us.
CREATE TABLE tls_report (
  id           INTEGER PRIMARY KEY,
  organization TEXT NOT NULL,
  report_id    TEXT NOT NULL,
  domain       TEXT NOT NULL,             -- the first policy domain
  begins_at    INTEGER NOT NULL,
  ends_at      INTEGER NOT NULL,
  successful   INTEGER NOT NULL,          -- sessions
  failed       INTEGER NOT NULL,
  content      BLOB NOT NULL,             -- JSON, as it came: perhaps gzip
  received_at  INTEGER NOT NULL
);
CREATE UNIQUE INDEX tls_report_once ON tls_report (organization, report_id);
CREATE INDEX tls_report_received ON tls_report (received_at);

-- Keys that sign what leaves under our domains (RFC 6376), two at a time for each: RSA and Ed25519.
CREATE TABLE signing_key (
  domain      TEXT NOT NULL,
  selector    TEXT NOT NULL,
  algorithm   TEXT NOT NULL,              -- a= of its signatures
  private_key BLOB NOT NULL,              -- PKCS #8; sealed: with AES-256-GCM, nonce before it
  sealed      INTEGER NOT NULL,
  record      TEXT NOT NULL,              -- the TXT record that publishes it
  created_at  INTEGER NOT NULL,
  active_from INTEGER NOT NULL,           -- signs from then on, until a younger one of its algorithm does
  PRIMARY KEY (domain, selector)
) WITHOUT ROWID;
