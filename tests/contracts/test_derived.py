"""Derived values that are kept on disk: they are had back, and are never those of another message."""

import asyncio
import shutil
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path
from unittest.mock import Mock

import apsw
import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from tests.contracts.world import Clock, append, header

from pennypost.model.errors import StorageFull
from pennypost.model.ids import AccountId
from pennypost.model.units import Octets
from pennypost.store import derived, directory, mailboxes, messages, removal
from pennypost.store.choices import HeaderFields
from pennypost.store.derived import Damaged, Derived, Packing, Page, Place
from pennypost.store.engine import Row
from pennypost.store.field_pages import MANY, FieldPages
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite import derived_file
from pennypost.store.sqlite.derived_file import SqliteDerivedFile
from pennypost.store.store import Store

SUBJECT = HeaderFields.called([b"subject"])
COUNT = 3 * MANY


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await opened(tmp_path)
    await store.write(lambda tx: directory.add_domain(tx, "example.org"))
    yield store
    await store.close()


async def opened(folder: Path) -> Store:
    return await Store.open(StoreSettings(folder / "data"), clock=Clock())


async def account(store: Store, name: str = "ann@example.org") -> AccountId:
    return (await store.write(lambda tx: directory.add_account(tx, name, "", "$argon2id$x"))).id


async def filled(store: Store, owner: AccountId, count: int = COUNT, subject: str = "number") -> list[int]:
    inbox = (await store.read(lambda tx: mailboxes.require(tx, owner, "INBOX"))).id

    async def operation(tx: derived.Transaction) -> list[int]:
        return [(await append(tx, owner, inbox, header(f"{subject} {n}"))).message for n in range(count)]

    return await store.write(operation)


async def remove(store: Store, owner: AccountId, uids: Sequence[int]) -> None:
    inbox = (await store.read(lambda tx: mailboxes.require(tx, owner, "INBOX"))).id
    await store.write(lambda tx: messages.remove(tx, owner, inbox, uids))


async def subjects(store: Store, owner: AccountId, ids: Sequence[int]) -> list[bytes | None]:
    """Ask as a session does that is the first to ask after a start."""
    return await FieldPages(store.engine, store.derived).chosen(owner, ids, ids, SUBJECT)


async def written(store: Store) -> None:
    """Close what keeps values, after which all is written, and have another worker's."""
    await store.derived.close()
    store.derived = Derived(store.engine, SqliteDerivedFile(store.settings))


def numbered(count: int = COUNT, subject: str = "number") -> list[bytes | None]:
    return [f"Subject: {subject} {n}\r\n\r\n".encode() for n in range(count)]


def beneath(store: Store, sql: str) -> list[Row]:
    """Run a statement on the file, past the code that keeps it."""
    with closing(apsw.Connection(str(store.settings.data_dir / derived_file.FILE))) as connection:
        return connection.execute(sql).fetchall()


def kept(store: Store) -> list[Row]:
    """List what is on disk: account, kind and number of each page."""
    return beneath(store, "SELECT account, kind, number FROM page ORDER BY id")


async def test_values_are_had_back_after_a_restart(store: Store) -> None:
    ann = await account(store)
    ids = await filled(store, ann)
    assert await subjects(store, ann, ids) == numbered()
    await written(store)
    await remove(store, ann, range(1, COUNT + 1))  # so that there is nothing else to have them from
    assert await subjects(store, ann, ids) == numbered()
    assert await subjects(store, ann, ids[5:40]) == numbered()[5:40]
    assert kept(store) == [(ann, 'fields ["subject"]', ids[0] >> 8)]


async def test_pages_are_written_without_being_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derived, "DELAY_SECONDS", 0.01)
    ann = await account(store)
    ids = await filled(store, ann)
    await subjects(store, ann, ids)
    for _ in range(1000):
        await asyncio.sleep(0.01)
        if (store.settings.data_dir / derived_file.FILE).exists() and kept(store):
            return
    raise AssertionError("nothing was written")


async def test_few_are_not_kept(store: Store) -> None:
    ann = await account(store)
    ids = await filled(store, ann, 256 + MANY)
    for asked in (ids[: MANY - 1], ids[: 257 - ids[0] % 256]):
        await subjects(store, ann, asked)
    await written(store)
    assert [number for _, _, number in kept(store)] == [ids[0] >> 8]


async def test_nothing_is_kept_where_it_is_not_wanted(store: Store) -> None:
    ann = await account(store)
    ids = await filled(store, ann)
    store.derived = Derived(store.engine, SqliteDerivedFile(store.settings), enabled=False)
    assert await subjects(store, ann, ids) == numbered()
    assert await store.derived.sweep() == 0
    await store.derived.close()
    assert not (store.settings.data_dir / derived_file.FILE).exists()


