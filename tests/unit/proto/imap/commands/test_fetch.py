import pytest
from tests.unit.proto.imap.parsing import parse, reason

from pennypost.proto.imap.commands.fetch import (
    BinaryItem,
    BinarySizeItem,
    BodyItem,
    Fetch,
    FetchAttribute,
    FetchItem,
)
from pennypost.proto.imap.limits import MAX_FETCH_ITEMS, MAX_HEADER_FIELDS, MAX_PART_DEPTH
from pennypost.proto.imap.section import WHOLE, Section, SectionText
from pennypost.proto.imap.sequence import STAR, SequenceSet

ONE = SequenceSet(((1, 1),))
FIELDS = Section((), SectionText.HEADER_FIELDS, (b"From", b"To"))


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        # RFC 9051 §6.4.5
        (
            b"ALL",
            (FetchAttribute.FLAGS, FetchAttribute.INTERNALDATE, FetchAttribute.RFC822_SIZE, FetchAttribute.ENVELOPE),
        ),
        (b"fast", (FetchAttribute.FLAGS, FetchAttribute.INTERNALDATE, FetchAttribute.RFC822_SIZE)),
        (
            b"FULL",
            (
                FetchAttribute.FLAGS,
                FetchAttribute.INTERNALDATE,
                FetchAttribute.RFC822_SIZE,
                FetchAttribute.ENVELOPE,
                FetchAttribute.BODY,
            ),
        ),
        (b"FLAGS", (FetchAttribute.FLAGS,)),
        (b"(FLAGS uid FLAGS)", (FetchAttribute.FLAGS, FetchAttribute.UID)),
        (b"(BODY BODYSTRUCTURE)", (FetchAttribute.BODY, FetchAttribute.BODYSTRUCTURE)),
        (b"BODY[]", (BodyItem(WHOLE, False, None, b"BODY[]"),)),
        (b"body.peek[]", (BodyItem(WHOLE, True, None, b"BODY[]"),)),
        (b"BODY[]<0.2048>", (BodyItem(WHOLE, False, (0, 2048), b"BODY[]<0>"),)),
        (b"BODY[1.2]", (BodyItem(Section((1, 2)), False, None, b"BODY[1.2]"),)),
        (b"BODY[text]", (BodyItem(Section((), SectionText.TEXT), False, None, b"BODY[TEXT]"),)),
        (b"BODY[HEADER]", (BodyItem(Section((), SectionText.HEADER), False, None, b"BODY[HEADER]"),)),
        (b"BODY[3.MIME]", (BodyItem(Section((3,), SectionText.MIME), False, None, b"BODY[3.MIME]"),)),
        (b"BODY[3.1.HEADER]", (BodyItem(Section((3, 1), SectionText.HEADER), False, None, b"BODY[3.1.HEADER]"),)),
        (
            b"BODY.PEEK[HEADER.FIELDS (From To)]",
            (BodyItem(FIELDS, True, None, b"BODY[HEADER.FIELDS (From To)]"),),
        ),
        (
            b'BODY[2.HEADER.FIELDS.NOT ("x-(%" {1}\r\nY)]<5.1>',
            (
                BodyItem(
                    Section((2,), SectionText.HEADER_FIELDS_NOT, (b"x-(%", b"Y")),
                    False,
                    (5, 1),
                    b'BODY[2.HEADER.FIELDS.NOT ("x-(%" Y)]<5>',
                ),
            ),
        ),
        # RFC 3516 §4.2, §4.3
        (b"BINARY[1]", (BinaryItem((1,), False, None, b"BINARY[1]"),)),
        (b"BINARY.PEEK[1.2]<10.20>", (BinaryItem((1, 2), True, (10, 20), b"BINARY[1.2]<10>"),)),
        (b"BINARY[]", (BinaryItem((), False, None, b"BINARY[]"),)),
        (b"BINARY.SIZE[4]", (BinarySizeItem((4,), b"BINARY.SIZE[4]"),)),
        # RFC 3501 §6.4.5
        (
            b"(RFC822 RFC822.HEADER RFC822.SIZE RFC822.TEXT)",
            (
                FetchAttribute.RFC822,
                FetchAttribute.RFC822_HEADER,
                FetchAttribute.RFC822_SIZE,
                FetchAttribute.RFC822_TEXT,
            ),
        ),
    ],
)
def test_items(items: bytes, expected: tuple[FetchItem, ...]) -> None:
    assert parse(b"FETCH 1 " + items) == Fetch(ONE, expected, False)


