-- Attachments are bodies of their own, each kept once whatever messages it came in.
--
-- blob.codec has one more bit, 1 << 30: data holds what lies between the parts, and these rows name the parts.

CREATE TABLE blob_part (
  blob  INTEGER NOT NULL,                 -- the body
  start INTEGER NOT NULL,                 -- where in it the part begins, in octets from 0
  part  INTEGER NOT NULL,                 -- the blob that the part is
  PRIMARY KEY (blob, start)
) WITHOUT ROWID;
