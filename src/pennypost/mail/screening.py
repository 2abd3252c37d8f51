"""Ask others about a message before it is accepted, and put together what they say.

Theory of operation. An `Inspection` goes along with one transaction. At each moment those who only look are asked side
by side; those who may change the message are asked one after the other, and each sees what those before it made of it.
The gravest ruling holds. What is refused or put off is so in the session, while its sender can hear of it; all else is
known before the message is filed. Without screeners there is no Inspection, and the way of a message is what it was.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Network, IPv6Network

import structlog

from pennypost.clients.screening.guard import Guard
from pennypost.clients.screening.shape import (
    GRAVITY,
    AddField,
    HeaderChange,
    Moment,
    Opinion,
    Reply,
    Ruling,
    ScreenerFailed,
    Screening,
    Specimen,
    Visit,
)
from pennypost.junk.content import Content
from pennypost.junk.evidence import Evidence
from pennypost.mail.sender_policy import within
from pennypost.message import headers
from pennypost.model.address import Address
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.errors import ScreenerDeferred, ScreenerRefused
from pennypost.model.peer import Peer
from pennypost.net.incident import log_incident
from pennypost.store.spool import Spool, Spools

_log = structlog.stdlib.get_logger("pennypost.screening")

MAX_ADDED = 200
"""Header fields, and recipients, that all screeners together may add to one message."""

MAX_HEADER = 1 << 20
"""Octets past which a header does not grow."""

Question = Callable[[Screening], Awaitable[Opinion]]


@dataclass(frozen=True, slots=True)
class Examined:
    """What screeners made of a message. `header`: with their changes. `body`: what to store in place of it, or None;
    whoever gets it closes it. `sender`, `add`, `remove`: as in `Opinion`."""

    header: bytes
    body: Spool | None
    sender: tuple[Address | None] | None
    add: tuple[Address, ...]
    remove: tuple[Address, ...]


class Screeners:
    """All who are asked, by one worker. `exempt`: networks about whose mail they are not."""

    def __init__(self, guards: Sequence[Guard], exempt: tuple[IPv4Network | IPv6Network, ...] = ()) -> None:
        self._guards = tuple(guards)
        self._exempt = exempt

    def wants(self, peer: Peer) -> bool:
        """Whether anybody is asked about mail of a peer."""
        return peer.ip is None or not within(peer.ip, self._exempt)

    def begin(self, visit: Visit) -> "Inspection":
        """Begin to go along with a transaction."""
        return Inspection(self._guards, visit)

    async def close(self) -> None:
        """Let go of what screeners keep open."""
        for guard in self._guards:
            await guard.screener.close()


@dataclass(slots=True)
class _Asked:
    guard: Guard
    screening: Screening
    finished: bool = False


class Inspection:
    """One transaction. `ruling`: the gravest so far; `notes`: what each said last. Call `end` at the end, whichever it
    is."""

    def __init__(self, guards: Sequence[Guard], visit: Visit) -> None:
        self.visit = visit
        self.ruling = Ruling.ACCEPT
        self._evidence: dict[str, Evidence] = {}
        self.notes: dict[str, str] = {}
        self._asked = [_Asked(guard, guard.screener.begin(visit)) for guard in guards]
        self._reply: Reply | None = None
        self._broken = False
        self._changes = 0

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """All reasons so far. What is said again, of each recipient say, counts once."""
        return tuple(self._evidence.values())

    # -- The moments

    async def sender(self, envelope: Envelope) -> None:
        """Ask about the client and MAIL FROM. Raises ScreenerRefused, ScreenerDeferred."""
        await self._ask(Moment.SENDER, lambda screening: screening.sender(envelope))

    async def recipient(self, envelope: Envelope, recipient: Recipient) -> None:
        """Ask about a recipient. Raises ScreenerRefused, ScreenerDeferred: for this one only.

        But who could not answer, and must not be gone without, is not passed by with the next one: all is put off then.
        """
        before = self.ruling, self.notes.copy(), self._evidence.copy()
        try:
            await self._ask(Moment.RECIPIENT, lambda screening: screening.recipient(envelope, recipient))
        except (ScreenerRefused, ScreenerDeferred):
            if not self._broken:
                self.ruling, self.notes, self._evidence = before
            raise

    async def message(self, specimen: Specimen, spools: Spools, most: int) -> Examined:
        """Ask about the message. `most`: octets that a new body may have. Raises ScreenerRefused, ScreenerDeferred."""
        header, envelope = specimen.header, specimen.envelope
        sender: tuple[Address | None] | None = None
        add: list[Address] = []
        remove: list[Address] = []
        body: Spool | None = None
        try:
            seen = await self._ask_all(Moment.MESSAGE, lambda screening: screening.message(specimen))
            header = self._changed(header, [change for opinion in seen for change in opinion.header])
            for asked in self._wanted(Moment.MESSAGE, True):
                replacement = _Replacement(spools, most)
                current = body.octets() if body is not None else None
                with memoryview(current if current is not None else specimen.body) as view:
                    shown = replace(specimen, envelope=envelope, header=header, body=view, replace_body=replacement)
                    try:
                        opinion = await self._ask_one(asked, partial(_about, specimen=shown))
                    except BaseException:
                        replacement.discard()
                        raise
                if replacement.spool is not None and not opinion.failed:
                    if body is not None:
                        body.close()
                    body = replacement.spool
                else:
                    replacement.discard()
                header = self._changed(header, opinion.header)
                sender = opinion.sender or sender
                add += opinion.add
                remove += opinion.remove
                self._raise_if_grave()
        except BaseException:
            if body is not None:
                body.close()
            raise
        return Examined(header, body, sender, tuple(add[:MAX_ADDED]), tuple(remove))

    async def content(self, envelope: Envelope, content: Content) -> None:
        """Ask about what was found in the message: evidence."""
        await self._ask(Moment.CONTENT, lambda screening: screening.content(envelope, content))

    def delivered(self, envelope: Envelope, size: int, stored: Sequence[str]) -> None:
        """Tell those who want to know that the message is stored."""
        for asked in self._asked:
            if Moment.DELIVERED in asked.guard.screener.moments:
                try:
                    asked.screening.delivered(envelope, size, stored)
                except Exception as problem:  # it is stored: nothing may say otherwise
                    log_incident("screening.delivered", problem, screener=asked.guard.screener.name)

    def file_as_junk(self, note: str) -> None:
        """Let the message be junk at least."""
        self.notes["screening"] = note
        if self.ruling is Ruling.ACCEPT:
            self.ruling = Ruling.JUNK

    def end(self) -> None:
        """The transaction is over."""
        for asked in self._asked:
            if not asked.finished:
                asked.finished = True
                try:
                    asked.screening.end()
                except Exception as problem:
                    log_incident("screening.end", problem, screener=asked.guard.screener.name)

    # -- Asking

    def _wanted(self, moment: Moment, in_turn: bool) -> list[_Asked]:
        return [
            asked
            for asked in self._asked
            if not asked.finished and moment in asked.guard.screener.moments and asked.guard.screener.in_turn is in_turn
        ]

    async def _ask(self, moment: Moment, question: Question) -> None:
        """Ask all who want to be asked at a moment."""
        await self._ask_all(moment, question)
        for asked in self._wanted(moment, True):
            await self._ask_one(asked, question)
            self._raise_if_grave()

    async def _ask_all(self, moment: Moment, question: Question) -> list[Opinion]:
        """Ask those who only look, side by side."""
        wanted = self._wanted(moment, False)
        if len(wanted) > 1:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._ask_one(asked, question)) for asked in wanted]
            opinions = [task.result() for task in tasks]
        else:
            opinions = [await self._ask_one(asked, question) for asked in wanted]
        self._raise_if_grave()
        return opinions

    async def _ask_one(self, asked: _Asked, question: Question) -> Opinion:
        opinion = await asked.guard.ask(lambda: question(asked.screening))
        if opinion.finished and not asked.finished:
            asked.finished = True
            asked.screening.end()
        name = asked.guard.screener.name
        if opinion.note:
            self.notes[name] = opinion.note
        self._evidence.update((one.name, one) for one in opinion.evidence)
        if GRAVITY[opinion.ruling] > GRAVITY[self.ruling]:
            self.ruling = opinion.ruling
            self._reply = opinion.reply
        if opinion.failed and opinion.ruling is Ruling.DEFER:
            self._broken = True
        if opinion.ruling is not Ruling.ACCEPT:
            _log.info("screened", screener=name, ruling=opinion.ruling.value, note=opinion.note, id=self.visit.id)
        return opinion

    def _raise_if_grave(self) -> None:
        reply = self._reply
        if self.ruling is Ruling.REFUSE:
            raise ScreenerRefused(reply.text, reply.code, reply.status) if reply is not None else ScreenerRefused
        if self.ruling is Ruling.DEFER:
            raise ScreenerDeferred(reply.text, reply.code, reply.status) if reply is not None else ScreenerDeferred

    def _changed(self, header: bytes, changes: Sequence[HeaderChange]) -> bytes:
        """Change a header; past `MAX_ADDED` changes, and where it would get too large, no more are made."""
        for change in changes[: MAX_ADDED - self._changes]:
            self._changes += 1
            if len(header) + len(change.value or b"") > MAX_HEADER:
                continue
            if isinstance(change, AddField):
                header = headers.insert(header, change.name, change.value, change.position)
            else:
                header = headers.change(header, change.name, change.occurrence, change.value)
        return header


async def _about(screening: Screening, specimen: Specimen) -> Opinion:
    return await screening.message(specimen)


_LONE_LF = re.compile(rb"(?<!\r)\n")


class _Replacement:
    """Takes another body for a message. Its lines get to end with CRLF: a lone LF may be an end of the text to the next
    host (RFC 5321 §2.3.8)."""

    def __init__(self, spools: Spools, most: int) -> None:
        self._spools = spools
        self._most = most
        self._after_cr = False
        self.spool: Spool | None = None

    def __call__(self, octets: bytes) -> None:
        if self.spool is None:
            self.spool = self._spools.new()
        before = b"\r" if self._after_cr else b""
        self._after_cr = octets.endswith(b"\r") if octets else self._after_cr
        octets = _LONE_LF.sub(b"\r\n", before + octets)[len(before) :]
        if self.spool.size + len(octets) > self._most:
            raise ScreenerFailed("the body it gives is too large")
        self.spool.write(octets)

    def discard(self) -> None:
        if self.spool is not None:
            self.spool.close()
            self.spool = None
