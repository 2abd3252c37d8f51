"""`store check`: walk everything, and say what does not agree (DESIGN: nothing accepted is ever lost).

Each account is walked in scans of bounded size; each scan is one snapshot, so mail that arrives meanwhile is no
inconsistency. What spans scans is compared with what the last scan of the account says. Nothing is repaired here.
"""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from operator import add

from pennypost.message import structure
from pennypost.model.ids import MAX_UID, AccountId, BlobId, MailboxId, Uid
from pennypost.store import counters, flag_notes, messages
from pennypost.store.blobs import Blobs
from pennypost.store.body_coding import dictionary_of
from pennypost.store.counters import Figures
from pennypost.store.engine import Engine, Row, Transaction

BATCH = 1_000
"""Rows of one kind in one scan."""
BLOB_BATCH = 50
"""Bodies read in one scan."""


class InconsistencyKind(Enum):
    """What can be wrong."""

    COUNTER = "counter"
    """A counter of a mailbox is not what its entries add up to."""
    QUOTA = "quota"
    """What an account is said to use is not what its messages add up to."""
    UID_NEXT = "uid-next"
    """An entry has a UID that is yet to be given out."""
    MODSEQ = "modseq"
    """Something has a greater modseq than its mailbox or account."""
    NO_MESSAGE = "no-message"
    """An entry without its message."""
    NO_ENTRY = "no-entry"
    """A message in no mailbox."""
    NO_MAILBOX = "no-mailbox"
    """An entry in a mailbox that is not there."""
    NO_BLOB = "no-blob"
    """A message or a queued one without its body."""
    BLOB = "blob"
    """A body that is missing, cut or altered."""
    DICTIONARY = "dictionary"
    """What bodies are compressed with is missing or altered: one of its two copies, or both."""
    MESSAGE = "message"
    """A message whose sizes, header or index cannot be right."""
    ENTRY = "entry"
    """An entry that says other than its message or than another entry of it."""
    UNUSED = "unused"
    """A body that nothing refers to, and that no collection will find."""
    ORPHAN = "orphan"
    """A row that belongs to an account, domain or message that is not there."""


@dataclass(frozen=True, slots=True)
class Inconsistency:
    """One thing that is wrong. `where`: "account 3 mailbox 12 uid 4"; `detail`: for people."""

    kind: InconsistencyKind
    where: str
    detail: str


async def check(engine: Engine, blobs: Blobs) -> AsyncIterator[Inconsistency]:
    """Walk the whole store and give what is wrong with it. Takes as long as it takes to read every body once.

    Works while the store is in use. `engine`: the store's, or the store itself.
    """
    async for found in check_rows(engine):
        yield found
    async for found in check_blobs(engine, blobs):
        yield found


async def check_rows(engine: Engine) -> AsyncIterator[Inconsistency]:
    """Check everything but the bodies."""
    for (account,) in await engine.scan(lambda tx: tx.fetch_all("SELECT id FROM account ORDER BY id")):
        for found in await engine.scan(partial(_check_account, account=account)):
            yield found
        async for found in _check_messages(engine, account):
            yield found
    for found in await engine.scan(_check_dictionaries):
        yield found
    for found in await engine.scan(_check_orphans):
        yield found


async def check_blobs(engine: Engine, blobs: Blobs) -> AsyncIterator[Inconsistency]:
    """Check every body against its hash."""
    last = 0
    while True:
        found, checked, last = await engine.scan(partial(_check_bodies, blobs=blobs, after=last))
        for one in found:
            yield one
        if checked < BLOB_BATCH:
            return


async def _check_bodies(tx: Transaction, blobs: Blobs, after: int) -> tuple[list[Inconsistency], int, int]:
    rows = await tx.fetch_all("SELECT id FROM blob WHERE id > ? ORDER BY id LIMIT ?", after, BLOB_BATCH)
    found = []
    for (blob,) in rows:
        problem = await blobs.problem(tx, BlobId(blob))
        if problem is not None:
            found.append(Inconsistency(InconsistencyKind.BLOB, f"blob {blob}", problem))
    return found, len(rows), rows[-1][0] if rows else after


