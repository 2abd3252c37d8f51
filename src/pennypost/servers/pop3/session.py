"""One POP3 connection, from its greeting to its end.

Theory of operation. One coroutine takes events from the machine one by one and carries each to its handler, which gives
the response. Answers are gathered, and leave together when the client has to be waited for: so pipelined commands are
answered in one piece. While a client is waited for, for an octet or for room to send, its maildrop's lock is renewed
in time. A session that ends in any way but QUIT removes nothing (RFC 1939 §3, §6).
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import structlog

from pennypost.model.authentication import Authenticated
from pennypost.model.errors import MailError, PeerError, ServerFault
from pennypost.net.connection import Connection, ConnectionEnded, PeerTimeout
from pennypost.net.incident import log_incident
from pennypost.proto.pop3 import Code, Err, Event, Ok, Pop3ServerSession, Response, State, TextBegin
from pennypost.servers.pop3 import login
from pennypost.servers.pop3.commands import HANDLERS
from pennypost.servers.pop3.errors import Refused, refusal
from pennypost.servers.pop3.maildrop import Maildrop
from pennypost.store import directory

if TYPE_CHECKING:
    from pennypost.servers.pop3.door import Pop3Door

_log = structlog.stdlib.get_logger("pennypost.pop3")
T = TypeVar("T")


class _Finished(Exception):
    """The session is over, and all that had to be said was said."""


class Session:
    """The state of one connection. `account`, `maildrop`: set by a login."""

    __slots__ = (
        "_gathered",
        "_gathered_octets",
        "_kept_at",
        "account",
        "connection",
        "door",
        "login_failures",
        "machine",
        "maildrop",
        "removed",
        "retrieved",
    )

    def __init__(self, door: "Pop3Door", connection: Connection) -> None:
        self.door = door
        self.connection = connection
        self.machine = Pop3ServerSession(login.offer(door, connection))
        self.account: Authenticated | None = None
        self.maildrop: Maildrop | None = None
        self.login_failures = 0
        self.retrieved = 0
        self.removed = 0
        self._kept_at = 0.0
        self._gathered: list[bytes] = []
        self._gathered_octets = 0

    # -- The way of a session

    async def run(self) -> None:
        """Serve the connection until it ends."""
        self._write(self.machine.greeting("Pennypost ready"))
        try:
            while self.machine.state is not State.CLOSED:
                await self._carry(self.machine.next_event() or await self.next_event())
            await self._flush()
        except _Finished:
            pass
        except PeerTimeout:
            self._farewell(Err("Autologout, idle for too long"))
        except PeerError as problem:
            self._farewell(Err(str(problem)))
        finally:
            if self.maildrop is not None:
                await self.maildrop.close()
            self._log_end()

    async def _carry(self, event: Event) -> None:
        """Carry one command, and answer it."""
        try:
            response = await HANDLERS[type(event)](self, event)
        except MailError as problem:
            response = refusal(problem)
        except Refused as problem:
            response = problem.response
        except (ConnectionEnded, PeerError, _Finished):
            raise
        except Exception as problem:
            response = self._incident(event, problem)
        if response is not None:
            self.answer(response)
        if self.machine.state is State.STARTING_TLS:
            await self._start_tls()
        elif self.login_failures >= self.door.settings.max_login_failures:
            await self._flush()
            raise _Finished
        elif self._gathered_octets >= self.door.settings.write_chunk:
            await self._flush()

    def _incident(self, event: Event, problem: Exception) -> Err:
        account = self.account.name if self.account else None
        incident = log_incident(
            "pop3.command", problem, command=type(event).__name__, account=account, peer=str(self.connection.peer)
        )
        return Err(f"{ServerFault.text} (incident {incident})", Code.SYS_TEMP)

    async def _start_tls(self) -> None:
        self._send_gathered()
        await self.connection.start_tls()
        self.machine.tls_started(login.offer(self.door, self.connection))

    def _farewell(self, response: Err) -> None:
        """Say why the connection is closed, to whoever still listens."""
        self._gathered.append(f"-ERR {response.text}\r\n".encode())
        self._send_gathered()

    def _log_end(self) -> None:
        _log.info(
            "session ended",
            peer=str(self.connection.peer),
            tls=self.connection.tls.version if self.connection.tls else None,
            account=self.account.name if self.account else None,
            retrieved=self.retrieved,
            removed=self.removed,
        )

    # -- In and out

    async def next_event(self) -> Event:
        """Give the next command. Everything answered so far is sent before the client is waited for."""
        while True:
            event = self.machine.next_event()
            if event is not None:
                return event
            await self._flush()
            data = await self._patiently(self.connection.read)
            if data is None:
                if self.connection.shutting_down:
                    raise _Finished
            elif not data:
                raise _Finished
            else:
                self.machine.receive_data(data)

    def answer(self, response: Response) -> None:
        """Gather the answer to the command in hand."""
        parts = self.machine.send_parts(response)
        self._gathered += parts
        self._gathered_octets += sum(map(len, parts))

    def _write(self, octets: bytes) -> None:
        self._gathered.append(octets)
        self._gathered_octets += len(octets)

    async def _flush(self) -> None:
        """Send what was gathered, and wait until the client has taken enough of it."""
        if self._gathered:
            self._send_gathered()
            await self._patiently(self.connection.drain)
        if self.maildrop is not None and asyncio.get_running_loop().time() >= self._kept_at + self._keep_seconds:
            await self._keep_lock()

    def _send_gathered(self) -> None:
        octets = self._gathered[0] if len(self._gathered) == 1 else b"".join(self._gathered)
        self._gathered.clear()
        self._gathered_octets = 0
        self.connection.write(octets)

    @property
    def _keep_seconds(self) -> float:
        return self.door.settings.lock_time.total_seconds() / 3

    async def _patiently(self, wait: Callable[[], Awaitable[T]]) -> T:
        """Wait for the client for as long as it may be idle, and keep the lock meanwhile. Raises PeerTimeout."""
        left = self.door.settings.idle_timeout
        while True:
            patience = left if self.maildrop is None else min(left, timedelta(seconds=self._keep_seconds))
            self.connection.timeout = patience
            try:
                return await wait()
            except PeerTimeout:
                left -= patience
                if left <= timedelta(0):
                    raise
                await self._keep_lock()

    async def _keep_lock(self) -> None:
        assert self.maildrop is not None
        assert self.account is not None
        account = self.account.account
        if not await self.door.store.glance(lambda tx: directory.is_enabled(tx, account)):
            self._farewell(Err("The account is disabled"))
            raise _Finished
        if not await self.maildrop.keep():
            self._farewell(Err("The maildrop's lock was lost"))
            raise _Finished
        self._kept_at = asyncio.get_running_loop().time()

    def opened(self, account: Authenticated, maildrop: Maildrop) -> Ok:
        """Take over what a login opened, and give its answer."""
        self.account, self.maildrop = account, maildrop
        self._kept_at = asyncio.get_running_loop().time()
        return Ok(f"{maildrop.count} messages, {maildrop.octets} octets")

    @property
    def drop(self) -> Maildrop:
        """The maildrop, for commands that the machine lets through after a login only."""
        assert self.maildrop is not None
        return self.maildrop

    async def send_text(self, text: str, pieces: AsyncGenerator[bytes, None]) -> None:
        """Answer with a text that is too large to be held, piece by piece.

        What fails on the way cannot be told any more: the connection is cut, so that the text is not taken for whole.
        """
        self.answer(TextBegin(text))
        try:
            async with contextlib.aclosing(pieces):
                async for piece in pieces:
                    self._write(self.machine.text_piece(piece))
                    await self._flush()
        except (ConnectionEnded, _Finished):
            raise
        except Exception as problem:
            log_incident("pop3.text", problem, peer=str(self.connection.peer))
            self.connection.abort()
            raise _Finished from problem
        self._write(self.machine.text_end())
