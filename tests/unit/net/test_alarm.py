"""The alarm moves without new timers, and rings once."""

import asyncio

from pennypost.net.alarm import Alarm


async def test_it_rings_once_at_the_last_deadline_set():
    rung = []
    alarm = Alarm(asyncio.get_running_loop(), lambda: rung.append(1))
    alarm.set(0.01)
    alarm.set(0.04)
    await asyncio.sleep(0.025)
    assert not rung, "the first timer fired, and armed itself again"
    await asyncio.sleep(0.04)
    assert rung == [1]
    alarm.set(10)
    alarm.set(0.01)
    await asyncio.sleep(0.03)
    assert rung == [1, 1], "an earlier deadline is taken too"


async def test_what_is_cleared_or_cancelled_does_not_ring():
    rung = []
    alarm = Alarm(asyncio.get_running_loop(), lambda: rung.append(1))
    alarm.set(0.01)
    alarm.clear()
    await asyncio.sleep(0.02)
    alarm.set(0.01)
    alarm.cancel()
    await asyncio.sleep(0.02)
    assert not rung