async def _check_dictionaries(tx: Transaction) -> list[Inconsistency]:
    """Check that the dictionaries are what they were, and that bodies need no others."""
    found: list[Inconsistency] = []
    there: set[int] = set()
    for number, data, spare, hash in await tx.fetch_all(
        "SELECT id, data, spare, hash FROM dictionary WHERE hash IS NOT NULL ORDER BY id"
    ):
        there.add(number)
        for name, copy in (("first", data), ("second", spare)):
            if copy is None or hashlib.sha256(copy).digest() != hash:
                detail = f"its {name} copy is damaged"
                found.append(Inconsistency(InconsistencyKind.DICTIONARY, f"dictionary {number}", detail))
    codecs = await tx.fetch_all("SELECT DISTINCT codec FROM blob WHERE place IS NULL")
    for number in sorted({dictionary_of(codec) for (codec,) in codecs} - there - {0}):
        detail = "it is not there, and bodies need it"
        found.append(Inconsistency(InconsistencyKind.DICTIONARY, f"dictionary {number}", detail))
    return found


# -- Accounts and mailboxes


@dataclass(slots=True)
class _Sums:
    """What the entries of one mailbox add up to."""

    figures: Figures = field(default_factory=lambda: Figures(0, 0, 0, 0))
    highest_uid: int = 0
    highest_modseq: int = 0


async def _check_account(tx: Transaction, account: AccountId) -> list[Inconsistency]:
    """Check the counters of an account and its mailboxes in one snapshot: sums, which the database makes."""
    row = await tx.fetch_one(
        "SELECT modseq, used_octets, message_count, entry_count, last_uid_validity FROM account WHERE id = ?", account
    )
    if row is None:
        return []
    modseq, used, count, entry_count, last_validity = row
    where = f"account {account}"
    found: list[Inconsistency] = []
    real = await tx.fetch_one(
        "SELECT COALESCE(SUM(m.size), 0), COUNT(*), COALESCE(MAX(m.id), 0) "
        "FROM (SELECT DISTINCT slot FROM entry WHERE account = ?) e JOIN message m ON m.slot = e.slot",
        account,
    )
    assert real is not None
    _compare(found, InconsistencyKind.QUOTA, where, "used octets", used, real[0])
    _compare(found, InconsistencyKind.QUOTA, where, "messages", count, real[1])
    if real[2] > modseq:
        found.append(Inconsistency(InconsistencyKind.MODSEQ, where, f"message {real[2]} above modseq {modseq}"))
    sums = await _sum_entries(tx, account)
    total = sum(one.figures.total for one in sums.values())
    _compare(found, InconsistencyKind.QUOTA, where, "entries", entry_count, total)
    logged = await tx.fetch_one("SELECT COALESCE(MAX(modseq), 0) FROM change WHERE account = ?", account)
    if logged is not None and logged[0] > modseq:
        found.append(Inconsistency(InconsistencyKind.MODSEQ, where, f"a change {logged[0]} above modseq {modseq}"))
    mailboxes = await tx.fetch_all(
        "SELECT id, removed, uid_validity, uid_next, highest_modseq, total, unseen, deleted, octets, recent_floor, "
        "selectable FROM mailbox WHERE account = ? ORDER BY id",
        account,
    )
    for mailbox in mailboxes:
        _check_mailbox(found, f"{where} mailbox {mailbox[0]}", mailbox, sums.pop(mailbox[0], _Sums()), modseq)
        if mailbox[2] > last_validity:
            detail = f"UIDVALIDITY {mailbox[2]} above the last given out, {last_validity}"
            found.append(Inconsistency(InconsistencyKind.UID_NEXT, f"{where} mailbox {mailbox[0]}", detail))
    for mailbox_id, lost in sums.items():
        detail = f"{lost.figures.total} entries in a mailbox that is not there"
        found.append(Inconsistency(InconsistencyKind.NO_MAILBOX, f"{where} mailbox {mailbox_id}", detail))
    found += await _check_agreement(tx, account)
    return found


async def _check_agreement(tx: Transaction, account: AccountId) -> list[Inconsistency]:
    """Look for messages whose entries carry different flags or keywords: at most 100 are named."""
    rows = await tx.fetch_all(
        "SELECT message FROM entry WHERE account = ? GROUP BY message HAVING MIN(flags) <> MAX(flags) "
        "OR MIN(COALESCE(keywords, '')) <> MAX(COALESCE(keywords, '')) ORDER BY message LIMIT 100",
        account,
    )
    detail = "its entries have different flags"
    return [Inconsistency(InconsistencyKind.ENTRY, f"account {account} message {row[0]}", detail) for row in rows]


