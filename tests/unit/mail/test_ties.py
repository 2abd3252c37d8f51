"""Reports are tied to what was sent, and believed no further than their authors can know."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from tests.unit.mail.conftest import World
from tests.unit.mail.queue.test_manager import REMOTE
from tests.unit.mail.test_heard import HEADER, STATUS, report
from tests.unit.mail.test_transaction import STRANGER, address, post, run

from pennypost.mail import ties
from pennypost.mail.forwarding import Forwarder, ForwardingSettings
from pennypost.mail.post import Post
from pennypost.mail.queue import verp
from pennypost.mail.queue.outbox import Outbox
from pennypost.mail.queue.routing import Router
from pennypost.mail.queue.settings import QueueSettings, Suppress
from pennypost.mail.receive import Receiver
from pennypost.mail.reception import Acceptance, Language, SmtpClient
from pennypost.mail.submit import Submitter
from pennypost.mail.ties import Reporter, _vouches
from pennypost.mail.verification import Verdicts
from pennypost.model.address import Address
from pennypost.model.authentication import Authenticated
from pennypost.model.envelope import Envelope
from pennypost.model.peer import Peer
from pennypost.model.verification import DkimResult, DkimVerdict, IprevResult, IprevVerdict, SpfResult, SpfVerdict
from pennypost.store import directory, suppression, timeline
from pennypost.store.timeline import Event, EventKind, trace_number

ANNA = "anna@penny.test"
MESSAGE = b"From: Anna <anna@penny.test>\r\nMessage-ID: <1@penny.test>\r\nSubject: hello\r\n\r\nA body.\r\n"
GONE = STATUS.replace(b"5.2.2", b"5.1.1")


def posting(world: World, suppress: Suppress = Suppress.OFF) -> Post:
    return replace(post(world), outbox=Outbox(Router(QueueSettings(suppress=suppress))))


async def submit(world: World, *to: str, message: bytes = MESSAGE, sent: bool = True, **wishes: object) -> Acceptance:
    """Submit a message, and let it be sent."""
    client = replace(STRANGER, authenticated=Authenticated(world.anna, ANNA))
    envelope = Envelope(address(ANNA), **wishes)  # type: ignore[arg-type]
    accepted = await run(Submitter(posting(world)).begin(client), envelope, to, message)
    if sent:
        await note_sent(world, accepted.id, *to)
    return accepted


async def note_sent(world: World, trace: str, *to: str) -> None:
    results = [[one, "sent", "2.0.0", "250 2.0.0 taken", REMOTE] for one in to]
    facts = {"queue": "q1", "hop": "far.example", "results": results}
    await world.store.write(lambda tx: timeline.record(tx, trace_number(trace), EventKind.ATTEMPTED, facts))


async def header_of_last(world: World) -> bytes:
    (row,) = await world.store.read(lambda tx: tx.fetch_all("SELECT header FROM queued ORDER BY id DESC LIMIT 1"))
    return bytes(row[0])


async def hear(
    world: World,
    body: bytes,
    to: str = ANNA,
    *,
    suppress: Suppress = Suppress.OFF,
    client: SmtpClient = STRANGER,
    sender: Address | None = None,
    header: bytes = HEADER,
    unverified: bool = True,
) -> None:
    reception = Receiver(posting(world, suppress)).begin(client)
    reception.is_unverified = unverified  # type: ignore[attr-defined]
    await run(reception, Envelope(sender), [to], header + body)


async def heard(world: World, accepted: Acceptance) -> list[Event]:
    story = await world.store.scan(lambda tx: timeline.story(tx, [trace_number(accepted.id)]))
    return [event for event in story if event.kind is EventKind.HEARD]


async def suppressed(world: World) -> list[str]:
    return [one.address for one in await world.store.read(suppression.listed)]


async def test_by_the_received_field(world: World) -> None:
    accepted = await submit(world, "X@far.example", "y@far.example")
    await hear(world, report(original=await header_of_last(world)))
    (event,) = await heard(world, accepted)
    assert event.facts == {
        "from": "mx.far.example",
        "results": [
            ["X@far.example", "failed", "5.2.2", "smtp; 552 5.2.2 full"],
            ["y@far.example", "delayed", "4.0.0", ""],
        ],
    }


async def test_a_report_that_is_quicker_than_the_timeline(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that was passed on is told of some milliseconds after its next host has it."""
    accepted = await submit(world, "x@far.example", sent=False)
    original = await header_of_last(world)
    came = await world.store.read(lambda tx: tx.fetch_all("SELECT id, at, trace, kind, facts FROM event"))
    await world.store.write(lambda tx: tx.execute("DELETE FROM event"))

    async def told(_: float) -> None:
        insert = "INSERT INTO event (id, at, trace, kind, facts) VALUES (?, ?, ?, ?, ?)"
        await world.store.write(lambda tx: tx.execute_many(insert, came))
        await note_sent(world, accepted.id, "x@far.example")

    monkeypatch.setattr(ties.asyncio, "sleep", told)
    await hear(world, report(original=original))
    assert len(await heard(world, accepted)) == 1


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded"])
async def test_good_news_are_heard_too(world: World, action: str) -> None:
    accepted = await submit(world, "x@far.example", "y@far.example")
    status = STATUS.replace(b"failed", action.encode()).replace(b"5.2.2", b"2.1.5")
    await hear(world, report(status, await header_of_last(world)))
    (event,) = await heard(world, accepted)
    assert event.facts["results"][0][:3] == ["x@far.example", action, "2.1.5"]


