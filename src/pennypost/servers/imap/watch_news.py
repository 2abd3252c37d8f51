"""What changed between two surveys, as untagged responses (RFC 5465 §5): LIST, METADATA, STATUS."""

from collections.abc import Collection, Iterator

from pennypost.model.mailbox import DELIMITER
from pennypost.proto.imap.commands.metadata import EntryName
from pennypost.proto.imap.commands.notify import NotifyEvent
from pennypost.proto.imap.responses.mailbox import list_name
from pennypost.proto.imap.responses.mailbox import status as status_response
from pennypost.proto.imap.responses.metadata import metadata_changed
from pennypost.proto.imap.status_items import StatusItem
from pennypost.servers.imap.interest import Interest
from pennypost.servers.imap.list import Name, attributes_of
from pennypost.servers.imap.survey import Figures, MailboxKey, Survey, readable
from pennypost.store.annotations import SERVER
from pennypost.store.names import ancestors
from pennypost.store.places import is_own


class NameNews:
    """What is new of names: made, renamed, removed, shared or no more so, subscribed to (RFC 5465 §5.4, §5.5, §5.9).

    `refused`: names that the client was told it has no access to; kept from one time to the next. `own`: names that
    the client itself changed, which it is not told of (RFC 5465 §5).
    """

    def __init__(self, before: Survey, after: Survey, interest: Interest, own: Collection[str], refused: set[str]):
        self._before = before
        self._after = after
        self._interest = interest
        self._own = own
        self._refused = refused
        self._renamed: dict[str, str] = {}
        self._affected: set[str] = set()

    def lines(self, utf8: bool) -> Iterator[bytes]:
        self._compare_names()
        self._compare_subscriptions()
        self._compare_access()
        for name, old in sorted(self._renamed.items()):
            if not self._implied(name, old) and name not in self._own and self._wants(name, old):
                yield self._line(name, utf8, old)
        for name in sorted(self._affected - self._renamed.keys()):
            if name not in self._own:
                yield self._line(name, utf8)

    def _wants(self, *names: str, event: NotifyEvent = NotifyEvent.MAILBOX_NAME) -> bool:
        subscribed = self._before.subscriptions | self._after.subscriptions
        return any(self._interest.events(name, name in subscribed) & event for name in names)

    def _compare_names(self) -> None:
        before, after = self._before.ids, self._after.ids
        changed = []
        for key, old in before.items():
            new = after.get(key)
            if new is None:
                changed.append(old)
            elif new != old:
                self._renamed[new] = old
        changed += [name for key, name in after.items() if key not in before]
        for name in changed:
            above = name.rpartition(DELIMITER)[0]
            self._affected |= {each for each in (name, above) if each and self._wants(each)}

    def _implied(self, name: str, old: str) -> bool:
        """Whether a name changed since one above it did: nothing more is told then (RFC 5465 §5.4)."""
        for above in ancestors(name):
            was = self._renamed.get(above)
            if was is not None and old == was + name[len(above) :] and self._wants(above, was):
                return True
        return False

    def _compare_subscriptions(self) -> None:
        for name in self._before.subscriptions ^ self._after.subscriptions:
            if self._wants(name, event=NotifyEvent.SUBSCRIPTION_CHANGE):
                self._affected.add(name)

    def _compare_access(self) -> None:
        """See which mailboxes of others may not be watched any more, or may be again."""
        for name, watched in self._before.watched.items():
            key = _key(watched.name)
            if key is not None and key not in self._after.ids and not is_own(name):
                self._refused.add(name)
                self._affected.add(name)
        for name, watched in self._after.watched.items():
            refused = _refused(watched.name)
            if refused != (name in self._refused):
                self._affected.add(name)
                (self._refused.add if refused else self._refused.discard)(name)

    def _line(self, name: str, utf8: bool, old: str | None = None) -> bytes:
        told = self._after.names.get(name)
        if told is None:
            below = name + DELIMITER
            told = Name(name, None, False, any(other.startswith(below) for other in self._after.ids.values()))
        return list_line(told, utf8, old, refused=name in self._refused)


