"""Power failures: whatever the disk had not been told to keep may be lost, torn or out of order.

A file system beneath SQLite records every write and every sync of a run, and when each operation was acknowledged. Then
the power fails at random points: of each file there is what was synced, and any part of what was written since. The
store that is opened on this has every operation that was acknowledged until then, whole, and nothing by halves.
"""

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import pytest

from pennypost.model.units import KIB, Octets
from pennypost.store.engine import Transaction
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.engine import DATABASE, SqliteEngine

FILES = (DATABASE, DATABASE + "-wal")
SECTOR = 512
TASKS = 8
RECORDS = 400
CUTS = 60

SCHEMA = """
CREATE TABLE record (number INTEGER PRIMARY KEY, octets BLOB NOT NULL);
CREATE TABLE part (record INTEGER NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (record, position)) WITHOUT ROWID;
CREATE TABLE counter (value INTEGER NOT NULL);
INSERT INTO counter VALUES (0);
"""


class Disk:
    """All that happened, in order: (file, offset, octets) for writes, (file, size) for truncations, …"""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.turn = threading.Lock()

    def note(self, *event: Any) -> None:
        with self.turn:
            self.events.append(event)


class RecordingFile(apsw.VFSFile):
    """One open file whose writes and syncs are noted, after they have been done."""

    def __init__(self, disk: Disk, base: str, name: Any, flags: Any) -> None:
        self.disk = disk
        self.name = Path(name.filename() if isinstance(name, apsw.URIFilename) else name or "").name
        super().__init__(base, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        self.disk.note("write", self.name, offset, bytes(data))

    def xTruncate(self, newsize: int) -> None:
        super().xTruncate(newsize)
        self.disk.note("truncate", self.name, newsize)

    def xSync(self, flags: int) -> None:
        begun = len(self.disk.events)  # what is written while it runs may be in it, or not
        super().xSync(flags)
        self.disk.note("sync", self.name, begun)


class RecordingVFS(apsw.VFS):
    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.base = apsw.vfs_names()[0]
        super().__init__("recording", self.base, makedefault=True)

    def xOpen(self, name: Any, flags: Any) -> RecordingFile:
        return RecordingFile(self.disk, self.base, name, flags)


@contextmanager
def recorded() -> Iterator[Disk]:
    disk = Disk()
    before = apsw.vfs_names()[0]
    vfs = RecordingVFS(disk)
    try:
        yield disk
    finally:
        apsw.set_default_vfs(before)
        vfs.unregister()


async def write_records(folder: Path, disk: Disk) -> None:
    settings = StoreSettings(folder, checkpoint_size=Octets(64 * KIB), log_limit=Octets(256 * KIB))
    engine = await SqliteEngine.open(
        settings, clock=lambda: datetime.now(UTC), committed=lambda notices: None, migrations=[SCHEMA]
    )

    async def operation(tx: Transaction, number: int) -> None:
        await tx.execute("INSERT INTO record VALUES (?, ?)", number, b"%d" % number * (number % 2000))
        await tx.execute_many("INSERT INTO part VALUES (?, ?)", [(number, position) for position in range(3)])
        await tx.execute("UPDATE counter SET value = value + 1")

    async def task(number: int) -> None:
        for record in range(number, RECORDS, TASKS):
            await engine.write(lambda tx, n=record: operation(tx, n))
            disk.note("acknowledged", record)

    await asyncio.gather(*(task(number) for number in range(TASKS)))
    await engine.close()


def image(events: list[tuple[Any, ...]], chance: random.Random) -> dict[str, bytearray]:
    """Give what the disk may hold after the power failed behind `events`."""
    synced = dict.fromkeys(FILES, 0)
    for event in events:
        if event[0] == "sync" and event[1] in synced:
            synced[event[1]] = event[2]
    kept = {name: bytearray() for name in FILES}
    luck = chance.choice([0.0, 0.5, 0.9])
    for at, (kind, name, *values) in enumerate(events):
        if name not in kept or (at >= synced[name] and chance.random() >= luck):
            continue
        octets = kept[name]
        if kind == "truncate":
            del octets[values[0] :]
        elif kind == "write":
            offset, data = values
            if at >= synced[name] and chance.random() < 0.3:
                data = data[: chance.randrange(len(data) + 1) // SECTOR * SECTOR]  # torn
            octets.extend(bytes(max(0, offset + len(data) - len(octets))))
            octets[offset : offset + len(data)] = data
    return kept


def verify(folder: Path, acknowledged: set[int]) -> int:
    """Open what the failure left; give the number of records it holds."""
    connection = apsw.Connection(str(folder / DATABASE))
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        records = connection.execute("SELECT number, octets FROM record").fetchall()
        assert all(octets == b"%d" % number * (number % 2000) for number, octets in records)
        found = {number for number, _ in records}
        assert acknowledged <= found, f"lost: {sorted(acknowledged - found)}"
        parts = connection.execute("SELECT record, position FROM part").fetchall()
        assert set(parts) == {(number, position) for number in found for position in range(3)}
        assert connection.execute("SELECT value FROM counter").fetchall() == [(len(found),)]
        return len(found)
    finally:
        connection.close()


async def test_what_was_acknowledged_outlives_a_power_failure(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with recorded() as disk:
        await write_records(tmp_path / "run", disk)
    events = disk.events
    assert sum(event[:2] == ("sync", DATABASE) for event in events) > 2, "there was no checkpoint to fail in"
    start = next(at for at, event in enumerate(events) if event[0] == "acknowledged")
    chance = random.Random("power")
    left = set()
    for cut in sorted(chance.sample(range(start, len(events)), CUTS)):
        folder = tmp_path / f"{cut}"
        folder.mkdir()
        for name, octets in image(events[:cut], chance).items():
            (folder / name).write_bytes(octets)
        left.add(verify(folder, {event[1] for event in events[:cut] if event[0] == "acknowledged"}))
    assert len(left) > CUTS / 3


def test_the_simulation_notices_a_missing_sync(tmp_path: Path) -> None:
    """A disk that never syncs loses acknowledged records: or this test would prove nothing."""
    events: list[tuple[Any, ...]] = [("write", DATABASE, 0, b"x" * 4096), ("acknowledged", 1)]
    lost = [image(events, random.Random(seed))[DATABASE] for seed in range(20)]
    assert bytearray() in lost
    synced = [*events[:1], ("sync", DATABASE, 1), *events[1:]]
    assert all(image(synced, random.Random(seed))[DATABASE] == b"x" * 4096 for seed in range(20))
    (tmp_path / DATABASE).write_bytes(b"x" * 4096)
    with pytest.raises(apsw.NotADBError):
        verify(tmp_path, set())
