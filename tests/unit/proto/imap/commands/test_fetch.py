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
        (b" x", "expected a sequence set, as 1:5,9 or 7:*"),
        (b" 0 FLAGS", "expected numbers from 1 on, or *, in the sequence set"),
        (b" 01 FLAGS", "expected numbers from 1 on, or *, in the sequence set"),
        (b" 1: FLAGS", "expected numbers from 1 on, or *, in the sequence set"),
        (b" 1:2:3 FLAGS", "expected numbers from 1 on, or *, in the sequence set"),
        (b" 1,,2 FLAGS", "expected numbers from 1 on, or *, in the sequence set"),
        (b" 4294967296 FLAGS", "expected numbers of at most 4294967295 in the sequence set"),
        (b" " + b"1," * 20_000 + b"1 FLAGS", "expected a sequence set of at most 16384 items"),
        (b" 1", "expected a space and fetch items"),
        (b" 1 ", "expected a fetch item, as FLAGS or BODY.PEEK[]"),
        (b" 1 FOO", "expected a fetch item: BODY, BODYSTRUCTURE, EMAILID, ENVELOPE, FLAGS,"),
        (b" 1 FOO[]", "expected a fetch item: BODY, BODYSTRUCTURE, EMAILID, ENVELOPE, FLAGS,"),
        (b" 1 UID[]", "expected a fetch item: BODY, BODYSTRUCTURE, EMAILID, ENVELOPE, FLAGS,"),
        (b" 1 (FAST)", "expected a fetch item: BODY, BODYSTRUCTURE, EMAILID, ENVELOPE, FLAGS,"),
        (b" 1 BODY.PEEK", "expected a fetch item: BODY, BODYSTRUCTURE, EMAILID, ENVELOPE, FLAGS,"),
        (b" 1 BINARY", "expected a fetch item: BODY, BODYSTRUCTURE, EMAILID, ENVELOPE, FLAGS,"),
        (b" 1 ()", "expected a fetch item, as FLAGS or BODY.PEEK[]"),
        (b" 1 (UID", "expected a fetch item or a closing parenthesis"),
        (b" 1 (UID )", "expected a fetch item, as FLAGS or BODY.PEEK[]"),
        (b" 1 UID FLAGS", "expected the end of the command"),
        (b" 1 BODY[", "expected a section text"),
        (b" 1 BODY[FOO]", "expected a section text: HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, MIME or"),
        (b" 1 BODY[1", "expected the end of the section"),
        (b" 1 BODY[0]", "expected a section text"),
        (b" 1 BODY[1.]", "expected a section text"),
        (b" 1 BODY[1.FOO]", "expected a section text: HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, MIME or"),
        (b" 1 BODY[MIME]", "expected a part number before MIME, as 1.MIME"),
        (b" 1 BODY[HEADER", "expected the end of the section"),
        (b" 1 BODY[HEADER.FIELDS]", "expected a space and a list of header fields"),
        (b" 1 BODY[HEADER.FIELDS ()]", "expected a header field name"),
        (b" 1 BODY[HEADER.FIELDS (a]", "expected a header field name or a closing parenthesis"),
        (b" 1 BODY[HEADER.FIELDS (a:)]", "expected a header field name: ASCII without blanks and colons"),
        (b' 1 BODY[HEADER.FIELDS ("a b")]', "expected a header field name: ASCII without blanks and colons"),
        (b" 1 BODY[HEADER.FIELDS (" + b" ".join([b"a"] * (MAX_HEADER_FIELDS + 1)) + b")]", "too many header fields"),
        (b" 1 BODY[" + b".".join([b"1"] * (MAX_PART_DEPTH + 1)) + b"]", "expected a part of at most 64 numbers"),
        (b" 1 BODY[4294967296]", "expected part numbers of at most 4294967295"),
        (b" 1 BODY[]<0>", "expected a partial range, as <0.1024>"),
        (b" 1 BODY[]<0.0>", "expected a partial range, as <0.1024>"),
        (b" 1 BODY[]<9999999999999999999.1>", "expected a partial range of at most 9223372036854775807"),
        (b" 1 BINARY[TEXT]", "expected the end of the part"),
        (b" 1 BINARY.SIZE[1]<0.1>", "expected the end of the command"),
        (b" 1 (" + b" ".join([b"UID"] * (MAX_FETCH_ITEMS + 1)) + b")", "too many fetch items"),
    ],
)
def test_malformed(verb: bytes, arguments: bytes, expected: str) -> None:
    assert reason(verb + arguments).startswith(expected)
