"""FETCH responses (RFC 9051 §7.5.2): a hot path, 100,000 lines at a time.

A FETCH command asks the same items of every message. So the line is compiled once, into a `bytes` format with a place
for each value, and filled by one `%` for each message, or, of UID and FLAGS, for hundreds of them: 0.12 µs each. What
goes into which place is in `PLACES`.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from operator import add
from typing import TypeVar

from pennypost.model.flags import ALL_FLAGS, FLAG_NAMES, Flags, Keywords
from pennypost.proto.imap.commands.fetch import FetchAttribute, FetchItem
from pennypost.proto.imap.responses.text import literal, literal8

PLACES: dict[FetchAttribute, bytes] = {
    FetchAttribute.UID: b"UID %d",
    FetchAttribute.FLAGS: b"FLAGS (%b)",
    FetchAttribute.MODSEQ: b"MODSEQ (%d)",
    FetchAttribute.EMAILID: b"EMAILID (%b)",
    FetchAttribute.THREADID: b"THREADID (%b)",
    FetchAttribute.SAVEDATE: b'SAVEDATE "%b"',
    FetchAttribute.PREVIEW: b"PREVIEW %b",
    FetchAttribute.INTERNALDATE: b'INTERNALDATE "%b"',
    FetchAttribute.RFC822_SIZE: b"RFC822.SIZE %d",
    FetchAttribute.ENVELOPE: b"ENVELOPE %b",
    FetchAttribute.BODY: b"BODY %b",
    FetchAttribute.BODYSTRUCTURE: b"BODYSTRUCTURE %b",
    FetchAttribute.RFC822: b"RFC822 %b",
    FetchAttribute.RFC822_HEADER: b"RFC822.HEADER %b",
    FetchAttribute.RFC822_TEXT: b"RFC822.TEXT %b",
}
"""What each one-word item takes: a number; flags from `flag_octets`; a date from `dates.date_time`; ENVELOPE and
structures in the form they are sent; the message texts as `body_value` gives them. BODY[…] and BINARY[…] take a
`body_value`, BINARY.SIZE[…] a number."""


State = TypeVar("State", bound=Hashable)

_NUMERIC = frozenset({FetchAttribute.FLAGS, FetchAttribute.UID, FetchAttribute.MODSEQ, FetchAttribute.RFC822_SIZE})
_MOST_FORMS = 256


class FetchFormat:
    """The lines of one FETCH command. Values come in the order of `items`, after the message number.

    `uid_only`: each line is UIDFETCH, and begins with the UID in place of the number (RFC 9586 §3.3)."""

    __slots__ = ("_forms", "_line", "_start", "_text_line", "items", "numeric")

    def __init__(self, items: Sequence[FetchItem], uid_only: bool = False) -> None:
        self.items = tuple(items)
        places = [_place(item) for item in items]
        self._line = b"* %%d %b (%b)\r\n" % (fetch_name(uid_only), b" ".join(places))
        self._start = self._line.removesuffix(b"%b)\r\n") + b"{%d}\r\n"
        self._text_line = self._start + b"%b)\r\n"
        self._forms: dict[bytes, bytes] = {}
        self.numeric = FetchAttribute.FLAGS in self.items and _NUMERIC.issuperset(self.items)
        """Whether all items but FLAGS, which is among them once, are numbers: `lines_of_flags` is for these."""

    def line(self, values: tuple[object, ...]) -> bytes:
        """Write one response: `values` is the message number and a value for each item."""
        return self._line % values

    def lines(self, rows: Iterable[tuple[object, ...]]) -> bytes:
        """Write one response for each row; give it some hundreds of rows at a time."""
        line = self._line
        return b"".join([line % values for values in rows])

    def lines_of_flags(
        self, columns: Sequence[Sequence[int]], states: Sequence[State], texts: Mapping[State, bytes]
    ) -> bytes:
        """As `lines`, where all items but FLAGS are numbers: `columns`, with the message number. Flags come apart: a
        state of each message, and what is written of it.

        Few states occur, so there is a form for each, and one `%` fills the forms of all the lines.
        """
        forms = {state: self._form(text) for state, text in texts.items()}
        joined = b"".join(map(forms.__getitem__, states))
        if len(columns) == 1:
            return joined % tuple(columns[0])
        values = [0] * (len(columns) * len(states))
        for at, column in enumerate(columns):
            values[at :: len(columns)] = column
        return joined % tuple(values)

    def _form(self, flags: bytes) -> bytes:
        """Give the line with flags in their place."""
        form = self._forms.get(flags)
        if form is None:
            if len(self._forms) >= _MOST_FORMS:
                self._forms.clear()
            form = self._forms[flags] = self._line.replace(b"(%b", b"(" + flags.replace(b"%", b"%%"), 1)
        return form

    def lines_of_texts(self, columns: Sequence[Iterable[object]], texts: Sequence[bytes]) -> bytes:
        """As `lines`, of columns, where the last item is a short section: `texts`, which come apart."""
        line = self._text_line
        return b"".join([line % values for values in zip(*columns, map(len, texts), texts, strict=True)])

    def lines_of_octets(self, columns: Sequence[Iterable[object]], octets: Sequence[Sequence[bytes]]) -> bytes:
        """As `lines`, of columns, where the last item is the octets of a section: they come apart, as columns of what
        follows each other, and are copied once."""
        sizes: Iterable[int] = map(len, octets[0])
        for more in octets[1:]:
            sizes = map(add, sizes, map(len, more))
        start = self._start
        starts = [start % values for values in zip(*columns, sizes, strict=True)]
        step = len(octets) + 2
        pieces = [FETCH_TAIL] * (step * len(starts))
        for at, column in enumerate((starts, *octets)):
            pieces[at::step] = column
        return b"".join(pieces)


def fetch_name(uid_only: bool) -> bytes:
    return b"UIDFETCH" if uid_only else b"FETCH"


def _place(item: FetchItem) -> bytes:
    if isinstance(item, FetchAttribute):
        return PLACES[item]
    label = item.label.replace(b"%", b"%%")
    return label + (b" %d" if label.startswith(b"BINARY.SIZE[") else b" %b")


def fetch_head(number: int, uid: int | None, label: bytes, size: int) -> bytes:
    """Write a response up to the literal of a body that is sent on its own, in pieces; close it with `FETCH_TAIL`."""
    middle = b"" if uid is None else b"UID %d " % uid
    return b"* %d FETCH (%b%b {%d}\r\n" % (number, middle, label, size)


FETCH_TAIL = b")\r\n"


def body_value(value: bytes | None) -> bytes:
    """Write the octets of a section: always a literal, since they are as they are; NIL for a part that is not there."""
    return b"NIL" if value is None else literal(value)


def binary_value(value: bytes | None) -> bytes:
    """Write decoded octets: a literal8 if they hold NUL (RFC 3516 §4.2)."""
    if value is not None and b"\x00" in value:
        return literal8(value)
    return body_value(value)


_SYSTEM: tuple[bytes, ...] = tuple(
    b" ".join([name.encode("ascii") for flag, name in FLAG_NAMES.items() if bits & flag]) for bits in range(32)
)
_WITH_RECENT: tuple[bytes, ...] = tuple(b"\\Recent " + names if names else b"\\Recent" for names in _SYSTEM)


def flag_octets(flags: int, keywords: Keywords = (), recent: bool = False) -> bytes:
    r"""Write flags and keywords one space apart, without parentheses. `flags`: the bits of `Flags`. `recent`: `\Recent`
    too (RFC 3501 §2.3.2), never for a client that enabled IMAP4rev2."""
    names = _WITH_RECENT[flags] if recent else _SYSTEM[flags]
    if not keywords:
        return names
    words = " ".join(keywords).encode("ascii")
    return b"%b %b" % (names, words) if names else words


def flags_changed(number: int, flags: int, keywords: Keywords, recent: bool, uid: int | None) -> bytes:
    """Tell that a message's flags are these now; with its UID after a UID command (RFC 9051 §6.4.9)."""
    names = flag_octets(flags, keywords, recent)
    if uid is None:
        return b"* %d FETCH (FLAGS (%b))\r\n" % (number, names)
    return b"* %d FETCH (UID %d FLAGS (%b))\r\n" % (number, uid, names)


def available_flags(keywords: Iterable[str], may_make: bool, system: Flags = ALL_FLAGS) -> bytes:
    r"""Write what FLAGS and PERMANENTFLAGS list: the system flags, the mailbox's keywords, and `\*` if `may_make`."""
    names = [name.encode("ascii") for flag, name in FLAG_NAMES.items() if flag & system]
    names += [keyword.encode("ascii") for keyword in keywords]
    return b" ".join([*names, b"\\*"] if may_make else names)
