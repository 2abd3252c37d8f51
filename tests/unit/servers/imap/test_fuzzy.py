"""FUZZY by the index finds and weighs what reading finds and weighs; what is weighed how."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.transcripts.imap.server import World, world

from pennypost.servers.imap import text_keys
from pennypost.servers.imap.fuzzy import rank, relevancies

from .test_session import logged_in

TEXTS = [
    ("Crème brûlée", "a dessert"),
    ("Lunch", "creme brulee, or what is left"),
    ("Lunch", "crème and brûlée"),
    ("日本語の件名", "本文は日本語です"),
    ("brulee", "no other word"),
    ("Nothing", "of the kind"),
]
KEYS = [
    'TEXT "crème brulee"',
    'BODY "BRULEE creme"',
    'TEXT "creme brulee dessert"',
    'TEXT "日本"',
    'SUBJECT "lunch"',
    "BODY bru",
    'OR FUZZY TEXT crème FUZZY SUBJECT "nothing"',
    "TEXT absent",
]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        for subject, body in TEXTS:
            header = f"From: x@example.net\r\nSubject: {subject}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
            await made.deliver((header + body + "\r\n").encode())
        yield made


@pytest.mark.parametrize("key", KEYS)
async def test_the_index_and_reading_agree(server: World, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    talk = await logged_in(server, "INBOX")
    said = b"c SEARCH RETURN (ALL RELEVANCY) FUZZY " + key.encode()
    read = await talk.say(said)
    monkeypatch.setattr(text_keys, "FEW", 0)
    assert await talk.say(said) == read
    await server.store.search.catch_up(server.alice.id)
    assert await talk.say(said) == read
    await talk.finish()


async def test_many_texts_are_looked_for_in_one_go(server: World, monkeypatch: pytest.MonkeyPatch) -> None:
    talk = await logged_in(server, "INBOX")
    keys = b" ".join([b"OR BODY %b" % word for word in (b"zebra", b"dessert", b'"other word"', b"xyz")]) + b" BODY kind"
    read = await talk.say(b"c SEARCH " + keys)
    assert b"* SEARCH 1 5 6\r\n" in read
    monkeypatch.setattr(text_keys, "FEW", 0)
    for allowed in (0, 2, 16):
        monkeypatch.setattr(text_keys, "MAX_ASKED", allowed)
        assert await talk.say(b"c SEARCH " + keys) == read
    await talk.finish()


async def test_each_of_many_mailboxes_may_be_looked_up(server: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_keys, "MAX_ASKED", 1)
    talk = await logged_in(server)
    for n in range(3):
        await talk.say(b"c CREATE m%d" % n)
        await server.deliver(b"Subject: dessert\r\n\r\n", f"m{n}")
    told = await talk.say(b"c ESEARCH IN (personal) FUZZY TEXT dessert")
    assert told.count(b"* ESEARCH") == 4
    assert b"c OK" in told
    await talk.finish()


def test_rare_words_count_more() -> None:
    common, rare = dict.fromkeys(range(50), 1.0), {7: 1.0, 60: 1.0}
    ranked = rank([common, rare, {}], 100)
    assert list(ranked) == [7], "two of three words"
    ranked = rank([common | {60: 1.0}, rare], 100)
    assert set(ranked) == {7, 60}
    one, other = rank([common], 100), rank([rare], 100)
    assert one[0] < other[60]


def test_the_best_has_a_hundred_and_nobody_less_than_one() -> None:
    assert relevancies({1: 5.0, 2: 0.001, 4: 2.5}, [1, 2, 3, 4]) == [100, 1, 1, 50]
    assert relevancies({}, [1, 2]) == [100, 100]
