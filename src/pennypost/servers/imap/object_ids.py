"""Search keys that ask for ids, or for when a message came into the mailbox: turned into the UIDs they mean.

RFC 8474 §6, RFC 8514 §4.3. Neither is in the mailbox's snapshot, so the store is asked before the search begins.
"""

from pennypost.model.ids import AccountId, MailboxId, MessageId, ThreadId, Uid
from pennypost.proto.imap.object_id import number_in
from pennypost.proto.imap.responses.search import ranges_of
from pennypost.proto.imap.search_keys import And, EmailIdKey, Not, Or, SavedKey, SearchKey, ThreadIdKey, UidKey
from pennypost.proto.imap.sequence import SequenceSet
from pennypost.servers.imap.matching import span
from pennypost.servers.imap.selected import Selected
from pennypost.servers.imap.session import Session
from pennypost.store import object_ids
from pennypost.store.engine import Transaction

Asked = EmailIdKey | ThreadIdKey | SavedKey


async def resolved(session: Session, selected: Selected, key: SearchKey) -> SearchKey:
    """Put UIDs in the place of keys that the store has to answer."""
    asked: set[Asked] = set()
    _collect(key, asked)
    if not asked:
        return key
    view = selected.view

    async def operation(tx: Transaction) -> dict[Asked, list[Uid]]:
        return {inner: await _uids(tx, view.account, view.mailbox, inner) for inner in asked}

    answers = await session.door.store.scan(operation)
    return _replaced(key, answers)


def _collect(key: SearchKey, asked: set[Asked]) -> None:
    match key:
        case And(keys=keys) | Or(keys=keys):
            for inner in keys:
                _collect(inner, asked)
        case Not(key=inner):
            _collect(inner, asked)
        case EmailIdKey() | ThreadIdKey() | SavedKey():
            asked.add(key)


def _replaced(key: SearchKey, answers: dict[Asked, list[Uid]]) -> SearchKey:
    match key:
        case And(keys=keys):
            return And(tuple(_replaced(inner, answers) for inner in keys))
        case Or(keys=keys):
            return Or(tuple(_replaced(inner, answers) for inner in keys))
        case Not(key=inner):
            return Not(_replaced(inner, answers))
        case EmailIdKey() | ThreadIdKey() | SavedKey():
            return UidKey(SequenceSet(ranges_of(answers[key])))
    return key


async def _uids(tx: Transaction, account: AccountId, mailbox: MailboxId, key: Asked) -> list[Uid]:
    match key:
        case EmailIdKey(objectid=octets):
            email = number_in(octets, b"E", account)
            return await object_ids.by_origin(tx, account, mailbox, MessageId(email)) if email else []
        case ThreadIdKey(objectid=octets):
            thread = number_in(octets, b"T", account)
            return await object_ids.by_thread(tx, account, mailbox, ThreadId(thread)) if thread else []
        case SavedKey(relation=relation, day=day):
            return await object_ids.saved_between(tx, account, mailbox, *span(relation, day))
