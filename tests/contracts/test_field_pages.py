"""Header fields that are kept are those that would be chosen anew."""

import pytest
from tests.contracts.world import World, header

from pennypost.message.headers import select_fields
from pennypost.model.ids import AccountId, MessageId
from pennypost.store import field_pages, messages
from pennypost.store.field_pages import MANY, FieldPages
from pennypost.store.messages import Column

NAMES = (b"subject", b"From", b"X-None")


async def expected(world: World, account: AccountId, ids: list[int], names: tuple[bytes, ...]) -> list[bytes | None]:
    rows = await world.read(messages.fetch, account, [MessageId(one) for one in ids], (Column.HEADER,))
    return [select_fields(rows[MessageId(one)][0], names) if one in rows else None for one in ids]


async def filled(world: World, count: int) -> tuple[AccountId, list[int]]:
    account = await world.account()
    inbox = await world.inbox(account)
    return account, [(await world.append(account, inbox, header(f"number {n}"))).message for n in range(count)]


async def test_the_same_whether_read_or_kept(world: World) -> None:
    account, ids = await filled(world, 300)
    pages = FieldPages(world.engine)
    for asked in (ids[:200], ids, ids[:200], ids[3:280:2], ids[5:7], list(reversed(ids)), ids[100:] + ids[:50]):
        for names in (NAMES, NAMES, (b"to",)):
            found = await pages.fields(account, asked, names)
            assert found == await expected(world, account, asked, names)
            assert None not in found


async def test_what_is_kept_is_not_read_again(world: World) -> None:
    account, ids = await filled(world, 3 * MANY)
    pages = FieldPages(world.engine)
    before = await pages.fields(account, ids, NAMES)
    await world.write(messages.remove, account, await world.inbox(account), list(range(1, MANY + 1)))
    assert await pages.fields(account, ids, (b"SUBJECT", b"from", b"x-none")) == before
    assert await pages.fields(account, ids[: MANY - 1], NAMES) == [None] * (MANY - 1)  # few are always read
    assert await pages.fields(account, ids, (b"Date",)) == await expected(world, account, ids, (b"Date",))


async def test_gone_messages_are_none(world: World) -> None:
    account, ids = await filled(world, 2 * MANY)
    asked = [*ids, ids[-1] + 100]
    found = await FieldPages(world.engine).fields(account, asked, NAMES)
    assert found[-1] is None
    assert found[:-1] == await expected(world, account, ids, NAMES)


async def test_a_page_grows(world: World) -> None:
    account, ids = await filled(world, 4 * MANY)
    pages = FieldPages(world.engine)
    for end in (MANY, 2 * MANY, 4 * MANY, 3 * MANY):
        assert await pages.fields(account, ids[:end], NAMES) == await expected(world, account, ids[:end], NAMES)


async def test_the_oldest_are_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    account, ids = await filled(world, 2 * MANY)
    pages = FieldPages(world.engine)
    monkeypatch.setattr(field_pages, "MAX_OCTETS", 3000)
    for number in range(20):
        names = (b"Subject", b"X-%d" % number)
        assert await pages.fields(account, ids, names) == await expected(world, account, ids, names)
    assert 1 < len(pages) < 10
    monkeypatch.setattr(field_pages, "PAGE_OCTETS", 100)
    kept = len(pages)
    assert await pages.fields(account, ids, (b"To",)) == await expected(world, account, ids, (b"To",))
    assert len(pages) == kept
