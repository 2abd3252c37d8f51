"""How many messages one command may act upon: MESSAGELIMIT and SAVELIMIT (RFC 9738), where a setting says so.

What can be done in part is done to the messages with the highest UIDs, and MESSAGELIMIT in the answer tells the lowest
of them, below which the client goes on. What is done whole or not at all is refused.
"""

from msgspec.structs import replace

from pennypost.proto.imap.commands.copy import Copy
from pennypost.proto.imap.commands.sort import Sort
from pennypost.proto.imap.commands.thread import Thread
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.status import Condition, Tagged, no, untagged
from pennypost.proto.imap.search_keys import And, SearchKey, SequenceKey, UidKey
from pennypost.proto.imap.sequence import Ranges, SequenceSet, intersect
from pennypost.servers.imap.errors import Refused
from pennypost.servers.imap.selected import Selected
from pennypost.servers.imap.session import Session

_TEXT = "Too many messages for one command"


def refuse(session: Session, body: object) -> None:
    """Refuse a command that can only be done whole, if it names too many messages (RFC 9738 §3.1, §3.3)."""
    settings = session.door.settings
    if isinstance(body, Copy) and (limit := settings.message_limit or settings.save_limit):
        selected = session.open_mailbox
        numbers = selected.numbers_of(body.messages, body.uid)
        if _count(numbers) > limit:
            lowest = selected.view.uids[_last(numbers, limit)[0][0] - 1]
            raise Refused(no(_TEXT, codes.messagelimit(limit, lowest)))
    elif isinstance(body, Sort | Thread) and settings.message_limit:
        refuse_range(session, _count(_searched(session.open_mailbox, body.search.key)))


def refuse_many(session: Session, count: int) -> None:
    """Refuse to take in so many messages in one APPEND (RFC 3502)."""
    limit = session.door.settings.message_limit or session.door.settings.save_limit
    if limit and count > limit:
        raise Refused(no(_TEXT, codes.messagelimit(limit)))


def refuse_range(session: Session, count: int) -> None:
    """Refuse what asks for more messages than may be had: PARTIAL of a FETCH (RFC 9738 §3.1), SORT, THREAD (§3.3)."""
    limit = session.door.settings.message_limit
    if limit and count > limit:
        raise Refused(no(_TEXT, codes.messagelimit(limit)))


def trim(session: Session, numbers: Ranges) -> Ranges:
    """Give those messages that the command in hand may act upon: all, or the last ones, which is noted."""
    limit = session.door.settings.message_limit
    if not limit or _count(numbers) <= limit:
        return numbers
    left = _last(numbers, limit)
    session.limited_to = session.open_mailbox.view.uids[left[0][0] - 1]
    return left


def narrowed(session: Session, key: SearchKey) -> SearchKey:
    """Give a key that looks at no more messages than it may. What counts is what is looked at, not what matches."""
    if not session.door.settings.message_limit:
        return key
    numbers = _searched(session.open_mailbox, key)
    left = trim(session, numbers)
    return key if left is numbers else And((SequenceKey(SequenceSet(left)), key))


def told(session: Session, tagged: Tagged) -> Tagged:
    """Put it into the answer that a command was done in part; ahead of it, where the answer says something else."""
    lowest, session.limited_to = session.limited_to, 0
    if not lowest or tagged.condition is not Condition.OK:
        return tagged
    code = codes.messagelimit(session.door.settings.message_limit, lowest)
    if tagged.code is None:
        return replace(tagged, code=code)
    session.write(untagged(Condition.NO, _TEXT, code))
    return tagged


def _count(numbers: Ranges) -> int:
    return sum(last - first + 1 for first, last in numbers)


def _last(numbers: Ranges, count: int) -> Ranges:
    """Give the last messages of ascending ranges."""
    left: list[tuple[int, int]] = []
    for first, last in reversed(numbers):
        first = max(first, last - count + 1)
        left.append((first, last))
        count -= last - first + 1
        if not count:
            break
    return tuple(reversed(left))


def _searched(selected: Selected, key: SearchKey) -> Ranges:
    """Give the messages that a search has to look at: those that its sets of numbers and UIDs leave."""
    numbers: Ranges = ((1, selected.count),) if selected.count else ()
    for inner in key.keys if isinstance(key, And) else (key,):
        match inner:
            case SequenceKey(messages=messages) if messages.saved:
                numbers = intersect(numbers, selected.numbers_of(messages, uid=False))
            case SequenceKey(messages=messages):
                numbers = intersect(numbers, messages.resolve(selected.count))
            case UidKey(uids=uids):
                numbers = intersect(numbers, selected.numbers_of(uids, uid=True))
    return numbers
