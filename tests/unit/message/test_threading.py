"""Base subjects (RFC 5256 §2.1) and Message-IDs (RFC 5322 §3.6.4)."""

import pytest

from pennypost.message.limits import MAX_MESSAGE_IDS
from pennypost.message.threading import base_subject, message_ids


@pytest.mark.parametrize(
    ("subject", "base", "reply"),
    [
        (b"hello", "hello", False),
        (b"Re: hello", "hello", True),
        (b"RE: re[2]: Fwd: FW : hello", "hello", True),
        (b"hello (fwd) (FWD) ", "hello", True),
        (b"[list] hello", "hello", False),
        (b"[list][x] Re: [y] hello", "hello", True),
        (b"Re: [only]", "[only]", True),
        (b"[a][b]", "[b]", False),
        (b"[Fwd: Re: [x] hello]", "hello", True),
        (b"[Fwd: hello] more", "more", False),
        (b"Regarding you", "Regarding you", False),
        (b"Reply: x", "Reply: x", False),
        (b"two  blanks\there", "two blanks here", False),
        (b"Re:", "", True),
        (b"=?utf-8?q?Re:_gr=C3=BC=C3=9F?=", "grüß", True),
        (b"", "", False),
    ],
)
def test_base_subject(subject: bytes, base: str, reply: bool) -> None:
    assert base_subject(subject) == (base, reply)


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        (b"<a@b>", (b"a@b",)),
        (b"x <a@b> (c) <d @e>\t<a@b>", (b"a@b", b"d@e")),
        (b'<"a.b"@c>', (b"a.b@c",)),
        (b"no id", ()),
        (b"<>", ()),
        (b"<<a@b>", (b"a@b",)),
    ],
)
def test_message_ids(body: bytes, ids: tuple[bytes, ...]) -> None:
    assert message_ids(body) == ids


def test_the_newest_are_kept() -> None:
    found = message_ids(b"".join(b"<%d@x>" % number for number in range(MAX_MESSAGE_IDS + 5)))
    assert len(found) == MAX_MESSAGE_IDS
    assert found[0] == b"5@x"
