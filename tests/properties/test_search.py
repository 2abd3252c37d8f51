"""SEARCH over random messages is what the stdlib's email package makes of them, evaluated as RFC 9051 §6.4.4 reads.

Once with everything read and compared: then it is exactly that. Once by the full-text index, which finds in BODY and
TEXT what begins a word, and never what a comparison would not find.
"""

import asyncio
import email
import email.policy
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from unicodedata import normalize
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.transcripts.imap.server import World, world
from tests.unit.servers.imap.test_session import Talk, logged_in

from pennypost.model.flags import Flags
from pennypost.servers.imap import text_keys

WORDS = ["apple", "Apple", "pineapple", "naïve", "NAÏVE", "Straße", "STRASSE", "Привет", "привет-мир", "Ἑλλάς", "λόγος"]
WORDS += ["漢字", "日本語の文", "ภาษาไทย", "שלום", "हिन्दी", "한국어", "x_y", "3.14", "a", "ﬁne", "e\u0301cole", "école"]
TEXT = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
PIECES = [word[start:end] for word in WORDS for start, end in ((0, 2), (1, None), (2, 4), (0, None))]
NEEDLE = st.one_of(
    st.sampled_from([piece for piece in PIECES if piece.strip()]),
    st.lists(st.sampled_from(WORDS), min_size=2, max_size=2).map(" ".join),
    st.sampled_from(["- ", "-", "_", "zzz"]),
)


@dataclass(frozen=True)
class Written:
    """A message: its subject, its text, another text in a second part, and how parts are encoded."""

    subject: str
    sender: str
    body: str
    second: str
    encoding: str
    flags: int


MESSAGE = st.builds(
    Written,
    TEXT,
    st.sampled_from(["Ann Äpple", "Bob", "漢 字"]),
    TEXT,
    TEXT,
    st.sampled_from(["base64", "quoted-printable", "8bit"]),
    st.sampled_from([0, int(Flags.SEEN), int(Flags.FLAGGED)]),
)


def octets_of(written: Written) -> bytes:
    message = EmailMessage(email.policy.SMTP)
    message["From"] = f'"{written.sender}" <sender@example.net>'
    message["To"] = "alice@example.org"
    message["Subject"] = written.subject
    message["Date"] = "Fri, 02 Feb 2024 10:00:00 +0000"
    message.set_content(written.body + "\n", cte=written.encoding)
    if written.second:
        message.add_attachment(written.second + "\n", cte=written.encoding, filename="notes.txt")
    return message.as_bytes()


# A key of a search: as IMAP writes it, and what it asks of a message.
Test = Callable[["Seen"], bool]
Key = tuple[str, Test]


def fold(text: str) -> str:
    return normalize("NFC", normalize("NFC", text).casefold())


class Seen:
    """A message as the stdlib reads it."""

    def __init__(self, octets: bytes, flags: int) -> None:
        message = email.message_from_bytes(octets, policy=email.policy.default)
        self.flags = flags
        self.subject, self.sender = fold(str(message["Subject"])), fold(str(message["From"]))
        self.header = "\n".join(fold(f"{name}: {value}") for name, value in message.items())
        parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
        names = [part.get_filename() or "" for part in parts]
        self.body = "\n".join(fold(part.get_content()) for part in parts) + "\n" + "\n".join(names)
        self.strict = False

    def has(self, text: str, needle: str) -> bool:
        needle = fold(needle)
        if not self.strict:
            return needle in text
        starts = [match.start() for match in re.finditer(f"(?={re.escape(needle)})", text)]
        return any(at == 0 or not (text[at - 1].isalnum() and needle[0].isalnum()) for at in starts)


def key(draw: st.DrawFn, depth: int) -> Key:
    kind = draw(st.sampled_from(["flag", "subject", "from", "body", "text", *(["not", "or", "and"] if depth else [])]))
    if kind == "flag":
        bit = draw(st.sampled_from([("SEEN", Flags.SEEN), ("FLAGGED", Flags.FLAGGED)]))
        return bit[0], lambda seen: bool(seen.flags & int(bit[1]))
    if kind == "not":
        inner = key(draw, depth - 1)
        return f"NOT {inner[0]}", lambda seen: not inner[1](seen)
    if kind in ("or", "and"):
        one, other = key(draw, depth - 1), key(draw, depth - 1)
        if kind == "or":
            return f"OR {one[0]} {other[0]}", lambda seen: one[1](seen) or other[1](seen)
        return f"({one[0]} {other[0]})", lambda seen: one[1](seen) and other[1](seen)
    needle = draw(NEEDLE)
    written = f'{kind.upper()} "{needle}"'
    if kind == "subject":
        return written, lambda seen: fold(needle) in seen.subject
    if kind == "from":
        return written, lambda seen: fold(needle) in seen.sender
    if kind == "body":
        return written, lambda seen: seen.has(seen.body, needle)
    return written, lambda seen: seen.has(seen.header, needle) or seen.has(seen.body, needle)


KEYS = st.lists(st.composite(key)(2), min_size=1, max_size=4)
TEXT_KEY = st.tuples(st.sampled_from(["BODY", "TEXT"]), NEEDLE)


async def filled(server: World, messages: list[Written]) -> list[Seen]:
    seen = []
    for written in messages:
        octets = octets_of(written)
        await server.deliver(octets, flags=Flags(written.flags))
        seen.append(Seen(octets, written.flags))
    return seen


async def numbers(talk: Talk, tag: int, program: str) -> set[int]:
    answer = await talk.say(b"t%d SEARCH %b" % (tag, program.encode()))
    found = re.search(rb"^\* SEARCH(.*?)\r\n", answer, re.MULTILINE)
    assert found is not None, answer
    return set(map(int, found[1].split()))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=40)
@given(st.lists(MESSAGE, min_size=1, max_size=5), KEYS)
def test_reading_finds_what_a_naive_evaluation_finds(messages: list[Written], keys: list[Key]) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with world(Path(folder)) as server:
                talk = await logged_in(server)
                seen = await filled(server, messages)
                await talk.say(b"s SELECT INBOX")
                for tag, (program, test) in enumerate(keys):
                    expected = {number for number, one in enumerate(seen, 1) if test(one)}
                    assert await numbers(talk, tag, program) == expected, program
                await talk.finish()

    asyncio.run(run())


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=40)
@given(st.lists(MESSAGE, min_size=1, max_size=5), st.lists(TEXT_KEY, min_size=1, max_size=6))
def test_the_index_finds_beginnings_of_words_and_nothing_false(
    messages: list[Written], keys: list[tuple[str, str]]
) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder, patch.object(text_keys, "FEW", 0):
            async with world(Path(folder)) as server:
                talk = await logged_in(server)
                seen = await filled(server, messages)
                await server.store.search.catch_up(server.alice.id)
                await talk.say(b"s SELECT INBOX")
                for tag, (name, needle) in enumerate(keys):
                    found = await numbers(talk, tag, f'{name} "{needle}"')
                    assert found <= matching(seen, name, needle, strict=False), needle
                    assert found >= matching(seen, name, needle, strict=True), needle
                    others = await numbers(talk, 100 + tag, f'NOT {name} "{needle}"')
                    assert others == set(range(1, len(seen) + 1)) - found
                await talk.finish()

    asyncio.run(run())


def matching(seen: list[Seen], name: str, needle: str, *, strict: bool) -> set[int]:
    found = set()
    for number, one in enumerate(seen, 1):
        one.strict = strict
        if one.has(one.body, needle) or (name == "TEXT" and one.has(one.header, needle)):
            found.add(number)
    return found
