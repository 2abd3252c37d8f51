"""ClamAV: is there a virus in the message? One `INSTREAM` of clamd's protocol for each, over TCP or a Unix socket.

The message goes out in chunks, each behind its length in four octets, most significant first; a length of 0 ends it.
The answer is `stream: OK`, `stream: NAME FOUND` or `… ERROR`. Clamd answers before the end, and hangs up, when the
stream gets longer than its `StreamMaxLength`.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from pennypost.clients.screening.settings import Fallback, ScreenerSettings
from pennypost.clients.screening.shape import (
    Moment,
    Opinion,
    Reply,
    Ruling,
    ScreenerFailed,
    Screening,
    Specimen,
    Visit,
    one_line,
)
from pennypost.clients.screening.stream import PIECE, pour, read_until
from pennypost.junk.evidence import Evidence
from pennypost.model.units import MIB, Octets
from pennypost.net.connection import PeerGone
from pennypost.net.endpoint import Endpoint
from pennypost.net.outbound import connect_to

_MAX_ANSWER = 4096
_TOO_LONG = "size limit exceeded"


class OnVirus(Enum):
    REFUSE = "refuse"
    JUNK = "junk"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class ClamavSettings(ScreenerSettings):
    """ClamAV's clamd: whether there is a virus in a message."""

    address: Endpoint | None = None
    """Where clamd listens, as "unix:/run/clamav/clamd.ctl" or "127.0.0.1:3310"; "none": it is not asked."""

    on_virus: OnVirus = OnVirus.REFUSE
    """What becomes of a message with a virus: "refuse" (550 5.7.1), "junk", or "hold" (`held_mailbox`)."""

    on_failure: Fallback = Fallback.DEFER
    timeout: timedelta = timedelta(minutes=1)

    max_size: Octets = Octets(25 * MIB)
    """Larger messages are not scanned. Clamd has a limit of its own, `StreamMaxLength`."""


class Clamav:
    """The screener. Only with an address."""

    name = kind = "clamav"
    moments = frozenset({Moment.MESSAGE})
    in_turn = False

    def __init__(self, settings: ClamavSettings) -> None:
        self.settings = settings

    def begin(self, visit: Visit) -> Screening:
        return _Scan(self.settings)

    async def close(self) -> None:
        """Nothing is kept open."""


class _Scan(Screening):
    def __init__(self, settings: ClamavSettings) -> None:
        self._settings = settings

    async def message(self, specimen: Specimen) -> Opinion:
        settings = self._settings
        if specimen.size > settings.max_size:
            return Opinion(note="not scanned: too large")
        assert settings.address is not None
        connection = await connect_to(settings.address, settings.timeout)
        try:
            with suppress(PeerGone):  # it may have said why
                await pour(connection, _chunks(specimen))
            answer = await read_until(connection, b"\0", _MAX_ANSWER)
        finally:
            connection.abort()
        return opinion_on(answer.decode("utf-8", "replace"), settings.on_virus)


def _chunks(specimen: Specimen) -> Iterator[bytes]:
    yield b"zINSTREAM\0"
    for piece in specimen.pieces(PIECE):
        yield len(piece).to_bytes(4) + piece
    yield bytes(4)


def opinion_on(answer: str, on_virus: OnVirus) -> Opinion:
    """Say what an answer of clamd means. Raises ScreenerFailed."""
    if answer == "stream: OK":
        return Opinion(note="clean")
    if answer.startswith("stream: ") and answer.endswith(" FOUND"):
        virus = one_line(answer[len("stream: ") : -len(" FOUND")]) or "a virus"
        sentence = f"A virus scanner found {virus} in it."
        reply = Reply(550, "5.7.1", f"Refused: the message contains {virus}")
        evidence = (Evidence("virus", 8.0, sentence),)
        return Opinion(Ruling(on_virus.value), f"found {virus}", reply, evidence)
    if _TOO_LONG in answer:
        return Opinion(note="not scanned: larger than clamd's StreamMaxLength")
    raise ScreenerFailed(f"clamd says {one_line(answer)!r}")
