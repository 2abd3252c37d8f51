"""Columns that are kept, in memory or on disk, are those that would be made anew."""

from array import array
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from tests.contracts.world import World

from pennypost.model.ids import AccountId, MailboxId
from pennypost.store import messages, sort_columns
from pennypost.store.derived import Derived
from pennypost.store.settings import StoreSettings
from pennypost.store.sort_columns import MANY, SortColumns, TooLarge
from pennypost.store.sort_values import SortColumn
from pennypost.store.sqlite import derived_file
from pennypost.store.sqlite.derived_file import SqliteDerivedFile

COUNT = 5 * MANY
HEADERS = [
    b"From: Bob <bob@example.net>\r\nTo: ann@example.org, Eve <eve@example.org>\r\nSubject: Re: Hello\r\n"
    b"Date: Tue, 3 Feb 2026 05:05:06 +0100\r\nMessage-ID: <%d@x>\r\nReferences: <a@x> <b@x>\r\n\r\n",
    "From: Zoë <zoe@example.net>\r\nSubject: Grüße %d\r\nCc: bob@example.net\r\n\r\n".encode(),
    b"Subject: =?utf-7?Q?lone_+2AA-?= %d\r\nBcc: \r\nMessage-ID: <odd%d@x>\r\n\r\n",
    b"X-Number: %d\r\n\r\n",
]


@pytest_asyncio.fixture
async def derived(world: World, tmp_path: Path) -> AsyncIterator[list[Derived]]:
    """The last one is that of the worker that runs; the others are closed."""
    workers = [Derived(world.engine, SqliteDerivedFile(StoreSettings(tmp_path)))]
    yield workers
    await workers[-1].close()


async def restarted(world: World, derived: list[Derived], tmp_path: Path) -> SortColumns:
    await derived[-1].close()
    derived.append(Derived(world.engine, SqliteDerivedFile(StoreSettings(tmp_path))))
    return SortColumns(world.engine, derived[-1])


async def filled(world: World, count: int = COUNT) -> tuple[AccountId, MailboxId]:
    account = await world.account()
    inbox = await world.inbox(account)
    for n in range(count):
        head = HEADERS[n % len(HEADERS)]
        await world.append(account, inbox, head % ((n,) * head.count(b"%d")))
    return account, inbox


async def columns(world: World, account: AccountId, mailbox: MailboxId) -> tuple["array[int]", list[int], list[int]]:
    entries = await world.entries(account, mailbox)
    return array("I", [one.uid for one in entries]), [one.message for one in entries], [one.message for one in entries]


async def anew(world: World, tmp_path: Path, *asked: Any) -> list[Any]:
    nothing = Derived(world.engine, SqliteDerivedFile(StoreSettings(tmp_path)), enabled=False)
    found = plain(await SortColumns(world.engine, nothing).column(*asked))
    await nothing.close()
    return found


def plain(values: Sequence[Any]) -> list[Any]:
    return [list(value) if isinstance(value, array | tuple) else value for value in values]


