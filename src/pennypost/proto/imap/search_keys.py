"""Search keys: the criteria of SEARCH as a tree (RFC 9051 §6.4.4). `search_syntax` reads them.

Text is decoded already, and matches as a substring without regard to case (RFC 9051 §6.4.4); empty text in a header
key asks only that the field is there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import Enum

from pennypost.model.flags import Flags
from pennypost.model.ids import ModSeq
from pennypost.proto.imap.sequence import SequenceSet


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class And:
    """Two keys or more, all of which must match."""

    keys: tuple["SearchKey", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Two keys or more, one of which must match. A chain of ORs on the right is one flat `Or`."""

    keys: tuple["SearchKey", ...]


@dataclass(frozen=True, slots=True)
class Not:
    key: "SearchKey"


@dataclass(frozen=True, slots=True)
class SequenceKey:
    """Message numbers; `$` stands for a saved result (RFC 9051 §6.4.4.1)."""

    messages: SequenceSet


@dataclass(frozen=True, slots=True)
class UidKey:
    """UIDs (UID 1:5)."""

    uids: SequenceSet


@dataclass(frozen=True, slots=True)
class FlagKey:
    """ANSWERED, UNSEEN, …: one system flag, set or not."""

    flag: Flags
    present: bool


@dataclass(frozen=True, slots=True)
class KeywordKey:
    """KEYWORD, UNKEYWORD: compare without regard to case."""

    keyword: str
    present: bool


@dataclass(frozen=True, slots=True)
class RecentKey:
    r"""RECENT (`present`) and OLD (not `present`): `\Recent` in this session (RFC 3501 §6.4.4)."""

    present: bool


@dataclass(frozen=True, slots=True)
class HeaderKey:
    """A header field, `name` in the client's case; FROM, SUBJECT and the like come as the field of that name."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class BodyKey:
    """The body, headers of nested messages included, the message's own left out."""

    text: str


@dataclass(frozen=True, slots=True)
class TextKey:
    """The header or the body."""

    text: str


class DateRelation(Enum):
    BEFORE = "before"
    ON = "on"
    SINCE = "since"


@dataclass(frozen=True, slots=True)
class DateKey:
    """A day, without regard to time and zone. `sent`: of the Date field, else the internal date."""

    relation: DateRelation
    day: date
    sent: bool


@dataclass(frozen=True, slots=True)
class AgeKey:
    """YOUNGER and OLDER: the internal date lies within so many seconds before now, or not after that (RFC 5032)."""

    younger: bool
    seconds: int


@dataclass(frozen=True, slots=True)
class SizeKey:
    """LARGER, SMALLER: RFC822.SIZE strictly above or below."""

    larger: bool
    octets: int


@dataclass(frozen=True, slots=True)
class ModSeqKey:
    """MODSEQ: a mod-sequence of at least this. We keep one for all flags of a message (RFC 7162 §3.1.5)."""

    modseq: ModSeq


@dataclass(frozen=True, slots=True)
class EmailIdKey:
    """EMAILID (RFC 8474 §6). `objectid`: as it came; it may be none of ours."""

    objectid: bytes


@dataclass(frozen=True, slots=True)
class ThreadIdKey:
    """THREADID (RFC 8474 §6)."""

    objectid: bytes


@dataclass(frozen=True, slots=True)
class SavedKey:
    """SAVEDBEFORE, SAVEDON, SAVEDSINCE: the day the message came into the mailbox (RFC 8514 §4.3)."""

    relation: DateRelation
    day: date


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """FUZZY: a text, as well as it goes (RFC 6203). Only texts come so; what else FUZZY stands before means what it
    always means."""

    key: HeaderKey | BodyKey | TextKey


@dataclass(frozen=True, slots=True)
class FilterKey:
    """FILTER: keys that were stored under a name (RFC 5466). `fuzzy`: FUZZY stands before it."""

    name: str
    fuzzy: bool = False


SearchKey = (
    All
    | And
    | Or
    | Not
    | SequenceKey
    | UidKey
    | FlagKey
    | KeywordKey
    | RecentKey
    | HeaderKey
    | BodyKey
    | TextKey
    | DateKey
    | AgeKey
    | SizeKey
    | EmailIdKey
    | ThreadIdKey
    | SavedKey
    | ModSeqKey
    | Fuzzy
    | FilterKey
)


def inner_keys(key: SearchKey) -> tuple[SearchKey, ...]:
    """Give the keys that a key is made of; none, if it is simple."""
    match key:
        case And(keys=keys) | Or(keys=keys):
            return keys
        case Not(key=inner) | Fuzzy(key=inner):
            return (inner,)
    return ()


def replaced(key: SearchKey, change: Callable[[SearchKey], SearchKey]) -> SearchKey:
    """Give a key in which each simple key is what `change` gives for it."""
    match key:
        case And(keys=keys):
            return And(tuple([replaced(inner, change) for inner in keys]))
        case Or(keys=keys):
            return Or(tuple([replaced(inner, change) for inner in keys]))
        case Not(key=inner):
            return Not(replaced(inner, change))
    return change(key)


def fuzzied(key: SearchKey) -> SearchKey:
    """Put FUZZY before a key (RFC 6203 §3, §5)."""

    def change(simple: SearchKey) -> SearchKey:
        match simple:
            case HeaderKey() | BodyKey() | TextKey():
                return Fuzzy(simple)
            case FilterKey(name=name):
                return FilterKey(name, True)
        return simple

    return replaced(key, change)
