"""Header fields that are kept are those that would be chosen anew."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.contracts.world import World, header

from pennypost.message.headers import select_fields
from pennypost.model.ids import AccountId, MessageId
from pennypost.store import field_pages, messages
from pennypost.store.choices import HeaderFields, StoredColumns
from pennypost.store.derived import Damaged, Derived
from pennypost.store.field_pages import MANY, FieldPages
from pennypost.store.messages import Column
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.derived_file import SqliteDerivedFile

NAMES = (b"subject", b"From", b"X-None")


@pytest_asyncio.fixture(params=[True, False], ids=["on disk", "in memory"])
async def pages(world: World, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FieldPages]:
    derived = Derived(world.engine, SqliteDerivedFile(StoreSettings(tmp_path)), enabled=request.param)
    yield FieldPages(world.engine, derived)
    await derived.close()


async def expected(world: World, account: AccountId, ids: list[int], names: tuple[bytes, ...]) -> list[bytes | None]:
    rows = await world.read(messages.fetch, account, [MessageId(one) for one in ids], (Column.HEADER,))
    return [select_fields(rows[MessageId(one)][0], names) if one in rows else None for one in ids]


async def filled(world: World, count: int) -> tuple[AccountId, list[int]]:
    account = await world.account()
    inbox = await world.inbox(account)
    return account, [(await world.append(account, inbox, header(f"number {n}"))).message for n in range(count)]


async def test_the_same_whether_read_or_kept(world: World, pages: FieldPages) -> None:
    account, ids = await filled(world, 300)
    for asked in (ids[:200], ids, ids[:200], ids[3:280:2], ids[5:7], list(reversed(ids)), ids[100:] + ids[:50]):
        for names in (NAMES, NAMES, (b"to",)):
            found = await pages.chosen(account, asked, asked, HeaderFields.called(names))
            assert found == await expected(world, account, asked, names)
            assert None not in found


async def test_what_is_kept_is_not_read_again(world: World, pages: FieldPages) -> None:
    account, ids = await filled(world, 3 * MANY)
    before = await pages.chosen(account, ids, ids, HeaderFields.called(NAMES))
    await world.write(messages.remove, account, await world.inbox(account), list(range(1, MANY + 1)))
    assert await pages.chosen(account, ids, ids, HeaderFields.called((b"SUBJECT", b"from", b"x-none"))) == before
    few = ids[: MANY - 1]
    assert await pages.chosen(account, few, few, HeaderFields.called(NAMES)) == [None] * (
        MANY - 1
    )  # few are always read
    assert await pages.chosen(account, ids, ids, HeaderFields.called((b"Date",))) == await expected(
        world, account, ids, (b"Date",)
    )


async def test_gone_messages_are_none(world: World, pages: FieldPages) -> None:
    account, ids = await filled(world, 2 * MANY)
    asked = [*ids, ids[-1] + 100]
    found = await pages.chosen(account, asked, asked, HeaderFields.called(NAMES))
    assert found[-1] is None
    assert found[:-1] == await expected(world, account, ids, NAMES)


async def test_a_page_grows(world: World, pages: FieldPages) -> None:
    account, ids = await filled(world, 4 * MANY)
    for end in (MANY, 2 * MANY, 4 * MANY, 3 * MANY):
        asked = ids[:end]
        assert await pages.chosen(account, asked, asked, HeaderFields.called(NAMES)) == await expected(
            world, account, asked, NAMES
        )


async def test_what_another_message_had_is_not_given(world: World, pages: FieldPages) -> None:
    """Where the store was brought back from a copy, ids are given again."""
    account, ids = await filled(world, 3 * MANY)
    before = await pages.chosen(account, ids, ids, HeaderFields.called(NAMES))
    await world.write(messages.remove, account, await world.inbox(account), list(range(1, MANY + 1)))
    for wanted in (range(len(ids)), range(0, len(ids), 2)):
        asked, times = [ids[n] for n in wanted], [ids[n] + (n == len(ids) - 2) for n in wanted]
        assert await pages.chosen(account, asked, times, HeaderFields.called(NAMES)) == await expected(
            world, account, asked, NAMES
        )
        assert await pages.chosen(account, asked, asked, HeaderFields.called(NAMES)) != [before[n] for n in wanted]


async def test_pages_are_looked_for_again_if_nobody_waited_for_them(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, ids = await filled(world, 2 * MANY)
    choice = HeaderFields.called(NAMES)
    before = Derived(world.engine, SqliteDerivedFile(StoreSettings(tmp_path)))
    expected = await FieldPages(world.engine, before).chosen(account, ids, ids, choice)
    await before.close()
    derived = Derived(world.engine, SqliteDerivedFile(StoreSettings(tmp_path)))
    fresh = FieldPages(world.engine, derived)
    with monkeypatch.context() as patched:
        patched.setattr(derived, "pages", lambda *_: asyncio.Event().wait())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(fresh.chosen(account, ids, ids, choice), 0.01)
    await world.write(messages.remove, account, await world.inbox(account), list(range(1, len(ids) + 1)))
    assert await fresh.chosen(account, ids, ids, choice) == expected
    await derived.close()


async def test_the_oldest_are_forgotten(world: World, pages: FieldPages, monkeypatch: pytest.MonkeyPatch) -> None:
    account, ids = await filled(world, 2 * MANY)
    monkeypatch.setattr(field_pages, "MAX_OCTETS", 4000)
    for number in [*range(20), 1]:
        names = (b"Subject", b"X-%d" % number)
        assert await pages.chosen(account, ids, ids, HeaderFields.called(names)) == await expected(
            world, account, ids, names
        )
    assert 1 < len(pages) < 10
    monkeypatch.setattr(field_pages, "PAGE_OCTETS", 100)
    kept = len(pages)
    assert await pages.chosen(account, ids, ids, HeaderFields.called((b"To",))) == await expected(
        world, account, ids, (b"To",)
    )
    assert len(pages) == kept
    long = (b"x" * 2000,)
    assert await pages.chosen(account, ids, ids, HeaderFields.called(long)) == [b"\r\n"] * len(ids)
    assert len(pages) == kept


@pytest.mark.parametrize("columns", [(Column.ENVELOPE,), (Column.BODYSTRUCTURE, Column.ENVELOPE)])
async def test_columns_are_kept_as_they_are(world: World, pages: FieldPages, columns: tuple[Column, ...]) -> None:
    account, ids = await filled(world, 3 * MANY)
    choice = StoredColumns(columns)
    rows = await world.read(messages.fetch, account, [MessageId(one) for one in ids], columns)
    wanted = [rows[MessageId(one)] for one in ids]
    assert await pages.chosen(account, ids, ids, choice) == wanted
    few = ids[:3]
    assert await pages.chosen(account, few, few, choice) == wanted[:3]
    await world.write(messages.remove, account, await world.inbox(account), list(range(1, len(ids) + 1)))
    assert await pages.chosen(account, ids, ids, choice) == wanted
    assert await pages.chosen(account, few, few, choice) == [None] * 3


@pytest.mark.parametrize("octets", [b"", b"\xc1", b"\x92\x91\xc4\x00\x90", b"\x91\x91\x01"])
def test_columns_that_are_damaged_are_not_given(octets: bytes) -> None:
    with pytest.raises(Damaged):
        StoredColumns((Column.ENVELOPE,)).unpacked(octets, 1)
