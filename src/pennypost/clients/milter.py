"""A milter as a screener: any filter written for Sendmail or Postfix, over TCP or a Unix socket.

One connection for each transaction, made when the sender is named; what the filter has against the connection or the
greeting is said then, too. It is told of each recipient that we would take, and of the message as those before it left
it; its changes become part of an `Opinion`. Nothing is thrown away: what it wants discarded is filed as junk, what it
wants in quarantine is held.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from pennypost.clients.screening.settings import Fallback, ScreenerSettings
from pennypost.clients.screening.shape import (
    NOTHING,
    AddField,
    ChangeField,
    HeaderChange,
    Moment,
    Opinion,
    Ruling,
    ScreenerFailed,
    Screening,
    Specimen,
    Visit,
    field_line,
    is_field_name,
    one_line,
)
from pennypost.clients.screening.shape import Reply as OurReply
from pennypost.junk.evidence import Evidence
from pennypost.message.addresses import addresses, parse_addresses
from pennypost.message.headers import FIELD
from pennypost.model.address import Address
from pennypost.model.envelope import BodyType, Envelope, Recipient
from pennypost.net.endpoint import Endpoint
from pennypost.net.outbound import OutboundConnection, connect_to
from pennypost.proto.milter.client import MilterClientSession
from pennypost.proto.milter.commands import (
    BODY_CHUNK,
    Body,
    Command,
    Connect,
    Data,
    EndOfHeaders,
    EndOfMessage,
    Header,
    Helo,
    Mail,
    Negotiate,
    Rcpt,
)
from pennypost.proto.milter.options import Steps
from pennypost.proto.milter.replies import (
    Accept,
    AddHeader,
    AddRecipient,
    ChangeHeader,
    ChangeSender,
    Continue,
    DeleteRecipient,
    Discard,
    Modification,
    Progress,
    Quarantine,
    Refuse,
    ReplaceBody,
    Reply,
    Skip,
)

MAX_CHANGES = 1000
"""Changes that a filter may make of one message, pieces of a body aside."""

MAX_CHANGED_OCTETS = 2 << 20
"""Octets that header fields of one message may have which a filter adds and changes."""

MAX_NAME = 998
"""Octets of a field's name that a filter is shown (RFC 5322 §2.1.1). Of the value it is what a packet has room for:
libmilter hangs up on more."""

Macros = Mapping[bytes, bytes]

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")


@dataclass(frozen=True, slots=True)
class MilterSettings(ScreenerSettings):
    """A milter: a filter that speaks the protocol of Sendmail 8."""

    name: str = ""
    """What logs, traces and evidence call it: lower-case letters, digits and dashes. Has to be given."""

    address: Endpoint | None = None
    """Where it listens, as "127.0.0.1:8891" or "unix:/run/opendkim/opendkim.sock". Has to be given."""

    on_failure: Fallback = Fallback.DEFER

    timeout: timedelta = timedelta(seconds=30)
    """How long it may be silent."""

    longest: timedelta = timedelta(minutes=5)
    """How long it may take over one question, however often it says that it is still at work."""

    def __post_init__(self) -> None:
        ScreenerSettings.__post_init__(self)
        if not _NAME.fullmatch(self.name):
            raise ValueError("name: expected lower-case letters, digits and dashes")
        if self.address is None:
            raise ValueError("address: is required")
        if self.longest < self.timeout:
            raise ValueError("longest: expected no less than timeout")

    @property
    def patience(self) -> timedelta:
        return self.longest


class Milter:
    """The screener."""

    kind = "milter"
    moments = frozenset({Moment.SENDER, Moment.RECIPIENT, Moment.MESSAGE})
    in_turn = True

    def __init__(self, settings: MilterSettings) -> None:
        self.settings = settings
        self.name = settings.name

    def begin(self, visit: Visit) -> Screening:
        return _Filtering(self.settings, visit)

    async def close(self) -> None:
        """Connections belong to transactions."""


class _Filtering(Screening):
    def __init__(self, settings: MilterSettings, visit: Visit) -> None:
        self._settings = settings
        self._visit = visit
        self._machine = MilterClientSession()
        self._connection: OutboundConnection | None = None

    # -- The moments

    async def sender(self, envelope: Envelope) -> Opinion:
        assert self._settings.address is not None
        self._connection = await connect_to(self._settings.address, self._settings.timeout)
        visit = self._visit
        await self._say(Negotiate(), {})
        path = b"<%b>" % str(envelope.reverse_path or "").encode()
        for command, macros in (
            (_connect(visit), _connect_macros(visit)),
            (Helo(_octets(visit.hello)), _tls_macros(visit)),
            (Mail(path, tuple(_parameters(envelope))), _mail_macros(visit, envelope)),
        ):
            reply = await self._say(command, macros)
            if not isinstance(reply, Continue):
                return self._ruling(reply)
        return NOTHING

    async def recipient(self, envelope: Envelope, recipient: Recipient) -> Opinion:
        address = str(recipient.address).encode()
        macros = {
            b"{rcpt_addr}": address,
            b"{rcpt_host}": recipient.address.domain.encode(),
            b"{rcpt_mailer}": b"local",
        }
        reply = await self._say(Rcpt(b"<%b>" % address), macros)
        if isinstance(reply, Refuse):  # of this one only
            return replace(self._ruling(reply), finished=False)
        return NOTHING if isinstance(reply, Continue) else self._ruling(reply)

    async def message(self, specimen: Specimen) -> Opinion:
        macros = {b"i": self._visit.id.encode()}
        for command in _before_the_end(specimen, self._keeps_space()):
            reply = await self._say(command, macros)
            if isinstance(command, Body):
                await asyncio.sleep(0)  # a filter that answers no chunk may take them as fast as they come
            if not isinstance(reply, Continue | Skip):
                return self._ruling(reply)
        changes = _Changes(specimen)
        reply = await self._say(EndOfMessage(), macros, changes)
        if isinstance(reply, Continue | Accept):
            return changes.opinion(self._settings.name)
        return self._ruling(reply)

    def end(self) -> None:
        connection = self._connection
        if connection is not None:
            connection.write(self._machine.leave())
            connection.timeout = timedelta(seconds=1)
            connection.close()
            self._connection = None

    # -- One command

    async def _say(self, command: Command, macros: Macros, changes: "_Changes | None" = None) -> Reply:
        """Say something, and wait for the answer where there is one. Continue, where there is none."""
        connection, machine = self._connection, self._machine
        if connection is None:
            raise ScreenerFailed("it was lost before")
        if octets := machine.send(command, macros):
            connection.write(octets)
            await connection.drain()
        while machine.reply_due:
            reply = machine.next_reply()
            if reply is None:
                data = await connection.read()
                if not data:
                    raise ScreenerFailed("it hung up")
                machine.receive_data(data)
            elif isinstance(reply, Modification):
                if changes is not None:
                    changes.take(reply)
            elif not isinstance(reply, Progress):
                return reply
        return Continue()

    def _keeps_space(self) -> bool:
        options = self._machine.options
        return options is not None and bool(options.steps & Steps.LEADING_SPACE)

    def _ruling(self, reply: Reply) -> Opinion:
        """Say what an answer means that ends the message for this filter."""
        name = self._settings.name
        match reply:
            case Accept():
                return Opinion(note="accepted", finished=True)
            case Discard():
                sentence = f"The filter {name} wanted it thrown away."
                evidence = (Evidence(f"milter-{name}", 5.0, sentence),)
                return Opinion(Ruling.JUNK, "wants it discarded", evidence=evidence, finished=True)
            case Refuse(temporary, code, enhanced, text):
                told = one_line(text) or ("Try again later" if temporary else "Refused")
                code = 451 if code in (0, 421) and temporary else code or 550
                status = enhanced or ("4.7.1" if temporary else "5.7.1")
                ruling = Ruling.DEFER if temporary else Ruling.REFUSE
                return Opinion(ruling, one_line(f"{code} {status} {told}"), OurReply(code, status, told), finished=True)
        raise ScreenerFailed(f"it answers {type(reply).__name__} where it cannot")


class _Changes:
    """What a filter wants changed, before its last answer."""

    def __init__(self, specimen: Specimen) -> None:
        self._specimen = specimen
        self._header: list[HeaderChange] = []
        self._sender: tuple[Address | None] | None = None
        self._add: list[Address] = []
        self._remove: list[Address] = []
        self._reason: str | None = None
        self._bodies = self._count = self._octets = 0

    def take(self, change: Modification) -> None:
        """Note a change. What cannot be done is left out. Raises ScreenerFailed when there are too many."""
        if isinstance(change, ReplaceBody):
            if self._specimen.replace_body is not None:
                self._specimen.replace_body(change.octets)
            self._bodies = 1
            return
        self._count += 1
        if isinstance(change, AddHeader | ChangeHeader):
            self._octets += len(change.name) + len(change.value)
        if self._count > MAX_CHANGES or self._octets > MAX_CHANGED_OCTETS:
            raise ScreenerFailed("it makes too many changes")
        match change:
            case AddHeader(name, value, position):
                line = _line(value)
                if line is not None and is_field_name(name):
                    self._header.append(AddField(name, line, position))
            case ChangeHeader(name, value, occurrence):
                line = _line(value)
                if is_field_name(name):
                    self._header.append(ChangeField(name, max(occurrence, 1), line))
            case ChangeSender(path) if (sender := _address(path)) is not None or path.strip() in (b"", b"<>"):
                self._sender = (sender,)
            case AddRecipient(path) if (address := _address(path)) is not None:
                self._add.append(address)
            case DeleteRecipient(path) if (address := _address(path)) is not None:
                self._remove.append(address)
            case Quarantine(reason):
                self._reason = one_line(reason.decode("utf-8", "replace")) or "no reason given"

    def opinion(self, name: str) -> Opinion:
        """Put it together."""
        done = [
            text
            for count, text in (
                (len(self._header), f"{len(self._header)} header changes"),
                (self._bodies, "another body"),
                (0 if self._sender is None else 1, "another sender"),
                (len(self._add), f"{len(self._add)} recipients added"),
                (len(self._remove), f"{len(self._remove)} recipients taken away"),
            )
            if count
        ]
        ruling = Ruling.ACCEPT
        evidence: tuple[Evidence, ...] = ()
        if self._reason is not None:
            ruling = Ruling.HOLD
            done.append(f"quarantine: {self._reason}")
            evidence = (Evidence(f"milter-{name}", 5.0, f"The filter {name} put it aside: {self._reason}"),)
        return Opinion(
            ruling,
            one_line(", ".join(done) or "accepted"),
            evidence=evidence,
            header=tuple(self._header),
            sender=self._sender,
            add=tuple(self._add),
            remove=tuple(self._remove),
            finished=True,
        )


# -- What it is told


def _connect(visit: Visit) -> Connect:
    ip = visit.peer.ip
    if ip is None:
        return Connect(b"localhost", b"U")
    address = str(ip).encode()
    return Connect(b"[%b]" % address, b"4" if ip.version == 4 else b"6", visit.peer.port, address)


def _connect_macros(visit: Visit) -> Macros:
    peer = f"[{visit.peer.ip}]" if visit.peer.ip is not None else "localhost"
    return {b"j": visit.hostname.encode(), b"_": peer.encode(), b"{daemon_name}": b"pennypost", b"v": b"Pennypost"}


def _tls_macros(visit: Visit) -> Macros:
    if visit.tls is None:
        return {}
    return {
        b"{tls_version}": visit.tls.version.encode(),
        b"{cipher}": visit.tls.cipher.encode(),
        b"{cipher_bits}": str(visit.tls.bits).encode(),
    }


def _mail_macros(visit: Visit, envelope: Envelope) -> Macros:
    macros = {b"i": visit.id.encode(), b"{mail_addr}": str(envelope.reverse_path or "").encode()}
    if envelope.reverse_path is not None:
        macros[b"{mail_host}"] = envelope.reverse_path.domain.encode()
    if visit.user:
        macros |= {b"{auth_authen}": visit.user.encode(), b"{auth_type}": b"PLAIN"}
    return macros


def _parameters(envelope: Envelope) -> Iterator[bytes]:
    if envelope.declared_size is not None:
        yield b"SIZE=%d" % envelope.declared_size
    if envelope.body is not BodyType.SEVEN_BIT:
        yield b"BODY=" + envelope.body.value.encode()
    if envelope.smtputf8:
        yield b"SMTPUTF8"


def _before_the_end(specimen: Specimen, keeps_space: bool) -> Iterator[Command]:
    yield Data()
    for name, value in FIELD.findall(specimen.header):
        text = value.replace(b"\0", b"").removesuffix(b"\r").replace(b"\r\n", b"\n")
        shown = name[:MAX_NAME]
        room = BODY_CHUNK - len(shown) - 2
        yield Header(shown, (text if keeps_space else text.removeprefix(b" "))[:room])
    yield EndOfHeaders()
    for piece in specimen.pieces(BODY_CHUNK, len(specimen.header)):
        yield Body(piece)


def _octets(text: str) -> bytes:
    return text.replace("\0", "?").encode()


# -- What it says


def _line(value: bytes) -> bytes | None:
    return field_line(value.decode("utf-8", "surrogateescape"))


def _address(path: bytes) -> Address | None:
    """Read an address, with or without its angle brackets; None for <>, and what is none."""
    found = list(addresses(parse_addresses(path.strip())))
    return found[0] if len(found) == 1 else None
