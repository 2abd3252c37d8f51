"""GETMETADATA and SETMETADATA (RFC 5464 §4.2, §4.3).

Some entries are not what they seem: the server's own `/shared/comment` and `/shared/admin` are settings, its
`/shared/filters` are what administrators have stored (RFC 5466 §3.2), and `/private/specialuse` of a mailbox is its
special use (RFC 6154 §5.4).
"""

from collections.abc import Sequence

from pennypost.model.errors import MailboxExists, NotPermitted
from pennypost.model.ids import AccountId
from pennypost.model.mailbox import MailboxRole
from pennypost.model.rights import Rights
from pennypost.proto.imap.commands.metadata import EntryName, GetMetadata, MetadataDepth, SetMetadata
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.metadata import metadata
from pennypost.proto.imap.responses.status import Tagged, no, ok
from pennypost.proto.imap.special_use import ROLE_ATTRIBUTES, role_of
from pennypost.servers.imap import filters
from pennypost.servers.imap.errors import Refused
from pennypost.servers.imap.filters import FILTERS, shared_filters
from pennypost.servers.imap.session import Session
from pennypost.servers.imap.settings import ImapSettings
from pennypost.store import acl, annotations, mailboxes, places
from pennypost.store.acl import Action
from pennypost.store.annotations import EVERYBODY, SERVER, Depth
from pennypost.store.engine import Transaction
from pennypost.store.places import Reached

_DEPTHS = {MetadataDepth.NONE: Depth.NONE, MetadataDepth.ONE: Depth.ONE, MetadataDepth.ALL: Depth.ALL}
_SPECIAL_USE = "/specialuse"

Found = list[tuple[bytes, bytes | None]]


async def getmetadata(session: Session, command: GetMetadata) -> Tagged:
    """Tell the values of entries; those that are not there are NIL, those that are too large are left out."""
    user, settings = session.owner.account, session.door.settings
    depth = _DEPTHS[command.depth]

    async def operation(tx: Transaction) -> Found:
        if not command.mailbox:
            return await _of_server(tx, user, settings, command.entries, depth)
        reached = await _reach(tx, user, command.mailbox, write=False)
        return await values_of(tx, user, reached, command.entries, depth)

    found = await session.door.store.read(operation)
    largest = max((len(value or b"") for _, value in found), default=0)
    code = None
    if command.max_size is not None and largest > command.max_size:
        code = codes.metadata_longentries(largest)
        found = [(name, value) for name, value in found if len(value or b"") <= (command.max_size or 0)]
    if found:
        session.write(metadata(command.mailbox, found, session.utf8))
    return ok("GETMETADATA completed", code)


async def values_of(
    tx: Transaction, user: AccountId, reached: Reached, entries: Sequence[EntryName], depth: Depth = Depth.NONE
) -> Found:
    """Give the values of entries of a mailbox, as its user sees them."""
    found: dict[bytes, bytes | None] = {}
    for entry in entries:
        reader = user if entry.private else EVERYBODY
        rows = await annotations.find(tx, reached.account, reached.id, reader, entry.path, depth)
        if entry.private and _is_asked(_SPECIAL_USE, entry.path, depth) and reached.account == user:
            use = ROLE_ATTRIBUTES.get(reached.mailbox.role) if reached.mailbox.role else None
            rows += [(_SPECIAL_USE, use)] if use else []
        _take(found, entry, rows, depth)
    return list(found.items())


async def _of_server(
    tx: Transaction, user: AccountId, settings: ImapSettings, entries: Sequence[EntryName], depth: Depth
) -> Found:
    found: dict[bytes, bytes | None] = {}
    told = {"/comment": settings.comment, "/admin": settings.admin_url}
    for entry in entries:
        if entry.private:
            rows = await annotations.find(tx, user, SERVER, user, entry.path, depth)
        else:
            rows = [
                (path, value.encode("utf-8"))
                for path, value in told.items()
                if value and _is_asked(path, entry.path, depth)
            ]
            rows += await shared_filters(tx, settings, entry.path, depth)
        _take(found, entry, rows, depth)
    return list(found.items())


def _is_asked(path: str, asked: str, depth: Depth) -> bool:
    if path == asked:
        return True
    below = path.startswith(asked + "/")
    return below and (depth is Depth.ALL or (depth is Depth.ONE and "/" not in path[len(asked) + 1 :]))


def _take(found: dict[bytes, bytes | None], asked: EntryName, rows: Sequence[tuple[str, bytes]], depth: Depth) -> None:
    for path, value in rows:
        found[EntryName(asked.private, path).octets()] = value
    if asked.path and depth is Depth.NONE:
        found.setdefault(asked.octets(), None)


async def setmetadata(session: Session, command: SetMetadata) -> Tagged:
    """Set or remove entries, all or none."""
    user, limit = session.owner.account, session.door.settings.annotation_size
    if any(value is not None and len(value) > limit for _, value in command.values):
        return no("Value is too large", codes.metadata_maxsize(limit))
    shared = [entry for entry, _ in command.values if not entry.private]
    if not command.mailbox:
        filters.require_searches(command.values)

    async def operation(tx: Transaction) -> None:
        if not command.mailbox:
            if not all(entry.path.startswith(FILTERS + "/") for entry in shared):
                raise NotPermitted("What is said of the server to all is a setting")
            if shared and session.owner.name not in session.door.settings.administrators:
                raise NotPermitted
            values = [(user if entry.private else EVERYBODY, entry.path, value) for entry, value in command.values]
            await annotations.change(tx, user, SERVER, values)
            return
        reached = await _reach(tx, user, command.mailbox, write=bool(shared))
        plain = []
        for entry, value in command.values:
            if not entry.private and entry.path == annotations.SHARED_SEEN:
                places.allowed(reached.rights, Action.ADMINISTER)
            if entry.private and entry.path == _SPECIAL_USE:
                await _set_use(tx, user, reached, value)
            else:
                plain.append((user if entry.private else EVERYBODY, entry.path, value))
        await annotations.change(tx, reached.account, reached.id, plain)

    await session.door.store.write(operation)
    return ok("SETMETADATA completed")


async def _reach(tx: Transaction, user: AccountId, name: str, write: bool) -> Reached:
    """Find a mailbox about which something may be heard or said (RFC 5464 §3.3)."""
    reached = await places.find(tx, user, name, Action.SEE)
    if not reached.rights & acl.CONCERNED:
        raise NotPermitted
    if write and not reached.rights & Rights.WRITE:
        raise NotPermitted
    return reached


async def _set_use(tx: Transaction, user: AccountId, reached: Reached, value: bytes | None) -> None:
    """Give a mailbox a special use, or take it away (RFC 6154 §5.4). Raises Refused, NotPermitted."""
    if reached.account != user:
        raise NotPermitted("Special uses are for the owner to give")
    role: MailboxRole | None = None
    if value is not None and value.strip():
        role = role_of(value.strip())
        if role is None:
            raise Refused(no("Special use not supported", codes.USEATTR))
    try:
        await mailboxes.set_role(tx, reached.account, reached.id, role)
    except MailboxExists:
        raise Refused(no("Another mailbox has this use", codes.USEATTR)) from None
