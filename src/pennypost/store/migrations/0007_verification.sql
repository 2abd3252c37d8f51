-- Who may come and how much, what was seen of senders' policies, and who writes to whom how often.

-- Networks ("192.0.2.0/24") and sender domains ("example.org") that are kept out, or never.
CREATE TABLE ban (
  subject  TEXT PRIMARY KEY,
  allowed  INTEGER NOT NULL,              -- 1: never limited nor banned
  reason   TEXT NOT NULL,
  made_at  INTEGER NOT NULL,
  until_at INTEGER                        -- NULL: for good
) WITHOUT ROWID;

-- How full the token buckets of all workers are together. A level runs down by itself.
CREATE TABLE bucket (
  key      TEXT PRIMARY KEY,              -- "messages 192.0.2.1"
  level    REAL NOT NULL,
  at       INTEGER NOT NULL,              -- when it was that full
  empty_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX bucket_empty ON bucket (empty_at);

-- What each account has sent to other hosts, hour by hour.
CREATE TABLE sent (
  account        INTEGER NOT NULL,
  hour           INTEGER NOT NULL,        -- since the epoch
  messages       INTEGER NOT NULL,
  recipients     INTEGER NOT NULL,
  new_recipients INTEGER NOT NULL,        -- never written to before
  bounces        INTEGER NOT NULL,
  PRIMARY KEY (account, hour)
) WITHOUT ROWID;

CREATE TABLE written_to (
  account  INTEGER NOT NULL,
  address  TEXT NOT NULL,                 -- its key
  first_at INTEGER NOT NULL,
  PRIMARY KEY (account, address)
) WITHOUT ROWID;

-- From where an account submits.
CREATE TABLE sending_network (
  account  INTEGER NOT NULL,
  network  TEXT NOT NULL,                 -- an IPv4 /24, an IPv6 /64
  first_at INTEGER NOT NULL,
  last_at  INTEGER NOT NULL,
  PRIMARY KEY (account, network)
) WITHOUT ROWID;

-- Accounts that may read but not send.
CREATE TABLE frozen (
  account   INTEGER PRIMARY KEY,
  frozen_at INTEGER NOT NULL,
  reason    TEXT NOT NULL
);

-- Messages that DMARC was evaluated for (RFC 9990): those that share all a report tells are one row.
CREATE TABLE dmarc_seen (
  day           INTEGER NOT NULL,         -- since the epoch, UTC
  policy_domain TEXT NOT NULL,
  key           BLOB NOT NULL,            -- SHA-256 of what follows
  record        TEXT NOT NULL,            -- the policy as it was found
  row           BLOB NOT NULL,            -- verify.dmarc.report.ReportRow as JSON, its count aside
  count         INTEGER NOT NULL,
  PRIMARY KEY (day, policy_domain, key)
) WITHOUT ROWID;

-- Reports that came for domains of ours.
CREATE TABLE dmarc_report (
  id           INTEGER PRIMARY KEY,
  domain       TEXT NOT NULL,
  organization TEXT NOT NULL,
  report_id    TEXT NOT NULL,
  begins       INTEGER NOT NULL,          -- seconds since the epoch
  ends         INTEGER NOT NULL,
  received_at  INTEGER NOT NULL,
  published    TEXT NOT NULL,             -- JSON: [[tag, value], …]
  UNIQUE (domain, organization, report_id)
);
CREATE TABLE dmarc_row (
  report          INTEGER NOT NULL,
  position        INTEGER NOT NULL,
  source_ip       TEXT NOT NULL,
  count           INTEGER NOT NULL,
  disposition     TEXT NOT NULL,
  dkim_aligned    INTEGER NOT NULL,
  spf_aligned     INTEGER NOT NULL,
  header_from     TEXT NOT NULL,
  detail          BLOB NOT NULL,          -- the whole ReportRow as JSON
  PRIMARY KEY (report, position)
) WITHOUT ROWID;
