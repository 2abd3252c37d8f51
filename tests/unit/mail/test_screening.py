"""What others say about a message is followed: refused in the session, filed, changed, and nothing is lost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from tests.unit.mail.conftest import World
from tests.unit.mail.test_transaction import MESSAGE, SENDER, STRANGER, address, post, run, stored

from pennypost.clients.screening.guard import Guard
from pennypost.clients.screening.settings import Fallback, ScreenerSettings
from pennypost.clients.screening.shape import (
    NOTHING,
    AddField,
    ChangeField,
    Moment,
    Opinion,
    Reply,
    Ruling,
    ScreenerFailed,
    Screening,
    Specimen,
    Visit,
)
from pennypost.junk.content import Content
from pennypost.junk.evidence import Evidence
from pennypost.mail.judge import Judge, JunkSettings
from pennypost.mail.receive import Receiver
from pennypost.mail.reception import Acceptance
from pennypost.mail.screening import Screeners
from pennypost.mail.settings import DeliverySettings
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.errors import MailError, ScreenerDeferred, ScreenerRefused
from pennypost.model.units import KIB, Octets
from pennypost.proto.smtp import reply_for
from pennypost.store import directory, timeline
from pennypost.store.engine import Transaction

REFUSED = Opinion(Ruling.REFUSE, "no", Reply(554, "5.7.9", "We do not want it"))


@dataclass
class Told(Screening):
    """Says what it is told to say."""

    sender_: Opinion | Exception = NOTHING
    recipient_: Callable[[Recipient], Opinion] = lambda _: NOTHING
    message_: Opinion | Callable[[Specimen], Opinion] = NOTHING
    content_: Opinion = NOTHING
    name: str = "told"
    in_turn: bool = False
    settings: ScreenerSettings = field(default_factory=ScreenerSettings)
    kind: str = "clamav"
    moments: frozenset[Moment] = frozenset(Moment)
    seen: list[bytes] = field(default_factory=list)
    ended: int = 0
    stored: list[tuple[list[str], int, Sequence[str]]] = field(default_factory=list)

    def begin(self, visit: Visit) -> Screening:
        return self

    async def close(self) -> None:
        pass

    async def sender(self, envelope: Envelope) -> Opinion:
        if isinstance(self.sender_, Exception):
            raise self.sender_
        return self.sender_

    async def recipient(self, envelope: Envelope, recipient: Recipient) -> Opinion:
        return self.recipient_(recipient)

    async def message(self, specimen: Specimen) -> Opinion:
        self.seen.append(b"".join(specimen.pieces(7)))
        return self.message_(specimen) if callable(self.message_) else self.message_

    async def content(self, envelope: Envelope, content: Content) -> Opinion:
        return self.content_

    def delivered(self, envelope: Envelope, size: int, stored: Sequence[str]) -> None:
        self.stored.append(([str(recipient.address) for recipient in envelope.recipients], size, stored))

    def end(self) -> None:
        self.ended += 1


def receiver(
    world: World, told: Sequence[Told], settings: DeliverySettings | None = None, held: str = "", judge: bool = False
) -> Receiver:
    guards = [Guard(one, lambda kind, outcome, seconds: None, lambda kind, amount: None) for one in told]
    judging = Judge(world.store, JunkSettings()) if judge else None
    return Receiver(post(world, settings), judge=judging, screeners=Screeners(guards), held_mailbox=held)


async def receive(
    world: World,
    *told: Told,
    to: Sequence[str] = ("anna@penny.test",),
    message: bytes = MESSAGE,
    settings: DeliverySettings | None = None,
    held: str = "",
    judge: bool = False,
) -> Acceptance:
    reception = receiver(world, told, settings, held, judge).begin(STRANGER)
    try:
        return await run(reception, Envelope(SENDER), to, message)
    finally:
        reception.discard()
        assert all(one.ended == 1 for one in told)


async def refusal(world: World, *told: Told, **more: object) -> str:
    with pytest.raises(MailError) as caught:
        await receive(world, *told, **more)  # type: ignore[arg-type]
    assert await stored(world, world.anna) == []
    return reply_for(caught.value).encode().decode()


async def test_who_has_nothing_to_say_changes_nothing(world: World) -> None:
    told = Told(), Told(in_turn=True)
    await receive(world, *told)
    (octets,) = await stored(world, world.anna)
    assert octets.endswith(MESSAGE)
    assert [one.seen for one in told] == [[MESSAGE], [MESSAGE]]


@pytest.mark.parametrize(
    ("told", "reply"),
    [
        (Told(sender_=REFUSED), "554 5.7.9 We do not want it\r\n"),
        (Told(recipient_=lambda _: REFUSED), "554 5.7.9 We do not want it\r\n"),
        (Told(message_=REFUSED), "554 5.7.9 We do not want it\r\n"),
        (Told(message_=REFUSED, in_turn=True), "554 5.7.9 We do not want it\r\n"),
        (Told(message_=Opinion(Ruling.REFUSE)), "550 5.7.1 Refused\r\n"),
        (Told(message_=Opinion(Ruling.DEFER)), "451 4.7.1 Try again later\r\n"),
        (
            Told(sender_=ScreenerFailed("x"), settings=ScreenerSettings(on_failure=Fallback.DEFER)),
            "451 4.7.1 The message could not be checked now, try again later\r\n",
        ),
    ],
)
async def test_it_is_refused_while_the_sender_can_hear_of_it(world: World, told: Told, reply: str) -> None:
    assert await refusal(world, told) == reply


async def test_the_timeline_tells_of_what_was_turned_away(world: World) -> None:
    await refusal(world, Told(message_=REFUSED))

    async def story(tx: Transaction) -> list[timeline.Event]:
        return await timeline.story(tx, await timeline.traces_of(tx, "anna@penny.test"))

    (event,) = await world.store.scan(story)
    assert event.kind is timeline.EventKind.TURNED_AWAY
    assert event.facts["reason"] == "5.7.9 We do not want it"
    assert event.facts["verdicts"] == {"told": "no"}


async def test_who_wants_to_know_hears_of_what_was_stored(world: World) -> None:
    told = Told(sender_=ScreenerFailed("it is gone"))  # it is told all the same
    acceptance = await receive(world, told)
    assert told.stored == [(["anna@penny.test"], len(MESSAGE), acceptance.stored)]


async def test_the_gravest_holds_whoever_says_it(world: World) -> None:
    others = Told(message_=Opinion(Ruling.JUNK)), Told(message_=Opinion(Ruling.DEFER)), Told(message_=REFUSED)
    assert (await refusal(world, *others)).startswith("554")


async def test_who_fails_is_passed_over_and_asked_no_more(world: World) -> None:
    told = Told(sender_=ScreenerFailed("it is gone"), message_=REFUSED)
    await receive(world, told)
    assert told.seen == []

    async def facts(tx: Transaction) -> object:
        (trace,) = await timeline.traces_of(tx, "anna@penny.test")
        return (await timeline.story(tx, [trace]))[0].facts["verdicts"]

    assert await world.store.scan(facts) == {"told": "failed: it is gone"}


async def test_one_recipient_is_refused_and_the_other_gets_it(world: World) -> None:
    told = Told(recipient_=lambda recipient: REFUSED if recipient.address.local_part == "anna" else NOTHING)
    reception = receiver(world, [told]).begin(STRANGER)
    await reception.sender(Envelope(SENDER))
    with pytest.raises(ScreenerRefused):
        await reception.recipient(Recipient(address("anna@penny.test")))
    await reception.recipient(Recipient(address("bert@penny.test")))
    reception.write(MESSAGE)
    assert len((await reception.accept()).outcomes) == 1
    assert (len(await stored(world, world.anna)), len(await stored(world, world.bert))) == (0, 1)


@pytest.mark.parametrize("accepted_before", [False, True])
async def test_who_fails_at_a_recipient_is_not_passed_by_with_the_next(world: World, accepted_before: bool) -> None:
    def fail(recipient: Recipient) -> Opinion:
        if recipient.address.local_part == "anna":
            raise ScreenerFailed("it is gone")
        return NOTHING

    told = Told(recipient_=fail, settings=ScreenerSettings(on_failure=Fallback.DEFER), in_turn=True)
    reception = receiver(world, [told]).begin(STRANGER)
    await reception.sender(Envelope(SENDER))
    if accepted_before:
        await reception.recipient(Recipient(address("bert@penny.test")))
    with pytest.raises(ScreenerDeferred):
        await reception.recipient(Recipient(address("anna@penny.test")))
    if accepted_before:
        reception.write(MESSAGE)
        with pytest.raises(ScreenerDeferred):
            await reception.accept()
    else:
        with pytest.raises(ScreenerDeferred):
            await reception.recipient(Recipient(address("bert@penny.test")))
    assert await stored(world, world.bert) == []
    reception.discard()


@pytest.mark.parametrize(
    ("ruling", "held", "mailbox"),
    [(Ruling.JUNK, "Held", "Junk"), (Ruling.HOLD, "", "Junk"), (Ruling.HOLD, "At the door/Held", "At the door/Held")],
)
async def test_it_is_filed_away(world: World, ruling: Ruling, held: str, mailbox: str) -> None:
    for _ in range(2):
        await receive(world, Told(message_=Opinion(ruling)), held=held)
    assert await stored(world, world.anna) == []
    assert len(await stored(world, world.anna, mailbox)) == 2


async def test_what_is_to_be_held_does_not_leave_for_another_host(world: World) -> None:
    await world.store.write(lambda tx: directory.add_alias(tx, "away@penny.test", ["carl@elsewhere.example"]))
    told = Told(message_=Opinion(Ruling.HOLD))
    assert (await refusal(world, told, to=["anna@penny.test", "away@penny.test"])).startswith("550 5.7.1")


async def test_the_header_is_changed(world: World) -> None:
    changes = (
        AddField(b"X-Top", b"a\r\n\tb"),
        AddField(b"X-Last", b"c", None),
        AddField(b"X-Second", b"d", 1),
        ChangeField(b"subject", 1, b"changed"),
        ChangeField(b"To", 0, None),
        ChangeField(b"X-New", 1, b"e"),
        ChangeField(b"X-Absent", 1, None),
    )
    one, two = Told(message_=Opinion(header=changes)), Told(in_turn=True)
    await receive(world, one, two)
    (octets,) = await stored(world, world.anna)
    expected = (
        b"X-Top: a\r\n\tb\r\nX-Second: d\r\nFrom: Carl <carl@example.org>\r\nSubject: changed\r\n"
        b"X-Last: c\r\nX-New: e\r\n\r\nA body.\r\n"
    )
    assert octets.endswith(expected)
    assert two.seen == [expected]


@pytest.mark.parametrize("spooled", [64 * KIB, 10])
async def test_the_body_is_replaced_and_the_next_one_sees_it(world: World, spooled: int) -> None:
    world.store.spools.memory_limit = spooled

    def say(new: bytes) -> Callable[[Specimen], Opinion]:
        def write(specimen: Specimen) -> Opinion:
            assert specimen.replace_body is not None
            for octet in new:
                specimen.replace_body(bytes((octet,)))
            return NOTHING

        return write

    one, two, three = (Told(message_=what, in_turn=True) for what in (say(b"one\r\n"), say(b"two two\r\n"), NOTHING))
    await receive(world, one, two, three)
    (octets,) = await stored(world, world.anna)
    assert octets.endswith(b"\r\n\r\ntwo two\r\n")
    assert [told.seen[0].partition(b"\r\n\r\n")[2] for told in (one, two, three)] == [
        b"A body.\r\n", b"one\r\n", b"two two\r\n",
    ]  # fmt: skip
    assert world.store.spools.memory_used == 0


async def test_lines_of_another_body_end_with_crlf(world: World) -> None:
    def write(specimen: Specimen) -> Opinion:
        assert specimen.replace_body is not None
        for piece in (b"one\n", b"two\r", b"\nthree\n.\nfour\r\n", b"", b"\n"):
            specimen.replace_body(piece)
        return NOTHING

    await receive(world, Told(message_=write, in_turn=True))
    (octets,) = await stored(world, world.anna)
    assert octets.endswith(b"\r\n\r\none\r\ntwo\r\nthree\r\n.\r\nfour\r\n\r\n")


async def test_another_body_begins_behind_an_empty_line(world: World) -> None:
    def write(specimen: Specimen) -> Opinion:
        assert specimen.replace_body is not None
        specimen.replace_body(b"Subject: no field\r\n")
        return NOTHING

    await receive(world, Told(message_=write, in_turn=True), message=b"From: carl@example.org\r\n")
    (octets,) = await stored(world, world.anna)
    assert octets.endswith(b"\r\nFrom: carl@example.org\r\n\r\nSubject: no field\r\n")


async def test_a_body_that_gets_too_large_is_the_screeners_failure(world: World) -> None:
    def write(specimen: Specimen) -> Opinion:
        assert specimen.replace_body is not None
        for _ in range(3):
            specimen.replace_body(bytes(1024))
        return NOTHING

    settings = DeliverySettings(max_message_size=Octets(2 * KIB))
    await receive(world, Told(message_=write, in_turn=True), settings=settings)
    (octets,) = await stored(world, world.anna)
    assert octets.endswith(MESSAGE)
    assert world.store.spools.memory_used == 0


async def test_recipients_and_sender_are_changed(world: World) -> None:
    added = (address("bert@penny.test"), address("x@nowhere.example"))
    opinion = Opinion(sender=(None,), add=added, remove=(address("ANNA@penny.test"),))
    await receive(world, Told(message_=opinion, in_turn=True))
    assert await stored(world, world.anna) == []
    (octets,) = await stored(world, world.bert)
    assert octets.startswith(b"Return-Path: <>\r\nDelivered-To: bert@penny.test\r\n")


async def test_a_message_nobody_is_left_for_is_junk_not_lost(world: World) -> None:
    await receive(world, Told(message_=Opinion(remove=(address("anna@penny.test"),)), in_turn=True))
    assert len(await stored(world, world.anna, "Junk")) == 1


async def test_evidence_counts_in_the_score(world: World) -> None:
    opinion = Opinion(evidence=(Evidence("on-a-list", 6.0, "It is on a list."),))
    for told in (Told(content_=opinion), Told(message_=opinion), Told(sender_=opinion)):
        await receive(world, told, judge=True)
    found = await stored(world, world.anna, "Junk")
    assert len(found) == 3
    assert all(b"X-Junk-Evidence: +6.0 on-a-list:\r\n\tIt is on a list." in octets for octets in found)


async def test_what_is_held_is_not_refused_for_its_score(world: World) -> None:
    opinion = Opinion(Ruling.HOLD, evidence=(Evidence("virus", 50.0, "It has a virus."),))
    await receive(world, Told(message_=opinion), held="Held", judge=True)
    assert len(await stored(world, world.anna, "Held")) == 1


async def test_what_is_said_of_each_recipient_counts_once(world: World) -> None:
    told = Told(recipient_=lambda _: Opinion(evidence=(Evidence("on-a-list", 3.0, "It is on a list."),)))
    await receive(world, told, to=["anna@penny.test", "bert@penny.test"], judge=True)
    (octets,) = await stored(world, world.anna)
    assert octets.count(b"X-Junk-Evidence: +3.0 on-a-list") == 1


async def test_a_bug_in_a_screener_is_no_ruling(world: World) -> None:
    def bug(specimen: Specimen) -> Opinion:
        raise ZeroDivisionError

    with pytest.raises((ZeroDivisionError, ExceptionGroup)):
        await receive(world, Told(message_=bug), Told())
    assert await stored(world, world.anna) == []


async def test_an_interrupted_transaction_ends_for_all(world: World) -> None:
    told = Told()
    reception = receiver(world, [told]).begin(STRANGER)
    await reception.sender(Envelope(SENDER))
    reception.discard()
    reception.discard()
    assert told.ended == 1


async def test_no_new_connection_is_tried_while_the_breaker_is_open(world: World) -> None:
    settings = ScreenerSettings(failures=1, pause=timedelta(minutes=1), on_failure=Fallback.DEFER)
    told = Told(sender_=ScreenerFailed("x"), settings=settings)
    everyone = receiver(world, [told])
    for _ in range(2):
        reception = everyone.begin(STRANGER)
        with pytest.raises(ScreenerDeferred):
            await reception.sender(Envelope(SENDER))
        told.sender_ = REFUSED  # it would answer now, and is not asked
        reception.discard()


async def test_one_that_fails_when_all_is_stored_changes_nothing(world: World) -> None:
    class Clumsy(Told):
        def delivered(self, envelope: Envelope, size: int, stored: Sequence[str]) -> None:
            raise ZeroDivisionError

        def end(self) -> None:
            super().end()
            raise ZeroDivisionError

    after = Told()
    assert (await receive(world, Clumsy(), after)).outcomes == (None,)
    assert len(await stored(world, world.anna)) == len(after.stored) == 1