async def test_by_the_message_id(world: World) -> None:
    accepted = await submit(world, "x@far.example", "y@far.example")
    await hear(world, report(original=b"Message-ID: <1@penny.test>\r\n"))
    assert len(await heard(world, accepted)) == 1


async def test_by_the_envelope_id(world: World) -> None:
    """RFC 3461 §4.4, RFC 3464 §2.2.1: for hosts that return nothing of the message."""
    accepted = await submit(world, "x@far.example", "y@far.example", envelope_id="QQ314159")
    await hear(world, report(b"Original-Envelope-Id: QQ314159\r\n" + STATUS, b""))
    await hear(world, report(b"Original-Envelope-Id: QQ314160\r\n" + STATUS, b""))
    assert len(await heard(world, accepted)) == 1


async def test_by_the_address_it_comes_to(world: World) -> None:
    accepted = await submit(world, "x@far.example", "y@far.example")
    store, trace = world.store, trace_number(accepted.id)
    path = await verp.reverse_path(store, address(ANNA), address("x@far.example"), trace)
    status = STATUS.partition(b"Final-recipient")[0].replace(b"x@far.example", b"z@further.example")
    await hear(world, report(status, b""), str(path))
    await hear(world, b"I am away.\r\n", str(path).upper(), header=b"Subject: away\r\n\r\n")
    first, second = await heard(world, accepted)
    assert first.facts["results"] == [["x@far.example", "failed", "5.2.2", "smtp; 552 5.2.2 full"]]
    assert (second.facts["returned"], second.facts["subject"]) == (["x@far.example"], "away")


async def test_a_tag_that_is_not_ours(world: World) -> None:
    accepted = await submit(world, "x@far.example")
    trace = trace_number(accepted.id)
    path = str(await verp.reverse_path(world.store, address(ANNA), address("x@far.example"), trace))
    for other in (
        path.replace("x=far", "y=far"),
        path.replace("=far.example=", "=far.example=a"),
        path[:30] + path[31:],
    ):
        await hear(world, report(STATUS, b""), other)
    assert await heard(world, accepted) == []


async def test_one_recipient_is_meant_whatever_his_address_further_on(world: World) -> None:
    accepted = await submit(world, "x@far.example")
    status = STATUS.partition(b"Final-recipient")[0].replace(b"x@far.example", b"z@further.example")
    await hear(world, report(status, await header_of_last(world)))
    (event,) = await heard(world, accepted)
    assert event.facts["results"][0][:2] == ["x@far.example", "failed"]


async def test_others_are_told_of_as_others(world: World) -> None:
    accepted = await submit(world, "x@far.example", "y@far.example")
    status = STATUS.replace(b"x@far.example", b"z@further.example")
    await hear(world, report(status, await header_of_last(world)))
    (event,) = await heard(world, accepted)
    assert [one[0] for one in event.facts["results"]] == ["y@far.example"]
    assert event.facts["others"] == [["z@further.example", "failed", "5.2.2", "smtp; 552 5.2.2 full"]]


async def test_what_was_forwarded_finds_its_message_through_srs(world: World) -> None:
    await world.store.write(lambda tx: directory.add_alias(tx, "info@penny.test", ["x@far.example"]))
    forwarder = Forwarder(world.store, ForwardingSettings(), None)
    accepted = await run(
        Receiver(replace(posting(world), forwarder=forwarder)).begin(STRANGER),
        Envelope(Address("carl", "example.org")),
        ["info@penny.test"],
        MESSAGE,
    )
    await note_sent(world, accepted.id, "x@far.example")
    (path,) = await world.store.read(lambda tx: tx.fetch_all("SELECT reverse_path FROM queued"))
    await hear(world, report(original=await header_of_last(world)), path[0])
    (event,) = await heard(world, accepted)
    assert event.facts["results"][0][:2] == ["x@far.example", "failed"]


class TestForged:
    """What is not believed."""

    async def test_a_trace_that_never_was(self, world: World) -> None:
        accepted = await submit(world, "x@far.example", "y@far.example")
        made_up = (await header_of_last(world)).replace(accepted.id.encode(), b"0123456789abcdef")
        made_up = made_up.replace(b"<1@penny.test>", b"<2@penny.test>")
        await hear(world, report(original=made_up))
        assert await world.store.scan(lambda tx: timeline.story(tx, [0x0123456789ABCDEF])) == []

    async def test_another_day(self, world: World) -> None:
        accepted = await submit(world, "x@far.example")
        made_up = (await header_of_last(world)).replace(b"23 Nov", b"22 Nov").replace(b"<1@", b"<2@")
        await hear(world, report(original=made_up))
        assert await heard(world, accepted) == []

    async def test_to_somebody_who_did_not_send_it(self, world: World) -> None:
        accepted = await submit(world, "x@far.example")
        header = await header_of_last(world)
        await hear(world, report(original=header), "bert@penny.test")
        await hear(world, report(original=b"Message-ID: <1@penny.test>\r\n"), "bert@penny.test")
        assert await heard(world, accepted) == []

    async def test_not_from_the_null_reverse_path(self, world: World) -> None:
        accepted = await submit(world, "x@far.example")
        header = await header_of_last(world)
        await hear(world, report(original=header), sender=Address("mallory", "evil.example"))
        assert await heard(world, accepted) == []