@pytest.mark.parametrize("column", ["keys", "content"])
@pytest.mark.parametrize(
    "octets",
    [
        "x'00'",
        "x''",
        "7",
        "'text'",
        "CAST({} AS TEXT)",
        "zeroblob(500)",
        "substr({}, 1, 20)",
        "CAST(substr({}, 1, length({}) - 1) || x'7f' AS BLOB)",
    ],
)
async def test_a_page_that_is_damaged_is_made_anew(store: Store, column: str, octets: str) -> None:
    ann = await account(store)
    ids = await filled(store, ann)
    await subjects(store, ann, ids)
    await written(store)
    beneath(store, f"UPDATE page SET {column} = {octets.replace('{}', column)}")
    assert await subjects(store, ann, ids) == numbered()
    await written(store)
    await remove(store, ann, range(1, COUNT + 1))
    assert await subjects(store, ann, ids) == numbered()


async def test_values_of_another_kind_are_not_given(store: Store) -> None:
    """A damaged index leads to another row than was looked for, and that row is sound."""
    ann = await account(store)
    ids = await filled(store, ann)
    pages = FieldPages(store.engine, store.derived)
    for choice in (SUBJECT, HeaderFields.called([b"from"])):
        await pages.chosen(ann, ids, ids, choice)
    await written(store)
    beneath(store, "UPDATE page SET kind = 'none' WHERE kind LIKE '%subject%'")
    beneath(store, """UPDATE page SET kind = 'fields ["subject"]' WHERE kind LIKE '%from%'""")
    assert await subjects(store, ann, ids) == numbered()


def test_what_claims_to_be_too_large_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    octets = Packing().packed(b"x" * 1000)
    assert Packing().unpacked(octets) == b"x" * 1000
    monkeypatch.setattr(derived, "MAX_UNPACKED", 999)
    with pytest.raises(Damaged):
        Packing().unpacked(octets)


@pytest.mark.parametrize("damage", [b"no database at all", b""])
async def test_a_file_that_is_damaged_is_made_anew(store: Store, damage: bytes) -> None:
    ann = await account(store)
    ids = await filled(store, ann)
    (store.settings.data_dir / derived_file.FILE).write_bytes(damage * 1000)
    assert await subjects(store, ann, ids) == numbered()
    await written(store)
    assert len(kept(store)) == 1


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE meta SET version = CAST(x'80' AS TEXT)",
        "ALTER TABLE meta RENAME COLUMN version TO versiom",
        "ALTER TABLE page RENAME COLUMN content TO contend",
        "ALTER TABLE page RENAME COLUMN account TO accoumt",
        "DROP TABLE page",
    ],
)
async def test_a_file_whose_schema_is_damaged_is_made_anew(store: Store, damage: str) -> None:
    ann = await account(store)
    ids = await filled(store, ann)
    await subjects(store, ann, ids)
    await written(store)
    beneath(store, damage)
    assert await subjects(store, ann, ids) == numbered()
    await written(store)
    assert len(kept(store)) == 1


