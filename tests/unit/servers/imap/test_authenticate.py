"""AUTHENTICATE with SCRAM (RFC 9051 §6.2.2, RFC 5802, RFC 7677), against an independent client."""

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from scramp import ScramClient
from tests.transcripts.imap.server import World, world
from tests.unit.servers.imap.test_session import Talk


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made


async def exchange(talk: Talk, mechanism: str, password: str, initial: bool) -> bytes:
    """Go through an exchange and give the tagged answer."""
    client = ScramClient([mechanism], "alice@example.org", password)
    first = b64encode(client.get_client_first().encode())
    if initial:
        talk.connection.send(b"a AUTHENTICATE %b %b\r\n" % (mechanism.encode(), first))
    else:
        talk.connection.send(b"a AUTHENTICATE %b\r\n" % mechanism.encode())
        assert await talk.until(b"+") == b"+ \r\n"
        talk.connection.send(first + b"\r\n")
    client.set_server_first(b64decode((await talk.until(b"+"))[2:]).decode())
    talk.connection.send(b64encode(client.get_client_final().encode()) + b"\r\n")
    if password != "secret":
        return await talk.until(b"a ")
    client.set_server_final(b64decode((await talk.until(b"+"))[2:]).decode())
    talk.connection.send(b"\r\n")
    return await talk.until(b"a ")


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1"])
@pytest.mark.parametrize("initial", [True, False])
async def test_scram(server: World, mechanism: str, initial: bool) -> None:
    talk = Talk(server)
    await talk.until(b"* OK")
    assert (await exchange(talk, mechanism, "secret", initial)).startswith(b"a OK [CAPABILITY ")
    assert b"b OK" in await talk.say(b"b SELECT INBOX")
    await talk.finish()


async def test_scram_with_a_wrong_password(server: World) -> None:
    talk = Talk(server)
    await talk.until(b"* OK")
    answer = await exchange(talk, "SCRAM-SHA-256", "wrong", True)
    assert answer.startswith(b"a NO [AUTHENTICATIONFAILED] ")
    assert b"BAD" in await talk.say(b"b SELECT INBOX")
    await talk.finish()
