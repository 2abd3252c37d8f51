"""What speaks for and against a message, and the classifier that learns."""

import random
import time
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pennypost.junk import classifier, content
from pennypost.junk.classifier import Count, certain, chance, token_chance
from pennypost.junk.codes import answers_an_action
from pennypost.junk.content import Content, content_of
from pennypost.junk.evidence import Evidence, Score
from pennypost.junk.greeting import Greeting, greeting
from pennypost.junk.identity import identity
from pennypost.junk.signs import signs
from pennypost.junk.tokens import MAX_TOKENS, Tokens, tokens
from pennypost.junk.writing import writing
from pennypost.message.digest import digest
from pennypost.message.headers import split
from pennypost.model.verification import (
    ArcResult,
    ArcVerdict,
    DkimResult,
    DkimVerdict,
    DmarcPolicy,
    DmarcResult,
    DmarcVerdict,
    IprevResult,
    IprevVerdict,
    SpfResult,
    SpfVerdict,
)

HEADER = (
    b"From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: Lunch\r\nDate: Tue, 3 Feb 2026 10:00:00 +0000\r\n"
    b"Message-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n"
)


def read(message: bytes) -> Content:
    header, body = split(message)
    return content_of(header, digest(header, body).index, body)


def found(message: bytes) -> dict[str, float]:
    return {one.name: one.weight for one in signs(read(message))}


def html(source: str, more: bytes = b"") -> bytes:
    return HEADER + more + b"Content-Type: text/html; charset=utf-8\r\n\r\n" + source.encode() + b"\r\n"


def test_an_ordinary_message_has_nothing_against_it() -> None:
    assert found(HEADER + b"\r\nShall we meet at noon?\r\n") == {}


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (HEADER.replace(b"Date:", b"X-Date:") + b"\r\nHi\r\n", "no-date"),
        (HEADER.replace(b"Message-ID:", b"X-ID:") + b"\r\nHi\r\n", "no-message-id"),
        (HEADER.replace(b"Subject:", b"X-Subject:") + b"\r\nHi\r\n", "no-subject"),
        (HEADER.replace(b"From:", b"X-From:") + b"\r\nHi\r\n", "from-count"),
        (b"From: eve@example.com\r\n" + HEADER + b"\r\nHi\r\n", "from-count"),
        (b"Subject: other\r\n" + HEADER + b"\r\nHi\r\n", "doubled-fields"),
        (HEADER.replace(b"Lunch", b"YOU HAVE WON A PRIZE") + b"\r\nHi\r\n", "shouting"),
        (HEADER.replace(b"Ann <", b'"ann@bank.example" <') + b"\r\nHi\r\n", "name-is-an-address"),
        (HEADER + b"\r\n", "empty"),
        (html("<p>Hi</p>"), "html-only"),
        (html('<a href="https://evil.example/x">https://bank.example/login</a>'), "link-that-lies"),
        (html('<a href="http://192.0.2.1/x">here</a>'), "link-to-a-number"),
        (HEADER + b"\r\nhttp://[2001:db8::1]/x\r\n", "link-to-a-number"),
        (html('<a href="https://xn--bnk-0na.example/">here</a>'), "link-in-disguise"),
        (
            HEADER + b'Content-Type: application/octet-stream; name="invoice.pdf.exe"\r\n'
            b'Content-Disposition: attachment; filename="invoice.pdf.exe"\r\n\r\nMZ\r\n',
            "file-that-runs",
        ),
        (b"List-Id: <l.example>\r\nList-Unsubscribe: <https://l.example/>\r\n" + HEADER + b"\r\nHi\r\n", "proper-list"),
    ],
)
def test_signs(message: bytes, name: str) -> None:
    assert name in found(message)


def test_a_tracker_of_the_same_sender_is_no_lie() -> None:
    assert "link-that-lies" not in found(html('<a href="https://click.bank.example/x">www.bank.example</a>'))


def test_every_sentence_is_one() -> None:
    message = html('<a href="https://evil.example/x">https://bank.example/</a>').replace(b"Date:", b"X-Date:")
    for one in signs(read(message)):
        assert one.sentence[0].isupper()
        assert one.sentence.endswith(".")