async def _sum_entries(tx: Transaction, account: AccountId) -> dict[int, _Sums]:
    rows = await tx.fetch_all(
        "SELECT mailbox, flags, COUNT(*), SUM(size), MAX(uid), MAX(modseq) FROM entry "
        "WHERE account = ? GROUP BY mailbox, flags",
        account,
    )
    sums: dict[int, _Sums] = {}
    for mailbox, flags, count, octets, uid, modseq in rows:
        one = sums.setdefault(mailbox, _Sums())
        each = counters.of_entry(flags, 0)
        one.figures = Figures(
            one.figures.total + count,
            one.figures.unseen + each.unseen * count,
            one.figures.deleted + each.deleted * count,
            one.figures.octets + octets,
        )
        one.highest_uid = max(one.highest_uid, uid)
        one.highest_modseq = max(one.highest_modseq, modseq)
    for noted in await flag_notes.mailboxes_with_notes(tx, account):
        if noted in sums:
            sums[noted] = await _sum_noted(tx, account, noted)
    return sums


async def _sum_noted(tx: Transaction, account: AccountId, mailbox: MailboxId) -> _Sums:
    """Sum up a mailbox whose entries do not show all changes yet: they have to be looked at one by one."""
    sums = _Sums()
    while True:
        batch = [(Uid(sums.highest_uid + 1), Uid(MAX_UID))]
        entries = await messages.entries(tx, account, mailbox, batch, BATCH)
        if not entries:
            return sums
        more = counters.total([(entry.flags, entry.size) for entry in entries])
        sums.figures = Figures(*map(add, sums.figures, more))
        sums.highest_uid = entries[-1].uid
        sums.highest_modseq = max(sums.highest_modseq, *[entry.modseq for entry in entries])


def _check_mailbox(found: list[Inconsistency], where: str, row: Row, sums: _Sums, account_modseq: int) -> None:
    _, removed, _, uid_next, highest_modseq, total, unseen, deleted, octets, recent_floor, selectable = row
    if removed:
        return  # its counters are not kept any more
    said = Figures(total, unseen, deleted, octets)
    for name, value, real in zip(Figures._fields, said, sums.figures, strict=True):
        _compare(found, InconsistencyKind.COUNTER, where, name, value, real)
    if sums.highest_uid >= uid_next or uid_next > MAX_UID + 1:
        detail = f"UID {sums.highest_uid} is there, and {uid_next} the next"
        found.append(Inconsistency(InconsistencyKind.UID_NEXT, where, detail))
    if recent_floor > uid_next:
        detail = f"recent from {recent_floor} on, and {uid_next} the next"
        found.append(Inconsistency(InconsistencyKind.UID_NEXT, where, detail))
    if sums.highest_modseq > highest_modseq or highest_modseq > account_modseq:
        detail = f"entries up to {sums.highest_modseq}, mailbox {highest_modseq}, account {account_modseq}"
        found.append(Inconsistency(InconsistencyKind.MODSEQ, where, detail))
    if not selectable and total:
        found.append(Inconsistency(InconsistencyKind.COUNTER, where, "a name that cannot be selected has entries"))


def _compare(found: list[Inconsistency], kind: InconsistencyKind, where: str, name: str, said: int, real: int) -> None:
    if said != real:
        found.append(Inconsistency(kind, where, f"{name}: said to be {said}, is {real}"))


# -- Messages and entries


async def _check_messages(engine: Engine, account: AccountId) -> AsyncIterator[Inconsistency]:
    """Check each message and entry of an account, in batches."""
    last = 0
    while True:
        found, checked, last = await engine.scan(partial(_message_batch, account=account, after=last))
        for one in found:
            yield one
        if checked < BATCH:
            break
    position = (0, 0)
    while True:
        found, checked, position = await engine.scan(partial(_entry_batch, account=account, after=position))
        for one in found:
            yield one
        if checked < BATCH:
            break


async def _message_batch(tx: Transaction, account: AccountId, after: int) -> tuple[list[Inconsistency], int, int]:
    rows = await tx.fetch_all(
        "SELECT e.message, m.blob, m.size, m.header_size, LENGTH(m.header), b.size, m.mime_index, m.thread "
        "FROM (SELECT DISTINCT message, slot FROM entry WHERE account = ? AND message > ? ORDER BY message LIMIT ?) e "
        "LEFT JOIN message m ON m.slot = e.slot AND m.id = e.message LEFT JOIN blob b ON b.id = m.blob "
        "ORDER BY e.message",
        account,
        after,
        BATCH,
    )
    found: list[Inconsistency] = []
    for identifier, blob, size, header_size, header_length, body_size, mime_index, thread in rows:
        where = f"account {account} message {identifier}"
        if size is None:
            continue  # its entry tells that it is not there
        if header_size != header_length:
            detail = f"header of {header_length} octets, said to be {header_size}"
            found.append(Inconsistency(InconsistencyKind.MESSAGE, where, detail))
        if body_size is None:
            found.append(Inconsistency(InconsistencyKind.NO_BLOB, where, f"blob {blob} is not there"))
        elif size != header_length + body_size:
            detail = f"{header_length} + {body_size} octets, said to be {size}"
            found.append(Inconsistency(InconsistencyKind.MESSAGE, where, detail))
        if thread > identifier:
            detail = f"thread {thread} is younger than the message"
            found.append(Inconsistency(InconsistencyKind.MESSAGE, where, detail))
        try:
            structure.decode(mime_index)
        except ValueError as error:
            found.append(Inconsistency(InconsistencyKind.MESSAGE, where, str(error)))
    return found, len(rows), rows[-1][0] if rows else after


