"""uvicorn on our sockets, in our loop: signals are the supervisor's, the log is ours, and requests have bounds."""

import asyncio
import contextlib
import socket
from collections.abc import Generator, Sequence
from datetime import timedelta

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pennypost.servers.http.settings import HttpSettings

_KEEP_ALIVE_SECONDS = 15

MAX_REQUEST_OCTETS = 64 * 1024
"""Of what a client sends until it is answered: header and body, whose own bounds the pages have."""

REQUEST_SECONDS = 30.0
"""How long a client has for a request, from the moment it connects or was answered."""
_START_POLL_SECONDS = 0.005


CROWD = 2
"""How many times `max_connections` there may be: past that one is closed without an answer."""


class _Protocol(HttpToolsProtocol):
    """One connection. Neither uvicorn nor its parser has a bound for a header, or for the time that it takes."""

    _received_octets = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self._set_deadline()
        most = self.limit_concurrency
        if most is not None and len(self.connections) > CROWD * most:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self._received_octets += len(data)
        if self._received_octets <= MAX_REQUEST_OCTETS:
            super().data_received(data)
        elif not self.transport.is_closing():
            self.send_400_response("The request is too large")

    def on_message_complete(self) -> None:
        self._end_deadline()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._received_octets = 0
        self._set_deadline()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_deadline()
        super().connection_lost(exc)

    def _set_deadline(self) -> None:
        self._end_deadline()
        self._deadline = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: it would take SIGTERM from the whole process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class HttpDoor:
    """Serves an application until it is stopped."""

    def __init__(self, settings: HttpSettings, pages: Starlette) -> None:
        config = uvicorn.Config(
            pages,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=settings.max_connections,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Serve on bound sockets, which become ours. On return connections are accepted."""
        self._task = asyncio.create_task(self._server.serve(sockets=list(sockets)))
        while not self._server.started:
            if self._task.done():
                await self._task
                raise RuntimeError("the HTTP door did not open")
            await asyncio.sleep(_START_POLL_SECONDS)

    async def stop(self, grace: timedelta) -> None:
        """Accept no more, finish what is being answered, for at most `grace`."""
        if self._task is None:
            return
        self._server.should_exit = True
        done, _ = await asyncio.wait((self._task,), timeout=grace.total_seconds())
        if not done:
            self._server.force_exit = True
            await self._task
