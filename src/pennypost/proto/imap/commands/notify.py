"""NOTIFY (RFC 5465): which events a client wants to hear of, in which mailboxes, whether a command runs or not."""

from dataclasses import dataclass
from enum import Enum, Flag, auto

from pennypost.proto.imap.commands.fetch import FetchItem, read_items_to_end
from pennypost.proto.imap.limits import MAX_LIST_ITEMS, MAX_WATCHED_NAMES
from pennypost.proto.imap.reader import BadSyntax, Reader, one_of


class NotifyEvent(Flag):
    """What can happen (RFC 5465 §5). MessageNew and MessageExpunge come together, or not at all."""

    NONE = 0
    MESSAGE_NEW = auto()
    MESSAGE_EXPUNGE = auto()
    FLAG_CHANGE = auto()
    MAILBOX_NAME = auto()
    SUBSCRIPTION_CHANGE = auto()
    MAILBOX_METADATA_CHANGE = auto()
    SERVER_METADATA_CHANGE = auto()


MESSAGE_EVENTS = NotifyEvent.MESSAGE_NEW | NotifyEvent.MESSAGE_EXPUNGE | NotifyEvent.FLAG_CHANGE

EVENT_NAMES: dict[bytes, NotifyEvent] = {
    b"MessageNew": NotifyEvent.MESSAGE_NEW,
    b"MessageExpunge": NotifyEvent.MESSAGE_EXPUNGE,
    b"FlagChange": NotifyEvent.FLAG_CHANGE,
    b"MailboxName": NotifyEvent.MAILBOX_NAME,
    b"SubscriptionChange": NotifyEvent.SUBSCRIPTION_CHANGE,
    b"MailboxMetadataChange": NotifyEvent.MAILBOX_METADATA_CHANGE,
    b"ServerMetadataChange": NotifyEvent.SERVER_METADATA_CHANGE,
}
"""The events we know, as they are written."""


class MailboxFilter(Enum):
    """Which mailboxes (RFC 5465 §6); the value is what stands on the wire."""

    SELECTED = b"SELECTED"
    SELECTED_DELAYED = b"SELECTED-DELAYED"
    INBOXES = b"INBOXES"
    PERSONAL = b"PERSONAL"
    SUBSCRIBED = b"SUBSCRIBED"
    SUBTREE = b"SUBTREE"
    MAILBOXES = b"MAILBOXES"


OPEN_MAILBOX = frozenset({MailboxFilter.SELECTED, MailboxFilter.SELECTED_DELAYED})


@dataclass(frozen=True, slots=True)
class EventGroup:
    """Events of some mailboxes. `names`: of SUBTREE and MAILBOXES. `events`: none at all is NONE.

    `fetch`: what is told of each new message; of the open mailbox only.
    """

    filter: MailboxFilter
    names: tuple[str, ...]
    events: NotifyEvent
    fetch: tuple[FetchItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Notify:
    """Ask for events. No groups: NOTIFY NONE. `status`: tell where the mailboxes are now. `known`: whether we know all
    of the events."""

    groups: tuple[EventGroup, ...]
    status: bool = False
    known: bool = True


_EVENTS = {name.upper(): event for name, event in EVENT_NAMES.items()}
_FILTERS = {each.value: each for each in MailboxFilter}


def parse_notify(reader: Reader) -> Notify:
    reader.space("SET or NONE")
    match reader.word("SET or NONE"):
        case b"NONE":
            reader.end()
            return Notify(())
        case b"SET":
            pass
        case _:
            raise BadSyntax("expected SET or NONE")
    reader.space("groups of events")
    status = False
    if not reader.opens():
        if reader.word("STATUS") != b"STATUS":
            raise BadSyntax("expected STATUS or a group of events")
        status = True
        reader.space("groups of events")
    groups: list[EventGroup] = []
    known = True
    while True:
        group, understood = _read_group(reader)
        groups.append(group)
        known &= understood
        if len(groups) > MAX_LIST_ITEMS:
            raise BadSyntax("too many groups of events")
        if not reader.skip(b" "):
            break
    reader.end()
    if sum(group.filter in OPEN_MAILBOX for group in groups) > 1:  # RFC 5465 §6.1
        raise BadSyntax("events of the open mailbox are named twice")
    return Notify(tuple(groups), status, known)


def _read_group(reader: Reader) -> tuple[EventGroup, bool]:
    """Read `(filter events)`; False beside it if there were events that we do not know."""
    reader.expect(b"(", "a group of events")
    which = _FILTERS.get(reader.word("which mailboxes"))
    if which is None:
        raise BadSyntax(f"expected a choice of mailboxes: {one_of(_FILTERS)}")
    names: tuple[str, ...] = ()
    reader.space("mailboxes or events")
    if which in (MailboxFilter.SUBTREE, MailboxFilter.MAILBOXES):
        names = read_names(reader)
        reader.space("events")
    events, fetch, known = _read_events(reader, which in OPEN_MAILBOX)
    reader.expect(b")", "the end of a group of events")
    return EventGroup(which, names, events, fetch), known


def read_names(reader: Reader) -> tuple[str, ...]:
    """Read one mailbox or a list of them (RFC 5465 §8, one-or-more-mailbox)."""
    if not reader.skip(b"("):
        return (reader.mailbox(),)
    names = [reader.mailbox()]
    while reader.skip(b" "):
        names.append(reader.mailbox())
        if len(names) > MAX_WATCHED_NAMES:
            raise BadSyntax("too many mailboxes")
    reader.expect(b")", "a mailbox name or a closing parenthesis")
    return tuple(names)


def _read_events(reader: Reader, selected: bool) -> tuple[NotifyEvent, tuple[FetchItem, ...], bool]:
    """Read events, or NONE. Raises BadSyntax where they do not go together (RFC 5465 §5, §6.1, §8)."""
    events, known = NotifyEvent.NONE, True
    fetch: tuple[FetchItem, ...] = ()
    if not reader.skip(b"("):
        if reader.word("events") != b"NONE":
            raise BadSyntax("expected events in parentheses, or NONE")
        return events, fetch, known
    for _ in range(MAX_LIST_ITEMS):
        event = _EVENTS.get(reader.atom("an event").upper(), NotifyEvent.NONE)
        known &= bool(event)
        events |= event
        if event is NotifyEvent.MESSAGE_NEW and reader.more_in_parentheses():
            reader.expect(b"(", "fetch items")
            fetch = read_items_to_end(reader)
        if not reader.skip(b" "):
            reader.expect(b")", "an event or a closing parenthesis")
            break
    else:
        raise BadSyntax("too many events")
    if fetch and not selected:
        raise BadSyntax("data items are told of messages in the open mailbox only")
    if selected and events & ~MESSAGE_EVENTS:
        raise BadSyntax("events of mailboxes are not for the open one alone")
    together = NotifyEvent.MESSAGE_NEW | NotifyEvent.MESSAGE_EXPUNGE
    if events & MESSAGE_EVENTS and together & ~events:
        raise BadSyntax("MessageNew and MessageExpunge go together, and FlagChange with both")
    return events, fetch, known
