"""The open store: what a worker holds."""

import asyncio
import os
import stat
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from pennypost.model.ids import AccountId, ModSeq
from pennypost.store import dictionaries
from pennypost.store.blobs import Blobs
from pennypost.store.body_coding import BodyCoding
from pennypost.store.derived import Derived
from pennypost.store.engine import Engine, Operation, Row, StoreUnusable, T, Value, utc_now
from pennypost.store.notices import Notices
from pennypost.store.search import Search
from pennypost.store.settings import StoreSettings
from pennypost.store.spool import Spools
from pennypost.store.sqlite.derived_file import SqliteDerivedFile
from pennypost.store.sqlite.engine import SqliteEngine, unobserved
from pennypost.store.sqlite.search_index import SqliteSearchIndex

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_STRANGERS = stat.S_IRWXO

FEW_ROWS = 64
"""What an operation may change on the event loop: about a millisecond's work."""


class Store:
    """Everything that is true, as one worker sees it. Open one per process and event loop, after any fork.

    Operations are the functions of this package's modules: `await store.write(lambda tx: mailboxes.create(tx, …))`.
    """

    def __init__(
        self,
        settings: StoreSettings,
        worker: int,
        clock: Callable[[], datetime],
        engine: Engine,
        notices: Notices,
    ) -> None:
        self.settings = settings
        self.worker = worker
        self.clock = clock
        self.engine = engine
        self.blobs = Blobs(settings, BodyCoding(settings.compression_level, partial(dictionaries.look_up, engine)))
        self.spools = Spools(settings)
        self.search = Search(engine, self.blobs, SqliteSearchIndex(settings), enabled=settings.full_text_index)
        self.derived = Derived(engine, SqliteDerivedFile(settings), enabled=settings.derived)
        self._notices = notices
        self._closed = False

    @classmethod
    async def open(
        cls,
        settings: StoreSettings,
        *,
        worker: int = 0,
        clock: Callable[[], datetime] = utc_now,
        observe: Callable[[int, float], None] = unobserved,
    ) -> "Store":
        """Open the store in `settings.data_dir`, which is made if it is missing, and bring its schema up to date.

        `observe`: called on the loop after each commit with the number of operations in it and the seconds it took.

        Raises UnknownSchema if a newer program has used it; StoreUnusable if the folder belongs to another user or
        is open to others, or holds something else.
        """
        await asyncio.to_thread(prepare_folder, settings.data_dir)
        notices = Notices(settings.run_dir or settings.data_dir / "run")
        try:
            engine = await SqliteEngine.open(settings, clock=clock, committed=notices.post, observe=observe)
        except BaseException:
            notices.close()
            raise
        store = cls(settings, worker, clock, engine, notices)
        if settings.dictionary:
            await dictionaries.refresh(engine, store.blobs.coding)
        return store

    @property
    def directory_generation(self) -> int:
        """See `Engine.directory_generation`."""
        return self.engine.directory_generation

    async def write(self, operation: Operation[T]) -> T:
        """Run an operation that may change rows; on return it is committed and synced. See `Engine.write`."""
        return await self.engine.write(operation)

    async def write_large(self, operation: Operation[T]) -> T:
        """Run an operation that may change many rows, off the event loop. See `Engine.write_large`."""
        return await self.engine.write_large(operation)

    async def write_rows(self, operation: Operation[T], rows: int) -> T:
        """Run an operation that changes about so many rows: off the event loop if they are many."""
        engine = self.engine
        return await (engine.write(operation) if rows <= FEW_ROWS else engine.write_large(operation))

    async def read(self, operation: Operation[T]) -> T:
        """Run an operation that reads a little, on the event loop, in one snapshot."""
        return await self.engine.read(operation)

    async def glance(self, operation: Operation[T]) -> T:
        """Run an operation that reads a little, each statement in a snapshot of its own. See `Engine.glance`."""
        return await self.engine.glance(operation)

    async def scan(self, operation: Operation[T]) -> T:
        """Run an operation that reads much, off the event loop, in one snapshot."""
        return await self.engine.scan(operation)

    def look_up(self, sql: str, *values: Value) -> list[Row]:
        """Give the rows of a statement here and now, on any thread. See `Engine.look_up`."""
        return self.engine.look_up(sql, *values)

    def subscribe(self, account: AccountId, callback: Callable[[ModSeq], None]) -> Callable[[], None]:
        """Call `callback` on the loop after a commit of any worker that changed the account; gives the unsubscription.

        A hint: it may come late, twice, or not at all when the machine is overloaded. What it carries is at least the
        ModSeq that one commit gave; the store says what is true.
        """
        return self._notices.subscribe(account, callback)

    async def close(self) -> None:
        """Finish the writes that were handed over and let go of everything. Idempotent."""
        if self._closed:
            return
        self._closed = True
        await self.search.close()
        await self.derived.close()
        await self.blobs.close()
        await self.engine.close()
        self._notices.close()


def prepare_folder(folder: Path) -> None:
    """Make the data folder, for us alone (0700), or see that the one there is fit for mail. Raises StoreUnusable."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise StoreUnusable(f"{folder} is not a folder") from error
    except OSError as error:
        raise StoreUnusable(f"{folder} cannot be made: {error.strerror}") from error
    status = folder.stat()
    if status.st_uid != os.geteuid():
        raise StoreUnusable(
            f"{folder} belongs to user {status.st_uid}, and this is user {os.geteuid()}: run as that one"
        )
    if status.st_mode & (_OTHERS_WRITE | _STRANGERS):
        if any(folder.iterdir()):
            raise StoreUnusable(f"{folder} is open to other users: run chmod 700 on it")
        folder.chmod(0o700)
