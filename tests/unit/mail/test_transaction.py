"""Receiving and submitting: what is stored, what is refused, and that nothing is stored of what is refused."""

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from tests.compiled import interpreted
from tests.unit.mail.conftest import World

from pennypost.mail.post import Post
from pennypost.mail.prepare import Preparer
from pennypost.mail.queue.manager import QueueManager
from pennypost.mail.queue.outbox import Outbox
from pennypost.mail.queue.routing import Router
from pennypost.mail.queue.settings import QueueSettings, Smarthost, Suppress
from pennypost.mail.receive import Receiver
from pennypost.mail.reception import Acceptance, Language, SmtpClient
from pennypost.mail.settings import DeliverySettings
from pennypost.mail.submit import Submitter
from pennypost.mail.trace import DateStamp
from pennypost.message.headers import split, value, values
from pennypost.model.address import Address
from pennypost.model.authentication import Authenticated
from pennypost.model.envelope import Envelope, Notify, Recipient
from pennypost.model.errors import (
    AccountDisabled,
    AuthenticationRequired,
    BadMessage,
    MailError,
    MessageTooLarge,
    NoSuchRecipient,
    NullMx,
    OverQuota,
    RecipientDisabled,
    RecipientSuppressed,
    RelayDenied,
    RoutingLoop,
    SenderNotOwned,
    ServerFault,
    TooManyRecipients,
    UnqualifiedDomain,
)
from pennypost.model.ids import AccountId, Uid
from pennypost.model.peer import Peer
from pennypost.model.relaying import NextHop, OutgoingMessage, RecipientResult, RelayOutcome, RelayState
from pennypost.model.units import Octets
from pennypost.store import directory, mailboxes, messages, queue_view, quota, suppression, timeline
from pennypost.store.engine import Transaction
from pennypost.store.queue import DeliveryState
from pennypost.store.store import Store
from pennypost.store.timeline import EventKind

STRANGER = SmtpClient(Peer(ip_address("192.0.2.7"), 4711), "mx.example", Language.ESMTP)
MESSAGE = b"From: Carl <carl@example.org>\r\nTo: anna@penny.test\r\nSubject: hello\r\n\r\nA body.\r\n"
SENDER = Address("carl", "example.org")


def post(world: World, settings: DeliverySettings | None = None) -> Post:
    settings = settings or DeliverySettings()
    return Post(world.store, Preparer(world.store, settings), settings, "mail.penny.test", DateStamp())


async def test_a_domain_that_takes_no_mail_is_refused_at_once(world: World) -> None:
    """RFC 7505 §4.1."""

    async def check(domain: str) -> None:
        if domain == "null.example":
            raise NullMx

    reception = Submitter(replace(post(world), check_domain=check)).begin(
        replace(STRANGER, authenticated=Authenticated(world.anna, "anna@penny.test"))
    )
    await reception.sender(Envelope(address("anna@penny.test")))
    await reception.recipient(Recipient(address("x@other.example")))
    with pytest.raises(NullMx):
        await reception.recipient(Recipient(address("x@null.example")))
    reception.write(MESSAGE.replace(b"carl@example.org", b"anna@penny.test"))
    assert len((await reception.accept()).outcomes) == 1


def address(text: str) -> Address:
    local, _, domain = text.rpartition("@")
    return Address(local, domain)


async def receive(
    world: World,
    *recipients: str | Recipient,
    message: bytes = MESSAGE,
    settings: DeliverySettings | None = None,
    client: SmtpClient = STRANGER,
    envelope: Envelope | None = None,
) -> Acceptance:
    reception = Receiver(post(world, settings)).begin(client)
    return await run(reception, envelope or Envelope(SENDER), recipients, message)


async def submit(
    world: World,
    *recipients: str | Recipient,
    message: bytes,
    sender: str | None = "anna@penny.test",
    **wishes: Any,
) -> Acceptance:
    client = replace(STRANGER, authenticated=Authenticated(world.anna, "anna@penny.test"))
    reception = Submitter(post(world)).begin(client)
    return await run(reception, Envelope(address(sender) if sender else None, **wishes), recipients, message)


