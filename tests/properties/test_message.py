"""Properties of reading messages: nothing is lost, nothing is raised, what was written is read back."""

from datetime import datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.mime import check
from tests.vectors.mime import read_imap

from pennypost.message.addresses import parse_addresses
from pennypost.message.build import Draft, NamedAddress, NewAttachment, build_message
from pennypost.message.dates import format_date, parse_date
from pennypost.message.decode import transfer_decode
from pennypost.message.digest import digest, parse
from pennypost.message.headers import FIELD, remove, select_fields, select_other_fields, split, unfold
from pennypost.message.imap_form import string
from pennypost.message.parameters import parse_content_type, parse_disposition, parse_encoding, parse_languages
from pennypost.message.structure import decode, encode
from pennypost.message.text import attachments, html, plain_text, preview, walk
from pennypost.message.threading import base_subject, message_ids
from pennypost.message.words import decode_words, encode_words
from pennypost.model.address import Address

MODEST = settings(max_examples=150, deadline=None)

# Octets in which the characters that mean something are frequent.
PIECES = st.sampled_from(
    [
        *(bytes([octet]) for octet in b'\r\n\0 \t()"\\<>@,;:=*[]-\xff.'),
        *(
            b"\r\n",
            b"\r\n\r\n",
            b"--B",
            b"\n--B--\n",
            b"=?utf-8?q?",
            b"?=",
            b"Re: ",
            b"From: ",
            b"boundary=B",
            b"a",
            b"1",
        ),
        b"Content-Type: multipart/mixed; boundary=B\r\n",
        b"Content-Type: message/rfc822\r\n\r\n",
    ]
)
OCTETS = st.lists(st.one_of(PIECES, st.binary(max_size=4)), max_size=60).map(b"".join)
LINES = OCTETS.map(lambda octets: octets.replace(b"\r", b"").replace(b"\n", b""))
WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs", "Cf")), min_size=1, max_size=20
)


@MODEST
@given(OCTETS)
def test_any_octets_are_a_message(octets: bytes) -> None:
    check(octets)


@MODEST
@given(OCTETS, OCTETS)
def test_any_body_behind_a_multipart_header(field: bytes, body: bytes) -> None:
    check(b"Content-Type: multipart/mixed; boundary=B\r\n" + field + b"\r\n\r\n--B\r\n" + body)


@MODEST
@given(OCTETS)
def test_field_readers_take_anything(octets: bytes) -> None:
    for read in (parse_addresses, parse_date, base_subject, message_ids, decode_words, parse_content_type, unfold):
        read(octets)
    for other in (parse_disposition, parse_encoding, parse_languages):
        other(octets)
    for encoding in (b"base64", b"quoted-printable", b"x-uuencode", b"7bit"):
        transfer_decode(octets, encoding)


@MODEST
@given(OCTETS)
def test_imap_strings_say_what_they_are_given(octets: bytes) -> None:
    read = read_imap(b"(" + string(octets) + b")")
    assert read == [octets.replace(b"\0", b"?").decode("latin-1")]


@MODEST
@given(OCTETS)
def test_fields_wanted_and_not_wanted_are_all(octets: bytes) -> None:
    header_block, _ = split(octets)
    names = [name for name, _ in FIELD.findall(header_block)]
    some, others = names[::2], {name.lower() for name in names} - {name.lower() for name in names[::2]}
    assert select_fields(header_block, some) == select_other_fields(header_block, others)
    assert not FIELD.findall(remove(header_block, names))


@MODEST
@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_words_are_read_back(text: str) -> None:
    assert decode_words(encode_words(text).replace(b"\r\n", b"")) == text


@MODEST
@given(
    st.datetimes(datetime(1950, 1, 2), datetime(9999, 12, 30)),
    st.integers(-(23 * 60 + 59), 23 * 60 + 59),
)
def test_dates_are_read_back(moment: datetime, minutes_east: int) -> None:
    """RFC 5322 §3.3: to the second."""
    aware = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes_east)))
    assert parse_date(format_date(aware)) == aware


LOCAL_PARTS = st.text(st.sampled_from('abcXYZ0129!#$%&*+-/=?^_`{|}~. "\\,<>@:;()[]ü'), min_size=1, max_size=12).filter(
    lambda local: local == local.strip() and "  " not in local
)
ADDRESSES = st.builds(
    Address, LOCAL_PARTS, st.sampled_from(["example.org", "[192.0.2.1]", "xn--bcher-kva.example", "ü.example"])
)


@MODEST
@given(st.lists(st.tuples(WORDS, ADDRESSES), min_size=1, max_size=5))
def test_addresses_are_read_back(named: list[tuple[str, Address]]) -> None:
    def written(name: str, address: Address) -> str:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{address}>'

    body = ", ".join(written(name, address) for name, address in named).encode()
    found = parse_addresses(body)
    assert [entry.address for entry in found] == [address for _, address in named]
    assert [(entry.name or b"").decode() for entry in found] == [name for name, _ in named]


@settings(max_examples=50, deadline=None)
@given(
    WORDS,
    st.text(st.characters(codec="utf-8", exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\0"), max_size=300),
    st.booleans(),
    st.lists(st.binary(max_size=300), max_size=2),
)
def test_what_is_built_is_read_back(subject: str, words: str, with_html: bool, files: list[bytes]) -> None:
    draft = Draft(
        from_=NamedAddress(Address("a", "example.org"), subject),
        date=datetime(2026, 11, 23, tzinfo=timezone(timedelta(hours=1))),
        message_id=b"<1@example.org>",
        subject=subject,
        text=words,
        html="<p>x</p>" if with_html else None,
        attachments=[NewAttachment(octets, "application/pdf", f"{number}.pdf") for number, octets in enumerate(files)],
    )
    header_block, body = split(build_message(draft))
    made = digest(header_block, body)
    assert parse(header_block, body).defects == ()
    assert decode(encode(made.index)) == made.index
    assert decode_words(made.summary.subject or b"") == subject
    assert plain_text(made.index, body).rstrip("\n") == words.rstrip("\n")
    assert (html(made.index, body) is not None) is with_html
    assert [one.file_name for one in attachments(made.index)] == [f"{number}.pdf" for number in range(len(files))]
    assert len(preview(made.index, body)) <= 256
    assert len(list(walk(made.index))) >= 1 + len(files)
