"""What is wanted goes to the inbox, what is not elsewhere or nowhere; and people teach which is which."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.mail.conftest import World
from tests.unit.mail.test_transaction import STRANGER, address, post

from pennypost.junk.classifier import MIN_LEARNT
from pennypost.mail.judge import Judge, JunkSettings, look_at
from pennypost.mail.learner import Learner
from pennypost.mail.receive import Receiver
from pennypost.mail.verification import Verdicts
from pennypost.message import headers
from pennypost.message.digest import digest
from pennypost.model.envelope import Envelope, Recipient
from pennypost.model.errors import NotWanted
from pennypost.model.flags import Flags
from pennypost.model.ids import AccountId, MailboxId, MessageId, Uid
from pennypost.model.mailbox import MailboxRole
from pennypost.model.verification import SpfResult, SpfVerdict
from pennypost.store import blobs, flags, junk, mailboxes, messages
from pennypost.store.engine import Transaction
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


async def receive(world: World, message: bytes, *recipients: str, settings: JunkSettings | None = None) -> None:
    judge = Judge(world.store, settings or JunkSettings())
    reception = Receiver(post(world), judge=judge).begin(STRANGER)
    await reception.sender(Envelope(address("carl@example.org")))
    for recipient in recipients or ("anna@penny.test",):
        await reception.recipient(Recipient(address(recipient)))
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
    assert before == {}
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