def spf(result: SpfResult) -> SpfVerdict:
    return SpfVerdict(result, "mailfrom", "example.org")


def dkim(result: DkimResult) -> DkimVerdict:
    return DkimVerdict(result, "example.org", "s", "@example.org", "rsa-sha256", "abc")


def dmarc(result: DmarcResult, policy: DmarcPolicy = DmarcPolicy.NONE) -> DmarcVerdict:
    return DmarcVerdict(result, "example.org", "example.org", "example.org", policy)


def test_identity() -> None:
    good = Score.of(
        *identity(
            spf(SpfResult.PASS), (dkim(DkimResult.PASS),), dmarc(DmarcResult.PASS), None, IprevVerdict(IprevResult.PASS)
        )
    )
    forged = Score.of(
        *identity(
            spf(SpfResult.FAIL),
            (dkim(DkimResult.FAIL),),
            dmarc(DmarcResult.FAIL, DmarcPolicy.REJECT),
            None,
            IprevVerdict(IprevResult.FAIL),
        )
    )
    assert good.total < 0 < 5 < forged.total
    assert forged.evidence[0].name == "dmarc-fail"
    trusted = Score.of(
        *identity(None, (), dmarc(DmarcResult.FAIL, DmarcPolicy.REJECT), ArcVerdict(ArcResult.PASS), None)
    )
    assert trusted.total == 2.5
    assert Score.of(*identity(None, (), None, None, None)).total == 0


def test_a_score_names_the_heaviest_first() -> None:
    score = Score.of(Evidence("b", 0.5, "B."), None, Evidence("a", -2.0, "A."), Evidence("c", 1.0, "C."))
    assert [one.name for one in score.evidence] == ["a", "c", "b"]
    assert score.total == -0.5


# -- How a host introduces itself


@pytest.mark.parametrize(
    ("met", "name"),
    [
        (Greeting("mx.example.org", name="mx.example.org."), None),
        (Greeting("mail7.example.org", name="mx.example.org"), None),
        (Greeting("mx.example.org"), None),
        (Greeting("localhost"), "hello-is-no-name"),
        (Greeting("192.0.2.7"), "hello-is-a-number"),
        (Greeting("2001:db8::7"), "hello-is-a-number"),
        (Greeting("[192.0.2.7]"), "hello-is-an-address"),
        (Greeting("mx.penny.test", is_ours=True), "hello-forged"),
        (Greeting("mx.example.org", name="dialup.isp.example"), "hello-of-another"),
        (Greeting("mx.example.org", early=True), "spoke-too-early"),
    ],
)
def test_greetings(met: Greeting, name: str | None) -> None:
    assert [one.name for one in greeting(met)] == ([name] if name else [])


# -- Codes


@pytest.mark.parametrize(
    ("subject", "text", "expected"),
    [
        ("Your verification code", "Use 482913 to log in. It is valid for ten minutes.", True),
        ("123 456 is your one-time passcode", "Do not share it.", True),
        ("Ihr Sicherheitscode", "Ihr Code lautet: 99812", True),
        ("验证码", "您的验证码是 482913", True),
        ("Confirm your address", "Open https://shop.example/confirm?token=abc to confirm.", True),
        ("Lunch", "Shall we meet at 1230 in room 4711?", False),
        ("Invoice 20261127", "Please pay 1,200.00 until 2026-12-24.", False),
        ("Your verification code", "It is valid for ten minutes.", False),
    ],
)
def test_codes(subject: str, text: str, expected: bool) -> None:
    header = (
        HEADER.replace(b"Subject: Lunch", b"Subject: " + subject.encode())
        + b"Content-Type: text/plain; charset=utf-8\r\n"
    )
    assert answers_an_action(read(header + b"\r\n" + text.encode() + b"\r\n")) is expected


def test_a_long_message_with_a_code_is_no_code() -> None:
    assert not answers_an_action(read(HEADER + b"\r\nYour verification code: 482913\r\n" + b"word and word\r\n" * 400))


