"""What is wanted goes to the inbox, what is not elsewhere or nowhere, what is doubtful waits (RFC 6647); and people
teach which is which."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from ipaddress import ip_address

import pytest
from tests.unit.mail.conftest import World
from tests.unit.mail.test_transaction import STRANGER, address, post, submit

from pennypost.junk.classifier import MIN_LEARNT
from pennypost.mail.judge import Judge, JunkSettings, look_at
from pennypost.mail.learner import Learner, lesson_of
from pennypost.mail.limits import network_of
from pennypost.mail.receive import Receiver
from pennypost.mail.reception import Language, SmtpClient
from pennypost.mail.verification import Verdicts
from pennypost.message import headers
from pennypost.message.digest import digest
from pennypost.model.envelope import Envelope, Notify, Recipient
from pennypost.model.errors import ComeAgain, NotWanted, NotWantedNow
from pennypost.model.flags import Flags
from pennypost.model.ids import AccountId, MailboxId, MessageId, Uid
from pennypost.model.mailbox import MailboxRole
from pennypost.model.peer import Peer
from pennypost.model.verification import SpfResult, SpfVerdict
from pennypost.store import blobs, directory, flags, greylist, junk, mailboxes, messages, removal
from pennypost.store.engine import Transaction
from pennypost.store.junk import Thresholds
from pennypost.store.messages import Column

HEADER = (
    b"From: Carl <carl@example.org>\r\nTo: anna@penny.test\r\nSubject: hello\r\n"
    b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <%d@example.org>\r\n\r\n"
)
GOOD = HEADER + b"Minutes of the board meeting, with the budget attached.\r\n"
BAD = (
    b'From: eve@example.com\r\nFrom: "bank@bank.example" <eve@example.com>\r\nSubject: YOU HAVE WON A MILLION\r\n'
    b"X-Junk-Score: -9.0\r\n\r\nhttp://192.0.2.9/claim %d\r\n"
)


async def receive(
    world: World,
    message: bytes,
    *recipients: str,
    settings: JunkSettings | None = None,
    notify: Notify = Notify.UNSPECIFIED,
) -> None:
    judge = Judge(world.store, settings or JunkSettings())
    reception = Receiver(post(world), judge=judge).begin(STRANGER)
    await reception.sender(Envelope(address("carl@example.org")))
    for recipient in recipients or ("anna@penny.test",):
        await reception.recipient(Recipient(address(recipient), notify))
    reception.write(message)
    await reception.accept()


async def mailbox(world: World, role: MailboxRole, account: AccountId | None = None) -> MailboxId:
    found = await world.store.read(lambda tx: mailboxes.by_role(tx, account or world.anna, role))
    assert found is not None
    return found.id


async def held(world: World, role: MailboxRole, account: AccountId | None = None) -> list[tuple[Uid, MessageId, bytes]]:
    """Give what lies in a mailbox: UID, id and header of each."""
    owner, place = account or world.anna, await mailbox(world, role, account)

    async def read(tx: Transaction) -> list[tuple[Uid, MessageId, bytes]]:
        return await messages.fetch_by_uid(tx, owner, place, Uid(1), Uid(2**32 - 1), (Column.HEADER,))  # type: ignore[return-value]

    return [tuple(row) for row in await world.store.read(read)]  # type: ignore[misc]


async def learn(world: World) -> int:
    return await Learner(world.store).round()


async def test_wanted_mail_goes_to_the_inbox_and_says_why(world: World) -> None:
    await receive(world, GOOD % 1)
    ((_, _, header),) = await held(world, MailboxRole.INBOX)
    assert (headers.value(header, b"x-junk-score") or b"").endswith(b"of 5.0, wanted")


async def test_junk_goes_elsewhere_and_foreign_scores_are_dropped(world: World) -> None:
    await receive(world, BAD % 1)
    assert await held(world, MailboxRole.INBOX) == []
    ((_, _, header),) = await held(world, MailboxRole.JUNK)
    (score,) = headers.values(header, b"x-junk-score")
    assert score.endswith(b", junk")
    evidence = b"\n".join(headers.values(header, b"x-junk-evidence"))
    assert b"from-count: It does not name one author" in evidence
    assert all(line.isascii() for line in header.splitlines())


async def test_what_is_hopeless_is_refused(world: World) -> None:
    settings = JunkSettings(threshold=1.0, refuse_threshold=2.0)
    with pytest.raises(NotWanted):
        await receive(world, BAD % 1, settings=settings)
    assert await held(world, MailboxRole.JUNK) == []
    await receive(world, BAD % 1, settings=replace(settings, refuse_threshold=0.0))
    assert len(await held(world, MailboxRole.JUNK)) == 1


async def test_when_off_nothing_is_weighed(world: World) -> None:
    await receive(world, BAD % 1, settings=JunkSettings(enabled=False))
    ((_, _, header),) = await held(world, MailboxRole.INBOX)
    assert headers.values(header, b"x-junk-score") == [b"-9.0"]


async def move(world: World, uid: Uid, source: MailboxRole, target: MailboxRole) -> None:
    world.clock.forward(timedelta(minutes=5))
    start, end = await mailbox(world, source), await mailbox(world, target)
    await world.store.write(lambda tx: messages.move(tx, world.anna, start, [uid], end))


async def test_people_teach_by_moving(world: World) -> None:
    await receive(world, GOOD % 1)
    await receive(world, BAD % 2)
    assert await learn(world) == 0  # nobody has done anything yet
    ((good, _, _),) = await held(world, MailboxRole.INBOX)
    ((bad, _, _),) = await held(world, MailboxRole.JUNK)
    await move(world, good, MailboxRole.INBOX, MailboxRole.JUNK)
    await move(world, bad, MailboxRole.JUNK, MailboxRole.INBOX)
    assert await learn(world) == 2
    assert await learn(world) == 0  # once
    assert await world.store.read(lambda tx: junk.learnt(tx, world.anna)) == (1, 1)
    assert await world.store.read(lambda tx: junk.learnt(tx, junk.EVERYBODY)) == (1, 1)
    assert await world.store.read(lambda tx: junk.learnt(tx, world.bert)) == (0, 0)


async def test_who_thinks_again_unteaches(world: World) -> None:
    await receive(world, GOOD % 1)
    ((uid, message, _),) = await held(world, MailboxRole.INBOX)
    await move(world, uid, MailboxRole.INBOX, MailboxRole.JUNK)
    await learn(world)
    before = await world.store.read(lambda tx: junk.counts(tx, world.anna, range(2**32 - 1, 2**32)))
    assert before == []
    ((uid, again, _),) = await held(world, MailboxRole.JUNK)
    assert again == message
    await move(world, uid, MailboxRole.JUNK, MailboxRole.INBOX)
    assert await learn(world) == 1
    assert await world.store.read(lambda tx: junk.learnt(tx, world.anna)) == (1, 0)
    rows = await world.store.read(
        lambda tx: tx.fetch_all("SELECT SUM(wanted), SUM(junk) FROM junk_token WHERE account = ?", world.anna)
    )
    assert rows[0][1] == 0 < rows[0][0]


async def test_a_domain_in_good_standing_helps_only_who_proves_to_be_of_it(world: World) -> None:
    lesson = junk.Lesson((), ("domain example.org",))
    for _ in range(5):
        await world.store.write(lambda tx: junk.learn(tx, world.anna, None, lesson, junk=False))
    judge, content = Judge(world.store, JunkSettings()), look_at(HEADER % 1, digest(HEADER % 1, b"").index, b"")
    proved = Verdicts(spf=SpfVerdict(SpfResult.PASS, "mailfrom", "example.org"))
    for verdicts, expected in ((None, False), (Verdicts(), False), (proved, True)):
        judged = await judge.judge(content, None, verdicts, [world.anna])
        assert ("good-domain" in {one.name for one in judged[world.anna].score.evidence}) is expected


@pytest.mark.parametrize(
    ("keywords", "flag", "expected"),
    [
        (("$Junk",), Flags.NONE, (0, 1)),
        (("$NotJunk",), Flags.NONE, (1, 0)),
        (("NonJunk",), Flags.NONE, (1, 0)),
        ((), Flags.ANSWERED, (1, 0)),
        ((), Flags.SEEN, (0, 0)),
    ],
)
async def test_people_teach_by_flags(
    world: World, keywords: tuple[str, ...], flag: Flags, expected: tuple[int, int]
) -> None:
    await receive(world, GOOD % 1)
    ((uid, _, _),) = await held(world, MailboxRole.INBOX)
    inbox = await mailbox(world, MailboxRole.INBOX)
    add = flags.StoreMode.ADD
    await world.store.write(lambda tx: flags.store(tx, world.anna, inbox, [uid], add, flag, keywords))
    await learn(world)
    assert await world.store.read(lambda tx: junk.learnt(tx, world.anna)) == expected


async def test_what_was_taught_is_heeded(world: World) -> None:
    """The same message goes elsewhere when its words were those of junk; for her who taught that, and for others."""
    for number in range(MIN_LEARNT):
        await receive(world, GOOD % number)
        await receive(world, (HEADER % (1000 + number)) + b"Cheap watches, buy them now, limited offer.\r\n")
    await receive(world, GOOD % 500, "bert@penny.test")
    inbox = await held(world, MailboxRole.INBOX)
    for position, (uid, _, _) in enumerate(inbox):
        await move(world, uid, MailboxRole.INBOX, MailboxRole.ARCHIVE if position % 2 == 0 else MailboxRole.JUNK)
    assert await learn(world) == 2 * MIN_LEARNT
    await receive(world, (HEADER % 7000) + b"Buy cheap watches now.\r\n", settings=JunkSettings(threshold=1.0))
    assert len(await held(world, MailboxRole.JUNK)) == MIN_LEARNT + 1
    await receive(world, GOOD % 7001)
    ((_, _, header),) = await held(world, MailboxRole.INBOX)
    assert b"words" in b"\n".join(headers.values(header, b"x-junk-evidence"))


def test_thresholds_make_sense() -> None:
    with pytest.raises(ValueError, match="refuse_threshold"):
        JunkSettings(threshold=5.0, refuse_threshold=2.0)
    with pytest.raises(ValueError, match="threshold"):
        JunkSettings(threshold=0)


async def test_a_move_from_another_server_teaches_a_little_only(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pennypost.mail.learner.IMPORTED_ENOUGH", 3)
    archive = await mailbox(world, MailboxRole.ARCHIVE)

    async def bring(number: int) -> None:
        header, _, body = (GOOD % number).partition(b"\r\n\r\n")
        header += b"\r\n\r\n"
        draft = world.store.blobs.draft(body)
        found, came = digest(header, body), world.clock() - timedelta(days=9)

        async def operation(tx: Transaction) -> None:
            message = messages.NewMessage(header, await blobs.put(tx, draft), draft.size, found, came)
            await messages.append(tx, world.anna, archive, message)

        await world.store.write(operation)

    for number in range(5):
        await bring(number)
    assert await learn(world) == 3
    await bring(6)
    assert await learn(world) == 0
    await receive(world, GOOD % 7)
    ((uid, _, _),) = await held(world, MailboxRole.INBOX)
    await move(world, uid, MailboxRole.INBOX, MailboxRole.ARCHIVE)
    assert await learn(world) == 1  # what somebody does himself counts for ever


# -- Whom an account knows


PROVED = Verdicts(spf=SpfVerdict(SpfResult.PASS, "mailfrom", "example.org"))


async def evidence(
    world: World, message: bytes, client: SmtpClient | None = None, found: Verdicts = PROVED
) -> set[str]:
    header, body = headers.split(message)
    content = look_at(header, digest(header, body).index, body)
    judged = await Judge(world.store, JunkSettings(), "mail.penny.test").judge(content, client, found, [world.anna])
    return {one.name for one in judged[world.anna].score.evidence}


async def test_an_answer_to_what_was_sent_is_known(world: World) -> None:
    answer = (
        GOOD.replace(b"Subject:", b"In-Reply-To: <77@penny.test>\r\nReferences: <1@x> <77@penny.test>\r\nSubject:") % 1
    )
    assert "answers-you" not in await evidence(world, answer)
    await world.store.write(lambda tx: junk.note_sent(tx, world.anna, b"<77@penny.test>"))
    assert "answers-you" in await evidence(world, answer, found=Verdicts())
    other = await Judge(world.store, JunkSettings()).judge(
        look_at(answer, digest(answer, b"").index, b""), None, None, [world.bert]
    )
    assert "answers-you" not in {one.name for one in other[world.bert].score.evidence}


async def test_what_users_send_is_remembered(world: World) -> None:
    await submit(world, "carl@example.org", message=b"Message-ID: <99@penny.test>\r\nSubject: hello\r\n\r\nHi\r\n")
    assert await world.store.read(lambda tx: junk.has_sent(tx, world.anna, [junk.hash_of_id(b"99@penny.test")]))


async def test_a_first_contact_gets_a_closer_look(world: World) -> None:
    odd = GOOD % 1 + b"http://192.0.2.9/claim\r\n"
    assert "first-contact" in await evidence(world, odd)
    assert "first-contact" not in await evidence(world, GOOD % 1)
    await world.store.write(lambda tx: junk.note_heard(tx, world.anna, "address carl@example.org"))
    assert await evidence(world, odd) >= {"heard-before", "link-to-a-number"}
    assert "first-contact" in await evidence(world, odd, found=Verdicts())  # anybody can write his name


async def test_who_was_not_taken_for_junk_is_known_next_time(world: World) -> None:
    judge = Judge(world.store, JunkSettings())
    content = look_at(GOOD % 1, digest(GOOD % 1, b"").index, b"")
    judged = await judge.judge(content, None, PROVED, [world.anna])
    assert judged[world.anna].stranger == "address carl@example.org"
    assert (await judge.judge(content, None, Verdicts(), [world.anna]))[world.anna].stranger == ""


@pytest.mark.parametrize(
    ("hello", "ip", "name"),
    [
        ("penny.test", "192.0.2.7", "hello-forged"),
        ("mail.penny.test", "192.0.2.7", "hello-forged"),
        ("mail.penny.test", "127.0.0.1", None),
        ("mx.example.org", "192.0.2.7", None),
        ("laptop", "192.0.2.7", "hello-is-no-name"),
    ],
)
async def test_who_pretends_to_be_us(world: World, hello: str, ip: str, name: str | None) -> None:
    client = SmtpClient(Peer(ip_address(ip), 1), hello, Language.ESMTP)
    assert {one for one in await evidence(world, GOOD % 1, client) if one.startswith("hello")} == (
        {name} if name else set()
    )


# -- Networks and languages


async def teach(world: World, subjects: tuple[str, ...], *, wanted: int = 0, unwanted: int = 0) -> None:
    async def lessons(tx: Transaction) -> None:
        for number in range(wanted + unwanted):
            await junk.learn(tx, world.anna, None, junk.Lesson((), subjects), junk=number >= wanted)

    await world.store.write(lessons)


@pytest.mark.parametrize(
    ("wanted", "unwanted", "expected"),
    [
        (0, 9, set()),
        (0, 10, {"bad-network"}),
        (10, 0, {"good-network"}),
        (5, 50, set()),
        (50, 5, set()),
        (1, 19, {"bad-network"}),
    ],
)
@pytest.mark.parametrize(
    ("ip", "network"), [("192.0.2.7", "192.0.2.0/24"), ("2001:db8::a:7", "2001:db8::/64")], ids=["IPv4", "IPv6"]
)
async def test_what_is_thought_of_a_network(
    world: World, ip: str, network: str, wanted: int, unwanted: int, expected: set[str]
) -> None:
    await teach(world, (f"network {network}",), wanted=wanted, unwanted=unwanted)
    client = SmtpClient(Peer(ip_address(ip), 1), "mx.example.org", Language.ESMTP)
    found = await evidence(world, GOOD % 1, client, Verdicts())
    assert {one for one in found if one.endswith("-network")} == expected
    elsewhere = SmtpClient(Peer(ip_address("198.51.100.7"), 1), "mx.example.org", Language.ESMTP)
    assert not {one for one in await evidence(world, GOOD % 1, elsewhere) if one.endswith("-network")}


async def test_the_network_of_a_stored_message_is_learnt_and_unlearnt(world: World) -> None:
    await receive(
        world, b"Received: from x ([203.0.113.9])\r\n\tby elsewhere (Pennypost) with SMTP id 1; now\r\n" + GOOD % 1
    )
    ((uid, _, _),) = await held(world, MailboxRole.INBOX)
    subject = f"network {network_of(STRANGER.peer.ip)}" if STRANGER.peer.ip is not None else ""
    await move(world, uid, MailboxRole.INBOX, MailboxRole.JUNK)
    await learn(world)
    both = (subject, "network 203.0.113.0/24")
    assert await world.store.read(lambda tx: junk.reputations(tx, world.anna, both)) == {subject: (0, 1)}
    ((uid, _, _),) = await held(world, MailboxRole.JUNK)
    await move(world, uid, MailboxRole.JUNK, MailboxRole.INBOX)
    await learn(world)
    assert await world.store.read(lambda tx: junk.reputations(tx, world.anna, both)) == {subject: (1, 0)}


GERMAN = (
    HEADER % 1
) + b"Das ist nicht die Rechnung, die du mit der Post bekommen hast, und wir sehen sie auch nicht.\r\n"
ENGLISH = (HEADER % 2) + b"This is not the invoice that you have from the post, and we are not here to see it.\r\n"


async def test_a_language_nobody_writes_to_one_in(world: World) -> None:
    english = ("language *", "language english")
    await teach(world, english, wanted=49, unwanted=10)
    assert "unusual-language" not in await evidence(world, GERMAN)
    await teach(world, english, wanted=1)
    assert "unusual-language" in await evidence(world, GERMAN)
    assert "unusual-language" not in await evidence(world, ENGLISH)
    assert "unusual-language" not in await evidence(world, GOOD % 1)  # too short to say
    await teach(world, ("language *", "language german"), unwanted=5)
    assert "unusual-language" in await evidence(world, GERMAN)
    await teach(world, ("language *", "language german"), wanted=1)
    assert "unusual-language" not in await evidence(world, GERMAN)


async def test_what_was_learnt_before_languages_were_says_nothing(world: World) -> None:
    await teach(world, ("address carl@example.org",), wanted=60)
    assert "unusual-language" not in await evidence(world, GERMAN)


def test_a_lesson_names_the_language() -> None:
    header, body = headers.split(GERMAN)
    senders = lesson_of(header, digest(header, body).index, body).senders
    assert senders == ["address carl@example.org", "domain example.org", "language *", "language german"]


async def test_networks_nothing_was_heard_of_are_forgotten(world: World) -> None:
    await teach(world, ("network 192.0.2.0/24",), unwanted=10)
    world.clock.forward(timedelta(days=100))
    await teach(world, ("language *",), wanted=1)
    await world.store.write(lambda tx: junk.forget(tx, timedelta(days=99)))
    left = await world.store.read(lambda tx: junk.reputations(tx, world.anna, ("network 192.0.2.0/24", "language *")))
    assert set(left) == {"language *"}


# -- What becomes of a message


async def test_thresholds_of_domain_and_account(world: World) -> None:
    domain = await world.store.read(lambda tx: directory.require_domain(tx, "penny.test"))
    await world.store.write(
        lambda tx: junk.set_thresholds(tx, domain.id, Thresholds(junk=0.5, refuse=2.0), domain=True)
    )
    with pytest.raises(NotWanted):
        await receive(world, BAD % 1)
    await world.store.write(lambda tx: junk.set_thresholds(tx, world.anna, Thresholds(refuse=0.0), domain=False))
    await receive(world, BAD % 1)
    await receive(world, BAD % 2, "anna@penny.test", "bert@penny.test")  # one of them takes it
    assert [len(await held(world, MailboxRole.JUNK, who)) for who in (world.anna, world.bert)] == [2, 1]
    await world.store.write(lambda tx: junk.set_thresholds(tx, world.anna, Thresholds(defer=1.0), domain=False))
    with pytest.raises(NotWanted):  # the domain still refuses
        await receive(world, BAD % 3)
    await world.store.write(
        lambda tx: junk.set_thresholds(tx, world.anna, Thresholds(defer=1.0, refuse=0.0), domain=False)
    )
    with pytest.raises(NotWantedNow):
        await receive(world, BAD % 3)
    assert await world.store.read(junk.all_thresholds) == [
        ("penny.test", (0.5, None, 2.0)),
        ("anna@penny.test", (None, 1.0, 0.0)),
    ]
    await world.store.write(lambda tx: junk.set_thresholds(tx, domain.id, Thresholds(), domain=True))
    await world.store.write(lambda tx: junk.set_thresholds(tx, world.anna, Thresholds(), domain=False))
    assert await world.store.read(junk.all_thresholds) == []


DOUBTFUL = JunkSettings(greylist=True, greylist_threshold=0.5)
ODD = b"From: eve@example.com\r\nSubject: hello\r\nMessage-ID: <%d@example.com>\r\n\r\nHello %d\r\n"  # no Date


async def test_a_doubtful_message_is_shown_and_let_in_when_it_comes_again(world: World) -> None:
    for _ in range(3):  # too soon, twice
        with pytest.raises(ComeAgain):
            await receive(world, ODD % (1, 1), settings=DOUBTFUL)
    assert await held(world, MailboxRole.INBOX) == []
    ((_, message, header),) = await held(world, MailboxRole.JUNK)
    assert headers.values(header, b"x-junk-score")[0].endswith(b", held")
    world.clock.forward(timedelta(minutes=5))
    await receive(world, ODD % (1, 1), settings=DOUBTFUL)
    await receive(world, ODD % (1, 1), settings=DOUBTFUL)  # the reply was lost
    assert await held(world, MailboxRole.JUNK) == []
    ((_, same, _),) = await held(world, MailboxRole.INBOX)
    assert same == message
    assert await learn(world) == 0  # it was not taken out by its owner
    await receive(world, ODD % (2, 2), settings=DOUBTFUL)  # by the same route
    assert len(await held(world, MailboxRole.INBOX)) == 2


async def test_who_wants_to_hear_of_the_delivery_hears_when_there_was_one(world: World) -> None:
    """RFC 3461 §4.1: what is held, and was refused for now, is not delivered."""

    async def reports() -> int:
        row = await world.store.read(lambda tx: tx.fetch_one("SELECT COUNT(*) FROM queued"))
        assert row is not None
        return int(row[0])

    with pytest.raises(ComeAgain):
        await receive(world, ODD % (1, 1), settings=DOUBTFUL, notify=Notify.SUCCESS)
    assert await reports() == 0
    world.clock.forward(timedelta(minutes=5))
    await receive(world, ODD % (1, 1), settings=DOUBTFUL, notify=Notify.SUCCESS)
    assert await reports() == 1
    await receive(world, ODD % (2, 2), settings=DOUBTFUL, notify=Notify.SUCCESS)
    assert await reports() == 2


NAMELESS = b"From: eve@example.com\r\nSubject: the backup is done\r\n%b\r\nIt is done.\r\n"


async def test_the_same_text_of_another_day_is_another_message(world: World) -> None:
    first, second = NAMELESS % b"Date: Mon, 23 Nov 2026 03:00:00 +0000\r\n", NAMELESS % b""
    for message in (first, second):
        with pytest.raises(ComeAgain):
            await receive(world, message, settings=DOUBTFUL)
    world.clock.forward(timedelta(minutes=5))
    for message in (first, second):
        await receive(world, message, settings=DOUBTFUL)
    assert len(await held(world, MailboxRole.INBOX)) == 2
    await receive(world, NAMELESS % b"Date: Tue, 24 Nov 2026 03:00:00 +0000\r\n", settings=DOUBTFUL)
    assert len(await held(world, MailboxRole.INBOX)) == 3
    await receive(world, second, settings=DOUBTFUL)  # nothing says that it is the same one
    assert len(await held(world, MailboxRole.INBOX)) == 4
    await receive(world, first, settings=DOUBTFUL)
    assert len(await held(world, MailboxRole.INBOX)) == 4


async def test_a_message_without_a_name_comes_once_to_each(world: World) -> None:
    message, both = NAMELESS % b"", ("anna@penny.test", "bert@penny.test")
    with pytest.raises(ComeAgain):
        await receive(world, message, settings=DOUBTFUL)
    world.clock.forward(timedelta(minutes=5))
    await receive(world, message, settings=DOUBTFUL)
    for recipients in (both[1:], both):
        with pytest.raises(ComeAgain):
            await receive(world, message, *recipients, settings=DOUBTFUL)
    world.clock.forward(timedelta(minutes=5))
    await receive(world, message, *both, settings=DOUBTFUL)
    assert [len(await held(world, MailboxRole.INBOX, who)) for who in (world.anna, world.bert)] == [2, 1]
    assert [len(await held(world, MailboxRole.JUNK, who)) for who in (world.anna, world.bert)] == [0, 0]


async def test_what_its_reader_has_done_with_it_stays_done(world: World) -> None:
    with pytest.raises(ComeAgain):
        await receive(world, ODD % (1, 1), settings=DOUBTFUL)
    ((uid, _, _),) = await held(world, MailboxRole.JUNK)
    await move(world, uid, MailboxRole.JUNK, MailboxRole.TRASH)
    await receive(world, ODD % (1, 1), settings=DOUBTFUL)
    assert await held(world, MailboxRole.INBOX) == []
    assert len(await held(world, MailboxRole.TRASH)) == 1


async def test_each_recipient_has_one_copy(world: World) -> None:
    with pytest.raises(ComeAgain):
        await receive(world, ODD % (1, 1), "anna@penny.test", settings=DOUBTFUL)
    with pytest.raises(ComeAgain):
        await receive(world, ODD % (1, 1), "anna@penny.test", "bert@penny.test", settings=DOUBTFUL)
    assert [len(await held(world, MailboxRole.JUNK, who)) for who in (world.anna, world.bert)] == [1, 1]
    world.clock.forward(timedelta(minutes=5))
    await receive(world, ODD % (1, 1), "anna@penny.test", "bert@penny.test", settings=DOUBTFUL)
    assert [len(await held(world, MailboxRole.INBOX, who)) for who in (world.anna, world.bert)] == [1, 1]
    assert [len(await held(world, MailboxRole.JUNK, who)) for who in (world.anna, world.bert)] == [0, 0]


async def test_a_full_account_gets_no_second_copy(world: World) -> None:
    settings = replace(DOUBTFUL, greylist_limit=1)
    with pytest.raises(ComeAgain):
        await receive(world, ODD % (9, 9), "bert@penny.test", settings=settings)
    with pytest.raises(ComeAgain):
        await receive(world, ODD % (1, 1), settings=settings)
    both = ("anna@penny.test", "bert@penny.test")
    with pytest.raises(ComeAgain):  # one has it already
        await receive(world, ODD % (1, 1), *both, settings=settings)
    world.clock.forward(timedelta(minutes=5))
    await receive(world, ODD % (1, 1), *both, settings=settings)
    assert [len(await held(world, MailboxRole.INBOX, who)) for who in (world.anna, world.bert)] == [1, 1]


async def test_what_is_held_is_bounded(world: World) -> None:
    settings = replace(DOUBTFUL, greylist_limit=2)
    for number in range(2):
        with pytest.raises(ComeAgain):
            await receive(world, ODD % (number, number), settings=settings)
    await receive(world, ODD % (9, 9), settings=settings)
    assert len(await held(world, MailboxRole.INBOX)) == 1
    world.clock.forward(timedelta(days=3))
    assert await world.store.write(lambda tx: greylist.sweep(tx, timedelta(days=2), timedelta(days=60))) == 2
    assert await world.store.read(lambda tx: greylist.waiting(tx, world.anna)) == 0


@pytest.mark.parametrize(
    "message",
    [
        ODD.replace(b"Hello %d", b"Your login code: 482913 %d"),
        ODD.replace(b"Subject", b"In-Reply-To: <77@penny.test>\r\nSubject"),
        GOOD.replace(b"budget", b"budget %d"),
    ],
    ids=["code", "answer", "nothing odd"],
)
async def test_who_never_waits(world: World, message: bytes) -> None:
    await world.store.write(lambda tx: junk.note_sent(tx, world.anna, b"77@penny.test"))
    await receive(world, message % (1, 1), settings=replace(DOUBTFUL, greylist_threshold=0.9))
    assert len(await held(world, MailboxRole.INBOX)) == 1


# -- Bounds


async def test_one_account_teaches_everybody_a_bounded_share(world: World) -> None:
    lesson = junk.Lesson((1, 2), ())
    for _ in range(junk.FREE_SHARE + 20):
        await world.store.write(lambda tx: junk.learn(tx, world.anna, None, lesson, junk=True))
    assert await world.store.read(lambda tx: junk.learnt(tx, world.anna)) == (0, junk.FREE_SHARE + 20)
    assert await world.store.read(lambda tx: junk.learnt(tx, junk.EVERYBODY)) == (0, junk.FREE_SHARE)
    await world.store.write(lambda tx: junk.learn(tx, world.bert, None, lesson, junk=True))
    assert await world.store.read(lambda tx: junk.counts(tx, junk.EVERYBODY, [1])) == [(1, 0, junk.FREE_SHARE + 1)]


async def test_what_was_not_shared_is_not_taken_back(world: World) -> None:
    lesson = junk.Lesson((1,), ())
    for number in range(junk.FREE_SHARE + 1):
        await world.store.write(
            partial(junk.learn, account=world.anna, message=MessageId(number + 1), lesson=lesson, junk=True)
        )
    last = MessageId(junk.FREE_SHARE + 1)
    await world.store.write(lambda tx: junk.learn(tx, world.anna, last, lesson, junk=False))
    assert await world.store.read(lambda tx: junk.learnt(tx, world.anna)) == (1, junk.FREE_SHARE)
    assert await world.store.read(lambda tx: junk.learnt(tx, junk.EVERYBODY)) == (1, junk.FREE_SHARE)
    await world.store.write(lambda tx: junk.learn(tx, world.anna, MessageId(1), lesson, junk=False))
    assert await world.store.read(lambda tx: junk.learnt(tx, junk.EVERYBODY)) == (2, junk.FREE_SHARE - 1)


async def test_rare_and_old_words_are_forgotten_first(world: World) -> None:
    async def learn_tokens(*tokens: int) -> None:
        await world.store.write(lambda tx: junk.learn(tx, world.anna, None, junk.Lesson(tokens, ()), junk=True))

    await learn_tokens(1, 2, 3)
    world.clock.forward(timedelta(days=2))
    await learn_tokens(1, 4)
    found = dict(await world.store.scan(lambda tx: junk.too_many(tx, 2, 100)))
    assert sorted(found[world.anna]) == [2, 3]
    assert len(dict(await world.store.scan(lambda tx: junk.too_many(tx, 1, 1)))[world.anna]) == 1
    for account, tokens in found.items():
        await world.store.write(partial(junk.forget_tokens, account=account, tokens=tokens))
    assert await world.store.scan(lambda tx: junk.too_many(tx, 2, 100)) == []
    left = await world.store.read(lambda tx: junk.counts(tx, world.anna, range(5)))
    assert [token for token, _, _ in left] == [1, 4]


async def test_what_a_removed_account_taught_goes_in_steps(world: World) -> None:
    lesson = junk.Lesson(range(2500), ("address x@example.org",))
    await world.store.write(lambda tx: junk.learn(tx, world.anna, None, lesson, junk=True))
    await world.store.write(lambda tx: directory.remove_account(tx, world.anna))
    assert await removal.finish(world.store.engine) >= 3
    for table in ("junk_token", "junk_learnt", "reputation"):
        rows = await world.store.read(partial(_count, table=table, account=world.anna))
        assert rows == 0, table


async def _count(tx: Transaction, table: str, account: AccountId) -> int:
    row = await tx.fetch_one(f"SELECT COUNT(*) FROM {table} WHERE account = ?", account)
    assert row is not None
    return int(row[0])
