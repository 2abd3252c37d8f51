"""Messages on their way in: memory, then a file, both bounded."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pennypost.model.errors import StorageFull
from pennypost.store import spool as spool_module
from pennypost.store.settings import StoreSettings
from pennypost.store.spool import Spools
from pennypost.store.store import Store


def spools(folder: Path, limit: int = 100, total: int = 250) -> Spools:
    return Spools(StoreSettings(folder, spool_memory_limit=limit, spool_memory_total=total))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=70), max_size=8))
def test_what_was_written_comes_back(tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]) -> None:
    makes = spools(tmp_path_factory.getbasetemp())
    whole = b"".join(chunks)
    with makes.new() as spool:
        for chunk in chunks:
            spool.write(chunk)
        assert spool.size == len(whole)
        assert spool.in_memory == (len(whole) <= 100)
        assert makes.memory_used == (len(whole) if spool.in_memory else 0)
        assert spool.octets()[:] == whole
        header, body = spool.split()
        assert header + body == whole
    assert makes.memory_used == 0


@pytest.mark.parametrize(
    ("message", "header"),
    [
        (b"A: b\r\n\r\nbody\r\n\r\nmore", b"A: b\r\n\r\n"),
        (b"\r\nbody", b"\r\n"),
        (b"A: b\r\n", b"A: b\r\n"),
        (b"", b""),
        (b"A: b\r\n\r\n", b"A: b\r\n\r\n"),
    ],
)
@pytest.mark.parametrize("limit", [0, 100])
def test_the_header_block_ends_with_the_first_empty_line(
    tmp_path: Path, message: bytes, header: bytes, limit: int
) -> None:
    with spools(tmp_path, limit).new() as spool:
        spool.write(message)
        assert spool.split() == (header, message[len(header) :])


def test_memory_of_all_spools_together_is_bounded(tmp_path: Path) -> None:
    makes = spools(tmp_path)
    held = [makes.new() for _ in range(5)]
    for spool in held:
        spool.write(b"x" * 100)
    assert makes.memory_used == 200
    assert [spool.in_memory for spool in held] == [True, True, False, False, False]
    for spool in held:
        assert spool.octets()[:] == b"x" * 100
        spool.close()
        spool.close()
    assert makes.memory_used == 0


def test_the_file_has_no_name(tmp_path: Path) -> None:
    with spools(tmp_path).new() as spool:
        spool.write(b"x" * 1000)
        assert not spool.in_memory
        assert os.listdir(tmp_path / "spool") == []


def test_a_full_disk_is_storage_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, octets: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool_module, "write_all", full)
    makes = spools(tmp_path)
    with makes.new() as spool, pytest.raises(StorageFull):
        spool.write(b"x" * 1000)
    assert makes.memory_used == 0


@pytest.mark.parametrize("size", [60, 600])
def test_one_spool_takes_over_what_another_holds(tmp_path: Path, size: int) -> None:
    makes = spools(tmp_path)
    with makes.new() as spool:
        spool.write(b"x" * 50)
        with makes.new() as other:
            other.write(b"y" * size)
            spool.become(other)
        assert spool.octets()[:] == b"y" * size
        assert makes.memory_used == (size if spool.in_memory else 0)
    assert makes.memory_used == 0


def test_a_file_that_cannot_be_made_costs_no_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(**_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(spool_module.tempfile, "TemporaryFile", none_left)
    makes = spools(tmp_path)
    with makes.new() as spool:
        spool.write(b"x" * 50)
        with pytest.raises(OSError, match="Too many"):
            spool.write(b"x" * 1000)
    assert makes.memory_used == 0


@pytest.mark.parametrize("size", [10, 70_000, 3_000_000])
async def test_a_spooled_body_becomes_a_draft(tmp_path: Path, size: int) -> None:
    store = await Store.open(StoreSettings(tmp_path / "data"))
    body = (b"0123456789" * (size // 10 + 1))[:size]
    with store.spools.new() as spool:
        for start in range(0, size, 65536):
            spool.write((b"A: b\r\n\r\n" if start == 0 else b"") + body[start : start + 65536])
        draft = await store.blobs.draft_any(spool)
        shifted = await store.blobs.draft_any(spool, 3)
    assert (draft.size, draft.place is None) == (size, size <= store.settings.inline_limit)
    assert draft.hash == store.blobs.draft(body).hash
    assert shifted.size == size + 5
    await store.close()
