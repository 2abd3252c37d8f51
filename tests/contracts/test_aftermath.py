"""What became of stored copies is read out of the log of changes."""

from tests.contracts.world import World

from pennypost.model.flags import Flags
from pennypost.store import aftermath, flags, mailboxes, messages, timeline, transfer
from pennypost.store.flag_change import StoreMode
from pennypost.store.timeline import EventKind


async def test_moves_flags_and_removals(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    archive = await world.write(mailboxes.create, account, "Keep")
    first = await world.append(account, inbox)
    second = await world.append(account, inbox)
    other = await world.append(account, inbox)
    await world.write(flags.store, account, inbox, [first.uid, other.uid], StoreMode.ADD, Flags.SEEN)
    await world.write(flags.store, account, inbox, [first.uid], StoreMode.ADD, Flags.FLAGGED, ("$Junk",))
    await world.write(transfer.move, account, inbox, [first.uid], archive.id)
    await world.write(messages.remove, account, inbox, [second.uid])
    await world.write(transfer.place, account, other.message, archive.id)
    found = await world.read(aftermath.deeds, account, [first.message, second.message])
    assert [(deed.message, deed.facts) for deed in found] == [
        (first.message, {"flags": "changed"}),
        (first.message, {"flags": "changed: now \\Flagged \\Seen $Junk"}),
        (first.message, {"moved": "from INBOX to Keep"}),
        (second.message, {"removed": "from INBOX"}),
    ]
    (seen, put) = await world.read(aftermath.deeds, account, [other.message])
    assert (seen.facts, put.facts) == ({"flags": "changed: now \\Seen"}, {"put": "into Keep"})
    assert await world.read(aftermath.deeds, account, []) == []


async def test_what_lay_in_a_mailbox_that_is_gone(world: World) -> None:
    account = await world.account()
    made = await world.write(mailboxes.create, account, "Gone")
    one = await world.append(account, made.id)
    await world.write(transfer.move, account, made.id, [one.uid], await world.inbox(account))
    await world.write(mailboxes.remove, account, "Gone")
    (deed,) = await world.read(aftermath.deeds, account, [one.message])
    assert deed.facts == {"moved": "from a mailbox that is gone to INBOX"}


async def test_a_story_goes_on_in_the_mailbox(world: World) -> None:
    account = await world.account()
    inbox = await world.inbox(account)
    one = await world.append(account, inbox)
    came = {"from": "ann@example.org", "to": ["x@a.example"], "stored": [f"{account}/{one.message}", "q7"]}
    await world.write(timeline.record, 5, EventKind.RECEIVED, came)
    await world.write(messages.remove, account, inbox, [one.uid])
    story = await world.read(timeline.story, [5])
    assert [(event.kind, event.trace) for event in story] == [(EventKind.RECEIVED, 5), (EventKind.CHANGED, 5)]
    assert story[1].facts == {"message": f"{account}/{one.message}", "removed": "from INBOX"}
