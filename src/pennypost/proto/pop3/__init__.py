"""POP3: grammar and the server's state machine.

session       Pop3ServerSession: octets in, events out; responses in, octets out (RFC 1939 §3)
events        what a client can ask for
responses     what it can be answered, with the codes of RFC 2449, RFC 3206 and RFC 6856
commands      the grammar of each command, and the states in which it is valid
capabilities  what CAPA lists, which depends on the state and on TLS
text          multi-line answers: dot-stuffing of messages in large pieces, the cut of TOP
"""

from pennypost.proto.pop3.capabilities import Offer
from pennypost.proto.pop3.events import (
    Authenticate,
    BadCommand,
    Capabilities,
    Delete,
    Event,
    Language,
    List,
    ListMechanisms,
    Login,
    NoOperation,
    Quit,
    Reset,
    Retrieve,
    SaslResponse,
    StartTls,
    Statistics,
    Top,
    UniqueIds,
    User,
    Utf8,
)
from pennypost.proto.pop3.responses import Challenge, Code, Err, Listing, Message, Ok, Response, TextBegin
from pennypost.proto.pop3.session import Pop3ServerSession, State
from pennypost.proto.pop3.text import FirstLines, first_lines

__all__ = [
    "Authenticate",
    "BadCommand",
    "Capabilities",
    "Challenge",
    "Code",
    "Delete",
    "Err",
    "Event",
    "FirstLines",
    "Language",
    "List",
    "ListMechanisms",
    "Listing",
    "Login",
    "Message",
    "NoOperation",
    "Offer",
    "Ok",
    "Pop3ServerSession",
    "Quit",
    "Reset",
    "Response",
    "Retrieve",
    "SaslResponse",
    "StartTls",
    "State",
    "Statistics",
    "TextBegin",
    "Top",
    "UniqueIds",
    "User",
    "Utf8",
    "first_lines",
]
