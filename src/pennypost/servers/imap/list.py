"""LIST (RFC 9051 §6.3.9; RFC 5258, RFC 5819, RFC 6154)."""

from dataclasses import dataclass

from pennypost.model.ids import AccountId
from pennypost.model.mailbox import DELIMITER, Mailbox
from pennypost.model.rights import ALL_RIGHTS, Rights
from pennypost.proto.imap.commands.list import List, ListReturn, ListSelection
from pennypost.proto.imap.responses.acl import myrights
from pennypost.proto.imap.responses.mailbox import list_delimiter, list_name
from pennypost.proto.imap.responses.mailbox import status as status_response
from pennypost.proto.imap.responses.metadata import metadata as metadata_response
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.proto.imap.special_use import ROLE_ATTRIBUTES
from pennypost.proto.imap.status_items import StatusItem
from pennypost.servers.imap import metadata
from pennypost.servers.imap.patterns import Patterns
from pennypost.servers.imap.session import Session
from pennypost.servers.imap.status import Values, status_values
from pennypost.store import acl, mailboxes, places
from pennypost.store.engine import Transaction
from pennypost.store.names import OTHER_USERS, SHARED
from pennypost.store.places import Reached

_CRITERIA = (
    (ListSelection.SUBSCRIBED, b"SUBSCRIBED"),
    (ListSelection.SPECIAL_USE, b"SPECIAL-USE"),
)
"""Selection options that a name can meet, and what CHILDINFO calls them (RFC 5258 §3.5)."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name that LIST knows: a mailbox; one that was deleted and has names below it; just a subscription; or what is
    above mailboxes of others."""

    name: str
    reached: Reached | None
    subscribed: bool
    has_children: bool

    @property
    def mailbox(self) -> Mailbox | None:
        return self.reached.mailbox if self.reached is not None else None

    def meets(self, criterion: ListSelection) -> bool:
        """Whether one selection option selects it."""
        if criterion is ListSelection.SUBSCRIBED:
            return self.subscribed
        return self.mailbox is not None and self.mailbox.role in ROLE_ATTRIBUTES

    @property
    def selectable(self) -> bool:
        return self.mailbox is not None and self.mailbox.selectable


async def list_mailboxes(session: Session, command: List) -> Tagged:
    """List names. An empty pattern in the basic form asks for the delimiter (RFC 9051 §6.3.9.6)."""
    if command.patterns == ("",) and not command.extended:
        session.write(list_delimiter())
        return ok("LIST completed")
    account, limit = session.owner.account, session.door.max_message_size
    if StatusItem.HIGHESTMODSEQ in command.status:
        session.use_condstore()
    patterns = Patterns(command.reference, command.patterns)
    chosen: list[tuple[Name, list[bytes]]] = []
    values: dict[str, Values] = {}
    said: dict[str, metadata.Found] = {}

    async def operation(tx: Transaction) -> None:
        known = await names_of(tx, account, patterns)
        chosen[:] = _choose(known, command, patterns)
        values.clear()
        said.clear()
        if command.returns & ListReturn.METADATA:
            for name, _ in chosen:
                if name.reached is not None and name.reached.rights & acl.CONCERNED:
                    said[name.name] = await metadata.values_of(tx, account, name.reached, command.entries)
        if command.returns & ListReturn.STATUS:
            for name, _ in chosen:
                if name.reached is not None and name.selectable and name.reached.rights & Rights.READ:
                    values[name.name] = await status_values(tx, name.reached, command.status, limit)

    run = (
        session.door.store.scan
        if command.returns & (ListReturn.STATUS | ListReturn.METADATA)
        else session.door.store.read
    )
    await run(operation)
    verb = b"XLIST" if command.xlist else b"LIST"
    for name, child_info in chosen:
        session.write(list_name(name.name, _attributes(name, command), session.utf8, child_info, verb=verb))
        if name.name in values:
            session.write(status_response(name.name, values[name.name], session.utf8))
        if command.returns & ListReturn.MYRIGHTS and name.reached is not None and name.selectable:
            session.write(myrights(name.name, name.reached.rights, session.utf8))
        if said.get(name.name):
            session.write(metadata_response(name.name, said[name.name], session.utf8))
        if session.gathered_octets >= session.door.settings.write_chunk:
            await session.breathe()
    return ok("LIST completed")


