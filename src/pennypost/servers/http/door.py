"""uvicorn on our sockets, in our loop: signals are the supervisor's, the log is ours."""

import asyncio
import contextlib
import socket
from collections.abc import Generator, Sequence
from datetime import timedelta

import uvicorn
from starlette.applications import Starlette

from pennypost.servers.http.settings import HttpSettings

_KEEP_ALIVE_SECONDS = 15
_START_POLL_SECONDS = 0.005


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
            http="httptools",
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
