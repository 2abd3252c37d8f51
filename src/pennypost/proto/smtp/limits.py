"""How long things may be, in octets unless a name says otherwise."""

MAX_LOCAL_PART = 64
"""RFC 5321 §4.5.3.1.1."""

MAX_DOMAIN = 255
"""RFC 5321 §4.5.3.1.2."""

MAX_LABEL = 63
"""RFC 1035 §2.3.4."""

MAX_PATH = 256
"""With its angle brackets and separators (RFC 5321 §4.5.3.1.3). A source route, which is ignored, does not count."""

MAX_COMMAND_LINE = 512
"""With its CRLF (RFC 5321 §4.5.3.1.4). Extensions add to it:"""

_MAIL_EXTENSIONS = 26 + 17 + 10 + 500 + 8 + 107 + 11 + 17 + 34 + 15
"""SIZE (RFC 1870 §3), BODY (RFC 6152 §2), SMTPUTF8 (RFC 6531 §3.1), AUTH (RFC 4954 §3), RET and ENVID (RFC 3461 §4),
REQUIRETLS (RFC 8689 §2), BY (RFC 2852 §4), HOLDFOR and HOLDUNTIL (RFC 4865 §3), MT-PRIORITY (RFC 6710 §3)."""

_RCPT_EXTENSIONS = 10 + 28 + 507
"""SMTPUTF8 (RFC 6531 §3.1), NOTIFY and ORCPT (RFC 3461 §4)."""

MAX_MAIL_LINE = MAX_COMMAND_LINE + _MAIL_EXTENSIONS
MAX_RCPT_LINE = MAX_COMMAND_LINE + _RCPT_EXTENSIONS

MAX_AUTH_LINE = 12288 + 2
"""A response or an AUTH command, with its CRLF (RFC 4954 §4): the longest line there is."""

MAX_TEXT_LINE = 1000
"""A line of text, with its CRLF, as a sender must keep it (RFC 5321 §4.5.3.1.6). Longer ones are taken all the same."""

MAX_REPLY_LINE = 512
"""RFC 5321 §4.5.3.1.5."""

MAX_ENVELOPE_ID = 100
"""Characters of an ENVID value as it is written (RFC 3461 §4.4)."""

MAX_ORIGINAL_RECIPIENT = 500
"""Characters of an ORCPT value as it is written (RFC 3461 §4.2)."""

MAX_SIZE_DIGITS = 20
"""RFC 1870 §3."""

MAX_OVERRUN = 64 * 1024 * 1024
"""Octets that are read beyond the largest message, to reach the end of one that is refused already."""

MAX_REPLY_LINES = 128
"""Lines of a reply that are read: no server announces that many extensions."""

MAX_REPLY_OCTETS = 32 * 1024
"""What the lines of one reply may have together."""
