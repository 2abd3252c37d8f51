-- Since when a message that was to wait (RFC 4865) is tried.

ALTER TABLE queued ADD COLUMN released_at INTEGER;  -- microseconds; NULL: since created_at