def list_line(name: Name, utf8: bool, old: str | None = None, *, refused: bool = False) -> bytes:
    r"""Tell of a name (RFC 5465 §5.4); `refused`: with `\NoAccess` (RFC 5465 §3.1)."""
    attributes = attributes_of(name, tells_subscribed=True)
    if refused:
        attributes.append(b"\\NoAccess")
    return list_name(name.name, attributes, utf8, old_name=old)


def no_access(survey: Survey, utf8: bool) -> Iterator[tuple[str, bytes]]:
    """Tell of the names that are watched though their mailboxes may not be read (RFC 5465 §3.1)."""
    for name, watched in survey.watched.items():
        if _refused(watched.name):
            yield name, list_line(watched.name, utf8, refused=True)


def _refused(name: Name) -> bool:
    return name.selectable and not readable(name)


def _key(name: Name) -> MailboxKey | None:
    return (name.reached.account, name.reached.id) if name.reached is not None else None


def metadata_lines(
    before: Survey, after: Survey, own: Collection[tuple[str, EntryName]], utf8: bool
) -> Iterator[bytes]:
    """Tell the names of annotations that are new, others, or gone (RFC 5465 §5.6, §5.7)."""
    for key, marks in after.marks.items():
        name = "" if key[1] == SERVER else after.ids[key]
        old = before.marks.get(key, {})
        changed = [
            EntryName(*entry) for entry in sorted(old.keys() | marks.keys()) if old.get(entry) != marks.get(entry)
        ]
        told = [entry.octets() for entry in changed if (name, entry) not in own]
        if told:
            yield metadata_changed(name, told, utf8)


def status_line(
    name: str, before: Figures | None, now: Figures, events: NotifyEvent, condstore: bool, utf8: bool
) -> bytes:
    """Tell what is new of a mailbox's messages; nothing if nothing is (RFC 5465 §5.1–§5.3)."""
    items: dict[StatusItem, int] = {}
    if before is None and now.total == 0 and now.uid_next == 1:
        return b""
    if before is None or (before.uid_next, before.total) != (now.uid_next, now.total):
        items[StatusItem.UIDNEXT] = now.uid_next
        items[StatusItem.MESSAGES] = now.total
    if before is None or before.uid_validity != now.uid_validity:
        items[StatusItem.UIDVALIDITY] = now.uid_validity
    flags = bool(events & NotifyEvent.FLAG_CHANGE)
    if condstore and (items or (flags and before is not None and before.highest_modseq != now.highest_modseq)):
        items[StatusItem.HIGHESTMODSEQ] = now.highest_modseq
        items[StatusItem.UIDVALIDITY] = now.uid_validity
    if flags and before is not None and before.unseen != now.unseen:
        items[StatusItem.UNSEEN] = now.unseen
        items[StatusItem.UIDVALIDITY] = now.uid_validity
    return status_response(name, list(items.items()), utf8) if items else b""


def first_status(name: str, now: Figures, events: NotifyEvent, condstore: bool, utf8: bool) -> bytes:
    """Tell where a mailbox is, for NOTIFY SET STATUS (RFC 5465 §3.1)."""
    values: list[tuple[StatusItem, int | bytes | None]] = [
        (StatusItem.MESSAGES, now.total),
        (StatusItem.UIDNEXT, now.uid_next),
        (StatusItem.UIDVALIDITY, now.uid_validity),
    ]
    if events & NotifyEvent.FLAG_CHANGE:
        values.append((StatusItem.UNSEEN, now.unseen))
    if condstore or events & NotifyEvent.FLAG_CHANGE:
        values.append((StatusItem.HIGHESTMODSEQ, now.highest_modseq))
    return status_response(name, values, utf8)
