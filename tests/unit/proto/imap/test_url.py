"""IMAP URLs (RFC 5092, RFC 4467)."""

from datetime import UTC, datetime

import pytest

from pennypost.proto.imap.section import Section, SectionText
from pennypost.proto.imap.url import Access, BadUrl, MessageUrl, parse_url

TOKEN = b"ab" * 33


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"/INBOX/;UID=20", MessageUrl("", "", "INBOX", None, 20)),
        (b";UID=20", MessageUrl("", "", "", None, 20)),
        (b"/;UID=20/;SECTION=1.2", MessageUrl("", "", "", None, 20, Section((1, 2)))),
        (
            b"/Other%20Users/ann/INBOX;UIDVALIDITY=7/;uid=3/;section=HEADER/;PARTIAL=5.9",
            MessageUrl("", "", "Other Users/ann/INBOX", 7, 3, Section((), SectionText.HEADER), (5, 9)),
        ),
        (b"IMAP://host:143/inbox/x/;UID=1", MessageUrl("", "host:143", "INBOX/x", None, 1)),
        (b"imap://ann%40x;AUTH=*@host/Entw%C3%BCrfe/;UID=1", MessageUrl("ann@x", "host", "Entwürfe", None, 1)),
        (
            b"imap://ann@host/a/;UID=1/;PARTIAL=3;EXPIRE=2026-01-02T03:04:05Z;URLAUTH=submit+bob%2B1",
            MessageUrl(
                "ann",
                "host",
                "a",
                None,
                1,
                partial=(3, 2**63 - 1),
                expires=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
                access=Access("submit", "bob+1"),
            ),
        ),
    ],
)
def test_urls_are_read(octets: bytes, expected: MessageUrl) -> None:
    found = parse_url(octets)
    assert found.rump == octets
    assert MessageUrl(*[getattr(found, name) for name in MessageUrl.__slots__[:-1]]) == expected


def test_what_is_signed_ends_before_the_mechanism() -> None:
    rump = b"imap://ann@host/a/;UID=1;URLAUTH=anonymous"
    found = parse_url(rump + b":INTERNAL:" + TOKEN)
    assert (found.rump, found.access, found.token) == (rump, Access("anonymous"), bytes.fromhex(TOKEN.decode()))


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"/INBOX",
        b"/INBOX/;UID=0",
        b"/INBOX/;UID=4294967296",
        b"http://host/INBOX/;UID=1",
        b"imap:///INBOX/;UID=1",
        b"imap://host/;UID=1",
        b"/%ff/;UID=1",
        b"/INBOX/;UID=1/;SECTION=NONSENSE",
        b"/INBOX/;UID=1/;SECTION=1.2]x[",
        b"/INBOX/;UID=1/;PARTIAL=9223372036854775808.1",
        b"/INBOX/;UID=1;EXPIRE=yesterday;URLAUTH=anonymous",
        b"/INBOX/;UID=1;EXPIRE=2026-13-02T03:04:05Z;URLAUTH=anonymous",
        b"/INBOX/;UID=1;URLAUTH=everybody",
        b"/INBOX/;UID=1;URLAUTH=user",
        b"/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL:12",
        b"/INBOX/;UID=1 ",
        b"/" + b"a" * 9000 + b"/;UID=1",
        b"/;" * 4000,
    ],
)
def test_what_is_no_url_of_a_message_is_refused(octets: bytes) -> None:
    with pytest.raises(BadUrl):
        parse_url(octets)