async def run(reception, envelope, recipients, message) -> Acceptance:  # type: ignore[no-untyped-def]
    await reception.sender(envelope)
    for recipient in recipients:
        await reception.recipient(recipient if isinstance(recipient, Recipient) else Recipient(address(recipient)))
    for start in range(0, len(message), 1000):
        reception.write(message[start : start + 1000])
    return await reception.accept()


async def stored(world: World, account: AccountId, mailbox: str = "INBOX") -> list[bytes]:
    async def read(tx: Transaction) -> list[bytes]:
        box = await mailboxes.require(tx, account, mailbox)
        rows = await messages.fetch_by_uid(
            tx, account, box.id, Uid(1), Uid(2**32 - 1), (messages.Column.HEADER, messages.Column.BLOB)
        )
        return [header + await world.store.blobs.read(tx, blob) for _, _, header, blob in rows]

    return await world.store.read(read)


async def queued(world: World) -> list[queue_view.Delivery]:
    return await world.store.read(queue_view.deliveries)


async def test_a_received_message_is_stored_octet_by_octet_below_its_trace(world: World) -> None:
    accepted = await receive(world, "anna@penny.test")
    (octets,) = await stored(world, world.anna)
    assert octets.endswith(MESSAGE)
    trace = octets[: -len(MESSAGE)]
    assert trace.startswith(
        b"Return-Path: <carl@example.org>\r\nDelivered-To: anna@penny.test\r\nReceived: from mx.example ([192.0.2.7])"
    )
    assert accepted.id.encode() in trace
    assert accepted.size == len(MESSAGE)
    assert accepted.outcomes == (None,)
    assert len(accepted.stored) == 1


async def test_a_message_to_two_shares_its_body_and_each_has_his_own_trace(world: World) -> None:
    await receive(world, "anna@penny.test", "bert@penny.test")
    (for_anna,), (for_bert,) = await stored(world, world.anna), await stored(world, world.bert)
    assert b"Delivered-To: anna@penny.test" in for_anna
    assert b"anna@penny.test" not in split(for_bert)[0].replace(b"To: anna@penny.test", b"")
    bodies = await world.store.read(lambda tx: tx.fetch_one("SELECT COUNT(*) FROM blob"))
    assert bodies == (1,)


async def test_named_twice_it_comes_once(world: World) -> None:
    await world.store.write(lambda tx: directory.add_alias(tx, "info@penny.test", ["anna@penny.test"]))
    await receive(world, "anna@penny.test", "ANNA@PENNY.TEST", "info@penny.test")
    assert len(await stored(world, world.anna)) == 1


async def test_a_subaddress_chooses_among_the_mailboxes_there_are(world: World) -> None:
    await world.store.write(lambda tx: mailboxes.create(tx, world.anna, "lists"))
    await receive(world, "anna+lists@penny.test")
    await receive(world, "anna+unheard/of@penny.test")
    await receive(world, "anna+a//b@penny.test")
    assert len(await stored(world, world.anna, "lists")) == 1
    assert len(await stored(world, world.anna)) == 2
    await receive(world, "anna+lists@penny.test", settings=DeliverySettings(subaddress_mailboxes=False))
    assert len(await stored(world, world.anna)) == 3


@pytest.mark.parametrize(
    ("recipient", "error"),
    [
        ("nobody@penny.test", NoSuchRecipient),
        ("anna%example.org@penny.test", NoSuchRecipient),
        ("example.org!anna@penny.test", NoSuchRecipient),
        ("anna@example.org@penny.test", NoSuchRecipient),
        ("anna@example.org", RelayDenied),
        ("anna@penny.test@example.org", RelayDenied),
        ("anna@[127.0.0.1]", RelayDenied),
        ("anna@[IPv6:::1]", RelayDenied),
        ("anna@localhost", RelayDenied),
        ("anna@sub.penny.test", RelayDenied),
        (Recipient(Address("anna", "")), NoSuchRecipient),
    ],
)
async def test_no_stranger_relays_here(world: World, recipient: str | Recipient, error: type[MailError]) -> None:
    with pytest.raises(error):
        await receive(world, recipient)