async def names_of(tx: Transaction, user: AccountId, patterns: Patterns) -> list[Name]:
    """Bring mailboxes and subscriptions together, sorted by name as INBOX first. Those of others, where the patterns
    may mean any, are there as far as the user may look them up, and what is above them too."""
    others = any(patterns.may_match_below(head) for head in (OTHER_USERS, SHARED))
    return await every_name(tx, user, others=others, shows_above=patterns.shows_above)


async def every_name(tx: Transaction, user: AccountId, *, others: bool, shows_above: bool = False) -> list[Name]:
    """Give all names a user has; with `others` those too that the user may look up, and with `shows_above` what is
    above these."""
    existing = {
        mailbox.name: Reached(user, mailbox, mailbox.name, ALL_RIGHTS) for mailbox in await mailboxes.list_all(tx, user)
    }
    above: set[str] = set()
    if others:
        foreign = {reached.name: reached for reached in await places.others(tx, user)}
        existing |= foreign
        above = {ancestor for name in foreign for ancestor in _ancestors(name)} if shows_above else set()
    subscribed = set(await mailboxes.subscriptions(tx, user))
    parents = {ancestor for name in existing for ancestor in _ancestors(name)}
    every = sorted(existing.keys() | subscribed | above, key=lambda name: (name != "INBOX", name))
    return [Name(name, existing.get(name), name in subscribed, name in parents) for name in every]


def _ancestors(name: str) -> list[str]:
    levels = name.split(DELIMITER)
    return [DELIMITER.join(levels[:depth]) for depth in range(1, len(levels))]


def _choose(known: list[Name], command: List, patterns: Patterns) -> list[tuple[Name, list[bytes]]]:
    """Pick the names to tell of, each with its CHILDINFO (RFC 5258 §3)."""
    criteria = [criterion for criterion, _ in _CRITERIA if criterion & command.selection]
    below = _below(known, criteria, patterns) if command.selection & ListSelection.RECURSIVEMATCH else {}
    candidates = list(known)
    if below:
        there = {name.name for name in known}
        candidates += [Name(parent, None, False, True) for parent in below if parent not in there]
        candidates.sort(key=lambda name: (name.name != "INBOX", name.name))
    chosen = []
    for name in candidates:
        if not patterns.match(name.name):
            continue
        child_info = below.get(name.name, [])
        selected = all(name.meets(criterion) for criterion in criteria)
        if (selected and (name.mailbox is not None or criteria or name.has_children)) or child_info:
            chosen.append((name, child_info))
    return chosen


def _below(known: list[Name], criteria: list[ListSelection], patterns: Patterns) -> dict[str, list[bytes]]:
    """Give the names that have names below them which meet the criteria, with those criteria: CHILDINFO.

    One name has to meet all (RFC 5258 §3.5). Names that match a pattern are told of themselves (RFC 9051 §6.3.9.8).
    """
    words = [word for criterion, word in _CRITERIA if criterion in criteria]
    meeting = [name.name for name in known if all(name.meets(criterion) for criterion in criteria)]
    hidden = [name for name in meeting if not patterns.match(name)]
    return {ancestor: words for name in hidden for ancestor in _ancestors(name)}


def _attributes(name: Name, command: List) -> list[bytes]:
    subscribed = bool(command.selection & ListSelection.SUBSCRIBED or command.returns & ListReturn.SUBSCRIBED)
    attributes = attributes_of(name, tells_subscribed=subscribed)
    if command.xlist and name.name == "INBOX":
        attributes.append(b"\\Inbox")
    return attributes


def attributes_of(name: Name, *, tells_subscribed: bool) -> list[bytes]:
    """List the attributes of a name (RFC 9051 §7.3.1)."""
    attributes = []
    if name.mailbox is None:
        attributes.append(b"\\NonExistent")
    elif not name.selectable:
        attributes.append(b"\\Noselect")
    if name.subscribed and tells_subscribed:
        attributes.append(b"\\Subscribed")
    attributes.append(b"\\HasChildren" if name.has_children else b"\\HasNoChildren")
    if name.mailbox is not None and name.mailbox.role in ROLE_ATTRIBUTES:
        attributes.append(ROLE_ATTRIBUTES[name.mailbox.role])
    return attributes
