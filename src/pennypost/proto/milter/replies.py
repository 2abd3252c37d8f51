"""What the filter answers (SMFIR_*)."""

import re
from dataclasses import dataclass

from pennypost.model.errors import PeerError
from pennypost.proto.milter.options import Actions

MAX_PACKET = 1 << 20
"""Octets of one packet that are taken. Libmilter's are at most 64 KiB."""


class Reply:
    """Something the filter says."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Continue(Reply):
    """SMFIR_CONTINUE: go on."""


@dataclass(frozen=True, slots=True)
class Accept(Reply):
    """SMFIR_ACCEPT: take the message, and ask no more."""


@dataclass(frozen=True, slots=True)
class Refuse(Reply):
    """SMFIR_REJECT and SMFIR_REPLYCODE with a code of 5xx, SMFIR_TEMPFAIL and one of 4xx, SMFIR_SHUTDOWN,
    SMFIR_CONN_FAIL.

    `code`: 0 when the filter names none. `enhanced`: "" when it names none.
    """

    temporary: bool
    code: int = 0
    enhanced: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Discard(Reply):
    """SMFIR_DISCARD: say that it was taken, and throw it away."""


@dataclass(frozen=True, slots=True)
class Skip(Reply):
    """SMFIR_SKIP: send no more of the body."""


@dataclass(frozen=True, slots=True)
class Progress(Reply):
    """SMFIR_PROGRESS: the filter is at work."""


class Modification(Reply):
    """A change of the message, told before the answer to its end."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class AddHeader(Modification):
    """SMFIR_ADDHEADER, SMFIR_INSHEADER. `position`: the number of fields before it; None: at the end."""

    name: bytes
    value: bytes
    position: int | None


@dataclass(frozen=True, slots=True)
class ChangeHeader(Modification):
    """SMFIR_CHGHEADER. `occurrence`: from 1. An empty value takes the field out."""

    name: bytes
    value: bytes
    occurrence: int


@dataclass(frozen=True, slots=True)
class ChangeSender(Modification):
    """SMFIR_CHGFROM. Parameters are not kept."""

    path: bytes


@dataclass(frozen=True, slots=True)
class AddRecipient(Modification):
    """SMFIR_ADDRCPT, SMFIR_ADDRCPT_PAR. Parameters are not kept."""

    path: bytes


@dataclass(frozen=True, slots=True)
class DeleteRecipient(Modification):
    """SMFIR_DELRCPT."""

    path: bytes


@dataclass(frozen=True, slots=True)
class ReplaceBody(Modification):
    """SMFIR_REPLBODY: the next octets of another body."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Quarantine(Modification):
    """SMFIR_QUARANTINE."""

    reason: bytes


NEEDS: dict[bytes, Actions] = {
    b"h": Actions.ADD_HEADERS,
    b"i": Actions.ADD_HEADERS | Actions.CHANGE_HEADERS,
    b"m": Actions.CHANGE_HEADERS,
    b"e": Actions.CHANGE_SENDER,
    b"+": Actions.ADD_RECIPIENTS | Actions.ADD_RECIPIENTS_WITH_PARAMETERS,
    b"2": Actions.ADD_RECIPIENTS_WITH_PARAMETERS,
    b"-": Actions.DELETE_RECIPIENTS,
    b"b": Actions.CHANGE_BODY,
    b"q": Actions.QUARANTINE,
}
"""One of which actions has to be agreed on for a modification."""

_REPLY = re.compile(rb"([45]\d\d)(?:[ -](?:([45]\.\d{1,3}\.\d{1,3})(?: |$))?(.*))?", re.DOTALL)
_MORE = re.compile(rb"\r?\n\d{3}[ -](?:[45]\.\d{1,3}\.\d{1,3} )?")


def read(letter: bytes, data: bytes) -> Reply:
    """Read a packet but SMFIC_OPTNEG. Raises PeerError."""
    match letter:
        case b"c":
            return Continue()
        case b"a":
            return Accept()
        case b"r":
            return Refuse(temporary=False)
        case b"t" | b"4" | b"f":
            return Refuse(temporary=True)
        case b"d":
            return Discard()
        case b"s":
            return Skip()
        case b"p":
            return Progress()
        case b"y":
            return _refusal(data)
        case b"b":
            return ReplaceBody(data)
        case b"i" | b"m":
            return _numbered(letter, data)
    return _worded(letter, data)


def _numbered(letter: bytes, data: bytes) -> Reply:
    number = int.from_bytes(data[:4])
    words = _strings(data[4:])
    if len(data) < 4 or len(words) != 2:
        raise PeerError("a header field that cannot be read")
    return AddHeader(words[0], words[1], number) if letter == b"i" else ChangeHeader(words[0], words[1], number)


def _worded(letter: bytes, data: bytes) -> Reply:
    words = _strings(data)
    match letter, words:
        case b"h", (name, value):
            return AddHeader(name, value, None)
        case b"e", (path, *_):
            return ChangeSender(path)
        case ((b"+" | b"2"), (path, *_)):
            return AddRecipient(path)
        case b"-", (path,):
            return DeleteRecipient(path)
        case b"q", (reason,):
            return Quarantine(reason)
    raise PeerError(f"a reply that cannot be read: {letter!r}")


def _refusal(data: bytes) -> Refuse:
    """Read a reply of SMTP; of several lines one is made. A doubled percent sign is one, as Sendmail has it."""
    found = _REPLY.fullmatch(data.rstrip(b"\0").rstrip(b"\r\n"))
    if found is None:
        raise PeerError("a reply code that is none")
    text = _MORE.sub(b" ", found[3] or b"").replace(b"%%", b"%").decode("utf-8", "replace")
    code, enhanced = int(found[1]), (found[2] or b"").decode("ascii")
    if enhanced and enhanced[0] != str(code)[0]:
        enhanced = ""
    return Refuse(code < 500, code, enhanced, text)


def _strings(data: bytes) -> list[bytes]:
    """Take strings apart. The last one may lack its NUL, as some filters have it."""
    return data.removesuffix(b"\0").split(b"\0") if data else []
