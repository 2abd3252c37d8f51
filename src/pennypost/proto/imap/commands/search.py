"""SEARCH and UID SEARCH (RFC 9051 §6.4.4), with ESEARCH (RFC 4731) and SAVE (RFC 5182)."""

from dataclasses import dataclass
from enum import Flag, auto

from pennypost.proto.imap.commands.fetch import FetchItem, read_items_to_end
from pennypost.proto.imap.limits import MAX_LIST_ITEMS
from pennypost.proto.imap.partial_range import PartialRange, read_partial_range
from pennypost.proto.imap.reader import BadSyntax, Reader, one_of
from pennypost.proto.imap.search_keys import SearchKey
from pennypost.proto.imap.search_syntax import CHARSETS, SearchReader


class SearchReturn(Flag):
    """What to tell of the result (RFC 9051 §6.4.4.1)."""

    NONE = 0
    MIN = auto()
    MAX = auto()
    ALL = auto()
    COUNT = auto()
    SAVE = auto()
    PARTIAL = auto()  # RFC 9394; which: `Search.partial`
    RELEVANCY = auto()  # RFC 6203
    CONTEXT = auto()  # RFC 5267 §4.2: a hint
    UPDATE = auto()  # RFC 5267 §4.3


@dataclass(frozen=True, slots=True)
class Search:
    """Look for messages. `uid`: the result is in UIDs.

    `returns`: None if RETURN was not given: the answer is SEARCH in IMAP4rev1, ESEARCH with ALL in IMAP4rev2;
    `RETURN ()` is ALL. `charset`: in capitals, None if not given (texts were UTF-8 then). `charset_known` False: answer
    NO [BADCHARSET], the texts in `key` mean nothing. `fuzzy`: whether there may be scores of relevancy. `told_of_new`:
    what UPDATE is to tell of new messages that come to the result (RFC 5465 §7).
    """

    uid: bool
    key: SearchKey
    returns: SearchReturn | None = None
    charset: str | None = None
    charset_known: bool = True
    partial: PartialRange | None = None
    fuzzy: bool = False
    told_of_new: tuple[FetchItem, ...] = ()

    @property
    def is_kept(self) -> bool:
        """Whether the result is needed after it was told."""
        return self.returns is not None and bool(self.returns & (SearchReturn.SAVE | SearchReturn.UPDATE))


_RETURNS: dict[bytes, SearchReturn] = {
    b"MIN": SearchReturn.MIN,
    b"MAX": SearchReturn.MAX,
    b"ALL": SearchReturn.ALL,
    b"COUNT": SearchReturn.COUNT,
    b"SAVE": SearchReturn.SAVE,
    b"PARTIAL": SearchReturn.PARTIAL,
    b"RELEVANCY": SearchReturn.RELEVANCY,
    b"CONTEXT": SearchReturn.CONTEXT,
    b"UPDATE": SearchReturn.UPDATE,
}


def parse_search(reader: Reader) -> Search:
    return _parse(reader, uid=False)


def parse_uid_search(reader: Reader) -> Search:
    return _parse(reader, uid=True)


def _parse(reader: Reader, uid: bool) -> Search:
    reader.space("a search key")
    return read_program(reader, uid, read_options(reader))


def read_program(reader: Reader, uid: bool, options: "SearchOptions") -> Search:
    """Read a charset, if one is named, and the search keys, to the end of the command (RFC 9051 §9, search-program)."""
    if reader.peek_word() == b"CHARSET":
        reader.word("CHARSET")
        reader.space("a charset")
        return read_criteria(reader, uid, options)
    return _read_keys(reader, uid, options, None)


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What RETURN asked for, as `Search` has it."""

    returns: SearchReturn | None = None
    partial: PartialRange | None = None
    told_of_new: tuple[FetchItem, ...] = ()


NO_OPTIONS = SearchOptions()


def read_options(reader: Reader) -> SearchOptions:
    """Read RETURN, its options and the space behind them, if they are there."""
    if reader.peek_word() != b"RETURN":
        return NO_OPTIONS
    options = _read_returns(reader)
    reader.space("a search key")
    return options


def read_criteria(reader: Reader, uid: bool, options: SearchOptions) -> Search:
    """Read a charset and the search keys, to the end of the command (RFC 5256 §5, search-criteria)."""
    charset = reader.text("a charset").upper()
    reader.space("a search key")
    return _read_keys(reader, uid, options, charset)


def _read_keys(reader: Reader, uid: bool, options: SearchOptions, charset: str | None) -> Search:
    known = charset is None or charset in CHARSETS
    keys = SearchReader(reader, CHARSETS.get(charset or "UTF-8", "latin-1"))
    key = keys.keys()
    reader.end()
    if options.returns is not None and options.returns & SearchReturn.RELEVANCY and not keys.fuzzy:
        raise BadSyntax("RELEVANCY goes with FUZZY only")  # RFC 6203 §4
    return Search(uid, key, options.returns, charset, known, options.partial, keys.fuzzy, options.told_of_new)


def _read_returns(reader: Reader) -> SearchOptions:
    reader.word("RETURN")
    reader.space("SEARCH return options")
    reader.expect(b"(", "SEARCH return options")
    if reader.skip(b")"):
        return SearchOptions(SearchReturn.ALL)
    partial: PartialRange | None = None
    told_of_new: tuple[FetchItem, ...] = ()
    returns = SearchReturn.NONE
    for _ in range(MAX_LIST_ITEMS):
        option = _RETURNS.get(reader.word("a SEARCH return option"))
        if option is None:
            raise BadSyntax(f"expected a SEARCH return option: {one_of(_RETURNS)}")
        if option is SearchReturn.PARTIAL:
            if partial is not None:
                raise BadSyntax("expected PARTIAL once")
            reader.space("a range of results")
            partial = read_partial_range(reader)
        if option is SearchReturn.UPDATE and (reader.skip(b" (") or reader.skip(b"(")):
            told_of_new = read_items_to_end(reader)
        returns |= option
        if not reader.skip(b" "):
            reader.expect(b")", "a SEARCH return option or a closing parenthesis")
            if partial is not None and returns & SearchReturn.ALL:
                raise BadSyntax("PARTIAL and ALL exclude each other")  # RFC 9394 §3.1
            return SearchOptions(returns, partial, told_of_new)
    raise BadSyntax("too many SEARCH return options")
