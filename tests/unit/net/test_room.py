import asyncio

import pytest

from pennypost.net.room import Room


async def hold(room: Room, octets: int, log: list[str], name: str, until: asyncio.Event) -> None:
    async with room.taken(octets):
        log.append(name)
        await until.wait()


async def test_who_finds_no_room_waits_in_line() -> None:
    room, log, end, others = Room(10), list[str](), asyncio.Event(), asyncio.Event()
    tasks = [asyncio.create_task(hold(room, size, log, name, event)) for size, name, event in (
        (6, "a", end), (6, "b", others), (1, "c", others), (99, "d", others),
    )]  # fmt: skip
    await asyncio.sleep(0)
    assert log == ["a"]  # c would fit, and does not overtake b
    end.set()
    await asyncio.sleep(0.01)
    assert log == ["a", "b", "c"]
    others.set()
    await asyncio.gather(*tasks)
    assert log == ["a", "b", "c", "d"]  # larger than all of it: alone
    assert room._used == 0


async def test_who_gives_up_takes_no_room() -> None:
    room, log, end = Room(10), list[str](), asyncio.Event()
    first, second, third = (asyncio.create_task(hold(room, 10, log, name, end)) for name in "abc")
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    end.set()
    await asyncio.gather(first, third)
    assert log == ["a", "c"]
    assert room._used == 0
    # Cancelled in the moment in which it is let in.
    end.clear()
    first, second = (asyncio.create_task(hold(room, 10, log, name, end)) for name in "ab")
    await asyncio.sleep(0)
    room._waiting[0][1].add_done_callback(lambda _: second.cancel())
    end.set()
    await asyncio.gather(first, second, return_exceptions=True)
    assert room._used == 0
    assert not room._waiting


async def test_what_is_small_does_not_wait_for_what_is_large() -> None:
    room, log, end = Room(10_000), list[str](), asyncio.Event()
    large = [asyncio.create_task(hold(room, 10_000, log, name, end)) for name in "ab"]
    await asyncio.sleep(0)
    end_small = asyncio.Event()
    end_small.set()
    await asyncio.wait_for(hold(room, 9, log, "small", end_small), 1)
    assert log == ["a", "small"]
    end.set()
    await asyncio.gather(*large)
    assert room._used == 0