@pytest.mark.parametrize("column", SortColumn)
async def test_the_same_from_disk_as_from_messages(
    world: World, derived: list[Derived], tmp_path: Path, column: SortColumn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sort_columns, "_PAGE_BITS", 5)
    account, inbox = await filled(world)
    uids, ids, stamps = await columns(world, account, inbox)
    expected = await anew(world, tmp_path, account, inbox, column, uids, ids, stamps)
    for _ in range(2):
        cache = SortColumns(world.engine, derived[-1])
        assert plain(await cache.column(account, inbox, column, uids, ids, stamps)) == expected
        cache = await restarted(world, derived, tmp_path)
        assert plain(await cache.column(account, inbox, column, uids[:40], ids[:40], stamps[:40])) == expected[:40]
        assert plain(await cache.column(account, inbox, column, uids, ids, stamps)) == expected
        assert plain(await cache.column(account, inbox, column, uids[::3], ids[::3], stamps[::3])) == expected[::3]
    mixed = ids[COUNT // 2 :] + ids[: COUNT // 2]  # they were moved to another mailbox
    assert plain(await cache.column(account, MailboxId(0), column, uids, mixed, mixed)) == (
        expected[COUNT // 2 :] + expected[: COUNT // 2]
    )

    await world.write(messages.remove, account, inbox, list(uids))
    cache = await restarted(world, derived, tmp_path)
    gone = plain([column.value.gone])[0]
    lost = [at for at in range(COUNT) if at % len(HEADERS) == 2] if column is SortColumn.SUBJECT_FIELD else []
    found = plain(await cache.column(account, inbox, column, uids, ids, stamps))
    assert found == [gone if at in lost else value for at, value in enumerate(expected)]
    await world.write(messages.remove, account, inbox, list(uids))


async def test_a_column_that_is_too_large_is_given_to_those_who_need_it(
    world: World, derived: list[Derived], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, inbox = await filled(world)
    uids, ids, stamps = await columns(world, account, inbox)
    asked = account, inbox, SortColumn.SUBJECT_FIELD, uids, ids, stamps
    expected = await anew(world, tmp_path, *asked)
    cache = SortColumns(world.engine, derived[-1])
    assert plain(await cache.column(*asked, spared=True)) == expected
    monkeypatch.setattr(sort_columns, "MAX_SPARED", 1_000)
    assert plain(await cache.column(*asked, spared=True)) == expected  # it is there already
    for _ in range(2):  # from what was written, and from messages
        cache = await restarted(world, derived, tmp_path)
        with pytest.raises(TooLarge):
            await cache.column(*asked, spared=True)
        assert not cache.has(*asked[:3])
        assert plain(await cache.column(*asked)) == expected
        (tmp_path / derived_file.FILE).unlink()
    assert plain(await cache.column(*asked, spared=True)) == expected


async def test_a_column_that_was_too_large_is_not_read_again(
    world: World, derived: list[Derived], monkeypatch: pytest.MonkeyPatch
) -> None:
    account, inbox = await filled(world)
    uids, ids, stamps = await columns(world, account, inbox)
    monkeypatch.setattr(sort_columns, "MAX_SPARED", 1_000)
    cache = SortColumns(world.engine, derived[-1])
    asked = account, inbox, SortColumn.SUBJECT_FIELD, uids, ids, stamps
    for limit in (1_000, 1_000_000):
        monkeypatch.setattr(sort_columns, "MAX_SPARED", limit)
        with pytest.raises(TooLarge):
            await cache.column(*asked, spared=True)
    monkeypatch.setattr(sort_columns, "_MAX_KNOWN", 1)
    monkeypatch.setattr(sort_columns, "MAX_SPARED", 1_000)
    with pytest.raises(TooLarge):
        await cache.column(account, inbox, SortColumn.FROM_FIELD, uids, ids, stamps, spared=True)
    monkeypatch.setattr(sort_columns, "MAX_SPARED", 1_000_000)
    assert await cache.column(*asked, spared=True)


async def test_pages_that_could_not_be_unpacked_are_not_written(
    world: World, derived: list[Derived], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sort_columns, "MAX_UNPACKED", 100)
    account, inbox = await filled(world)
    uids, ids, stamps = await columns(world, account, inbox)
    cache = SortColumns(world.engine, derived[-1])
    await cache.column(account, inbox, SortColumn.SUBJECT_FIELD, uids, ids, stamps)
    await restarted(world, derived, tmp_path)
    assert await derived[-1].pages(account, "SUBJECT_FIELD", range(10)) == {}


async def test_what_another_message_had_is_not_given(world: World, derived: list[Derived], tmp_path: Path) -> None:
    account, inbox = await filled(world)
    uids, ids, stamps = await columns(world, account, inbox)
    cache = SortColumns(world.engine, derived[-1])
    before = await cache.column(account, inbox, SortColumn.FROM, uids, ids, stamps)
    await world.write(messages.remove, account, inbox, list(uids))
    stamps[8] += 1
    for _ in range(2):
        cache = await restarted(world, derived, tmp_path)
        found = await cache.column(account, inbox, SortColumn.FROM, uids, ids, stamps)
        assert found == [*before[:8], "", *before[9:]]


async def test_a_page_grows_when_many_have_come(world: World, derived: list[Derived], tmp_path: Path) -> None:
    account, inbox = await filled(world)
    uids, ids, stamps = await columns(world, account, inbox)
    sizes = []
    for count in (MANY - 1, 2 * MANY, 3 * MANY - 1, COUNT):
        cache = await restarted(world, derived, tmp_path)
        found = await cache.column(account, inbox, SortColumn.SENT, uids[:count], ids[:count], stamps[:count])
        assert len(found) == count
        await restarted(world, derived, tmp_path)
        pages = await derived[-1].pages(account, "SENT", range(10))
        sizes.append(sum(len(page.ids) for page in pages.values()))
    assert sizes == [0, 2 * MANY, 2 * MANY, COUNT]


@pytest.mark.parametrize("content", [b"", b"no page", derived_file.Packing().packed(b"no values")])
async def test_a_page_that_is_damaged_is_made_anew(
    world: World, derived: list[Derived], tmp_path: Path, content: bytes
) -> None:
    account, inbox = await filled(world)
    asked = (account, inbox, SortColumn.SUBJECT, *await columns(world, account, inbox))
    expected = await SortColumns(world.engine, derived[-1]).column(*asked)
    await restarted(world, derived, tmp_path)
    connection = apsw.Connection(str(tmp_path / derived_file.FILE))
    connection.execute("UPDATE page SET content = ?", (content,))
    connection.close()
    for _ in range(2):
        cache = await restarted(world, derived, tmp_path)
        assert await cache.column(*asked) == expected
    pages = await derived[-1].pages(account, "SUBJECT", range(10))
    assert content not in {page.content for page in pages.values()}


TEXTS = st.lists(st.none() | st.text(st.characters(exclude_categories=("Cs",))))
NUMBERS = st.integers(-(2**63), 2**63 - 1)


@given(TEXTS)
def test_texts_are_had_back(texts: list[str | None]) -> None:
    kind = SortColumn.SUBJECT_FIELD.value
    assert kind.unpacked(kind.packed(texts)) == texts


@given(st.lists(st.lists(NUMBERS, max_size=5)))
def test_lists_are_had_back(lists: list[list[int]]) -> None:
    kind = SortColumn.LINKS.value
    assert plain(kind.unpacked(kind.packed(lists))) == lists


@given(st.lists(NUMBERS))
def test_dates_are_had_back(dates: list[int]) -> None:
    kind = SortColumn.SENT.value
    assert list(kind.unpacked(kind.packed(dates))) == dates
