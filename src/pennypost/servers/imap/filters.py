"""FILTER: search keys that were stored under a name (RFC 5466).

A filter is an annotation of the server, `/private/filters/values/NAME`, or else `/shared/filters/values/NAME`, which an
administrator has stored: such are kept with the administrator's account, and mean something as long as it is one. A
filter may name other filters.
"""

from collections.abc import Iterable, Mapping

from pennypost.model.ids import AccountId
from pennypost.proto.imap.commands.metadata import EntryName
from pennypost.proto.imap.commands.search import Search
from pennypost.proto.imap.limits import MAX_NESTING, MAX_SEARCH_KEYS
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.status import bad, no
from pennypost.proto.imap.search_keys import FilterKey, SearchKey, fuzzied, inner_keys, replaced
from pennypost.proto.imap.search_syntax import read_filter
from pennypost.servers.imap.errors import Refused
from pennypost.servers.imap.session import Session
from pennypost.servers.imap.settings import ImapSettings
from pennypost.servers.imap.uid_only import require_uids
from pennypost.store import annotations, directory
from pennypost.store.annotations import EVERYBODY, SERVER, Depth
from pennypost.store.engine import Transaction

MAX_PASSES = 8
"""How deep filters may name filters; what goes deeper is taken for a loop (RFC 5466 §3.1)."""

MAX_FILTERS = 64
"""Filters that one command may name, over all passes."""

FILTERS = "/filters"
_VALUES = "/filters/values/"


async def resolved(session: Session, command: Search) -> SearchKey:
    """Put stored keys in the place of FILTER keys. Raises Refused where one is not there, or cannot be read."""
    key = command.key
    if not (names := _names(key)):
        return key
    if command.charset not in (None, "UTF-8", "US-ASCII"):
        raise Refused(bad("Filters are in UTF-8", codes.badcharset(("UTF-8",))))  # RFC 5466 §3.1
    count = 0
    for _ in range(MAX_PASSES):
        count += len(names)
        if count > MAX_FILTERS:
            break
        key = _substituted(key, await _values(session, names))
        if not (names := _names(key)):
            if session.uid_only:
                require_uids(key)
            return key
    raise _undefined(names[0])


def _names(key: SearchKey) -> tuple[str, ...]:
    found: dict[str, None] = {}
    left = [key]
    while left:
        one = left.pop()
        if isinstance(one, FilterKey):
            found[one.name] = None
        left += inner_keys(one)
    return tuple(found)


async def _values(session: Session, names: tuple[str, ...]) -> dict[str, bytes]:
    user, settings = session.owner.account, session.door.settings

    async def operation(tx: Transaction) -> dict[str, bytes]:
        return {name: value for name in names if (value := await _value(tx, user, settings, name)) is not None}

    return await session.door.store.read(operation)


async def _value(tx: Transaction, user: AccountId, settings: ImapSettings, name: str) -> bytes | None:
    """Give what a filter says: the user's own before one that is shared (RFC 5466 §1)."""
    entry = _VALUES + name.lower()  # entries are in lower case (RFC 5464 §3.2)
    found = await annotations.find(tx, user, SERVER, user, entry)
    found = found or await shared_filters(tx, settings, entry)
    return found[0][1] if found else None


async def shared_filters(
    tx: Transaction, settings: ImapSettings, entry: str, depth: Depth = Depth.NONE
) -> list[tuple[str, bytes]]:
    """Give shared filters, and what is said of them: entries of the server. The first administrator's count."""
    rows: dict[str, bytes] = {}
    for name in settings.administrators:
        account = await directory.find_account(tx, name)
        if account is not None:
            for path, value in await annotations.find(tx, account.id, SERVER, EVERYBODY, entry, depth):
                rows.setdefault(path, value)
    return list(rows.items())


def require_searches(values: Iterable[tuple[EntryName, bytes | None]]) -> None:
    """Refuse to store as a filter what is none (RFC 5466 §3.2)."""
    for entry, value in values:
        if value is None or not entry.path.startswith(_VALUES):
            continue
        if "/" in entry.path.removeprefix(_VALUES) or read_filter(value) is None:
            raise Refused(no("Not the name of a filter, or no search", codes.CANNOT))


def _substituted(key: SearchKey, stored: Mapping[str, bytes]) -> SearchKey:
    """Put in what is stored. Raises Refused when the result is larger than a command may be."""
    parsed = {name: keys for name, value in stored.items() if (keys := read_filter(value)) is not None}
    count, depth = _measure(key, {name: _measure(keys, {}) for name, keys in parsed.items()})
    if count > MAX_SEARCH_KEYS or depth > MAX_NESTING:
        raise Refused(no("Filters are too large", codes.LIMIT))

    def change(simple: SearchKey) -> SearchKey:
        if not isinstance(simple, FilterKey):
            return simple
        keys = parsed.get(simple.name)
        if keys is None:
            raise _undefined(simple.name)
        return fuzzied(keys) if simple.fuzzy else keys

    return replaced(key, change)


def _measure(key: SearchKey, filters: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    """Count the keys that a key is made of, and the levels; `filters`: those of what stands for a filter."""
    if isinstance(key, FilterKey):
        return filters.get(key.name, (1, 1))
    inner = [_measure(one, filters) for one in inner_keys(key)]
    return 1 + sum(count for count, _ in inner), 1 + max((depth for _, depth in inner), default=0)


def _undefined(name: str) -> Refused:
    return Refused(no("No such filter", codes.undefined_filter(name)))
