-- The queue at work: pace, suppression, requested times.
--
-- A delivery is in one of four states, and each of the three that somebody looks for has an index of its own that holds
-- nothing else: what may be sent now is found by its next hop, what waits for its time by that time, what is under way
-- by who sends it. Nothing ever walks over rows that it does not want.

ALTER TABLE queued ADD COLUMN trace INTEGER NOT NULL DEFAULT 0;      -- what its events in the timeline are found by
ALTER TABLE queued ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;   -- RFC 6710: -9 to 9
ALTER TABLE queued ADD COLUMN deliver_by INTEGER;                    -- RFC 2852: the instant; NULL: none
ALTER TABLE queued ADD COLUMN deliver_by_mode TEXT;                  -- model.DeliverByMode
ALTER TABLE queued ADD COLUMN deliver_by_trace INTEGER NOT NULL DEFAULT 0;

CREATE TABLE delivery_at_work (
  id                 INTEGER PRIMARY KEY,
  queued             INTEGER NOT NULL,
  recipient_local    TEXT NOT NULL,
  recipient_domain   TEXT NOT NULL,       -- as it was written
  notify             INTEGER NOT NULL,    -- model.Notify
  original_recipient TEXT,
  hop                TEXT NOT NULL,       -- the next hop's name: what is sent together
  state              INTEGER NOT NULL,    -- queue.DeliveryState
  turn               INTEGER NOT NULL,    -- the order among what is ready for one hop: an instant, shifted for fairness
  precedence         INTEGER NOT NULL,    -- how much its turns are shifted for its priority
  next_attempt_at    INTEGER NOT NULL,
  attempts           INTEGER NOT NULL,
  warned             INTEGER NOT NULL,    -- 1: its delay was reported, or need not be
  lease_holder       TEXT,                -- who sends it now; NULL: nobody
  last_reply         TEXT,
  last_attempt_at    INTEGER              -- NULL: there was none
);
INSERT INTO delivery_at_work
  SELECT id, queued, recipient_local, recipient_domain, notify, original_recipient, domain,
    CASE state WHEN 0 THEN 2 ELSE state END, next_attempt_at, 0, next_attempt_at, attempts, 0, NULL, last_reply, NULL
  FROM delivery WHERE state IN (0, 3);
DROP TABLE delivery;
ALTER TABLE delivery_at_work RENAME TO delivery;
CREATE INDEX delivery_queued ON delivery (queued);
CREATE INDEX delivery_ready ON delivery (hop, turn) WHERE state = 0;
CREATE INDEX delivery_leased ON delivery (lease_holder) WHERE state = 1;
CREATE INDEX delivery_deferred ON delivery (next_attempt_at) WHERE state = 2;
DELETE FROM queued WHERE NOT EXISTS (SELECT 1 FROM delivery d WHERE d.queued = queued.id);

-- A next hop that has deliveries ready for it, or whose pace is not the usual one.
CREATE TABLE destination (
  hop         TEXT PRIMARY KEY,
  due_at      INTEGER,                    -- when somebody should look what is ready; NULL: nothing, or `server` does
  server      TEXT,                       -- who works on what is ready, until nothing is; NULL: nobody
  failures    INTEGER NOT NULL,           -- in a row
  connections INTEGER,                    -- how many there may be; NULL: as configured
  gap         INTEGER NOT NULL,           -- between two messages, microseconds
  held_until  INTEGER NOT NULL,           -- 0: not held
  reason      TEXT,                       -- what slowed it down
  changed_at  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX destination_due ON destination (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX destination_server ON destination (server) WHERE server IS NOT NULL;

-- Who sends. What is leased to one that is not here, or has expired, is free again.
CREATE TABLE sender (
  holder     TEXT PRIMARY KEY,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Recipients that bounced for good.
CREATE TABLE suppression (
  address    TEXT PRIMARY KEY,            -- its key
  reply      TEXT NOT NULL,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;