async def test_what_goes_wrong_with_the_file_is_no_reason_not_to_answer(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await account(store)
    ids = await filled(store, ann)
    monkeypatch.setattr(derived_file, "_pages", Mock(side_effect=apsw.ProtocolError))
    with capture_logs() as logs:
        assert await subjects(store, ann, ids) == numbered()
    assert [entry["where"] for entry in logs] == ["derived"]


async def test_a_file_made_by_other_rules_is_made_anew(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await account(store)
    ids = await filled(store, ann)
    await subjects(store, ann, ids)
    await written(store)
    monkeypatch.setattr(derived_file, "VERSION", "another")
    await written(store)
    await remove(store, ann, range(1, COUNT + 1))
    assert await subjects(store, ann, ids) == [None] * COUNT
    assert kept(store) == []


async def test_a_file_that_cannot_be_used_is_done_without(store: Store) -> None:
    ann = await account(store)
    ids = await filled(store, ann)
    (store.settings.data_dir / derived_file.FILE).mkdir()
    with capture_logs() as logs:
        assert await subjects(store, ann, ids) == numbered()
        await written(store)
    assert [entry["event"] for entry in logs] == ["derived values are not written"]


async def test_a_full_disk_is_no_reason_not_to_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await account(store)
    ids = await filled(store, ann)
    monkeypatch.setattr(derived_file, "_put", Mock(side_effect=apsw.FullError))
    with capture_logs() as logs:
        assert await subjects(store, ann, ids) == numbered()
        await store.derived.close()
    assert [entry["reason"] for entry in logs] == [str(StorageFull())]


async def test_a_store_that_was_brought_back_shows_no_other_subject(tmp_path: Path) -> None:
    """Ids are given again then, and what is kept beside it is of a time that was undone."""
    data, copy = tmp_path / "data", tmp_path / "copy"
    store = await opened(tmp_path)
    await store.write(lambda tx: directory.add_domain(tx, "example.org"))
    ann = await account(store)
    first = await filled(store, ann)
    await store.close()
    shutil.copy(data / "pennypost.db", copy)

    store = await opened(tmp_path)
    lost = await filled(store, ann, subject="lost")
    pages = FieldPages(store.engine, store.derived)
    stamps = [1000 + id for id in [*first, *lost]]
    assert await pages.chosen(ann, [*first, *lost], stamps, SUBJECT) == [*numbered(), *numbered(subject="lost")]
    await store.close()
    assert len(kept(store)) == 1
    shutil.copy(copy, data / "pennypost.db")

    store = await opened(tmp_path)
    again = await filled(store, ann, subject="again")
    assert again == lost
    pages = FieldPages(store.engine, store.derived)
    stamps = [*stamps[:COUNT], *[2000 + id for id in again]]
    assert await pages.chosen(ann, again, stamps[COUNT:], SUBJECT) == numbered(subject="again")
    assert await pages.chosen(ann, [*first, *again], stamps, SUBJECT) == [*numbered(), *numbered(subject="again")]
    await store.close()


async def test_two_workers_keep_what_both_made(store: Store) -> None:
    ann = await account(store)
    ids = await filled(store, ann)
    other = Derived(store.engine, SqliteDerivedFile(store.settings))
    pages, others = FieldPages(store.engine, store.derived), FieldPages(store.engine, other)
    half = ids[: COUNT // 2]
    await asyncio.gather(pages.chosen(ann, ids, ids, SUBJECT), others.chosen(ann, half, half, SUBJECT))
    await asyncio.gather(other.close(), written(store))
    assert await subjects(store, ann, ids) == numbered()


async def test_the_oldest_go_when_there_is_no_room(tmp_path: Path) -> None:
    limit = 200_000
    settings = StoreSettings(tmp_path, derived_limit=Octets(limit))
    file = SqliteDerivedFile(settings)
    ids = array("q", range(20))
    page = Page(ids, ids, bytes(range(250)) * 40)
    for number in range(100):
        await file.put([(Place(AccountId(1), "kind", number), page)])
    numbers = sorted(await file.pages(AccountId(1), "kind", range(100)))
    assert numbers == list(range(numbers[0], 100))
    assert 10 <= len(numbers) <= 20
    await file.close()
    assert (tmp_path / derived_file.FILE).stat().st_size < 1.2 * limit


async def test_what_cannot_wait_is_not_written(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = array("q", range(20))
    page = Page(ids, ids, bytes(1000))
    monkeypatch.setattr(derived, "MAX_WAITING", 5 * page.size_octets())
    monkeypatch.setattr(derived, "BATCH_OCTETS", 2 * page.size_octets())
    for number in [*range(9), *range(3)]:
        store.derived.keep(Place(AccountId(1), "kind", number), page)
    await written(store)
    assert sorted(number for _, _, number in kept(store)) == [0, 1, 2, 3, 4]


async def test_gone_messages_are_swept_out(store: Store) -> None:
    ann, bob = await account(store), await account(store, "bob@example.org")
    ids, others = await filled(store, ann, 600), await filled(store, bob)
    pages = FieldPages(store.engine, store.derived)
    for start in range(0, 600, 200):
        await pages.chosen(ann, ids[start : start + 200], ids[start : start + 200], SUBJECT)
    await subjects(store, bob, others)
    await written(store)
    before = kept(store)
    assert await store.derived.sweep() == 0
    await remove(store, ann, [300])
    assert await store.derived.sweep() == 1
    assert [one for one in before if one not in kept(store)] == [(ann, 'fields ["subject"]', ids[299] >> 8)]
    assert await store.derived.sweep() == 0

    await store.write(lambda tx: directory.remove_account(tx, bob))
    while await store.write_large(removal.step):
        pass
    assert await store.derived.sweep() == 0
    assert {owner for owner, _, _ in kept(store)} == {ann}
    beneath(store, "UPDATE page SET keys = x'00' WHERE id = (SELECT MIN(id) FROM page)")
    await written(store)
    assert await store.derived.sweep() == 1


async def test_what_is_written_after_sweeping_is_swept_as_well(store: Store) -> None:
    """Another worker writes what it read before a message was removed; nothing changes in the account any more."""
    ann = await account(store)
    ids = await filled(store, ann)
    await subjects(store, ann, ids)
    await written(store)
    others = [Derived(store.engine, SqliteDerivedFile(store.settings)) for _ in range(2)]
    for other, name in zip(others, (b"from", b"to"), strict=True):
        await FieldPages(store.engine, other).chosen(ann, ids, ids, HeaderFields.called([name]))
    await remove(store, ann, [1])
    assert await store.derived.sweep() == 1
    for other in others:
        await other.close()
        assert len(kept(store)) == 1
        assert await store.derived.sweep() == 1
        assert kept(store) == []


async def test_a_file_that_cannot_be_swept_keeps_nobody_from_keeping_house(store: Store) -> None:
    await account(store)
    (store.settings.data_dir / derived_file.FILE).mkdir()
    with capture_logs() as logs:
        assert await store.derived.sweep() == 0
    assert [entry["event"] for entry in logs] == ["derived values are not swept"]
