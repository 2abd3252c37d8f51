"""Reading: little at once on the event loop, much on threads."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue

import apsw

from pennypost.model.errors import ShuttingDown
from pennypost.store.engine import Operation, Row, T, Value
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.connection import SqliteTransaction, connect, read_in_snapshot, run, translate

_BUSY = timedelta(seconds=2)
"""Readers wait for nobody in WAL mode, but for the moment in which another process recovers or removes the log."""

_INTERRUPT_SECONDS = 0.05

_SHARE = 8
"""A reader's page cache is this fraction of the writer's."""


class Readers:
    """One connection for the event loop, and up to `settings.readers` more for threads, opened when they are needed."""

    def __init__(self, file: Path, settings: StoreSettings, clock: Callable[[], datetime]) -> None:
        self._file = file
        self._settings = settings
        self._clock = clock
        self._near_connection = self._connect()
        self._near = SqliteTransaction(self._near_connection)
        self._pool = ThreadPoolExecutor(settings.readers, thread_name_prefix="store-reader")
        self._free: SimpleQueue[apsw.Connection] = SimpleQueue()
        self._all: list[apsw.Connection] = []
        self._closing = False

    def read(self, operation: Operation[T]) -> T:
        """Run a bounded read here and now."""
        if self._closing:
            raise ShuttingDown
        return read_in_snapshot(self._near, operation, self._clock())

    def glance(self, operation: Operation[T]) -> T:
        """Run a bounded read here and now, each of its statements in a snapshot of its own."""
        if self._closing:
            raise ShuttingDown
        self._near.now = self._clock()
        try:
            return run(operation, self._near)
        except apsw.Error as error:
            raise translate(error) from None
        finally:
            self._near.end_statement()

    def look_up(self, sql: str, *values: Value) -> list[Row]:
        """Give the rows of a statement on a connection of its own, here and now."""
        try:
            connection = self._connect()
            try:
                return connection.execute(sql, values).fetchall()
            finally:
                connection.close()
        except apsw.Error as error:
            raise translate(error) from None

    async def scan(self, operation: Operation[T]) -> T:
        """Run an unbounded read on a thread. It is broken off as ShuttingDown by `close`."""
        if self._closing:
            raise ShuttingDown
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._scan, operation)

    async def close(self) -> None:
        """Break off the scans that are running and close all connections. Idempotent."""
        self._closing = True
        ended = asyncio.ensure_future(asyncio.to_thread(self._pool.shutdown, cancel_futures=True))
        # Only a statement that is running can be interrupted: a scan between two of them is caught at a later round.
        while not ended.done():
            for connection in tuple(self._all):
                connection.interrupt()
            await asyncio.wait([ended], timeout=_INTERRUPT_SECONDS)
        await ended
        for connection in [*self._all, self._near_connection]:
            connection.close()
        self._all.clear()

    def _scan(self, operation: Operation[T]) -> T:
        try:
            connection = self._free.get_nowait()
        except Empty:
            connection = self._connect()
            self._all.append(connection)
        try:
            return read_in_snapshot(SqliteTransaction(connection), operation, self._clock())
        except apsw.InterruptError:
            raise ShuttingDown from None
        finally:
            self._free.put(connection)

    def _connect(self) -> apsw.Connection:
        cache = self._settings.cache_size // _SHARE
        return connect(self._file, self._settings, cache_size=cache, busy=_BUSY, read_only=True)