async def _entry_batch(
    tx: Transaction, account: AccountId, after: tuple[int, int]
) -> tuple[list[Inconsistency], int, tuple[int, int]]:
    rows = await tx.fetch_all(
        "SELECT e.mailbox, e.uid, e.message, e.size, e.received_at, m.size, m.received_at "
        "FROM entry e LEFT JOIN message m ON m.slot = e.slot AND m.account = e.account AND m.id = e.message "
        "WHERE e.account = ? AND (e.mailbox, e.uid) > (?, ?) ORDER BY e.mailbox, e.uid LIMIT ?",
        account,
        *after,
        BATCH,
    )
    found: list[Inconsistency] = []
    for mailbox, uid, message, size, received_at, message_size, message_received_at in rows:
        where = f"account {account} mailbox {mailbox} uid {uid}"
        if message_size is None:
            found.append(Inconsistency(InconsistencyKind.NO_MESSAGE, where, f"message {message} is not there"))
        elif (size, received_at) != (message_size, message_received_at):
            found.append(Inconsistency(InconsistencyKind.ENTRY, where, "size or date is not the message's"))
    return found, len(rows), (rows[-1][0], rows[-1][1]) if rows else after


# -- Rows that belong to nothing

_ORPHANS = {
    "a part of no body": "SELECT blob, part FROM blob_part t WHERE NOT EXISTS "
    "(SELECT 1 FROM blob b WHERE b.id = t.blob) LIMIT 100",
    "a part that is not there": "SELECT blob, part FROM blob_part t WHERE NOT EXISTS "
    "(SELECT 1 FROM blob b WHERE b.id = t.part) LIMIT 100",
    "a message of no account": "SELECT account, id FROM message t WHERE NOT EXISTS "
    "(SELECT 1 FROM account a WHERE a.id = t.account) LIMIT 100",
    "entries of no account": "SELECT DISTINCT account, mailbox FROM entry t WHERE NOT EXISTS "
    "(SELECT 1 FROM account a WHERE a.id = t.account) LIMIT 100",
    "a mailbox of no account": "SELECT account, id FROM mailbox t WHERE NOT EXISTS "
    "(SELECT 1 FROM account a WHERE a.id = t.account) LIMIT 100",
    "a credential of no account": "SELECT account, id FROM credential t WHERE NOT EXISTS "
    "(SELECT 1 FROM account a WHERE a.id = t.account) LIMIT 100",
    "an address of no account": "SELECT account, address FROM address t WHERE account IS NOT NULL AND NOT EXISTS "
    "(SELECT 1 FROM account a WHERE a.id = t.account) LIMIT 100",
    "an account of no domain": "SELECT id, name FROM account t WHERE removed = 0 AND NOT EXISTS "
    "(SELECT 1 FROM domain d WHERE d.id = t.domain) LIMIT 100",
    "an account without its address": "SELECT id, name FROM account t WHERE removed = 0 AND NOT EXISTS "
    "(SELECT 1 FROM address r WHERE r.address = t.name AND r.account = t.id) LIMIT 100",
    "flags noted of no mailbox": "SELECT account, mailbox FROM flag_note t WHERE NOT EXISTS "
    "(SELECT 1 FROM mailbox m WHERE m.account = t.account AND m.id = t.mailbox) LIMIT 100",
    "an access right to no mailbox": "SELECT account, mailbox FROM acl t WHERE NOT EXISTS "
    "(SELECT 1 FROM mailbox m WHERE m.account = t.account AND m.id = t.mailbox AND m.removed = 0) LIMIT 100",
    "an access right of no account": "SELECT grantee, mailbox FROM acl t WHERE t.kind = 0 AND NOT EXISTS "
    "(SELECT 1 FROM account a WHERE a.id = t.grantee AND a.removed = 0) LIMIT 100",
    "an access right of no domain": "SELECT grantee, mailbox FROM acl t WHERE t.kind <> 0 AND NOT EXISTS "
    "(SELECT 1 FROM domain d WHERE d.id = t.grantee) LIMIT 100",
    "what is said of no mailbox": "SELECT account, mailbox FROM annotation t WHERE t.mailbox <> 0 AND NOT EXISTS "
    "(SELECT 1 FROM mailbox m WHERE m.account = t.account AND m.id = t.mailbox AND m.removed = 0) LIMIT 100",
    "what is said for no account": "SELECT reader, mailbox FROM annotation t WHERE t.reader <> 0 AND NOT EXISTS "
    "(SELECT 1 FROM account a WHERE a.id = t.reader AND a.removed = 0) LIMIT 100",
    "a URL key of no mailbox": "SELECT account, mailbox FROM url_key t WHERE NOT EXISTS "
    "(SELECT 1 FROM mailbox m WHERE m.account = t.account AND m.id = t.mailbox AND m.removed = 0) LIMIT 100",
    "what was seen in no mailbox": "SELECT account, mailbox FROM seen t WHERE NOT EXISTS "
    "(SELECT 1 FROM mailbox m WHERE m.account = t.account AND m.id = t.mailbox) LIMIT 100",
    "what no account has seen": "SELECT reader, mailbox FROM seen t WHERE NOT EXISTS "
    "(SELECT 1 FROM account a WHERE a.id = t.reader) LIMIT 100",
    "a signing key of no domain": "SELECT domain, selector FROM signing_key t WHERE NOT EXISTS "
    "(SELECT 1 FROM domain d WHERE d.name = t.domain) LIMIT 100",
    "a delivery of no queued message": "SELECT queued, id FROM delivery t WHERE NOT EXISTS "
    "(SELECT 1 FROM queued q WHERE q.id = t.queued) LIMIT 100",
    "a queued message of no delivery": "SELECT id, created_at FROM queued t WHERE NOT EXISTS "
    "(SELECT 1 FROM delivery d WHERE d.queued = t.id) LIMIT 100",
    "a delivery that nobody will look for": "SELECT hop, id FROM delivery t WHERE state = 0 AND NOT EXISTS "
    "(SELECT 1 FROM destination d WHERE d.hop = t.hop AND (d.due_at IS NOT NULL OR d.server IS NOT NULL)) LIMIT 100",
    "a delivery leased to nobody": "SELECT lease_holder, id FROM delivery t WHERE state = 1 AND NOT EXISTS "
    "(SELECT 1 FROM sender s WHERE s.holder = t.lease_holder) LIMIT 100",
    "a next hop served by nobody": "SELECT hop, server FROM destination t WHERE server IS NOT NULL AND NOT EXISTS "
    "(SELECT 1 FROM sender s WHERE s.holder = t.server) LIMIT 100",
}
_NO_ENTRY = (
    "SELECT account, id FROM message m WHERE NOT EXISTS "
    "(SELECT 1 FROM entry e WHERE e.account = m.account AND e.message = m.id AND e.slot = m.slot) LIMIT 100"
)
_UNUSED = (
    "SELECT id FROM blob WHERE id NOT IN (SELECT blob FROM message UNION SELECT blob FROM queued "
    "UNION SELECT blob FROM dropped_blob UNION SELECT part FROM blob_part) LIMIT 100"
)
_NO_BLOB = "SELECT id, blob FROM queued q WHERE NOT EXISTS (SELECT 1 FROM blob b WHERE b.id = q.blob) LIMIT 100"


async def _check_orphans(tx: Transaction) -> list[Inconsistency]:
    """Look for rows whose owner is not there: at most 100 of each kind are named."""
    found = []
    for detail, sql in _ORPHANS.items():
        for owner, identifier in await tx.fetch_all(sql):
            found.append(Inconsistency(InconsistencyKind.ORPHAN, f"{owner} {identifier}", detail))
    for account, message in await tx.fetch_all(_NO_ENTRY):
        where = f"account {account} message {message}"
        found.append(Inconsistency(InconsistencyKind.NO_ENTRY, where, "it lies in no mailbox"))
    for (blob,) in await tx.fetch_all(_UNUSED):
        found.append(Inconsistency(InconsistencyKind.UNUSED, f"blob {blob}", "nothing refers to it"))
    for queued, blob in await tx.fetch_all(_NO_BLOB):
        found.append(Inconsistency(InconsistencyKind.NO_BLOB, f"queued {queued}", f"blob {blob} is not there"))
    return found
