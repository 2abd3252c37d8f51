"""FETCH of messages that are not held in memory gives the same octets as of those that are (RFC 9051 §6.4.5)."""

import os
import re
import tracemalloc
from base64 import encodebytes
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from random import randbytes
from typing import Any

import pytest
from tests.transcripts.imap.server import World, with_settings, world
from tests.unit.servers.imap.test_session import Talk, logged_in

from pennypost.message.headers import split
from pennypost.model.ids import AccountId
from pennypost.model.units import Octets
from pennypost.store import messages
from pennypost.store.engine import Transaction

CONTENT = bytes(range(256)) * 600
ENCODED = encodebytes(CONTENT).replace(b"\n", b"\r\n")
MESSAGE = (
    b"From: a@example.net\r\nSubject: large\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nshort\r\n"
    b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" + ENCODED + b"\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nX-Other: y\r\n\r\ninner body\r\n--b--\r\n"
)
HEADER, BODY = split(MESSAGE)


@pytest.fixture(params=[1024, 64 * 1024 * 1024], ids=["streamed", "held"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, with_settings(body_chunk=Octets(request.param))) as made:
        await made.deliver(MESSAGE)
        yield made


async def fetched(talk: Talk, items: bytes) -> bytes:
    answer = await talk.say(b"f FETCH 1 (%b)" % items)
    assert answer.endswith(b"f OK FETCH completed\r\n")
    return answer.removesuffix(b"f OK FETCH completed\r\n")


def literal(octets: bytes) -> bytes:
    return b"{%d}\r\n%b" % (len(octets), octets)


CASES = {
    b"BODY.PEEK[]": b"BODY[] " + literal(MESSAGE),
    b"BODY.PEEK[]<100.50000>": b"BODY[]<100> " + literal(MESSAGE[100:50100]),
    b"BODY.PEEK[]<0.200>": b"BODY[]<0> " + literal(MESSAGE[:200]),
    b"BODY.PEEK[]<9999999.5>": b"BODY[]<9999999> " + literal(b""),
    b"BODY.PEEK[HEADER]": b"BODY[HEADER] " + literal(HEADER),
    b"BODY.PEEK[TEXT]": b"BODY[TEXT] " + literal(BODY),
    b"RFC822.HEADER": b"RFC822.HEADER " + literal(HEADER),
    b"BODY.PEEK[1]": b"BODY[1] " + literal(b"short"),
    b"BODY.PEEK[2]": b"BODY[2] " + literal(ENCODED),
    b"BODY.PEEK[2]<10.20>": b"BODY[2]<10> " + literal(ENCODED[10:30]),
    b"BODY.PEEK[3.HEADER.FIELDS (Subject)]": b"BODY[3.HEADER.FIELDS (Subject)] " + literal(b"Subject: inner\r\n\r\n"),
    b"BODY.PEEK[7]": b"BODY[7] NIL",
    b"BINARY.SIZE[2]": b"BINARY.SIZE[2] %d" % len(CONTENT),
    b"BINARY.PEEK[2]": b"BINARY[2] ~" + literal(CONTENT),
    b"BINARY.PEEK[2]<256.100>": b"BINARY[2]<256> ~" + literal(CONTENT[256:356]),
    b"BINARY.PEEK[1]": b"BINARY[1] " + literal(b"short"),
    b"RFC822.SIZE": b"RFC822.SIZE %d" % len(MESSAGE),
}


async def test_every_section_is_exact(server: World) -> None:
    talk = await logged_in(server, "INBOX")
    for items, expected in CASES.items():
        assert await fetched(talk, items) == b"* 1 FETCH (%b)\r\n" % expected, items
    await talk.finish()


async def test_several_items_share_one_response(server: World) -> None:
    talk = await logged_in(server, "INBOX")
    answer = await fetched(talk, b"UID BODY.PEEK[TEXT]<0.10> RFC822.SIZE BODY.PEEK[1]")
    size = len(MESSAGE)
    expected = b"* 1 FETCH (UID 1 BODY[TEXT]<0> {10}\r\n%b RFC822.SIZE %d BODY[1] {5}\r\nshort)\r\n" % (BODY[:10], size)
    assert answer == expected
    await talk.finish()


async def test_reading_sets_seen(server: World) -> None:
    talk = await logged_in(server, "INBOX")
    answer = await fetched(talk, b"BODY[]<0.5>")
    assert re.fullmatch(rb"\* 1 FETCH \(BODY\[\]<0> \{5\}\r\nFrom: FLAGS \(.*\\Seen\)\)\r\n", answer)
    await talk.finish()


async def test_one_value_at_a_time_is_held(tmp_path: Path) -> None:
    """Else whoever has one large message could take so many times its size of memory."""
    items = b" ".join(b"BINARY.PEEK[2]<0.%d>" % (len(CONTENT) - n) for n in range(60))
    async with world(tmp_path) as server:
        await server.deliver(MESSAGE)
        talk = await logged_in(server, "INBOX")
        tracemalloc.start()
        talk.connection.send(b"f FETCH 1 (%b)\r\n" % items)
        octets = 0
        while octets < 60 * (len(CONTENT) - 60):
            octets += len(await talk.connection.receive())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        await talk.finish()
    assert most < 20 * len(CONTENT)


async def test_too_many_sections_are_refused(server: World) -> None:
    talk = await logged_in(server, "INBOX")
    items = b" ".join(b"BODY.PEEK[]<%d.1>" % n for n in range(65))
    assert await talk.say(b"f FETCH 1 (%b)" % items) == b"f BAD too many fetch items (read up to octet 1171)\r\n"
    await talk.finish()


async def test_what_cannot_be_told_is_refused_before_anything_is(server: World) -> None:
    talk = await logged_in(server, "INBOX")
    assert (await talk.say(b"f FETCH 1 (UID BODY.PEEK[1] BINARY.PEEK[9])")).startswith(b"f NO [NONEXISTENT]")
    assert (await talk.say(b"g NOOP")) == b"g OK NOOP completed\r\n"
    await talk.finish()


async def test_few_large_headers_are_read_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody can send headers of a megabyte."""
    read: list[int] = []
    fetched = messages.fetch_in_order

    async def counting(tx: Transaction, account: AccountId, wanted: Sequence[int], *more: Any, **also: Any) -> Any:
        read.append(len(wanted))
        return await fetched(tx, account, wanted, *more, **also)

    monkeypatch.setattr(messages, "fetch_in_order", counting)
    header = b"X-Filler: " + b"x" * 900_000 + b"\r\n\r\n"
    async with world(tmp_path) as server:
        for _ in range(40):
            await server.deliver(header + b"x")
        talk = await logged_in(server, "INBOX")
        read.clear()
        talk.connection.send(b"f FETCH 1:* (ENVELOPE BODY.PEEK[HEADER.FIELDS (To)] BODY.PEEK[HEADER.FIELDS (Cc)])\r\n")
        await talk.until(b"f OK")
        await talk.finish()
    assert sum(read) == 40
    assert max(read) <= 16


async def test_bodies_of_many_parts_come_in_order_also_when_somebody_leaves_meanwhile(tmp_path: Path) -> None:
    bodies = [b"%d " % number * 20_000 for number in range(40)]
    async with world(tmp_path, with_settings(write_chunk=Octets(1024))) as server:
        for body in bodies:
            await server.deliver(HEADER + body)
        leaving, talk = await logged_in(server, "INBOX"), await logged_in(server, "INBOX")
        leaving.connection.send(b"f FETCH 1:* (BODY.PEEK[])\r\n")
        await leaving.connection.receive()
        await leaving.finish()
        told = [b"* %d FETCH (BODY[TEXT] %b)\r\n" % (at, literal(body)) for at, body in enumerate(bodies, 1)]
        assert await talk.say(b"f FETCH 1:* (BODY.PEEK[TEXT])") == b"".join(told) + b"f OK FETCH completed\r\n"
        await talk.finish()


def open_bodies(server: World) -> int:
    """Count the descriptors of this process that are of bodies' files."""
    folder, count = str(server.store.settings.data_dir / "blobs"), 0
    for fd in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            count += str(fd.readlink()).startswith(folder)
    return count


async def test_large_attachments_are_read_as_they_are_taken_and_closed_when_somebody_leaves(tmp_path: Path) -> None:
    head = b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    photos = [encodebytes(randbytes(948_000)).replace(b"\n", b"\r\n") for _ in range(8)]
    message = HEADER + b"".join(head + photo for photo in photos) + b"--b--\r\n"
    async with world(tmp_path) as server:
        await server.deliver(message)
        talk, leaving = await logged_in(server, "INBOX"), await logged_in(server, "INBOX")
        told = b"* 1 FETCH (BODY[] %b)\r\nf OK FETCH completed\r\n" % literal(message)
        tracemalloc.start()
        leaving.connection.send(b"f FETCH 1 (BODY.PEEK[])\r\n")
        octets = 0
        while octets < len(message) * 2 // 3:
            octets += len(await leaving.connection.receive())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 2_000_000
        assert open_bodies(server) == 8
        await leaving.finish()
        assert open_bodies(server) == 0
        assert await talk.say(b"f FETCH 1 (BODY.PEEK[])") == told
        assert open_bodies(server) == 0
        await talk.finish()


async def test_a_damaged_file_that_a_url_names_is_closed(tmp_path: Path) -> None:
    async with world(tmp_path) as server:
        await server.deliver(MESSAGE.replace(b"short", b"long enough for a file\r\n" * 5_000))
        (file,) = [path for path in (server.store.settings.data_dir / "blobs").rglob("*") if path.is_file()]
        talk = await logged_in(server, "INBOX")
        url = b"/INBOX/;UID=1/;SECTION=3.HEADER.FIELDS%20(Subject)"
        assert b"a OK" in await talk.say(b'a APPEND INBOX CATENATE (URL "%b")' % url)
        os.truncate(file, 100)
        assert b"b NO [SERVERBUG]" in await talk.say(b'b APPEND INBOX CATENATE (URL "%b")' % url)
        assert open_bodies(server) == 0
        await talk.finish()
