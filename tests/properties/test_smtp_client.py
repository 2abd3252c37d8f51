"""The client's SMTP machine, for any octets in any cut."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz import smtp, smtp_client

from pennypost.proto.smtp.replies import ReplyReader
from pennypost.proto.smtp.reply import Reply

LINES = st.lists(
    st.text(
        st.characters(min_codepoint=0x20, max_codepoint=0x2FF, exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs", "Cf"))
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_events_do_not_depend_on_the_cut(seed: int) -> None:
    smtp_client.once(random.Random(seed))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(smtp.PARTS + smtp_client.SEEDS), max_size=8).map(b"".join), st.integers(0, 2**32))
def test_any_octets(octets: bytes, seed: int) -> None:
    smtp_client.check(octets, random.Random(seed))


@settings(max_examples=150, deadline=None)
@given(st.integers(200, 555).filter(lambda code: code // 10 % 10 < 6), LINES)
def test_what_one_side_writes_the_other_reads(code: int, lines: list[str]) -> None:
    reply = Reply(code, f"{code // 100}.7.1" if code // 100 != 3 else None, tuple(line[:100] for line in lines))
    reader = ReplyReader()
    reader.feed(reply.encode())
    assert reader.next_reply() == reply
