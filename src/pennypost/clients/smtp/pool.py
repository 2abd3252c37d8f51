"""Sessions that wait to be used again (RFC 5321 §3.8 leaves it to the client when to QUIT).

A session that is taken belongs to who took it; what is put back waits for a while and is then closed with QUIT. The one
that was used last is taken first, so that the others can come to their end.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from pennypost.clients.smtp.client import SmtpClient
from pennypost.model.bounds import bounded


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """How connections are used again."""

    idle: timedelta = timedelta(seconds=5)
    """How long a connection is kept that nobody uses; 0 closes it at once."""

    age: timedelta = timedelta(minutes=5)
    """How long one is used at most: names and policies may change."""

    messages: int = 100
    """How many messages go over one connection."""

    idle_per_hop: int = 20
    """How many are kept for one next hop."""

    idle_in_all: int = 200
    """How many are kept."""

    def __post_init__(self) -> None:
        bounded(self, "messages", "idle_per_hop", "idle_in_all", least=1)


class HasClient(Protocol):
    """What is kept: a client with whatever its user has to know of it."""

    @property
    def client(self) -> SmtpClient: ...


S = TypeVar("S", bound=HasClient)


@dataclass(slots=True)
class _Idle(Generic[S]):
    session: S
    until: float


class SmtpPool(Generic[S]):
    """Idle sessions by whatever tells apart what may share one."""

    def __init__(self, settings: PoolSettings) -> None:
        self._settings = settings
        self._idle: OrderedDict[Hashable, list[_Idle[S]]] = OrderedDict()
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return self._count

    def take(self, key: Hashable) -> S | None:
        """Give a session that can be used, or None."""
        waiting = self._idle.get(key)
        while waiting:
            session = waiting.pop().session
            self._count -= 1
            if session.client.usable:
                return session
            session.client.close()
        return None

    def put(self, key: Hashable, session: S) -> None:
        """Keep a session for the next who wants it, or end it."""
        client = session.client
        settings = self._settings
        loop = asyncio.get_running_loop()
        now = loop.time()
        most = min(settings.messages, client.announced.max_messages or settings.messages)
        seconds = settings.idle.total_seconds()
        worn_out = client.messages >= most or now - client.opened_at > settings.age.total_seconds() or not seconds
        waiting = self._idle.get(key)
        if (
            worn_out
            or not client.usable
            or (waiting is not None and len(waiting) >= settings.idle_per_hop)
            or self._count >= settings.idle_in_all
        ):
            self._end(client)
            return
        if waiting is None:
            waiting = self._idle[key] = []  # it goes when the timer finds it empty
        waiting.append(_Idle(session, now + seconds))
        self._count += 1
        if self._timer is None:
            self._timer = loop.call_later(seconds, self._sweep)

    async def close(self) -> None:
        """End all that wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for waiting in self._idle.values():
            for idle in waiting:
                self._end(idle.session.client)
        self._idle.clear()
        self._count = 0
        if self._ending:
            await asyncio.wait(self._ending)

    def _sweep(self) -> None:
        """End those that have waited too long; come again when the next one has."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        first = None
        for key in list(self._idle):
            waiting = self._idle[key]
            while waiting and (waiting[0].until <= now or not waiting[0].session.client.usable):
                self._end(waiting.pop(0).session.client)
                self._count -= 1
            if not waiting:
                del self._idle[key]
            elif first is None or waiting[0].until < first:
                first = waiting[0].until
        self._timer = None if first is None else loop.call_at(first, self._sweep)

    def _end(self, client: SmtpClient) -> None:
        task = asyncio.create_task(client.quit())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
