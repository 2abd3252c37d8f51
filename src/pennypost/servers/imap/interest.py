"""Which events a client wants to hear of, mailbox by mailbox (RFC 5465 §6).

Several groups may mean one mailbox: their events add up; a group of NONE that means it takes them all away. INBOXES are
all of the user's own mailboxes: any of them may be delivered to (RFC 5465 §6.3).
"""

from collections.abc import Sequence

from pennypost.proto.imap.commands.fetch import FetchItem
from pennypost.proto.imap.commands.notify import OPEN_MAILBOX, EventGroup, MailboxFilter, NotifyEvent
from pennypost.store.names import ancestors
from pennypost.store.places import is_own


class Interest:
    """The groups of one NOTIFY SET; without any, of NOTIFY NONE.

    `open_events`: of the open mailbox, and `fetch` what is told of its new messages; `delayed`: its expunges wait for a
    command. `asked`: all events of any other mailbox. `others`: mailboxes of other accounts may be meant.
    """

    __slots__ = ("_groups", "asked", "delayed", "fetch", "open_events", "others")

    def __init__(self, groups: Sequence[EventGroup]) -> None:
        self.open_events = self.asked = NotifyEvent.NONE
        self.fetch: tuple[FetchItem, ...] = ()
        self.delayed = self.others = False
        self._groups: list[tuple[EventGroup, frozenset[str]]] = []
        for group in groups:
            if group.filter in OPEN_MAILBOX:
                self.open_events, self.fetch = group.events, group.fetch
                self.delayed = group.filter is MailboxFilter.SELECTED_DELAYED
            else:
                self.asked |= group.events
                self.others |= group.filter is MailboxFilter.SUBSCRIBED or not all(map(is_own, group.names))
                self._groups.append((group, frozenset(group.names)))

    @property
    def subscriptions(self) -> bool:
        """Whether it matters what is subscribed to."""
        return bool(self.asked & NotifyEvent.SUBSCRIPTION_CHANGE) or any(
            group.filter is MailboxFilter.SUBSCRIBED for group, _ in self._groups
        )

    def events(self, name: str, subscribed: bool) -> NotifyEvent:
        """Give the events that are wanted of a name. Whether it is the open mailbox does not matter here."""
        wanted = NotifyEvent.NONE
        for group, names in self._groups:
            if _means(group.filter, names, name, subscribed):
                if not group.events:
                    return NotifyEvent.NONE
                wanted |= group.events
        return wanted


def _means(which: MailboxFilter, names: frozenset[str], name: str, subscribed: bool) -> bool:
    match which:
        case MailboxFilter.PERSONAL | MailboxFilter.INBOXES:
            return is_own(name)
        case MailboxFilter.SUBSCRIBED:
            return subscribed
        case MailboxFilter.SUBTREE:
            return name in names or not names.isdisjoint(ancestors(name))
    return name in names
