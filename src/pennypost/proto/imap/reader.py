"""Reading the tokens of one command (RFC 9051 §9).

A `Reader` stands on a whole command: its lines and literals as they came, the literals in place ("{5}\\r\\nhello"),
without the last CRLF. The machine has bounded it and checked that every literal is there. Each method reads one token
at the cursor, or raises `BadSyntax` with a reason that names what was expected and holds nothing the client sent.
"""

import re
from collections.abc import Iterable

from pennypost.model.flags import Flags
from pennypost.model.ids import ModSeq
from pennypost.proto.imap.flags import FlagList, flag_list
from pennypost.proto.imap.limits import MAX_LIST_ITEMS, MAX_NUMBER, MAX_NUMBER64, MAX_SEQUENCE_ITEMS
from pennypost.proto.imap.mailbox_name import decode_name, decode_pattern, denormalised
from pennypost.proto.imap.sequence import STAR, SequenceSet

NO_NAME = "\0"
"""What is ASCII and no modified UTF-7 is well-formed all the same (RFC 3501 §9 mailbox): it is read as what no mailbox
can be called (`store.names`), so that it is answered NO, and no pattern matches."""


class BadSyntax(Exception):
    """A command that its grammar does not allow. Never leaves `proto.imap`: the machine makes it a `BadCommand`."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def one_of(words: Iterable[bytes]) -> str:
    """Say which words are expected, in capitals: "A, B or C"."""
    *before, last = sorted(word.decode("ascii") for word in words)
    return f"{', '.join(before)} or {last}" if before else last


# ATOM-CHAR = any CHAR but ( ) { SP CTL % * " \ ]
_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
# ASTRING-CHAR = ATOM-CHAR / "]"
_ASTRING = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
# list-char = ATOM-CHAR / "%" / "*" / "]"
_LIST_CHARS = re.compile(rb"[!#$%&'*+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
# A word made of letters: commands, keys, items, with the marks that occur in their names.
_WORD = re.compile(rb"[A-Za-z][A-Za-z0-9.=\-]*")
# quoted = DQUOTE *QUOTED-CHAR DQUOTE; 8-bit octets must prove to be UTF-8 where the value is read as text
_QUOTED = re.compile(rb'"([^"\\\r\n\x00]*+(?:\\["\\][^"\\\r\n\x00]*+)*+)"')
_ESCAPED = re.compile(rb"\\(.)")
# literal = "{" number64 ["+"] "}" CRLF *CHAR8
_LITERAL = re.compile(rb"\{([0-9]{1,19})\+?\}\r\n")
_NUMBER = re.compile(rb"[0-9]{1,19}")
_SEQUENCE_SET = re.compile(rb"[0-9*:,]+")
# sequence-set of one element, what most commands carry
_ONE_RANGE = re.compile(rb"([1-9][0-9]{0,9})(?::([1-9][0-9]{0,9}|\*))?(?![0-9*:,])")
_FLAG = re.compile(rb"\\?[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")

_SP = 0x20
_QUOTE = 0x22
_OPEN = 0x28
_CLOSE = 0x29
_BRACE = 0x7B


class Reader:
    """A cursor over one command. `utf8`: mailbox names are UTF-8, not modified UTF-7 (RFC 9051 Appendix A)."""

    __slots__ = ("at", "octets", "utf8")

    def __init__(self, octets: bytes, at: int = 0, utf8: bool = False) -> None:
        self.octets = octets
        self.at = at
        self.utf8 = utf8

    # -- Punctuation

    def at_end(self) -> bool:
        return self.at >= len(self.octets)

    def end(self) -> None:
        """Require that the command ends here."""
        if self.at < len(self.octets):
            raise BadSyntax("expected the end of the command")

    def space(self, before: str) -> None:
        """Read exactly one space; `before` names what has to follow."""
        if self.next_octet() != _SP:
            raise BadSyntax(f"expected a space and {before}")
        self.at += 1

    def next_octet(self) -> int:
        """Look at the next octet without reading it; -1 at the end."""
        return self.octets[self.at] if self.at < len(self.octets) else -1

    def skip(self, token: bytes) -> bool:
        """Read `token` if it is next, in exactly these octets."""
        if self.octets.startswith(token, self.at):
            self.at += len(token)
            return True
        return False

    def expect(self, token: bytes, name: str) -> None:
        if not self.skip(token):
            raise BadSyntax(f"expected {name}")

    def opens(self) -> bool:
        """Whether a parenthesis opens here; it is not read."""
        return self.next_octet() == _OPEN

    def more_in_parentheses(self) -> bool:
        """Whether a space and a parenthesis follow; the space is read then."""
        if not self.octets.startswith(b" (", self.at):
            return False
        self.at += 1
        return True

    # -- Words and numbers

    def word(self, name: str) -> bytes:
        """Read a keyword of the grammar; given in capitals."""
        found = _WORD.match(self.octets, self.at)
        if found is None:
            raise BadSyntax(f"expected {name}")
        self.at = found.end()
        return found.group().upper()

    def peek_word(self) -> bytes:
        """Look at the next keyword, in capitals, without reading it; empty if there is none."""
        found = _WORD.match(self.octets, self.at)
        return found.group().upper() if found is not None else b""

    def atom(self, name: str) -> bytes:
        found = _ATOM.match(self.octets, self.at)
        if found is None:
            raise BadSyntax(f"expected {name}")
        self.at = found.end()
        return found.group()

    def number(self, name: str, largest: int = MAX_NUMBER) -> int:
        """Read a `number`, 0 included."""
        found = _NUMBER.match(self.octets, self.at)
        if found is None:
            raise BadSyntax(f"expected {name}")
        value = int(found.group())
        if value > largest:
            raise BadSyntax(f"expected {name} of at most {largest}")
        self.at = found.end()
        return value

    def number64(self, name: str) -> int:
        return self.number(name, MAX_NUMBER64)

    def modseq(self) -> ModSeq:
        """Read a mod-sequence-valzer: 63 bits, 0 included (RFC 7162 §7)."""
        return ModSeq(self.number64("a mod-sequence"))

    # -- Strings

    def astring(self, name: str) -> bytes:
        """Read an astring: an atom (with `]`), a quoted string or a literal."""
        found = _ASTRING.match(self.octets, self.at)
        if found is None:
            return self.string(name)
        self.at = found.end()
        return found.group()

    def string(self, name: str) -> bytes:
        """Read a quoted string, its escapes undone, or a literal."""
        head = self.next_octet()
        if head == _QUOTE:
            quoted = _QUOTED.match(self.octets, self.at)
            if quoted is None:
                raise BadSyntax(f"expected {name}: a quoted string has a closing quote, and no NUL, CR or LF")
            self.at = quoted.end()
            value = quoted.group(1)
            return _ESCAPED.sub(rb"\1", value) if b"\\" in value else value
        if head == _BRACE:
            return self._literal(name)
        raise BadSyntax(f"expected {name}")

    def _literal(self, name: str, binary: bool = False) -> bytes:
        found = _LITERAL.match(self.octets, self.at)
        if found is None:
            raise BadSyntax(f"expected {name}: a literal, as {{5}}, and its octets")
        start = found.end()
        end = start + int(found.group(1))
        if end > len(self.octets):
            raise BadSyntax(f"expected {name}: a literal, as {{5}}, and its octets")
        value = self.octets[start:end]
        if b"\x00" in value and not binary:  # CHAR8 = %x01-ff
            raise BadSyntax(f"NUL in the literal for {name}")
        self.at = end
        return value

    def nstring(self, name: str) -> bytes | None:
        """Read a string or NIL (None)."""
        if self.next_octet() not in (_QUOTE, _BRACE) and self.peek_word() == b"NIL":
            self.at += 3
            return None
        return self.string(name)

    def nstring8(self, name: str) -> bytes | None:
        """Read a string, a literal8 or NIL (RFC 5464 §5: value)."""
        if self.octets.startswith(b"~{", self.at):
            self.at += 1
            return self._literal(name, binary=True)
        return self.nstring(name)

    def text(self, name: str) -> str:
        """Read an astring that has to be UTF-8 (RFC 9051 §4.3: quoted strings and literals hold UTF-8)."""
        try:
            return self.astring(name).decode("utf-8")
        except UnicodeDecodeError:
            raise BadSyntax(f"{name} is not UTF-8") from None

    # -- Mailboxes

    def mailbox(self) -> str:
        """Read a mailbox name (RFC 9051 §5.1): NFC, "INBOX" in capitals."""
        return self._name(self.astring("a mailbox name"))

    def mailbox_as_given(self) -> tuple[str, str | None]:
        """Read a mailbox name as `mailbox` does, for a command that says how it is called (RFC 9051 §6.3.9.7): with
        what the client calls it, where that is not in NFC."""
        octets = self.astring("a mailbox name")
        return self._name(octets), denormalised(octets)

    def _name(self, octets: bytes) -> str:
        try:
            return decode_name(octets, self.utf8)
        except ValueError:
            return self._no_name(octets, "mailbox name")

    def list_mailbox(self) -> str:
        """Read a pattern of LIST: `%` and `*` need no quotes (RFC 9051 §9, list-mailbox)."""
        found = _LIST_CHARS.match(self.octets, self.at)
        if found is not None:
            self.at = found.end()
            octets = found.group()
        else:
            octets = self.string("a mailbox pattern")
        try:
            return decode_pattern(octets, self.utf8)
        except ValueError:
            return self._no_name(octets, "mailbox pattern")

    def _no_name(self, octets: bytes, what: str) -> str:
        if self.utf8 or not octets.isascii():
            raise BadSyntax(f"{what} is not {'UTF-8' if self.utf8 else 'modified UTF-7'}")
        return NO_NAME

    # -- Sequence sets

    def sequence_set(self) -> SequenceSet:
        """Read a sequence-set, or `$` (RFC 9051 §9)."""
        one = _ONE_RANGE.match(self.octets, self.at)
        if one is not None:
            first = int(one.group(1))
            last_octets = one.group(2)
            last = first if last_octets is None else STAR if last_octets == b"*" else int(last_octets)
            if first <= MAX_NUMBER and last <= STAR and not (last == STAR and last_octets != b"*"):
                self.at = one.end()
                return SequenceSet(((first, last) if first <= last else (last, first),))
        if self.skip(b"$"):
            return SequenceSet((), saved=True)
        found = _SEQUENCE_SET.match(self.octets, self.at)
        if found is None:
            raise BadSyntax("expected a sequence set, as 1:5,9 or 7:*")
        items = found.group().split(b",", MAX_SEQUENCE_ITEMS)
        if len(items) > MAX_SEQUENCE_ITEMS:
            raise BadSyntax(f"expected a sequence set of at most {MAX_SEQUENCE_ITEMS} items")
        ranges = tuple([_range(item) for item in items])
        self.at = found.end()
        return SequenceSet(ranges)

    # -- Flags

    def flag_list(self) -> FlagList:
        """Read `(flag flag …)`, possibly empty (RFC 9051 §9, flag-list)."""
        self.expect(b"(", "a parenthesized list of flags")
        if self.skip(b")"):
            return FlagList(Flags.NONE, ())
        flags = self.flags()
        self.expect(b")", "a flag or a closing parenthesis")
        return flags

    def flags(self) -> FlagList:
        """Read flags, one space apart."""
        names: list[bytes] = []
        while True:
            found = _FLAG.match(self.octets, self.at)
            if found is None:
                raise BadSyntax("expected a flag")
            self.at = found.end()
            names.append(found.group())
            if len(names) > MAX_LIST_ITEMS:
                raise BadSyntax("too many flags")
            if not self.skip(b" "):
                break
        try:
            return flag_list(names)
        except ValueError as error:
            raise BadSyntax(str(error)) from None


def _bound(digits: bytes) -> int:
    if digits == b"*":
        return STAR
    if not digits.isdigit() or len(digits) > 10 or digits[0] == 0x30:
        raise BadSyntax("expected numbers from 1 on, or *, in the sequence set")
    value = int(digits)
    if value > MAX_NUMBER:
        raise BadSyntax(f"expected numbers of at most {MAX_NUMBER} in the sequence set")
    return value


def _range(item: bytes) -> tuple[int, int]:
    """Read one element: a number, `*`, or two of them with a colon, in either order (RFC 9051 §9, seq-range)."""
    first, colon, last = item.partition(b":")
    low = _bound(first)
    if not colon:
        return low, low
    high = _bound(last)
    return (low, high) if low <= high else (high, low)
