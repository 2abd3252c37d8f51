"""Bounds on what is read out of a message. Past one, the rest is one opaque leaf, or is left out; a defect says so.

None of them refuses a message: the stored octets are the received octets, always.
"""

SLICE_OCTETS = 1 << 20
"""One C-level call looks at no more octets than this, so that a thread that scans lets others run in between."""

MAX_DEPTH = 50
"""Multiparts and messages inside each other, the whole message being depth 1."""

MAX_PARTS = 2_000
"""Body parts of one message, multiparts included."""

MAX_DELIMITER_CANDIDATES = 50_000
"""Lines that begin like a delimiter of an open multipart and are none, or are."""

MAX_HEADER_OCTETS = 256 * 1024
"""Of one header (of the message or of a part); what stands behind is not interpreted."""

MAX_HEADER_FIELDS = 2_000
"""Of one header."""

MAX_PARAMETERS = 100
"""Of one Content-Type or Content-Disposition, counted before RFC 2231 continuations are joined."""

MAX_PARAMETER_OCTETS = 8_192
"""Of one structured header field that carries parameters."""

MAX_BOUNDARY_OCTETS = 1_000
"""RFC 2046 §5.1.1 allows 70; longer ones occur."""

MAX_ENCODED_WORDS = 1_000
"""RFC 2047 encoded words in one field body; those behind stay as they are."""

MAX_ADDRESSES = 4_096
"""Of one address list, group markers included."""

MAX_COMMENT_DEPTH = 30
"""Comments inside comments (RFC 5322 §3.2.2)."""

MAX_MESSAGE_IDS = 200
"""Of References and In-Reply-To together: the newest are kept (they stand last)."""

MAX_SORT_KEY = 1_000
"""Characters of a subject, name or local part that messages are sorted by, and threaded by their subjects."""

MAX_LANGUAGES = 50
"""Tags in one Content-Language (RFC 3282)."""

MAX_DEFECTS = 50
"""Reported for one message."""

GUESS_OCTETS = 4_096
"""What the charset guess looks at."""

MAX_HTML_TAGS = 10_000
"""In HTML that is parsed to get at its text; what has more has its tags cut out. Open elements inside each other take
an HTML parser quadratic time."""

PREVIEW_CHARACTERS = 256
"""RFC 8970 §3.1: a preview has at most this many."""

PREVIEW_OCTETS = 64 * 1024
"""Decoded octets of a text part that a preview is made from."""
