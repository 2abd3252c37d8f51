"""Response codes (RFC 9051 §7.1, RFC 5530, RFC 4315, RFC 7889, RFC 9208).

A `ResponseCode` is what stands between the brackets. Those without arguments are constants.
"""

import re
from collections.abc import Iterable
from typing import NewType

from pennypost.proto.imap.responses.search import sequence_set
from pennypost.proto.imap.responses.text import astring, string
from pennypost.proto.imap.sequence import Ranges

ResponseCode = NewType("ResponseCode", bytes)

# RFC 9051 §7.1
ALERT = ResponseCode(b"ALERT")
PARSE = ResponseCode(b"PARSE")
READ_ONLY = ResponseCode(b"READ-ONLY")
READ_WRITE = ResponseCode(b"READ-WRITE")
TRYCREATE = ResponseCode(b"TRYCREATE")
CLOSED = ResponseCode(b"CLOSED")
UIDNOTSTICKY = ResponseCode(b"UIDNOTSTICKY")
HASCHILDREN = ResponseCode(b"HASCHILDREN")
NOTSAVED = ResponseCode(b"NOTSAVED")  # RFC 5182 §2.1
UNKNOWN_CTE = ResponseCode(b"UNKNOWN-CTE")  # RFC 3516 §4.3

# RFC 5530 §3
UNAVAILABLE = ResponseCode(b"UNAVAILABLE")
AUTHENTICATIONFAILED = ResponseCode(b"AUTHENTICATIONFAILED")
AUTHORIZATIONFAILED = ResponseCode(b"AUTHORIZATIONFAILED")
EXPIRED = ResponseCode(b"EXPIRED")
PRIVACYREQUIRED = ResponseCode(b"PRIVACYREQUIRED")
CONTACTADMIN = ResponseCode(b"CONTACTADMIN")
NOPERM = ResponseCode(b"NOPERM")
INUSE = ResponseCode(b"INUSE")
EXPUNGEISSUED = ResponseCode(b"EXPUNGEISSUED")
CORRUPTION = ResponseCode(b"CORRUPTION")
SERVERBUG = ResponseCode(b"SERVERBUG")
CLIENTBUG = ResponseCode(b"CLIENTBUG")
CANNOT = ResponseCode(b"CANNOT")
LIMIT = ResponseCode(b"LIMIT")
OVERQUOTA = ResponseCode(b"OVERQUOTA")
ALREADYEXISTS = ResponseCode(b"ALREADYEXISTS")
NONEXISTENT = ResponseCode(b"NONEXISTENT")

TOOBIG = ResponseCode(b"TOOBIG")  # RFC 4469 §4.2, used by RFC 7889 §4
NOTIFICATIONOVERFLOW = ResponseCode(b"NOTIFICATIONOVERFLOW")  # RFC 5465 §5.8
UIDREQUIRED = ResponseCode(b"UIDREQUIRED")  # RFC 9586 §3.2
COMPRESSIONACTIVE = ResponseCode(b"COMPRESSIONACTIVE")  # RFC 4978 §3
USEATTR = ResponseCode(b"USEATTR")  # RFC 6154 §6

URLMECH = ResponseCode(b"URLMECH INTERNAL")  # RFC 4467 §8
METADATA_TOOMANY = ResponseCode(b"METADATA TOOMANY")  # RFC 5464 §4.3


def metadata_maxsize(octets: int) -> ResponseCode:
    """METADATA MAXSIZE (RFC 5464 §4.3): how large a value may be."""
    return ResponseCode(b"METADATA MAXSIZE %d" % octets)


def metadata_longentries(octets: int) -> ResponseCode:
    """METADATA LONGENTRIES (RFC 5464 §4.2.1): the largest value, which was left out."""
    return ResponseCode(b"METADATA LONGENTRIES %d" % octets)


_NOT_IN_CODE = re.compile(rb"[^\x01-\x09\x0b\x0c\x0e-\x5b\x5d-\x7e]|\]")