# -- Letters


@pytest.mark.parametrize(
    ("text", "charset", "name"),
    [
        ("Привет, как дела? Meeting завтра.", "utf-8", None),
        ("Ελληνικά and English, side by side.", "utf-8", None),
        ("Your pаypаl аccount: cliсk nоw", "utf-8", "mixed-alphabets"),
        ("b\u200bu\u200by v\u200bi\u200ba\u200bg\u200br\u200ba n\u200bo\u200bw", "utf-8", "hidden-letters"),
        ("Hello", "x-no-such-charset", "unknown-charset"),
        ("Hello", "iso-2022-jp", None),
    ],
)
def test_letters(text: str, charset: str, name: str | None) -> None:
    message = HEADER + f"Content-Type: text/plain; charset={charset}\r\n\r\n{text}\r\n".encode()
    assert [one.name for one in writing(read(message))] == ([name] if name else [])


# -- Tokens


def test_tokens_are_those_of_words_pairs_and_marks() -> None:
    one = tokens(read(HEADER + b"\r\nCheap watches, order 1234 now\r\n")).all()
    other = tokens(read(HEADER + b"\r\ncheap WATCHES; order 9876 later\r\n")).all()
    strange = tokens(read(HEADER + b"\r\nMinutes of the board meeting\r\n")).all()
    assert len(one & other) > len(one & strange)
    moved = read(HEADER.replace(b"Lunch", b"cheap") + b"\r\nLunch\r\n")
    assert tokens(moved).all() != tokens(read(HEADER + b"\r\ncheap\r\n")).all()


def test_scripts_without_spaces() -> None:
    one = tokens(read(HEADER + "\r\n特価品のご案内です\r\n".encode())).all()
    other = tokens(read(HEADER + "\r\n本日の特価品\r\n".encode())).all()
    assert len(one & other) > len(tokens(read(HEADER + b"\r\nx\r\n")).all() & one)


@given(st.binary(max_size=400), st.binary(max_size=400))
@settings(max_examples=80, deadline=None)
def test_nothing_is_raised(header: bytes, body: bytes) -> None:
    content = content_of(header, digest(header, body).index, body)
    assert len(tokens(content)) <= MAX_TOKENS
    Score.of(*signs(content))


@pytest.mark.parametrize(
    "body",
    [
        b"word another word\r\n" * 1_000_000,
        b"x" * 20_000_000,
        b"<a href=http://a.example/>" * 500_000,
        b"http://a.example/ " * 500_000,
    ],
    ids=["words", "one word", "tags", "links"],
)
@pytest.mark.parametrize("kind", [b"plain", b"html"])
def test_a_huge_message_costs_no_more_than_a_large_one(kind: bytes, body: bytes) -> None:
    header = HEADER + b"Content-Type: text/" + kind + b"\r\n\r\n"
    index = digest(header, body).index
    before = time.process_time()
    read_content = content_of(header, index, body)
    tokens(read_content)
    list(signs(read_content))
    assert time.process_time() - before < 1.0
    assert len(read_content.text) <= content.MAX_TEXT_CHARACTERS


def test_deep_html_in_many_parts_costs_little_and_is_read_to_its_end() -> None:
    part = (
        b"--q\r\nContent-Type: text/html\r\n\r\n"
        + b"<ul><li>\r\n" * 5_000
        + b"<a href=http://late.example/>late</a>\r\n"
    )
    message = HEADER + b"Content-Type: multipart/mixed; boundary=q\r\n\r\n" + part * 17 + b"--q--\r\n"
    header, body = split(message)
    index = digest(header, body).index
    before = time.process_time()
    seen = content_of(header, index, body)
    assert time.process_time() - before < 1.0
    assert [link.host for link in seen.links] == ["late.example"] * 17
    assert seen.text.count("late") == 17


@pytest.mark.parametrize("count", [content.MAX_TAGS, content.MAX_TAGS + 1])
def test_tags_around_the_bound(count: int) -> None:
    seen = read(html("<b>" * (count - 1) + "<a href='http://a.example/'>word"))
    assert [link.host for link in seen.links] == ["a.example"]
    assert seen.text.split() == ["word"]


