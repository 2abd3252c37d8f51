"""UIDONLY (RFC 9586): a client that knows messages by UID alone."""

from pennypost.proto.imap.commands.copy import Copy
from pennypost.proto.imap.commands.esearch import SearchMailboxes
from pennypost.proto.imap.commands.fetch import Fetch
from pennypost.proto.imap.commands.move import Move
from pennypost.proto.imap.commands.search import Search
from pennypost.proto.imap.commands.select import Examine, Select
from pennypost.proto.imap.commands.sort import Sort
from pennypost.proto.imap.commands.store import Store
from pennypost.proto.imap.commands.thread import Thread
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.status import bad
from pennypost.proto.imap.search_keys import SearchKey, SequenceKey, inner_keys
from pennypost.servers.imap.errors import Refused


def refuse_numbers(body: object) -> None:
    """Refuse a command that uses message numbers: BAD with UIDREQUIRED (RFC 9586 §3.2)."""
    match body:
        case Fetch(uid=uid) | Store(uid=uid) | Copy(uid=uid) | Move(uid=uid):
            refused = not uid
        case Search(uid=uid, key=key):
            refused = not uid or _names_numbers(key)
        case Sort(search=search) | Thread(search=search) | SearchMailboxes(search=search):
            refused = not search.uid or _names_numbers(search.key)
        case Select(resync=resync) | Examine(resync=resync):
            refused = resync is not None and resync.numbers is not None
        case _:
            return
    if refused:
        raise _refused()


def require_uids(key: SearchKey) -> None:
    """Refuse search keys that name message numbers."""
    if _names_numbers(key):
        raise _refused()


def _refused() -> Refused:
    return Refused(bad("Message numbers are not used after ENABLE UIDONLY", codes.UIDREQUIRED))


def _names_numbers(key: SearchKey) -> bool:
    if isinstance(key, SequenceKey):
        return not key.messages.saved
    return any(map(_names_numbers, inner_keys(key)))
