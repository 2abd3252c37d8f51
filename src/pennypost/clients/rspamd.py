"""Rspamd: what it makes of a message, by `/checkv2` of its scan worker, over TCP or a Unix socket.

Its action becomes a ruling, its symbols become evidence in our own score, and the header fields that its milter headers
module adds and removes are added and removed.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec

from pennypost.clients.http.posting import Posting, request_fields
from pennypost.clients.screening.settings import ScreenerSettings
from pennypost.clients.screening.shape import (
    AddField,
    ChangeField,
    HeaderChange,
    Moment,
    Opinion,
    Reply,
    Ruling,
    ScreenerFailed,
    Screening,
    Specimen,
    Visit,
    field_line,
    is_field_name,
    one_line,
)
from pennypost.clients.screening.stream import PIECE, in_turns
from pennypost.junk.evidence import Evidence
from pennypost.message import headers
from pennypost.model.bounds import bounded
from pennypost.model.units import MIB, Octets
from pennypost.net.endpoint import Endpoint, UnixEndpoint

MAX_ANSWER = 2 * MIB
SHOWN_SYMBOLS = 12
"""Symbols that are evidence of their own, the heaviest; the others are added up."""

_MAX_CHANGES = 50


class OnReject(Enum):
    REFUSE = "refuse"
    HOLD = "hold"
    JUNK = "junk"
    ACCEPT = "accept"


class OnSoftReject(Enum):
    DEFER = "defer"
    ACCEPT = "accept"


class OnAddHeader(Enum):
    JUNK = "junk"
    HOLD = "hold"
    ACCEPT = "accept"


@dataclass(frozen=True, slots=True)
class RspamdSettings(ScreenerSettings):
    """Rspamd: what its scan worker makes of a message."""

    address: Endpoint | None = None
    """Where a worker of type "normal" listens, as "127.0.0.1:11333" or "unix:/run/rspamd/worker.sock"; "none": it is
    not asked."""

    scale: float = 1.0
    """What one point of Rspamd's weighs in our score; 0: its symbols are no evidence, only its action counts."""

    reject: OnReject = OnReject.REFUSE
    """What its action "reject" does: "refuse", "hold", "junk", or "accept", which leaves it to the score."""

    soft_reject: OnSoftReject = OnSoftReject.DEFER
    """What "soft reject" does: "defer" or "accept"."""

    greylist: OnSoftReject = OnSoftReject.ACCEPT
    """What "greylist" does, "defer" or "accept". Rspamd's own greylisting says "soft reject" when it wants mail later;
    "greylist" alone is a score, and nobody counts attempts."""

    add_header: OnAddHeader = OnAddHeader.JUNK
    """What "add header" and "rewrite subject" do: "junk", "hold" or "accept". The subject is never rewritten."""

    headers: bool = True
    """Whether the header fields are added and removed that Rspamd's milter headers module asks for."""

    max_size: Octets = Octets(50 * MIB)
    """Larger messages are not shown to it."""

    def __post_init__(self) -> None:
        ScreenerSettings.__post_init__(self)
        bounded(self, "scale", least=0)


class _Symbol(msgspec.Struct):
    score: float = 0.0
    description: str = ""


class _Answer(msgspec.Struct):
    action: str
    score: float = 0.0
    required_score: float = 0.0
    is_skipped: bool = False
    symbols: dict[str, _Symbol] = {}
    messages: Any = None
    milter: Any = None


_decode = msgspec.json.Decoder(_Answer).decode


class Rspamd:
    """The screener. Only with an address; make it on the loop."""

    name = kind = "rspamd"
    moments = frozenset({Moment.MESSAGE})
    in_turn = False

    def __init__(self, settings: RspamdSettings) -> None:
        assert settings.address is not None
        self.settings = settings
        address = settings.address
        unix = isinstance(address, UnixEndpoint)
        self.posting = Posting(str(address.path) if isinstance(address, UnixEndpoint) else None, settings.at_once)
        self.url = f"http://{'rspamd' if unix else address}/checkv2"

    def begin(self, visit: Visit) -> Screening:
        return _Check(self, visit)

    async def close(self) -> None:
        await self.posting.close()


