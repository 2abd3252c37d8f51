"""RFC 9051 §7.5.2."""

from tests.unit.proto.imap.parsing import parse

from pennypost.model.flags import ALL_FLAGS, Flags
from pennypost.proto.imap.commands.fetch import Fetch, FetchAttribute
from pennypost.proto.imap.responses.fetch import (
    FETCH_TAIL,
    PLACES,
    FetchFormat,
    available_flags,
    binary_value,
    body_value,
    fetch_head,
    flag_octets,
    flags_changed,
)


def format_for(items: bytes) -> FetchFormat:
    command = parse(b"FETCH 1 " + items)
    assert isinstance(command, Fetch)
    return FetchFormat(command.items)


def test_every_word_has_a_place() -> None:
    assert set(PLACES) == set(FetchAttribute)


def test_lines() -> None:
    compiled = format_for(b"(UID FLAGS)")
    assert compiled.line((1, 7, b"\\Seen")) == b"* 1 FETCH (UID 7 FLAGS (\\Seen))\r\n"
    assert compiled.lines([(1, 7, b""), (2, 9, b"a b")]) == (
        b"* 1 FETCH (UID 7 FLAGS ())\r\n* 2 FETCH (UID 9 FLAGS (a b))\r\n"
    )
    assert compiled.lines([]) == b""


def test_lines_of_flags_are_lines() -> None:
    flags = [b"", b"\\Seen", b"100% %d (x", b"", b"%b", *[b"k%d" % n for n in range(600)]]
    numbers, uids = range(1, len(flags) + 1), range(11, len(flags) + 11)
    for items, order in ((b"(FLAGS)", ()), (b"(UID FLAGS)", (uids,)), (b"(FLAGS RFC822.SIZE MODSEQ UID)", (uids,) * 3)):
        for uid_only in (False, True):
            compiled = FetchFormat(format_for(items).items, uid_only)
            assert compiled.numeric
            at = compiled.items.index(FetchAttribute.FLAGS)
            for start in (0, 3, 200):
                part = slice(start, None if start else 4)
                columns: list[object] = [column[part] for column in order]
                rows = list(zip(numbers[part], *columns[:at], flags[part], *columns[at:], strict=True))
                texts = dict(enumerate(dict.fromkeys(flags[part])))
                states = [list(texts.values()).index(text) for text in flags[part]]
                found = compiled.lines_of_flags([numbers[part], *[c[part] for c in order]], states, texts)
                assert found == compiled.lines(rows)
    assert not format_for(b"(UID RFC822.SIZE)").numeric
    assert not format_for(b"(FLAGS ENVELOPE)").numeric


def test_all_kinds_of_places() -> None:
    compiled = format_for(
        b"(INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[1.MIME]<3.9> BINARY[2] BINARY.SIZE[2])"
    )
    date = b"17-Jul-1996 02:44:25 -0700"
    values = (3, date, 100, b"(NIL)", b"(x)", body_value(b"a\r\n"), binary_value(b"\x00"), 1)
    assert compiled.line(values) == (
        b'* 3 FETCH (INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 100 ENVELOPE (NIL) BODYSTRUCTURE (x)'
        b" BODY[1.MIME]<3> {3}\r\na\r\n BINARY[2] ~{1}\r\n\x00 BINARY.SIZE[2] 1)\r\n"
    )


def test_a_percent_sign_in_a_label_is_no_place() -> None:
    compiled = format_for(b'BODY.PEEK[HEADER.FIELDS ("%d%s")]')
    assert compiled.line((1, body_value(None))) == b'* 1 FETCH (BODY[HEADER.FIELDS ("%d%s")] NIL)\r\n'


def test_values() -> None:
    assert body_value(b"") == b"{0}\r\n"
    assert binary_value(None) == b"NIL"
    assert binary_value(b"x") == b"{1}\r\nx"


def test_a_body_in_pieces() -> None:
    assert fetch_head(3, None, b"BODY[]", 5) + b"12345" + FETCH_TAIL == b"* 3 FETCH (BODY[] {5}\r\n12345)\r\n"
    assert fetch_head(3, 9, b"BODY[]", 5) == b"* 3 FETCH (UID 9 BODY[] {5}\r\n"


def test_flags() -> None:
    assert flag_octets(0) == b""
    assert flag_octets(Flags.SEEN | Flags.DELETED) == b"\\Deleted \\Seen"
    assert flag_octets(ALL_FLAGS) == b"\\Answered \\Flagged \\Deleted \\Seen \\Draft"
    assert flag_octets(0, ("$Junk", "a")) == b"$Junk a"
    assert flag_octets(Flags.SEEN, ("a",), recent=True) == b"\\Recent \\Seen a"
    assert flag_octets(0, recent=True) == b"\\Recent"


def test_changed_flags() -> None:
    assert flags_changed(2, Flags.SEEN, (), False, None) == b"* 2 FETCH (FLAGS (\\Seen))\r\n"
    assert flags_changed(2, Flags.SEEN, ("a",), True, 9) == b"* 2 FETCH (UID 9 FLAGS (\\Recent \\Seen a))\r\n"


def test_available() -> None:
    assert available_flags(["a"], may_make=True) == b"\\Answered \\Flagged \\Deleted \\Seen \\Draft a \\*"
    assert available_flags([], may_make=False) == b"\\Answered \\Flagged \\Deleted \\Seen \\Draft"
