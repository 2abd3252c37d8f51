-- Keys sign when they were seen in the DNS, and selectors never come again.

ALTER TABLE signing_key ADD COLUMN published_at INTEGER;  -- when it was seen there; NULL: not yet
UPDATE signing_key SET published_at = active_from;        -- those that there are go on as they were

CREATE TABLE used_selector (
  domain   TEXT NOT NULL,
  selector TEXT NOT NULL,
  PRIMARY KEY (domain, selector)
) WITHOUT ROWID;
INSERT INTO used_selector (domain, selector) SELECT domain, selector FROM signing_key;
