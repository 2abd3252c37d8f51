"""Reading search keys (RFC 9051 §6.4.4 and §9, search-key).

Keys that are one word, or a word and one argument, stand in tables. Depth and number are bounded: nested parentheses
must not reach Python's own recursion limit, neither here nor in those who walk the tree.
"""

from collections.abc import Callable
from datetime import date

from pennypost.model.flags import Flags
from pennypost.model.ids import ModSeq
from pennypost.proto.imap.dates import parse_date
from pennypost.proto.imap.limits import MAX_NESTING, MAX_NUMBER, MAX_SEARCH_KEYS
from pennypost.proto.imap.object_id import is_object_id
from pennypost.proto.imap.reader import BadSyntax, Reader
from pennypost.proto.imap.search_keys import (
    AgeKey,
    All,
    And,
    BodyKey,
    DateKey,
    DateRelation,
    EmailIdKey,
    FilterKey,
    FlagKey,
    HeaderKey,
    KeywordKey,
    ModSeqKey,
    Not,
    Or,
    RecentKey,
    SavedKey,
    SearchKey,
    SequenceKey,
    SizeKey,
    TextKey,
    ThreadIdKey,
    UidKey,
    fuzzied,
)
from pennypost.proto.imap.sequence import SequenceSet

CHARSETS: dict[str, str] = {
    "US-ASCII": "ascii",
    "UTF-8": "utf-8",
    **{f"ISO-8859-{n}": f"iso8859-{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)},
    **{f"WINDOWS-{n}": f"cp{n}" for n in range(1250, 1259)},
    "KOI8-R": "koi8-r",
    "KOI8-U": "koi8-u",
    "ISO-2022-JP": "iso2022-jp",
    "EUC-JP": "euc-jp",
    "SHIFT_JIS": "shift-jis",
    "GB2312": "gb2312",
    "GBK": "gbk",
    "GB18030": "gb18030",
    "BIG5": "big5",
    "EUC-KR": "euc-kr",
}
"""Charsets of SEARCH, by their registered names in capitals, and the codec of each (RFC 9051 §6.4.4)."""

_WORDS: dict[bytes, SearchKey] = {
    b"ALL": All(),
    b"ANSWERED": FlagKey(Flags.ANSWERED, True),
    b"DELETED": FlagKey(Flags.DELETED, True),
    b"DRAFT": FlagKey(Flags.DRAFT, True),
    b"FLAGGED": FlagKey(Flags.FLAGGED, True),
    b"SEEN": FlagKey(Flags.SEEN, True),
    b"UNANSWERED": FlagKey(Flags.ANSWERED, False),
    b"UNDELETED": FlagKey(Flags.DELETED, False),
    b"UNDRAFT": FlagKey(Flags.DRAFT, False),
    b"UNFLAGGED": FlagKey(Flags.FLAGGED, False),
    b"UNSEEN": FlagKey(Flags.SEEN, False),
    b"NEW": And((RecentKey(True), FlagKey(Flags.SEEN, False))),  # RFC 3501 §6.4.4
    b"OLD": RecentKey(False),
    b"RECENT": RecentKey(True),
    b"SAVEDATESUPPORTED": All(),  # RFC 8514 §4.3: of every mailbox here
}

_HEADERS = {b"BCC": "Bcc", b"CC": "Cc", b"FROM": "From", b"SUBJECT": "Subject", b"TO": "To"}

_DATES: dict[bytes, tuple[DateRelation, bool]] = {
    b"BEFORE": (DateRelation.BEFORE, False),
    b"ON": (DateRelation.ON, False),
    b"SINCE": (DateRelation.SINCE, False),
    b"SENTBEFORE": (DateRelation.BEFORE, True),
    b"SENTON": (DateRelation.ON, True),
    b"SENTSINCE": (DateRelation.SINCE, True),
}

_SAVED: dict[bytes, DateRelation] = {
    b"SAVEDBEFORE": DateRelation.BEFORE,
    b"SAVEDON": DateRelation.ON,
    b"SAVEDSINCE": DateRelation.SINCE,
}

_QUOTE = 0x22
_SEQUENCE_OCTETS = frozenset(b"0123456789*$")


class SearchReader:
    """Reads the keys of one search program. `codec`: of the charset the texts are in."""

    __slots__ = ("_codec", "_count", "_depth", "_reader", "fuzzy")

    def __init__(self, reader: Reader, codec: str) -> None:
        self._reader = reader
        self._codec = codec
        self._depth = 0
        self._count = 0
        self.fuzzy = False
        """Whether FUZZY was among the keys, or a FILTER, which may hold it."""

    def keys(self) -> SearchKey:
        """Read one key or more, to whatever ends the list; several mean all of them."""
        found = [self.key()]
        while self._reader.skip(b" "):
            found.append(self.key())
        return found[0] if len(found) == 1 else And(tuple(found))

    def key(self) -> SearchKey:
        """Read one search-key."""
        self._count += 1
        if self._count > MAX_SEARCH_KEYS:
            raise BadSyntax("too many search keys")
        reader = self._reader
        head = reader.next_octet()
        if head == 0x28:
            return self._nested(self._parenthesized)
        if head in _SEQUENCE_OCTETS:
            return SequenceKey(reader.sequence_set())
        word = reader.word("a search key")
        simple = _WORDS.get(word)
        if simple is not None:
            return simple
        if word == b"NOT":
            reader.space("a search key")
            return Not(self._nested(self.key))
        if word == b"OR":
            return self._or()
        if word == b"FUZZY":
            self.fuzzy = True
            reader.space("a search key")
            return fuzzied(self._nested(self.key))
        return self._with_argument(word)

    def _nested(self, read: Callable[[], SearchKey]) -> SearchKey:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise BadSyntax("search keys are nested too deeply")
        key = read()
        self._depth -= 1
        return key

    def _parenthesized(self) -> SearchKey:
        self._reader.expect(b"(", "a search key")
        key = self.keys()
        self._reader.expect(b")", "a search key or a closing parenthesis")
        return key

    def _or(self) -> SearchKey:
        """Read what follows OR. `OR a OR b OR c d` is read in a loop: such chains are as long as clients like."""
        reader = self._reader
        alternatives: list[SearchKey] = []
        while True:
            reader.space("a search key")
            alternatives.append(self._nested(self.key))
            reader.space("a second search key for OR")
            if reader.peek_word() != b"OR":
                break
            reader.word("a search key")
            self._count += 1
        alternatives.append(self._nested(self.key))
        return Or(tuple(alternatives))

    def _with_argument(self, word: bytes) -> SearchKey:
        """Read the argument of a key that has one (HEADER has two)."""
        header, dated = _HEADERS.get(word), _DATES.get(word)
        if header is not None:
            return HeaderKey(header, self._text())
        if dated is not None:
            return DateKey(dated[0], self._date(), dated[1])
        if word in _SAVED:
            return SavedKey(_SAVED[word], self._date())
        reader = self._reader
        match word:
            case b"BODY":
                return BodyKey(self._text())
            case b"TEXT":
                return TextKey(self._text())
            case b"HEADER":
                reader.space("a header field name")
                name = reader.astring("a header field name")
                if not name.isascii():
                    raise BadSyntax("expected a header field name in ASCII")
                return HeaderKey(name.decode("ascii"), self._text())
            case b"KEYWORD" | b"UNKEYWORD":
                reader.space("a keyword")
                return KeywordKey(reader.atom("a keyword").decode("ascii"), word == b"KEYWORD")
            case b"LARGER" | b"SMALLER":
                reader.space("a number of octets")
                return SizeKey(word == b"LARGER", reader.number64("a number of octets"))
            case b"YOUNGER" | b"OLDER":
                return AgeKey(word == b"YOUNGER", self._seconds())
            case b"FILTER":
                self.fuzzy = True
                return FilterKey(self._filter_name())
            case b"EMAILID":
                return EmailIdKey(self._objectid())
            case b"THREADID":
                return ThreadIdKey(self._objectid())
            case b"MODSEQ":
                return ModSeqKey(self._modseq())
            case b"UIDAFTER" | b"UIDBEFORE":
                return self._side_of(word == b"UIDAFTER")
            case b"UID":
                reader.space("a sequence set")
                return UidKey(reader.sequence_set())
        raise BadSyntax("expected a search key, as ALL, FROM, SINCE, UID or a sequence set")

    def _side_of(self, after: bool) -> SearchKey:
        """Read the UID behind UIDAFTER or UIDBEFORE, which is not meant itself (RFC 9738 §3.2)."""
        self._reader.space("a UID")
        uid = self._reader.number("a UID")
        if not uid:
            raise BadSyntax("expected a UID, from 1 on")
        low, high = (uid + 1, MAX_NUMBER) if after else (1, uid - 1)
        return UidKey(SequenceSet(((low, high),))) if low <= high else Not(All())

    def _text(self) -> str:
        self._reader.space("a text to search for")
        octets = self._reader.astring("a text to search for")
        try:
            return octets.decode(self._codec)
        except UnicodeDecodeError:
            raise BadSyntax(f"expected a text to search for in the charset of the search, {self._codec}") from None

    def _filter_name(self) -> str:
        self._reader.space("the name of a filter")
        name = self._reader.atom("the name of a filter")
        if b"/" in name:
            raise BadSyntax("expected the name of a filter, without a slash")  # RFC 5466 §4
        return name.decode("ascii")

    def _seconds(self) -> int:
        self._reader.space("a number of seconds")
        seconds = self._reader.number("a number of seconds")
        if not seconds:
            raise BadSyntax("expected a number of seconds, from 1 on")  # RFC 5032 §3
        return seconds

    def _objectid(self) -> bytes:
        self._reader.space("an object id")
        octets = self._reader.astring("an object id")
        if not is_object_id(octets):
            raise BadSyntax("expected an object id: 1 to 255 letters, digits, - and _")
        return octets

    def _modseq(self) -> ModSeq:
        """Read what follows MODSEQ: perhaps name and kind of one flag's entry, then the number (RFC 7162 §3.1.5)."""
        reader = self._reader
        reader.space("a mod-sequence")
        if reader.next_octet() == _QUOTE:
            if not reader.string("an entry name").lower().startswith(b"/flags/"):
                raise BadSyntax('expected an entry name, as "/flags/\\\\Seen"')
            reader.space("an entry type")
            if reader.word("an entry type") not in (b"PRIV", b"SHARED", b"ALL"):
                raise BadSyntax("expected an entry type: ALL, PRIV or SHARED")
            reader.space("a mod-sequence")
        return reader.modseq()

    def _date(self) -> date:
        self._reader.space("a date")
        try:
            return parse_date(self._reader.astring("a date"))
        except ValueError:
            raise BadSyntax("expected a date, as 1-Feb-2026") from None


def read_filter(octets: bytes) -> SearchKey | None:
    """Read the keys of a stored filter, which are in UTF-8; None if they are none (RFC 5466 §3.1)."""
    reader = Reader(octets)
    try:
        key = SearchReader(reader, "utf-8").keys()
        reader.end()
    except BadSyntax:
        return None
    return key
