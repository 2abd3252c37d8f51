"""COMPRESS=DEFLATE (RFC 4978), as a client sees it."""

import zlib
from pathlib import Path

import pytest
from tests.transcripts.imap.server import simple_message, world
from tests.unit.servers.imap.test_session import Talk, logged_in

from pennypost.model.errors import PeerError
from pennypost.proto.wire.deflate import PIECE_OCTETS, DeflateStream


class Compressed:
    """The client's end of a compressed connection."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._out = zlib.compressobj(wbits=-15)
        self._in = zlib.decompressobj(-15)
        self.received = 0

    async def say(self, line: bytes) -> bytes:
        self._talk.connection.send(self._out.compress(line + b"\r\n") + self._out.flush(zlib.Z_SYNC_FLUSH))
        heard, tag = b"", line.split()[0] + b" "
        while b"\r\n" + tag not in b"\r\n" + heard or not heard.endswith(b"\r\n"):
            octets = await self._talk.connection.receive()
            assert octets, heard
            self.received += len(octets)
            heard += self._in.decompress(octets)
        return heard


async def test_everything_behind_the_ok_is_compressed(tmp_path: Path) -> None:
    async with world(tmp_path) as server:
        for number in range(1, 101):
            await server.deliver(simple_message(number % 28 + 1))
        talk = await logged_in(server, "INBOX")
        assert b" COMPRESS=DEFLATE " in await talk.say(b"c CAPABILITY")
        assert b"d BAD" in await talk.say(b"d COMPRESS LZMA")
        assert b"e OK DEFLATE active" in await talk.say(b"e COMPRESS DEFLATE")
        client = Compressed(talk)
        told = await client.say(b"f FETCH 1:* (FLAGS ENVELOPE)")
        assert told.count(b" FETCH (") == 100
        assert client.received < len(told) / 5
        assert b"COMPRESS" not in await client.say(b"g CAPABILITY")
        assert b"h NO [COMPRESSIONACTIVE]" in await client.say(b"h COMPRESS DEFLATE")
        assert b"i OK" in await client.say(b"i APPEND INBOX {16+}\r\nSubject: new\r\n\r\n")
        assert b"* BYE" in await client.say(b"j LOGOUT")
        await talk.finish()


async def test_what_is_no_deflate_stream_ends_the_session(tmp_path: Path) -> None:
    async with world(tmp_path) as server:
        talk = await logged_in(server)
        await talk.say(b"c COMPRESS DEFLATE")
        talk.connection.send(b"\xffd NOOP\r\n")
        rest = zlib.decompressobj(-15).decompress(await talk.rest())
        assert rest == b"* BYE bad compressed data\r\n"
        await talk.finish()


async def test_a_bomb_is_expanded_no_further_than_it_is_read(tmp_path: Path) -> None:
    """A megabyte that stands for a gigabyte ends the session at the first line that is too long."""
    packer = zlib.compressobj(9, wbits=-15)
    bomb = packer.compress(bytes(64 * 1024 * 1024)) + packer.flush()
    stream = DeflateStream()
    stream.receive(bomb)
    assert len(stream.next_piece()) <= PIECE_OCTETS
    async with world(tmp_path) as server:
        talk = await logged_in(server)
        await talk.say(b"c COMPRESS DEFLATE")
        talk.connection.send(bomb)
        rest = zlib.decompressobj(-15).decompress(await talk.rest())
        assert rest == b"* BYE line too long\r\n"
        await talk.finish()


def test_nothing_comes_after_the_end() -> None:
    packer = zlib.compressobj(wbits=-15)
    stream = DeflateStream()
    stream.receive(packer.compress(b"a NOOP\r\n") + packer.flush())
    assert stream.next_piece() == b"a NOOP\r\n"
    with pytest.raises(PeerError):
        stream.next_piece()
