"""The SMTP machine and the SASL mechanisms, for any octets in any cut."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz import sasl, smtp

from pennypost.proto.smtp.text import DotText
from pennypost.proto.wire import dot_stuff

LINES = st.lists(st.sampled_from([b"", b".", b"..", b"a", b".b", b"c.", b"\xff" * 3]), max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(smtp.SEEDS + smtp.PARTS), min_size=1, max_size=8).map(b"".join), st.integers(0, 2**32))
def test_events_do_not_depend_on_the_cut(octets: bytes, seed: int) -> None:
    smtp.check(octets, random.Random(seed))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 2**32))
def test_any_octets(octets: bytes, seed: int) -> None:
    smtp.check(octets, random.Random(seed))


@settings(max_examples=150, deadline=None)
@given(LINES, st.integers(1, 9))
def test_a_message_comes_out_as_it_went_in(lines: list[bytes], cut: int) -> None:
    """RFC 5321 §4.5.2: dots are doubled and halved."""
    message = b"".join(line + b"\r\n" for line in lines)
    octets = dot_stuff(message) + b".\r\n"
    text = DotText(10_000)
    given_out = b"".join(text.receive(octets[i : i + cut]) for i in range(0, len(octets), cut) if not text.ended)
    assert text.ended
    assert text.problem is None
    assert given_out == message


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_exchanges_end(seed: int) -> None:
    sasl.check(random.Random(seed))
