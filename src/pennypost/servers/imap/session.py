"""One IMAP connection, from its greeting to its BYE.

Theory of operation
-------------------
One coroutine per connection takes events from the machine one by one and carries each to its handler (`dispatch`). A
handler writes untagged responses and returns the tagged one; news of the open mailbox (`news`) go out between the two.
What is written is gathered and leaves in one piece when the client has to be waited for, or when enough has gathered:
so pipelined commands are answered together.

While a command runs nothing is read: a client that sends ahead is held by TCP. IDLE, AUTHENTICATE and APPEND take
further events themselves, through `next_event`.

What can end the session is an exception: `_Finished` (in order, or the client is gone), `PeerError` (it broke the
protocol), `ConnectionEnded`. An exception out of a handler that nobody expected is an incident: logged, answered
NO [SERVERBUG], and the session goes on, unless a literal was cut short.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING, NoReturn

import structlog

from pennypost.model.authentication import Authenticated
from pennypost.model.errors import MailError, PeerError, ServerFault, UsageError
from pennypost.model.ids import AccountId
from pennypost.net.connection import Connection, ConnectionEnded, PeerTimeout
from pennypost.net.incident import log_incident
from pennypost.proto.imap.commands import CommandBody
from pennypost.proto.imap.commands.append import Append
from pennypost.proto.imap.commands.compress import Compress
from pennypost.proto.imap.commands.starttls import StartTls
from pennypost.proto.imap.events import AppendStart, BadCommand, Command, Event, LiteralRequested
from pennypost.proto.imap.responses import codes, server
from pennypost.proto.imap.responses.status import Condition, Tagged, bad, no, untagged
from pennypost.proto.imap.session import ImapServerSession
from pennypost.proto.imap.states import State
from pennypost.proto.wire.deflate import DeflateStream
from pennypost.servers.imap import capabilities, recent
from pennypost.servers.imap.errors import Refused, refusal
from pennypost.servers.imap.recent import Recents
from pennypost.servers.imap.selected import Selected
from pennypost.store import directory

if TYPE_CHECKING:
    from pennypost.servers.imap.door import ImapDoor
    from pennypost.servers.imap.watch import Watch

_log = structlog.stdlib.get_logger("pennypost.imap")


ADMITTED_SECONDS = 5.0
"""How long after an account was disabled its sessions may go on."""


@cache
def _handlers() -> tuple[
    Callable[["Session", CommandBody], Awaitable[Tagged]], Callable[["Session", Append], Awaitable[Tagged]]
]:
    """Give what carries whole commands, and what takes messages in."""
    from pennypost.servers.imap import append, dispatch  # late: handlers know Session

    return dispatch.handle, append.append


class _Finished(Exception):
    """The session is over, and all that had to be said was said."""


class _Ending(Exception):
    """The session has to end with a BYE of this text."""


class Session:
    """The state of one connection. Handlers read and set its attributes.

    `account`: who logged in, None before. `selected`: the open mailbox, None without. `enabled`: what ENABLE switched
    on, in capitals. `tag`: of the command in hand; `tells_uids`: it goes by UID, so FETCH responses have them too.
    `compression`: what was agreed on by COMPRESS. `watch`: what NOTIFY asked for, None before it. `limited_to`: the
    lowest UID that the command in hand acted upon, if others were left (`message_limit`). `broken`: a literal was cut
    short, nothing more can be said.
    """

    __slots__ = (
        "_admitted_at",
        "_gathered",
        "_gathered_octets",
        "account",
        "broken",
        "commands",
        "compression",
        "connection",
        "door",
        "enabled",
        "limited_to",
        "machine",
        "selected",
        "tag",
        "tells_uids",
        "watch",
    )

    def __init__(self, door: "ImapDoor", connection: Connection) -> None:
        self.door = door
        self.connection = connection
        self.machine = ImapServerSession(tls=connection.tls is not None)
        self.account: Authenticated | None = None
        self.selected: Selected | None = None
        self.enabled: frozenset[bytes] = frozenset()
        self.broken = False
        self.compression: DeflateStream | None = None
        self.commands = 0
        self.tag = b""
        self.tells_uids = False
        self.limited_to = 0
        self.watch: Watch | None = None
        self._gathered: list[bytes] = []
        self._gathered_octets = 0
        self._admitted_at = 0.0

    @property
    def rev2(self) -> bool:
        """Whether the client enabled IMAP4rev2: no RECENT, ESEARCH for SEARCH, mailbox names in UTF-8."""
        return b"IMAP4REV2" in self.enabled

    @property
    def condstore(self) -> bool:
        """Whether the client is aware of mod-sequences: flags that change are told with their own (RFC 7162 §3.1)."""
        return b"CONDSTORE" in self.enabled or b"QRESYNC" in self.enabled

    @property
    def qresync(self) -> bool:
        """Whether VANISHED stands in place of EXPUNGE, and HIGHESTMODSEQ is told with it (RFC 7162 §3.2.3)."""
        return b"QRESYNC" in self.enabled

    @property
    def uid_only(self) -> bool:
        """Whether the client knows no message numbers (RFC 9586)."""
        return b"UIDONLY" in self.enabled

    @property
    def utf8(self) -> bool:
        """Whether names and texts go out in UTF-8 (RFC 9051 Appendix A, RFC 9755 §3)."""
        return b"IMAP4REV2" in self.enabled or b"UTF8=ACCEPT" in self.enabled

    @property
    def owner(self) -> Authenticated:
        """Who logged in, for commands that the machine lets through only then."""
        assert self.account is not None
        return self.account

    @property
    def open_mailbox(self) -> Selected:
        """The open mailbox, for commands that the machine lets through only then.

        Raises Refused if it is not there any more: the client deleted it.
        """
        if self.selected is None:
            raise Refused(no("No mailbox is open", codes.NONEXISTENT))
        return self.selected

    @property
    def recents(self) -> Recents:
        r"""The messages of the open mailbox that are shown as `\Recent`."""
        return self.recents_of(self.open_mailbox)

    def recents_of(self, selected: Selected) -> Recents:
        r"""The messages of a mailbox that are shown as `\Recent`."""
        return recent.NONE if self.rev2 else selected.recents

    # -- The way of a session

    async def run(self) -> None:
        """Serve the connection until it ends."""
        self.connection.timeout = self.door.settings.login_timeout
        try:
            await self._serve()
        except _Finished:
            pass
        except _Ending as end:
            self._farewell(str(end))
        except PeerTimeout:
            self._farewell("Autologout, idle for too long" if self.account else "Login timed out")
        except PeerError as problem:
            self._farewell(str(problem))
        finally:
            self._log_end()
            self.stop_watching()
            self.close_mailbox()

    async def _serve(self) -> None:
        offered = codes.capabilities(capabilities.offered(self))
        self.write(untagged(Condition.OK, "Pennypost ready", offered))
        while True:
            if self.watch is not None:
                await self._tell_watched(self.watch)
            event = await self.next_event()
            if event is None:
                continue  # woken: for what is watched, or without need
            await self._carry(event)
            if self.machine.state is State.LOGOUT:
                await self.flush()
                raise _Finished

    async def _carry(self, event: Event) -> None:
        """Carry one event that begins something, and end it."""
        self.commands += 1
        handle, append = _handlers()
        try:
            match event:
                case Command(tag=tag, body=body):
                    self.tag = tag
                    tagged = await handle(self, body)
                case AppendStart(append=start):
                    tagged = await append(self, start)
                case LiteralRequested():
                    self.commands -= 1
                    self.write(self.machine.accept_literal())
                    return
                case BadCommand(reason=reason):
                    tagged = bad(reason)
                case _:
                    raise UsageError(f"{type(event).__name__} came where no command was in hand")
        except MailError as problem:
            tagged = refusal(problem)
        except Refused as problem:
            tagged = problem.tagged
        except (ConnectionEnded, PeerError, _Finished, _Ending):
            raise
        except Exception as problem:
            tagged = self._incident(event, problem)
        try:
            self.write(self.machine.send(tagged))
        except UsageError:
            # It failed while the client had the word, in IDLE or within a SASL exchange: no tagged answer is due there.
            _log.warning("session broken off", peer=str(self.connection.peer), answer=tagged.text)
            self.end("Internal error")
        if isinstance(event, Command) and isinstance(event.body, StartTls) and tagged.condition is Condition.OK:
            await self._begin_tls()
        elif isinstance(event, Command) and isinstance(event.body, Compress) and tagged.condition is Condition.OK:
            self.send_gathered()
            self.compression = DeflateStream()

    async def _tell_watched(self, watch: "Watch") -> None:
        """Tell what is new while no command is in hand (RFC 5465)."""
        try:
            await watch.tell()
        except (ConnectionEnded, PeerError, _Finished, _Ending):
            raise
        except Exception as problem:
            if not isinstance(problem, MailError):
                log_incident("imap.notify", problem, account=self.owner.name, peer=str(self.connection.peer))
            if self.broken:
                raise _Finished from problem
            watch.overflow()

    async def _begin_tls(self) -> None:
        """Go from clear text to TLS, right behind the OK; what came in clear is forgotten (RFC 9051 §6.2.1, §11.1)."""
        self.send_gathered()
        await self.connection.start_tls()
        self.machine.tls_started()

    def _incident(self, event: Event, problem: Exception) -> Tagged:
        """Log what nobody expected and give its answer; end the session if a literal was cut short."""
        what = type(event.body if isinstance(event, Command) else event).__name__
        account = self.account.name if self.account else None
        incident = log_incident("imap.command", problem, command=what, account=account, peer=str(self.connection.peer))
        if self.broken:
            raise _Finished
        return no(f"{ServerFault.text} (incident {incident})", codes.SERVERBUG)

    def end(self, reason: str) -> NoReturn:
        """End the session with a BYE (RFC 9051 §7.1.5): `reason` is one line of ASCII. Never returns."""
        raise _Ending(reason)

    def _farewell(self, text: str) -> None:
        """Say BYE on a connection that is about to be closed (RFC 9051 §7.1.5)."""
        if not self.broken:
            self.write(untagged(Condition.BYE, text))
            self.send_gathered()

    def _log_end(self) -> None:
        _log.info(
            "session ended",
            peer=str(self.connection.peer),
            tls=self.connection.tls.version if self.connection.tls else None,
            account=self.account.name if self.account else None,
            commands=self.commands,
        )

    # -- In and out

    async def next_event(self) -> Event | None:
        """Give the next event; None when the connection was woken by `interrupt`.

        Everything written so far is sent before the client is waited for.
        """
        while True:
            event = self.machine.next_event()
            if event is not None:
                return event
            if self.compression is not None and (piece := self.compression.next_piece()):
                self.machine.receive_data(piece)
                continue
            if self._gathered:
                await self.flush()
            data = await self.connection.read()
            if self.account is not None and asyncio.get_running_loop().time() >= self._admitted_at + ADMITTED_SECONDS:
                await self._require_enabled(self.account.account)
            if data is None:
                if self.connection.shutting_down:
                    self.end("Server shutting down")
                return None
            if not data:
                raise _Finished
            if self.compression is not None:
                self.compression.receive(data)
            else:
                self.machine.receive_data(data)

    async def _require_enabled(self, account: AccountId) -> None:
        """See that the account may still be used, and end the session if it may not."""
        self._admitted_at = asyncio.get_running_loop().time()
        if not await self.door.store.glance(lambda tx: directory.is_enabled(tx, account)):
            self.end("Account is disabled")

    def write(self, octets: bytes) -> None:
        """Gather octets to be sent. Follow large ones with `flush`."""
        if octets:
            self._gathered.append(octets)
            self._gathered_octets += len(octets)

    @property
    def gathered_octets(self) -> int:
        return self._gathered_octets

    async def flush(self) -> None:
        """Send what was gathered, and wait until the client has taken enough of it. Raises ConnectionEnded."""
        if self._gathered:
            self.send_gathered()
            await self.connection.drain()

    async def breathe(self) -> None:
        """Send what was gathered and let other connections have their turn: between the pieces of a long answer."""
        await self.flush()
        await asyncio.sleep(0)

    def send_gathered(self) -> None:
        """Send what was gathered without waiting for the client to take it."""
        if not self._gathered:
            return
        octets = self._gathered[0] if len(self._gathered) == 1 else b"".join(self._gathered)
        self._gathered.clear()
        self._gathered_octets = 0
        self.connection.write(octets if self.compression is None else self.compression.compress(octets))

    def stop_watching(self) -> None:
        """Forget what NOTIFY asked for."""
        if self.watch is not None:
            watch, self.watch = self.watch, None
            watch.close()

    # -- The open mailbox

    def close_mailbox(self) -> None:
        """Leave the open mailbox, if there is one."""
        if self.selected is not None:
            selected, self.selected = self.selected, None
            selected.close()

    def use_condstore(self) -> None:
        """Take note of a command that makes the client aware of mod-sequences (RFC 7162 §3.1).

        With a mailbox open it is told where that stands.
        """
        if not self.condstore and self.selected is not None:
            highest = codes.highestmodseq(self.selected.view.settled_modseq)
            self.write(untagged(Condition.OK, "Highest mod-sequence", highest))
        self.enabled |= {b"CONDSTORE"}

    def enable(self, names: frozenset[bytes]) -> None:
        """Switch extensions on (RFC 9051 §6.3.1), and say which."""
        fresh = names - self.enabled
        self.enabled |= fresh
        if self.utf8:
            self.machine.use_utf8_names()
        self.write(server.enabled([capabilities.ENABLED_NAMES[name] for name in sorted(fresh)]))
