"""What outbound mail remembers: policies, the TLS of domains, sessions by day, reports."""

from datetime import timedelta

from tests.contracts.world import World

from pennypost.store import tls_results, transport
from pennypost.store.tls_results import ReceivedReport, SessionKey

DAY = timedelta(days=1)


async def test_a_policy_holds_until_it_runs_out(world: World) -> None:
    await world.write(lambda tx: transport.put_policy(tx, "a.example", "1", b"one", 2 * DAY))
    await world.write(lambda tx: transport.put_policy(tx, "b.example", "1", b"b", 9 * DAY))
    world.clock.move(DAY)
    await world.write(lambda tx: transport.put_policy(tx, "a.example", "2", b"two", 2 * DAY))
    kept = await world.read(lambda tx: transport.policy_of(tx, "a.example"))
    assert kept is not None
    assert (kept.id, kept.policy, kept.expires_at - kept.fetched_at) == ("2", b"two", 2 * DAY)
    now = world.clock()
    old = await world.read(lambda tx: transport.oldest_policies(tx, now - timedelta(seconds=1)))
    assert [policy.domain for policy in old] == ["b.example"]
    assert [policy.domain for policy in await world.read(transport.policies)] == ["b.example", "a.example"]
    world.clock.move(2 * DAY)
    assert await world.read(lambda tx: transport.policy_of(tx, "a.example")) is None
    assert await world.write(lambda tx: transport.sweep(tx, now - 30 * DAY)) == 1


async def test_tls_is_remembered_and_missed(world: World) -> None:
    began = world.clock()
    await world.write(lambda tx: transport.tls_seen(tx, {"a.example", "b.example"}))
    for _ in range(2):
        world.clock.move(DAY)
        await world.write(lambda tx: transport.tls_missed(tx, "a.example"))
    await world.write(lambda tx: transport.tls_missed(tx, "never.example"))
    kept = await world.read(lambda tx: transport.tls_memory(tx, "a.example"))
    assert kept == transport.TlsMemory(began, began + DAY)  # since the first time
    memories = await world.read(transport.tls_memories)
    assert memories == [("a.example", kept), ("b.example", transport.TlsMemory(began, None))]
    assert await world.read(lambda tx: transport.tls_memory(tx, "never.example")) is None
    await world.write(lambda tx: transport.tls_seen(tx, {"a.example"}))
    kept = await world.read(lambda tx: transport.tls_memory(tx, "a.example"))
    assert kept == transport.TlsMemory(began + 2 * DAY, None)
    assert await world.write(lambda tx: transport.sweep(tx, began + DAY)) == 1
    assert await world.write(lambda tx: transport.forget_tls(tx, "a.example"))
    assert not await world.write(lambda tx: transport.forget_tls(tx, "a.example"))


def key(day: str, result: str = "") -> SessionKey:
    return SessionKey(day, "a.example", "sts", "{}", result, "", "", "")


async def test_sessions_add_up(world: World) -> None:
    for _ in range(2):
        await world.write(lambda tx: tls_results.add(tx, {key("2026-01-01"): 2, key("2026-01-01", "x"): 1}))
    await world.write(lambda tx: tls_results.add(tx, {key("2026-01-02"): 1}))
    assert await world.read(lambda tx: tls_results.days(tx, "2026-01-02")) == [("2026-01-01", "a.example")]
    rows = await world.read(lambda tx: tls_results.of_day(tx, "2026-01-01", "a.example"))
    assert rows == [(key("2026-01-01"), 4), (key("2026-01-01", "x"), 2)]
    await world.write(lambda tx: tls_results.remove_day(tx, "2026-01-01", "a.example"))
    assert await world.read(lambda tx: tls_results.days(tx, "9999")) == [("2026-01-02", "a.example")]


async def test_a_report_is_kept_once(world: World) -> None:
    now = world.clock()
    report = ReceivedReport("Other", "1", "a.example", now - DAY, now, 5, 1, b"{}", now)
    assert await world.write(lambda tx: tls_results.put_report(tx, report))
    assert not await world.write(lambda tx: tls_results.put_report(tx, report))
    assert await world.read(lambda tx: tls_results.reports(tx)) == [report]
    assert await world.read(lambda tx: tls_results.reports(tx, "b.example")) == []
    assert await world.write(lambda tx: tls_results.sweep_reports(tx, now + DAY)) == 1