class _Check(Screening):
    def __init__(self, rspamd: Rspamd, visit: Visit) -> None:
        self._rspamd = rspamd
        self._visit = visit

    async def message(self, specimen: Specimen) -> Opinion:
        settings = self._rspamd.settings
        if specimen.size > settings.max_size:
            return Opinion(note="not checked: too large")
        fields = request_fields(self._fields(specimen))
        status, answer = await self._rspamd.posting.post(self._rspamd.url, fields, lambda: _body(specimen), MAX_ANSWER)
        if status != 200:
            raise ScreenerFailed(f"it answers {status} {one_line(answer[:200].decode('utf-8', 'replace'))}")
        return opinion_on(answer, settings, specimen.header)

    def _fields(self, specimen: Specimen) -> Iterator[tuple[str, str]]:
        visit, envelope = self._visit, specimen.envelope
        yield "Content-Length", str(specimen.size)
        if visit.peer.ip is not None:
            yield "IP", str(visit.peer.ip)
        yield "Helo", visit.hello
        status, _, name = specimen.verdicts.get("iprev", "").partition(" ")
        if status == "pass" and name:
            yield "Hostname", name
        yield "From", str(envelope.reverse_path or "")
        for recipient in envelope.recipients:
            yield "Rcpt", str(recipient.address)
        yield "Queue-Id", visit.id
        yield "MTA-Name", visit.hostname
        if visit.user:
            yield "User", visit.user
        if visit.tls is not None:
            yield "TLS-Version", visit.tls.version
            yield "TLS-Cipher", visit.tls.cipher


async def _body(specimen: Specimen) -> AsyncIterator[bytes]:
    async for piece in in_turns(specimen.pieces(PIECE)):
        yield piece


# -- What an answer means


def opinion_on(content: bytes, settings: RspamdSettings, header: bytes) -> Opinion:
    """Say what an answer of Rspamd means. Raises ScreenerFailed."""
    try:
        answer = _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise ScreenerFailed(f"its answer cannot be read: {one_line(str(problem))}") from None
    if answer.is_skipped:
        return Opinion(note="skipped by its settings")
    ruling, reply = _ruling(answer, settings)
    note = one_line(f"{answer.action}, {answer.score:.1f} of {answer.required_score:.1f}")
    changes = tuple(_changes(answer.milter, header)) if settings.headers else ()
    return Opinion(ruling, note, reply, tuple(_evidence(answer, settings.scale)), changes)


def _ruling(answer: _Answer, settings: RspamdSettings) -> tuple[Ruling, Reply | None]:
    said = answer.messages.get("smtp_message") if isinstance(answer.messages, dict) else None
    text = one_line(said) if isinstance(said, str) else ""
    match answer.action:
        case "reject":
            wanted = answer.milter.get("reject") if isinstance(answer.milter, dict) else None
            if wanted in ("quarantine", "discard") and settings.reject is OnReject.REFUSE:
                return Ruling.HOLD, None
            return Ruling(settings.reject.value), Reply(
                550, "5.7.1", text or "Refused: the message looks like junk mail"
            )
        case "soft reject":
            return Ruling(settings.soft_reject.value), Reply(451, "4.7.1", text or "Try again later")
        case "greylist":
            return Ruling(settings.greylist.value), Reply(451, "4.7.1", text or "Try again later")
        case "add header" | "rewrite subject":
            return Ruling(settings.add_header.value), None
        case "quarantine" | "discard":  # nothing is thrown away here
            return Ruling.HOLD, None
    return Ruling.ACCEPT, None


def _evidence(answer: _Answer, scale: float) -> Iterator[Evidence]:
    """Make evidence of symbols; together they weigh what Rspamd's score does."""
    if not scale:
        return
    heaviest = sorted(answer.symbols.items(), key=lambda entry: -abs(entry[1].score))[:SHOWN_SYMBOLS]
    rest = answer.score * scale
    for name, symbol in heaviest:
        weight = round(symbol.score * scale, 2)
        if abs(weight) >= 0.1:
            rest -= weight
            sentence = one_line(symbol.description) or "Rspamd says so."
            yield Evidence(f"rspamd-{one_line(name)[:60].lower().replace('_', '-')}", weight, sentence)
    if abs(rest) >= 0.1:
        yield Evidence("rspamd", round(rest, 2), "The other things that Rspamd found, together.")


def _changes(milter: Any, header: bytes) -> Iterator[HeaderChange]:
    """Give the changes of the header that are asked for: first what goes, then what comes."""
    if not isinstance(milter, dict):
        return
    gone, come = milter.get("remove_headers"), milter.get("add_headers")
    for name, which in list(gone.items())[:_MAX_CHANGES] if isinstance(gone, dict) else ():
        octets = str(name).encode("utf-8", "replace")
        if is_field_name(octets) and isinstance(which, int):
            if which < 0:  # counted from the last one
                which += len(headers.values(header, octets)) + 1
            if which >= 0:
                yield ChangeField(octets, which, None)
    for name, wanted in list(come.items())[:_MAX_CHANGES] if isinstance(come, dict) else ():
        octets = str(name).encode("utf-8", "replace")
        for one in (wanted if isinstance(wanted, list) else [wanted])[:_MAX_CHANGES]:
            value, order = (one.get("value"), one.get("order", 0)) if isinstance(one, dict) else (one, 0)
            line = field_line(value) if isinstance(value, str) else None
            if line is not None and is_field_name(octets):
                yield AddField(octets, line, order if isinstance(order, int) and order >= 0 else None)