def test_sets() -> None:
    flags = (FetchAttribute.FLAGS,)
    assert parse(b"FETCH 1:* FLAGS") == Fetch(SequenceSet(((1, STAR),)), flags, False)
    assert parse(b"FETCH *:4 FLAGS") == Fetch(SequenceSet(((4, STAR),)), flags, False)
    assert parse(b"FETCH 9:3 FLAGS") == Fetch(SequenceSet(((3, 9),)), flags, False)
    assert parse(b"FETCH 4294967295 FLAGS") == Fetch(SequenceSet(((2**32 - 1,) * 2,)), flags, False)
    assert parse(b"FETCH $ FLAGS") == Fetch(SequenceSet((), saved=True), flags, False)


def test_uid_fetch_tells_the_uid() -> None:
    """RFC 9051 §6.4.9."""
    assert parse(b"UID FETCH 1 FLAGS") == Fetch(ONE, (FetchAttribute.FLAGS,), True)
    assert parse(b"UID FETCH 1 (FLAGS UID)") == Fetch(ONE, (FetchAttribute.FLAGS, FetchAttribute.UID), True)


@pytest.mark.parametrize("verb", [b"FETCH", b"UID FETCH"])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (b"", "expected a space and a sequence set"),
        (b" x", "expected a sequence set"),
        (b" 0 FLAGS", "bad number in the sequence set"),
        (b" 01 FLAGS", "bad number in the sequence set"),
        (b" 1: FLAGS", "bad number in the sequence set"),
        (b" 1:2:3 FLAGS", "bad number in the sequence set"),
        (b" 1,,2 FLAGS", "bad number in the sequence set"),
        (b" 4294967296 FLAGS", "number in the sequence set is too large"),
        (b" " + b"1," * 20_000 + b"1 FLAGS", "too many items in the sequence set"),
        (b" 1", "expected a space and fetch items"),
        (b" 1 ", "expected a fetch item"),
        (b" 1 FOO", "unknown fetch item"),
        (b" 1 FOO[]", "unknown fetch item"),
        (b" 1 UID[]", "unknown fetch item"),
        (b" 1 (FAST)", "unknown fetch item"),
        (b" 1 BODY.PEEK", "unknown fetch item"),
        (b" 1 BINARY", "unknown fetch item"),
        (b" 1 ()", "expected a fetch item"),
        (b" 1 (UID", "expected a fetch item or a closing parenthesis"),
        (b" 1 (UID )", "expected a fetch item"),
        (b" 1 UID FLAGS", "unexpected text after the command"),
        (b" 1 BODY[", "expected a section text"),
        (b" 1 BODY[FOO]", "unknown section text"),
        (b" 1 BODY[1", "expected the end of the section"),
        (b" 1 BODY[0]", "expected a section text"),
        (b" 1 BODY[1.]", "expected a section text"),
        (b" 1 BODY[1.FOO]", "unknown section text"),
        (b" 1 BODY[MIME]", "MIME needs a part number"),
        (b" 1 BODY[HEADER", "expected the end of the section"),
        (b" 1 BODY[HEADER.FIELDS]", "expected a space and a list of header fields"),
        (b" 1 BODY[HEADER.FIELDS ()]", "expected a header field name"),
        (b" 1 BODY[HEADER.FIELDS (a]", "expected a header field name or a closing parenthesis"),
        (b" 1 BODY[HEADER.FIELDS (a:)]", "bad header field name"),
        (b' 1 BODY[HEADER.FIELDS ("a b")]', "bad header field name"),
        (b" 1 BODY[HEADER.FIELDS (" + b" ".join([b"a"] * (MAX_HEADER_FIELDS + 1)) + b")]", "too many header fields"),
        (b" 1 BODY[" + b".".join([b"1"] * (MAX_PART_DEPTH + 1)) + b"]", "part specifier is too deep"),
        (b" 1 BODY[4294967296]", "part number is too large"),
        (b" 1 BODY[]<0>", "bad partial range"),
        (b" 1 BODY[]<0.0>", "bad partial range"),
        (b" 1 BODY[]<9999999999999999999.1>", "partial range is too large"),
        (b" 1 BINARY[TEXT]", "expected the end of the part"),
        (b" 1 BINARY.SIZE[1]<0.1>", "unexpected text after the command"),
        (b" 1 (" + b" ".join([b"UID"] * (MAX_FETCH_ITEMS + 1)) + b")", "too many fetch items"),
    ],
)
def test_malformed(verb: bytes, arguments: bytes, expected: str) -> None:
    assert reason(verb + arguments) == expected