def badurl(url: bytes) -> ResponseCode:
    """BADURL (RFC 4469 §4.1): what a URL names cannot be had. Octets that a code may not hold are question marks."""
    return ResponseCode(b"BADURL " + _NOT_IN_CODE.sub(b"?", url))


def badevent(known: Iterable[bytes]) -> ResponseCode:
    """BADEVENT (RFC 5465 §3.1): the events we know, where one was asked for that we do not."""
    return ResponseCode(b"BADEVENT (%b)" % b" ".join(known))


def capabilities(names: Iterable[bytes]) -> ResponseCode:
    return ResponseCode(b"CAPABILITY " + b" ".join(names))


def permanentflags(flags: bytes) -> ResponseCode:
    """PERMANENTFLAGS (RFC 9051 §7.1). `flags`: as `fetch.available_flags` gives them."""
    return ResponseCode(b"PERMANENTFLAGS (%b)" % flags)


def noupdate(tag: bytes) -> ResponseCode:
    """NOUPDATE (RFC 5267 §4.3.1): changes of the result are not told."""
    return ResponseCode(b"NOUPDATE " + string(tag))


def undefined_filter(name: str) -> ResponseCode:
    """UNDEFINED-FILTER (RFC 5466 §3.1). `name`: an atom."""
    return ResponseCode(b"UNDEFINED-FILTER " + name.encode("ascii"))


def referral(url: str) -> ResponseCode:
    """REFERRAL (RFC 2221 §5): the server where the user's mailboxes are. `url`: as `server_url` writes it."""
    return ResponseCode(b"REFERRAL " + url.encode("ascii"))


def uidnext(uid: int) -> ResponseCode:
    return ResponseCode(b"UIDNEXT %d" % uid)


def uidvalidity(value: int) -> ResponseCode:
    return ResponseCode(b"UIDVALIDITY %d" % value)


def highestmodseq(modseq: int) -> ResponseCode:
    """HIGHESTMODSEQ (RFC 7162 §3.1.2.1)."""
    return ResponseCode(b"HIGHESTMODSEQ %d" % modseq)


def modified(messages: Ranges) -> ResponseCode:
    """MODIFIED: the messages a conditional STORE left alone (RFC 7162 §3.1.3)."""
    return ResponseCode(b"MODIFIED %b" % sequence_set(messages))


def mailboxid(objectid: bytes) -> ResponseCode:
    """MAILBOXID (RFC 8474 §4)."""
    return ResponseCode(b"MAILBOXID (%b)" % objectid)


def messagelimit(limit: int, lowest: int = 0) -> ResponseCode:
    """MESSAGELIMIT (RFC 9738 §3.1): how many messages a command may act upon; the lowest UID it acted upon, if any."""
    return ResponseCode(b"MESSAGELIMIT %d %d" % (limit, lowest) if lowest else b"MESSAGELIMIT %d" % limit)


def inprogress(tag: bytes) -> ResponseCode:
    """INPROGRESS (RFC 9585 §4): the command is still being carried out, how far is not known."""
    return ResponseCode(b"INPROGRESS (%b NIL NIL)" % string(tag))


def unseen(number: int) -> ResponseCode:
    """UNSEEN: the number of the first unseen message (RFC 3501 §7.1)."""
    return ResponseCode(b"UNSEEN %d" % number)


def badcharset(charsets: Iterable[str]) -> ResponseCode:
    return ResponseCode(b"BADCHARSET (%b)" % b" ".join([astring(name.encode("ascii")) for name in charsets]))


def appenduid(uid_validity: int, uids: Ranges) -> ResponseCode:
    """APPENDUID (RFC 9051 §7.1, RFC 4315 §3); several UIDs for MULTIAPPEND."""
    return ResponseCode(b"APPENDUID %d %b" % (uid_validity, sequence_set(uids)))


def copyuid(uid_validity: int, sources: bytes, destinations: bytes) -> ResponseCode:
    """COPYUID (RFC 9051 §7.1, RFC 4315 §3): both sets in the order of copying, see `search.uid_set`."""
    return ResponseCode(b"COPYUID %d %b %b" % (uid_validity, sources, destinations))
