"""LIST (RFC 9051 §6.3.9; RFC 5258, RFC 5819, RFC 6154) and LSUB (RFC 3501 §6.3.9)."""

from dataclasses import dataclass
from enum import Flag, auto

from pennypost.proto.imap.commands.metadata import EntryName, read_entries
from pennypost.proto.imap.limits import MAX_LIST_ITEMS
from pennypost.proto.imap.reader import BadSyntax, Reader, one_of
from pennypost.proto.imap.status_items import StatusItem, read_status_items


class ListSelection(Flag):
    """Which names to tell of (RFC 9051 §6.3.9.1, RFC 6154 §2)."""

    NONE = 0
    SUBSCRIBED = auto()
    REMOTE = auto()
    RECURSIVEMATCH = auto()
    SPECIAL_USE = auto()


class ListReturn(Flag):
    """What to tell of each (RFC 9051 §6.3.9.2, RFC 6154 §2). STATUS: the items are in `List.status`."""

    NONE = 0
    SUBSCRIBED = auto()
    CHILDREN = auto()
    SPECIAL_USE = auto()
    STATUS = auto()
    MYRIGHTS = auto()  # RFC 8440 §3
    METADATA = auto()  # RFC 9590 §3; the entries are in `List.entries`


@dataclass(frozen=True, slots=True)
class List:
    """Names below `reference` that match one of `patterns` (`%`: one level, `*`: all), in NFC, not yet joined.

    `extended`: selection or return options or a list of patterns were given, even empty ones: the answer then may
    carry CHILDINFO, and an empty pattern matches nothing (RFC 5258 §3). A basic `LIST "" ""` asks for the delimiter.
    `xlist`: it was XLIST, which old clients know in place of special uses, and is answered so.
    """

    reference: str
    patterns: tuple[str, ...]
    selection: ListSelection = ListSelection.NONE
    returns: ListReturn = ListReturn.NONE
    status: tuple[StatusItem, ...] = ()
    extended: bool = False
    entries: tuple[EntryName, ...] = ()
    xlist: bool = False


@dataclass(frozen=True, slots=True)
class Lsub:
    """Subscribed names below `reference` that match `pattern`."""

    reference: str
    pattern: str


_SELECTIONS: dict[bytes, ListSelection] = {
    b"SUBSCRIBED": ListSelection.SUBSCRIBED,
    b"REMOTE": ListSelection.REMOTE,
    b"RECURSIVEMATCH": ListSelection.RECURSIVEMATCH,
    b"SPECIAL-USE": ListSelection.SPECIAL_USE,
}
_RETURNS: dict[bytes, ListReturn] = {
    b"SUBSCRIBED": ListReturn.SUBSCRIBED,
    b"CHILDREN": ListReturn.CHILDREN,
    b"SPECIAL-USE": ListReturn.SPECIAL_USE,
    b"STATUS": ListReturn.STATUS,
    b"MYRIGHTS": ListReturn.MYRIGHTS,
    b"METADATA": ListReturn.METADATA,
}


def parse_list(reader: Reader) -> List:
    reader.space("a reference name")
    selection, extended = ListSelection.NONE, False
    if reader.opens():
        selection, extended = _read_selection(reader), True
        reader.space("a reference name")
    reference = reader.mailbox()
    reader.space("a mailbox pattern")
    if reader.opens():
        patterns, extended = _read_patterns(reader), True
    else:
        patterns = (reader.list_mailbox(),)
    returns = ListReturn.NONE
    status: tuple[StatusItem, ...] = ()
    entries: tuple[EntryName, ...] = ()
    if not reader.at_end():
        reader.space("RETURN")
        returns, status, entries = _read_returns(reader)
        extended = True
    reader.end()
    return List(reference, patterns, selection, returns, status, extended, entries)


def parse_xlist(reader: Reader) -> List:
    """Read XLIST, as clients from before RFC 6154 send it: a LIST in its basic form."""
    reader.space("a reference name")
    reference = reader.mailbox()
    reader.space("a mailbox pattern")
    pattern = reader.list_mailbox()
    reader.end()
    return List(reference, (pattern,), xlist=True)


def parse_lsub(reader: Reader) -> Lsub:
    reader.space("a reference name")
    reference = reader.mailbox()
    reader.space("a mailbox pattern")
    pattern = reader.list_mailbox()
    reader.end()
    return Lsub(reference, pattern)


def _read_selection(reader: Reader) -> ListSelection:
    reader.expect(b"(", "LIST selection options")
    selection = ListSelection.NONE
    if reader.skip(b")"):
        return selection
    for _ in range(MAX_LIST_ITEMS):
        option = _SELECTIONS.get(reader.word("a LIST selection option"))
        if option is None:
            raise BadSyntax(f"expected a LIST selection option: {one_of(_SELECTIONS)}")
        selection |= option
        if not reader.skip(b" "):
            reader.expect(b")", "a LIST selection option or a closing parenthesis")
            break
    else:
        raise BadSyntax("too many LIST selection options")
    # RECURSIVEMATCH modifies a criterion; REMOTE is none (RFC 9051 §6.3.9.1)
    if selection & ListSelection.RECURSIVEMATCH and not selection & (
        ListSelection.SUBSCRIBED | ListSelection.SPECIAL_USE
    ):
        raise BadSyntax("expected SPECIAL-USE or SUBSCRIBED beside RECURSIVEMATCH")
    return selection


def _read_patterns(reader: Reader) -> tuple[str, ...]:
    reader.expect(b"(", "mailbox patterns")
    patterns: list[str] = []
    while True:
        patterns.append(reader.list_mailbox())
        if len(patterns) > MAX_LIST_ITEMS:
            raise BadSyntax("too many mailbox patterns")
        if not reader.skip(b" "):
            break
    reader.expect(b")", "a mailbox pattern or a closing parenthesis")
    return tuple(patterns)


def _read_returns(reader: Reader) -> tuple[ListReturn, tuple[StatusItem, ...], tuple[EntryName, ...]]:
    if reader.word("RETURN") != b"RETURN":
        raise BadSyntax("expected RETURN")
    reader.space("LIST return options")
    reader.expect(b"(", "LIST return options")
    returns = ListReturn.NONE
    status: tuple[StatusItem, ...] = ()
    entries: tuple[EntryName, ...] = ()
    if reader.skip(b")"):
        return returns, status, entries
    for _ in range(MAX_LIST_ITEMS):
        option = _RETURNS.get(reader.word("a LIST return option"))
        if option is None:
            raise BadSyntax(f"expected a LIST return option: {one_of(_RETURNS)}")
        returns |= option
        if option is ListReturn.STATUS:
            reader.space("a list of status items")
            status = read_status_items(reader)
        elif option is ListReturn.METADATA:
            reader.space("a list of entries")
            entries = read_entries(reader)
        if not reader.skip(b" "):
            reader.expect(b")", "a LIST return option or a closing parenthesis")
            return returns, status, entries
    raise BadSyntax("too many LIST return options")