async def test_postmaster_and_abuse_are_always_there(world: World) -> None:
    """RFC 5321 §4.5.1, RFC 2142."""
    await receive(world, "Postmaster@penny.test", "ABUSE@penny.test", Recipient(Address("postmaster", "")))
    assert len(await stored(world, world.anna)) == 1


async def test_a_disabled_account_gets_nothing(world: World) -> None:
    await world.store.write(lambda tx: directory.set_enabled(tx, world.anna, False))
    with pytest.raises(RecipientDisabled):
        await receive(world, "anna@penny.test")


async def test_what_another_process_changes_in_the_directory_holds_for_the_next_recipient(world: World) -> None:
    receiver, submitter = Receiver(shared := post(world)), Submitter(shared)
    client = replace(STRANGER, authenticated=Authenticated(world.anna, "anna@penny.test"))
    anna, sales = address("anna@penny.test"), address("sales@penny.test")

    async def comes(sender: Address | None = SENDER, to: Address = anna) -> None:
        reception = receiver.begin(STRANGER)
        await reception.sender(Envelope(sender))
        await reception.recipient(Recipient(to))
        reception.discard()

    async def goes(sender: Address) -> None:
        reception = submitter.begin(client)
        await reception.sender(Envelope(sender))
        reception.discard()

    other = await Store.open(world.store.settings)
    try:
        await comes()
        await comes(None)
        assert shared.routes.known(anna) is not None
        await goes(anna)
        await other.write(lambda tx: directory.set_enabled(tx, world.anna, False))
        assert shared.routes.known(anna) is None
        with pytest.raises(RecipientDisabled):
            await comes()
        with pytest.raises(AccountDisabled):
            await goes(anna)
        await other.write(lambda tx: directory.set_enabled(tx, world.anna, True))
        await comes()
        await other.write(lambda tx: quota.limit(tx, world.anna, quota.Limits(octets=0)))
        with pytest.raises(OverQuota):
            await comes()
        await other.write(lambda tx: quota.limit(tx, world.anna, quota.Limits()))
        with pytest.raises(NoSuchRecipient):
            await comes(to=sales)
        await other.write(lambda tx: directory.add_alias(tx, "sales@penny.test", ["anna@penny.test"]))
        await comes(to=sales)
        await goes(sales)
        await other.write(lambda tx: directory.remove_alias(tx, "sales@penny.test"))
        with pytest.raises(NoSuchRecipient):
            await comes(to=sales)
        with pytest.raises(SenderNotOwned):
            await goes(sales)
        await comes()
        await other.write(lambda tx: directory.remove_account(tx, world.anna))
        with pytest.raises(NoSuchRecipient):
            await comes()
    finally:
        await other.close()


