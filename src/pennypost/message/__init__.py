"""The Internet Message Format and MIME over octets: find out what a message is without changing an octet of it.

digest      `digest(header_block, body)`: all that the store keeps of a message, in one pass; `parse`
headers     cut off the header block, look fields up, edit them
structure   the MIME index: parts and their offsets, its stored form, IMAP part numbers
scan        makes the index
summary     the summary (IMAP's ENVELOPE) and its sort keys
imap_form   ENVELOPE, BODYSTRUCTURE, BODY as IMAP sends them
addresses   address lists
dates       dates, read and written
threading   base subjects, Message-IDs
parameters  Content-Type and its kin
words       encoded words
charsets    octets to text
decode      the content of a part: transfer encodings and charsets undone
text        what a reader sees: text, HTML, attachments, preview
dots        lines that begin with "."
build       building messages and reports
defects     what can be wrong
limits      every bound

Nothing here raises on bad mail: it is read as it is meant, or left as opaque octets, and a defect says so.
"""