BULK = b"List-Id: <news.penny.test>\r\n" + MESSAGE
FROM_REMOTE = SmtpClient(Peer(ip_address("192.0.2.1"), 25), "mx.example", Language.ESMTP)


@pytest.mark.parametrize(
    ("mode", "message", "expected"),
    [
        (Suppress.OFF, BULK, []),
        (Suppress.BULK, MESSAGE, []),
        (Suppress.BULK, BULK, ["x@far.example"]),
        (Suppress.ON, MESSAGE, ["x@far.example"]),
    ],
)
async def test_whose_bounces_suppress(world: World, mode: Suppress, message: bytes, expected: list[str]) -> None:
    """The host that took the message reports; only who is gone for good is suppressed."""
    await submit(world, "x@far.example", "y@far.example", message=message)
    await hear(world, report(GONE, await header_of_last(world)), suppress=mode, client=FROM_REMOTE)
    assert await suppressed(world) == expected


async def test_who_is_quoted_in_a_report_is_suppressed_under_his_name(world: World) -> None:
    who = Address("x y", "far.example")
    accepted = await submit(world, "x y@far.example", "y@far.example", message=BULK, sent=False)
    await note_sent(world, accepted.id, str(who), "y@far.example")
    told = GONE.replace(b"x@far.example", str(who).encode())
    await hear(world, report(told, await header_of_last(world)), suppress=Suppress.ON, client=FROM_REMOTE)
    assert await suppressed(world) == ["x y@far.example"]
    assert await world.store.read(lambda tx: suppression.find(tx, who)) is not None


async def test_an_unknown_host_suppresses_nobody(world: World) -> None:
    """Somebody who got the message, too, knows all that a report shows."""
    accepted = await submit(world, "x@far.example", "mallory@evil.example", message=BULK)
    await hear(world, report(GONE, await header_of_last(world)), suppress=Suppress.ON)
    assert len(await heard(world, accepted)) == 1
    assert await suppressed(world) == []


async def test_our_tag_vouches(world: World) -> None:
    accepted = await submit(world, "x@far.example", "mallory@evil.example")
    path = await verp.reverse_path(world.store, address(ANNA), address("x@far.example"), trace_number(accepted.id))
    await hear(world, report(GONE, b""), str(path), suppress=Suppress.BULK)
    assert await suppressed(world) == ["x@far.example"]


async def test_other_refusals_suppress_nobody(world: World) -> None:
    await submit(world, "x@far.example", "y@far.example", message=BULK)
    await hear(world, report(original=await header_of_last(world)), suppress=Suppress.ON, client=FROM_REMOTE)
    assert await suppressed(world) == []


def spf(domain: str, result: SpfResult = SpfResult.PASS) -> Verdicts:
    return Verdicts(spf=SpfVerdict(result, "helo", domain))


def dkim(domain: str, result: DkimResult = DkimResult.PASS) -> Verdicts:
    return Verdicts(dkim=(DkimVerdict(result, domain, "s", "", "", ""),))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (None, False),
        (Verdicts(), False),
        (spf("far.example"), True),
        (spf("out.far.example"), True),
        (spf("far.example", SpfResult.SOFTFAIL), False),
        (spf("notfar.example"), False),
        (spf("example"), False),
        (spf("test"), True),  # nobody passes for a domain of others: here it is that of the host
        (spf("provider.test"), True),
        (spf("mx1.provider.test"), True),
        (spf("der.test"), False),
        (dkim("far.example"), True),
        (dkim("far.example", DkimResult.FAIL), False),
        (Verdicts(iprev=IprevVerdict(IprevResult.PASS, "mx1.provider.test.")), True),
        (Verdicts(iprev=IprevVerdict(IprevResult.FAIL, "mx1.provider.test.")), False),
    ],
)
def test_who_is_vouched_for(found: Verdicts | None, expected: bool) -> None:
    reporter = Reporter(ip_address("192.0.2.99"), found, trusted=False)
    assert _vouches(reporter, "far.example", "mx1.provider.test [192.0.2.1]") is expected
    assert _vouches(replace(reporter, trusted=True), "far.example", "")
    assert _vouches(replace(reporter, ip=ip_address("192.0.2.1")), "far.example", "mx1.provider.test [192.0.2.1]")
    assert not _vouches(replace(reporter, ip=None, found=None), "far.example", "")