def test_hosts_that_a_message_passed_are_tokens() -> None:
    hop = b"Received: from mail.bad.example (mail.bad.example [192.0.2.7]) by mx.example.net; Tue, 3 Feb 2026 10:00\r\n"
    near = hop.replace(b"192.0.2.7", b"192.0.2.99").replace(b"mail.bad", b"mail7.bad")
    far = hop.replace(b"192.0.2.7", b"203.0.113.7").replace(b"bad.example", b"good.example")
    one, other, third = (tokens(read(field + HEADER + b"\r\nHi\r\n")).all() for field in (hop, near, far))
    assert len(one & other) > len(one & third)
    assert len(tokens(read(hop * 1000 + HEADER + b"\r\nHi\r\n"))) < 60


# -- The classifier


def words(numbers: Iterable[int]) -> Tokens:
    return Tokens(dict.fromkeys(numbers))


def test_little_learnt_says_nothing() -> None:
    assert chance(Count(5, 100), {}, words([1])) is None
    assert chance(Count(100, 100), {}, words([1])) == 0.5


def test_rare_tokens_say_less() -> None:
    learnt = Count(100, 100)
    assert 0.5 < token_chance(learnt, Count(0, 1)) < token_chance(learnt, Count(0, 20)) < 1
    assert token_chance(learnt, Count(10, 10)) == 0.5
    assert token_chance(learnt, Count()) == 0.5


def test_a_pair_has_to_say_more_than_a_word() -> None:
    learnt, counts = Count(1000, 1000), {1: Count(2, 6)}
    pair = Tokens(pairs={1: None})
    assert chance(learnt, counts, pair) == 0.5 < (chance(learnt, counts, words([1])) or 0)
    assert (chance(learnt, {1: Count(0, 6)}, pair) or 0) > 0.5


def test_who_has_seen_little_is_not_certain() -> None:
    assert certain(Count(5000, 1000), 0.93) == pytest.approx(0.93)
    assert certain(Count(50, 5000), 0.93) == 0.5
    assert 0.9 < certain(Count(50, 50), 0.9999) < 0.9999
    assert certain(Count(50, 50), 0.0001) == pytest.approx(0.002)
    assert certain(Count(50, 50), 0.5) == 0.5


def test_it_learns() -> None:
    chooser = random.Random(7)
    learnt = Count(200, 200)
    counts: dict[int, Count] = {}
    for _ in range(200):
        for token in chooser.sample(range(100), 15):
            counts[token] = Count(counts.get(token, Count()).wanted + 1, counts.get(token, Count()).junk)
        for token in chooser.sample(range(60, 160), 15):
            counts[token] = Count(counts.get(token, Count()).wanted, counts.get(token, Count()).junk + 1)
    assert (chance(learnt, counts, words(chooser.sample(range(60), 10))) or 0) < 0.01
    assert (chance(learnt, counts, words(chooser.sample(range(100, 160), 10))) or 0) > 0.99
    both = chance(learnt, counts, words([*range(10), *range(150, 160)]))
    assert both is not None
    assert 0.2 < both < 0.8


@given(st.dictionaries(st.integers(0, 500), st.tuples(st.integers(0, 1000), st.integers(0, 1000)), max_size=300))
@settings(deadline=None)
def test_a_chance_is_one(seen: dict[int, tuple[int, int]]) -> None:
    counts = {token: Count(*pair) for token, pair in seen.items()}
    value = chance(Count(1000, 1000), counts, Tokens(dict.fromkeys(seen), dict.fromkeys(range(250, 400))))
    assert value is not None
    assert 0 <= value <= 1


def test_many_clear_clues_do_not_overflow() -> None:
    counts = {token: Count(0, 100_000) for token in range(1000)}
    assert chance(Count(100_000, 100_000), counts, words(range(1000))) == pytest.approx(1.0)
    assert classifier.MAX_CLUES < 1000
