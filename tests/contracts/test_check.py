"""`store check` sees each thing that can be wrong: every case breaks one."""

from pathlib import Path

import pytest
from tests.contracts.world import World

from pennypost.model.flags import Flags
from pennypost.store import check, directory, messages
from pennypost.store.blobs import Blobs
from pennypost.store.body_coding import BodyCoding
from pennypost.store.check import InconsistencyKind as Kind
from pennypost.store.settings import StoreSettings

CASES = {
    "total": ("UPDATE mailbox SET total = total + 1 WHERE name = 'INBOX'", {Kind.COUNTER}),
    "unseen": ("UPDATE mailbox SET unseen = 0 WHERE name = 'INBOX'", {Kind.COUNTER}),
    "deleted": ("UPDATE mailbox SET deleted = 5 WHERE name = 'INBOX'", {Kind.COUNTER}),
    "octets": ("UPDATE mailbox SET octets = 1 WHERE name = 'INBOX'", {Kind.COUNTER}),
    "used": ("UPDATE account SET used_octets = used_octets - 1", {Kind.QUOTA}),
    "count": ("UPDATE account SET message_count = 0", {Kind.QUOTA}),
    "entries": ("UPDATE account SET entry_count = 0", {Kind.QUOTA}),
    "uid_next": ("UPDATE mailbox SET uid_next = 2 WHERE name = 'INBOX'", {Kind.UID_NEXT}),
    "recent": ("UPDATE mailbox SET recent_floor = 99 WHERE name = 'INBOX'", {Kind.UID_NEXT}),
    "validity": ("UPDATE account SET last_uid_validity = 1", {Kind.UID_NEXT}),
    "entry modseq": ("UPDATE entry SET modseq = 10000 WHERE uid = 2", {Kind.MODSEQ}),
    "mailbox modseq": ("UPDATE mailbox SET highest_modseq = 10000 WHERE name = 'Sent'", {Kind.MODSEQ}),
    "account modseq": ("UPDATE account SET modseq = 3", {Kind.MODSEQ}),
    "no message": (
        "DELETE FROM message WHERE id = (SELECT MIN(id) FROM message)",
        {Kind.NO_MESSAGE, Kind.QUOTA, Kind.UNUSED},
    ),
    "another slot": (
        "UPDATE entry SET slot = slot + 1 WHERE uid = 1 AND mailbox = 1",
        {Kind.NO_MESSAGE, Kind.NO_ENTRY, Kind.QUOTA},
    ),
    "unused": ("INSERT INTO blob (hash, size, codec, data, created_at) VALUES (X'', 0, 0, X'', 0)", {Kind.UNUSED}),
    "no entry": (
        "DELETE FROM entry WHERE uid = 3 AND mailbox = 1",
        {Kind.NO_ENTRY, Kind.QUOTA, Kind.COUNTER},
    ),
    "no mailbox": ("DELETE FROM mailbox WHERE name = 'INBOX'", {Kind.NO_MAILBOX}),
    "no blob": ("DELETE FROM blob", {Kind.NO_BLOB}),
    "header": ("UPDATE message SET header = X'0d0a' WHERE id = (SELECT MIN(id) FROM message)", {Kind.MESSAGE}),
    "size": ("UPDATE message SET size = size + 1", {Kind.MESSAGE, Kind.ENTRY, Kind.QUOTA}),
    "thread": ("UPDATE message SET thread = 99999", {Kind.MESSAGE}),
    "index": ("UPDATE message SET mime_index = X'01ff'", {Kind.MESSAGE}),
    "index format": ("UPDATE message SET mime_index = X''", {Kind.MESSAGE}),
    "entry date": ("UPDATE entry SET received_at = 1 WHERE uid = 1", {Kind.ENTRY}),
    "entry flags": ("UPDATE entry SET keywords = 'x' WHERE mailbox <> 1", {Kind.ENTRY}),
    "no account": ("DELETE FROM account", {Kind.ORPHAN}),
    "no domain": ("DELETE FROM domain", {Kind.ORPHAN}),
    "no address": ("DELETE FROM address", {Kind.ORPHAN}),
    "no queued": (
        "INSERT INTO delivery (queued, recipient_local, recipient_domain, hop, notify, state, turn, precedence, "
        "next_attempt_at, attempts, warned) VALUES (7, 'a', 'b', 'b', 0, 2, 0, 0, 0, 0, 0)",
        {Kind.ORPHAN},
    ),
    "never sent": (
        "INSERT INTO delivery (queued, recipient_local, recipient_domain, hop, notify, state, turn, precedence, "
        "next_attempt_at, attempts, warned) VALUES (7, 'a', 'b', 'b', 0, 0, 0, 0, 0, 0, 0)",
        {Kind.ORPHAN},
    ),
    "served by nobody": (
        "INSERT INTO destination (hop, server, failures, gap, held_until, changed_at) VALUES ('b', 'x', 0, 0, 0, 0)",
        {Kind.ORPHAN},
    ),
    "queued without body": (
        "INSERT INTO queued (blob, header, size, body, smtputf8, require_tls, created_at) "
        "VALUES (7777, X'', 0, '7BIT', 0, 0, 0)",
        {Kind.ORPHAN, Kind.NO_BLOB},
    ),
}


async def filled(world: World) -> None:
    account = await world.account(password_hash="x")
    inbox = await world.inbox(account)
    await world.fill(account, inbox, 3)
    last = await world.append(account, inbox, flags=Flags.SEEN | Flags.DELETED)
    archive = await world.mailbox(account, "Archive")
    await world.write(messages.place, account, last.message, archive.id)


@pytest.mark.parametrize("case", CASES)
async def test_each_thing_that_is_wrong_is_seen(world: World, case: str) -> None:
    await filled(world)
    assert await world.problems() == []
    statement, kinds = CASES[case]
    world.broken = True
    await world.sql(statement)
    found = await world.problems()
    assert {one.kind for one in found} == kinds, found
    assert all(one.where and one.detail for one in found)


async def test_small_batches_find_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(world)
    world.broken = True
    await world.sql("UPDATE message SET thread = 99999")
    whole = await world.problems()
    monkeypatch.setattr(check, "BATCH", 2)
    assert await world.problems() == whole
    assert len(whole) == 4


async def test_bodies_are_read(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "BLOB_BATCH", 1)
    account = await world.account()
    inbox = await world.inbox(account)
    for body in (b"one\r\n", b"two\r\n", b"three\r\n"):
        await world.append(account, inbox, body=body)
    blobs = Blobs(StoreSettings(tmp_path), BodyCoding(1, lambda number: None))
    assert [one async for one in check.check(world.engine, blobs)] == []
    world.broken = True
    await world.sql("UPDATE blob SET data = X'6f6e6f0d0a' WHERE id = 1")
    await world.sql("UPDATE blob SET data = NULL, place = 'blobs/none' WHERE id = 3")
    found = [one async for one in check.check(world.engine, blobs)]
    assert [(one.kind, one.where) for one in found] == [(Kind.BLOB, "blob 1"), (Kind.BLOB, "blob 3")]
    await blobs.close()


async def test_an_account_in_removal_is_no_inconsistency(world: World) -> None:
    await filled(world)
    await world.write(directory.remove_account, 1)
    assert await world.problems() == []
