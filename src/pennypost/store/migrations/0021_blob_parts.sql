-- Attachments are bodies of their own, each kept once whatever messages it came in.
--
-- blob.codec has two more bits. 1 << 30: data holds what lies between the parts, and these rows name the parts; 1 << 29:
-- data holds the octets that the base64 stands for, behind one octet that tells the length of its lines.

CREATE TABLE blob_part (
  blob  INTEGER NOT NULL,                 -- the body
  start INTEGER NOT NULL,                 -- where in it the part begins, in octets from 0
  part  INTEGER NOT NULL,                 -- the blob that the part is
  PRIMARY KEY (blob, start)
) WITHOUT ROWID;