async def test_a_route_is_remembered_for_a_while_only(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = post(world)
    monkeypatch.setattr("pennypost.store.directory_memory.time.monotonic", lambda: now)
    now = 100.0
    reception = Receiver(shared).begin(STRANGER)
    await reception.sender(Envelope(SENDER))
    for local in ("anna", "anna+tag", "ANNA"):
        await reception.recipient(Recipient(address(f"{local}@penny.test")))
    assert shared.routes.known(address("anna@penny.test")) == shared.routes.known(address("ANNA@penny.test"))
    assert shared.routes.known(address("anna+tag@penny.test")) is None
    now += 9
    assert shared.routes.known(address("anna@penny.test")) is not None
    now += 1
    assert shared.routes.known(address("anna@penny.test")) is None
    reception.discard()


async def test_over_quota_is_said_at_rcpt_and_again_when_it_is_stored(world: World) -> None:
    await world.store.write(lambda tx: directory.set_quota(tx, world.anna, 700))
    with pytest.raises(OverQuota):
        await receive(world, "anna@penny.test", envelope=Envelope(SENDER, declared_size=800))
    await receive(world, "anna@penny.test")
    with pytest.raises(OverQuota):
        await receive(world, "bert@penny.test", "anna@penny.test", message=MESSAGE + b"x" * 500)
    assert len(await stored(world, world.anna)) == 1
    assert await stored(world, world.bert) == []


async def test_lmtp_has_an_outcome_for_each_recipient(world: World) -> None:
    """RFC 2033 §4.2."""
    await world.store.write(lambda tx: directory.set_quota(tx, world.anna, 100))
    lmtp = replace(STRANGER, language=Language.LMTP)
    accepted = await receive(world, "anna@penny.test", "bert@penny.test", client=lmtp)
    assert [type(outcome) for outcome in accepted.outcomes] == [OverQuota, type(None)]
    assert await stored(world, world.anna) == []
    assert len(await stored(world, world.bert)) == 1


@interpreted
async def test_a_bug_for_one_recipient_of_lmtp_is_not_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have the message: a client that is told otherwise brings it again."""
    append = messages.append

    async def broken(tx: Transaction, account: AccountId, *rest: Any) -> Any:
        if account == world.anna:
            raise ZeroDivisionError
        return await append(tx, account, *rest)

    monkeypatch.setattr(messages, "append", broken)
    lmtp = replace(STRANGER, language=Language.LMTP)
    accepted = await receive(world, "anna@penny.test", "bert@penny.test", client=lmtp)
    assert [type(outcome) for outcome in accepted.outcomes] == [ServerFault, type(None)]
    assert len(await stored(world, world.bert)) == 1


async def test_loops_end(world: World) -> None:
    hops = b"Received: from a by b; Mon, 23 Nov 2026 12:00:00 +0000\r\n"
    await receive(world, "anna@penny.test", message=hops * 100 + MESSAGE)
    with pytest.raises(RoutingLoop):
        await receive(world, "anna@penny.test", message=hops * 101 + MESSAGE)
    (back,) = await stored(world, world.anna)
    with pytest.raises(RoutingLoop):
        await receive(world, "anna@penny.test", message=back.replace(hops, b""))
    await receive(world, "bert@penny.test", message=back.replace(hops, b""))


@pytest.mark.parametrize("begin", [b" ", b"\t", b" \r\n"])
async def test_nobody_goes_on_with_a_field_of_ours(world: World, begin: bytes) -> None:
    """RFC 8601 §5: what stands in Authentication-Results is ours alone, and so it is with Received and signatures."""
    forged = begin + b" dkim=pass header.d=bank.example;\r\n"
    with pytest.raises(BadMessage):
        await receive(world, "anna@penny.test", message=forged + MESSAGE)
    with pytest.raises(BadMessage):
        await submit(world, "bert@penny.test", message=forged + SUBMITTED)
    assert await stored(world, world.anna) == await stored(world, world.bert) == []


async def test_limits(world: World) -> None:
    small = DeliverySettings(max_message_size=Octets(2000), max_recipients=1, max_header_size=Octets(500))
    with pytest.raises(MessageTooLarge):
        await receive(world, "anna@penny.test", envelope=Envelope(SENDER, declared_size=2001), settings=small)
    with pytest.raises(MessageTooLarge):
        await receive(world, "anna@penny.test", message=MESSAGE + b"x" * 2000, settings=small)
    with pytest.raises(TooManyRecipients):
        await receive(world, "anna@penny.test", "bert@penny.test", settings=small)
    with pytest.raises(BadMessage):
        await receive(world, "anna@penny.test", message=b"X: " + b"y" * 600, settings=small)
    assert await stored(world, world.anna) == []


async def test_a_large_message_goes_through_files_and_comes_back_whole(world: World) -> None:
    message = MESSAGE + b"".join(b"%d line of a large message\r\n" % n for n in range(100_000))
    await receive(world, "anna@penny.test", message=message)
    (octets,) = await stored(world, world.anna)
    assert octets.endswith(message)


async def test_an_alias_leads_elsewhere_and_marks_what_it_sends_on(world: World) -> None:
    await world.store.write(
        lambda tx: directory.add_alias(tx, "team@penny.test", ["anna@penny.test", "carl@example.org"])
    )
    await receive(world, "team@penny.test")
    assert len(await stored(world, world.anna)) == 1
    (delivery,) = await queued(world)
    assert delivery.recipient.address == Address("carl", "example.org")
    assert delivery.reverse_path == SENDER
    header = await world.store.read(lambda tx: tx.fetch_one("SELECT header FROM queued"))
    assert header is not None
    assert value(header[0], b"delivered-to") == b"team@penny.test"
    assert value(header[0], b"return-path") is None


async def test_a_success_report_comes_to_who_asked(world: World) -> None:
    """RFC 3461 §5.2.2: delivered; the report has a null reverse-path."""
    asked = Recipient(Address("anna", "penny.test"), Notify.SUCCESS, "rfc822;Anna@Penny.test")
    await receive(world, asked, envelope=Envelope(Address("bert", "penny.test"), envelope_id="QQ 314\r\nX: y"))
    (report,) = await stored(world, world.bert)
    assert report.startswith(b"Return-Path: <>\r\n")
    assert b"multipart/report" in report
    assert b"Action: delivered\r\nStatus: 2.0.0\r\n" in report
    assert b"Original-Envelope-Id: QQ 314??X: y\r\n" in report
    assert b"Original-Recipient: rfc822; Anna@Penny.test\r\n" in report
    assert b"Subject: hello" in report
    await receive(world, asked)
    (delivery,) = await queued(world)
    assert delivery.recipient == Recipient(SENDER, Notify.NEVER)
    assert delivery.reverse_path is None
    await receive(world, asked, envelope=Envelope(None))
    assert len(await queued(world)) == 1


# -- Submission


SUBMITTED = (
    b"From: Anna <anna@penny.test>\r\nTo: bert@penny.test\r\nBcc: carl@example.org,\r\n dora@example.org\r\n"
    b"Subject: hello\r\n\r\nA body.\r\n"
)


async def test_a_submission_is_completed_and_discloses_nothing(world: World) -> None:
    """RFC 6409 §8; RFC 5322 §3.6.3."""
    await submit(world, "bert@penny.test", "carl@example.org", "dora@example.org", message=SUBMITTED)
    (octets,) = await stored(world, world.bert)
    header, body = split(octets)
    assert body == b"A body.\r\n"
    assert value(header, b"bcc") is None
    assert b"carl@" not in header
    assert value(header, b"date") == b"Mon, 23 Nov 2026 12:00:00 +0000"
    assert (value(header, b"message-id") or b"").endswith(b"@penny.test>")
    assert b"192.0.2.7" not in header
    waiting = await queued(world)
    assert [str(d.recipient.address) for d in waiting] == ["carl@example.org", "dora@example.org"]
    assert len({d.queued for d in waiting}) == 1


@pytest.mark.parametrize("hold", [None, timedelta(hours=1)])
async def test_recipients_elsewhere_differ_as_their_host_says(world: World, hold: timedelta | None) -> None:
    """RFC 5321 §2.4: each of them was told 250."""
    wanted = ["Bob@other.example", "bob@other.example", "stra\u00dfe@other.example", "strasse@other.example"]
    await submit(world, *wanted, "bob@OTHER.example", message=SUBMITTED, smtputf8=True, hold=hold)
    assert sorted(str(d.recipient.address).lower() for d in await queued(world)) == sorted(map(str.lower, wanted))


async def test_a_domain_called_local_is_not_this_server(world: World) -> None:
    await world.store.write(lambda tx: directory.add_alias(tx, "x@penny.test", ["x@local"]))
    await receive(world, "x@penny.test")
    (delivery,) = await queued(world)
    assert delivery.hop == "local."


@pytest.mark.parametrize("domain", ["sales", "localhost", "LOCAL"])
async def test_domains_have_to_be_whole(world: World, domain: str) -> None:
    """RFC 6409 §4.2. What an administrator has said a way for is his convention."""
    with pytest.raises(UnqualifiedDomain):
        await submit(world, f"x@{domain}", message=SUBMITTED)
    assert await queued(world) == []
    way = Smarthost("smart.example", recipients=(domain,))
    sending = replace(post(world), outbox=Outbox(Router(QueueSettings(smarthosts=(way,)))))
    client = replace(STRANGER, authenticated=Authenticated(world.anna, "anna@penny.test"))
    await run(Submitter(sending).begin(client), Envelope(address("anna@penny.test")), [f"x@{domain}"], SUBMITTED)
    assert len(await queued(world)) == 1
    for other in ("x@[192.0.2.1]", "x@[IPv6:2001:db8::1]"):
        await submit(world, other, message=SUBMITTED)


async def test_a_submission_that_is_held_is_held_for_everybody(world: World) -> None:
    """RFC 4865 §5: also for those who have mailboxes here."""
    accepted = await submit(world, "bert@penny.test", "x@example.org", message=SUBMITTED, hold=timedelta(hours=1))
    assert await stored(world, world.bert) == []
    waiting = await queued(world)
    assert [(d.hop, d.state) for d in waiting] == [
        ("local", DeliveryState.DEFERRED),
        ("example.org", DeliveryState.DEFERRED),
    ]
    assert accepted.stored == (f"q{waiting[0].queued}",)
    router = Router(QueueSettings())
    manager = QueueManager(world.store, QueueSettings(), takes_all, "mail.penny.test", router)
    running = asyncio.create_task(manager.run())
    world.clock.forward(timedelta(hours=1))
    manager.wake()
    async with asyncio.timeout(10):
        for _ in itertools.count():
            if not await queued(world):
                break
            await asyncio.sleep(0.001)
    await manager.stop(timedelta(seconds=1))
    await running
    (octets,) = await stored(world, world.bert)
    assert octets.startswith(b"Return-Path: <anna@penny.test>\r\nDelivered-To: bert@penny.test\r\nReceived: ")
    assert octets.endswith(b"A body.\r\n")


async def takes_all(hop: NextHop, message: OutgoingMessage) -> RelayOutcome:
    return RelayOutcome(
        tuple(RecipientResult(r, RelayState.SENT, "2.0.0", "250 2.0.0 ok", "mx") for r in message.envelope.recipients)
    )


async def test_what_came_and_where_it_went_is_told(world: World) -> None:
    accepted = await receive(world, "anna@penny.test", message=b"Message-ID: <a@b>\r\n" + MESSAGE)
    traces = await world.store.scan(lambda tx: timeline.traces_of(tx, "a@b"))
    (event,) = await world.store.scan(lambda tx: timeline.story(tx, traces))
    assert timeline.trace_id(event.trace) == accepted.id
    assert event.kind is EventKind.RECEIVED
    facts = dict(event.facts)
    assert facts.pop("size") == len(MESSAGE) + 19
    assert facts == {
        "peer": str(STRANGER.peer),
        "hello": "mx.example",
        "from": "carl@example.org",
        "to": ["anna@penny.test"],
        "stored": list(accepted.stored),
        "message-id": "a@b",
    }


async def test_mail_for_a_domain_we_back_up_is_passed_on(world: World) -> None:
    settings = QueueSettings(backup_for=("Friends.example",))
    backing = replace(post(world), outbox=Outbox(Router(settings)))
    envelope = Envelope(SENDER)
    await run(Receiver(backing).begin(STRANGER), envelope, ["x@friends.EXAMPLE"], MESSAGE)
    (delivery,) = await queued(world)
    assert delivery.hop == "friends.example"
    with pytest.raises(RelayDenied):
        await run(Receiver(backing).begin(STRANGER), envelope, ["x@other.example"], MESSAGE)


async def submit_heeding(world: World, mode: Suppress, *to: str, message: bytes, **wishes: Any) -> Acceptance:
    await world.store.write(lambda tx: suppression.suppress(tx, address("x@example.org"), "550 5.1.1 no"))
    client = replace(STRANGER, authenticated=Authenticated(world.anna, "anna@penny.test"))
    heeding = replace(post(world), outbox=Outbox(Router(QueueSettings(suppress=mode))))
    return await run(Submitter(heeding).begin(client), Envelope(address("anna@penny.test"), **wishes), to, message)


NEWS = b"List-Unsubscribe: <mailto:off@penny.test>\r\n" + SUBMITTED


@pytest.mark.parametrize(
    ("mode", "message", "wishes"),
    [
        (Suppress.ON, SUBMITTED, {}),
        (Suppress.BULK, NEWS, {}),
        (Suppress.BULK, b"Precedence: Bulk\r\n" + SUBMITTED, {}),
        (Suppress.BULK, SUBMITTED, {"priority": -1}),
    ],
)
async def test_mail_to_a_suppressed_recipient_is_refused(
    world: World, mode: Suppress, message: bytes, wishes: dict[str, int]
) -> None:
    with pytest.raises(RecipientSuppressed):
        await submit_heeding(world, mode, "X@example.org", message=message, **wishes)
    assert await queued(world) == []


@pytest.mark.parametrize(("mode", "message"), [(Suppress.OFF, NEWS), (Suppress.BULK, SUBMITTED)])
async def test_what_suppression_does_not_concern(world: World, mode: Suppress, message: bytes) -> None:
    await submit_heeding(world, mode, "x@example.org", message=message)
    assert len(await queued(world)) == 1


async def test_the_sender_hears_whom_bulk_mail_does_not_go_to(world: World) -> None:
    accepted = await submit_heeding(
        world, Suppress.BULK, "x@example.org", "y@example.org", "bert@penny.test", message=NEWS
    )
    assert [str(one.recipient.address) for one in await queued(world)] == ["y@example.org"]
    assert len(await stored(world, world.bert)) == 1
    (told,) = await stored(world, world.anna)
    assert b"Final-Recipient: rfc822; x@example.org\r\nAction: failed\r\nStatus: 5.1.1" in told
    story = await world.store.scan(lambda tx: timeline.story(tx, [timeline.trace_number(accepted.id)]))
    assert [event.kind for event in story] == [EventKind.SUBMITTED, EventKind.REPORTED]
    assert story[1].facts["recipients"] == ["x@example.org"]


async def test_bulk_mail_that_is_held_does_not_wait_for_the_suppressed(world: World) -> None:
    await submit_heeding(world, Suppress.BULK, "x@example.org", "y@example.org", message=NEWS, hold=timedelta(hours=1))
    assert [str(one.recipient.address) for one in await queued(world)] == ["y@example.org"]


async def test_what_is_there_is_not_added_again(world: World) -> None:
    whole = b"Date: Fri, 1 Jan 2027 00:00:00 +0100\r\nMessage-ID: <x@y>\r\n" + SUBMITTED
    await submit(world, "bert@penny.test", message=whole)
    header = split((await stored(world, world.bert))[0])[0]
    assert values(header, b"date") == [b"Fri, 1 Jan 2027 00:00:00 +0100"]
    assert values(header, b"message-id") == [b"<x@y>"]


async def test_a_message_without_an_author_gets_one(world: World) -> None:
    await submit(world, "bert@penny.test", message=b"Subject: from a script\r\n\r\nhi\r\n")
    header = split((await stored(world, world.bert))[0])[0]
    assert value(header, b"from") == b"<anna@penny.test>"


@pytest.mark.parametrize(
    ("field", "error"),
    [
        (b"From: bert@penny.test\r\n", SenderNotOwned),
        (b"From: anna@penny.test, bert@penny.test\r\n", SenderNotOwned),
        (b'From: "anna@penny.test" <bert@penny.test>\r\n', SenderNotOwned),
        (b"From: anna@penny.test\r\nSender: bert@penny.test\r\n", SenderNotOwned),
        (b"From: g: anna@penny.test, bert@penny.test;\r\n", SenderNotOwned),
        (b"From: anna@penny.test\r\nFrom: bert@penny.test\r\n", BadMessage),
        (b"From: anna@penny.test\r\nfrom : bert@penny.test\r\n", BadMessage),
        (b"From: anna\r\n", BadMessage),
        (b"From:\r\n", BadMessage),
        (b"From: anna@penny.test <bert>\r\n", BadMessage),
    ],
)
async def test_nobody_writes_in_the_name_of_another(world: World, field: bytes, error: type[MailError]) -> None:
    with pytest.raises(error):
        await submit(world, "bert@penny.test", message=field + b"Subject: x\r\n\r\nx\r\n")
    assert await stored(world, world.bert) == []


async def test_an_alias_is_an_address_of_its_own(world: World) -> None:
    await world.store.write(lambda tx: directory.add_alias(tx, "info@penny.test", ["anna@penny.test"]))
    message = SUBMITTED.replace(b"<anna@", b"<Info@")
    await submit(world, "bert@penny.test", message=message, sender="info+x@penny.test")
    assert len(await stored(world, world.bert)) == 1


async def test_the_reverse_path_must_be_owned_or_null(world: World) -> None:
    with pytest.raises(SenderNotOwned):
        await submit(world, "bert@penny.test", message=SUBMITTED, sender="bert@penny.test")
    await submit(world, "bert@penny.test", message=SUBMITTED, sender=None)
    assert len(await stored(world, world.bert)) == 1


async def test_submission_needs_a_user_and_knows_its_own(world: World) -> None:
    reception = Submitter(post(world)).begin(STRANGER)
    with pytest.raises(AuthenticationRequired):
        await reception.sender(Envelope(SENDER))
    with pytest.raises(NoSuchRecipient):
        await submit(world, "nobody@penny.test", message=SUBMITTED)


async def test_what_was_for_a_mailbox_that_is_gone_meanwhile_goes_to_the_inbox(world: World) -> None:
    reception = Receiver(post(world)).begin(STRANGER)
    await world.store.write(lambda tx: mailboxes.create(tx, world.anna, "tag"))
    await reception.sender(Envelope(SENDER))
    await reception.recipient(Recipient(address("anna+tag@penny.test")))
    await world.store.write(lambda tx: mailboxes.remove(tx, world.anna, "tag"))
    world.clock.forward(timedelta(seconds=1))
    reception.write(MESSAGE)
    await reception.accept()
    assert len(await stored(world, world.anna)) == 1


@interpreted
async def test_what_only_passes_through_is_not_digested(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody here asks what is in it; its Message-ID is known all the same."""

    def digest(header: bytes, body: bytes) -> None:
        raise AssertionError("digested")

    monkeypatch.setattr("pennypost.mail.prepare.digest", digest)
    message = SUBMITTED.replace(b"\r\n\r\n", b"\r\nMessage-ID: <here@penny.test>\r\n\r\n", 1)
    accepted = await submit(world, "carl@example.org", message=message)
    facts = await world.store.read(lambda tx: tx.fetch_all("SELECT facts FROM event"))
    assert accepted.outcomes == (None,)
    assert any("here@penny.test" in row[0] for row in facts)
    with pytest.raises(AssertionError):
        await submit(world, "bert@penny.test", message=message)
