"""Access tokens (RFC 6749 §6), from an authorization server of our own."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from urllib.parse import parse_qs

import pytest
import pytest_asyncio
import trustme

from pennypost.clients.smtp.oauth import MAX_ANSWER_OCTETS, OAuthClient, TokenSource
from pennypost.model.errors import AuthenticationUnavailable
from pennypost.model.secret import Secret

AUTHORITY = trustme.CA()


class Server:
    def __init__(self) -> None:
        self.answers: list[tuple[int, object]] = []
        self.asked: list[dict[str, list[str]]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        self.asked.append(parse_qs((await reader.readexactly(length)).decode()))
        status, content = self.answers.pop(0)
        octets = json.dumps(content).encode()
        assert "accept-encoding: identity\r\n" in head
        writer.write(
            b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(octets)) + octets
        )
        await writer.drain()
        writer.close()


@pytest_asyncio.fixture
async def server() -> AsyncIterator[tuple[Server, TokenSource]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("localhost").configure_cert(context)
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    trust = ssl.create_default_context()
    AUTHORITY.configure_trust(trust)
    client = OAuthClient(f"https://localhost:{port}/token", "id", Secret("refresh-1"), Secret("s"), "mail")
    yield server, TokenSource(client, trust)
    listening.close()
    await listening.wait_closed()


async def test_a_token_is_fetched_once_and_again_when_it_runs_out(server: tuple[Server, TokenSource]) -> None:
    http, source = server
    http.answers = [
        (200, {"access_token": "one", "expires_in": 3600, "refresh_token": "refresh-2"}),
        (200, {"access_token": "two", "expires_in": 30}),
        (200, {"access_token": "three"}),
    ]
    tokens = await asyncio.gather(*(source.token() for _ in range(3)))
    assert [token.value for token in tokens] == ["one"] * 3
    assert http.asked[0] == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["refresh-1"],
        "client_id": ["id"],
        "client_secret": ["s"],
        "scope": ["mail"],
    }
    source.forget()
    assert (await source.token()).value == "two"
    assert http.asked[1]["refresh_token"] == ["refresh-2"]
    assert (await source.token()).value == "three"  # two was to run out at once


@pytest.mark.parametrize(
    "answer", [(400, {"error": "invalid_grant"}), (200, []), (200, {}), (200, {"access_token": 5}), (302, {})]
)
async def test_what_is_no_token(server: tuple[Server, TokenSource], answer: tuple[int, object]) -> None:
    http, source = server
    http.answers = [answer]
    with pytest.raises(AuthenticationUnavailable):
        await source.token()


async def test_an_answer_that_is_too_large_is_not_read(server: tuple[Server, TokenSource]) -> None:
    http, source = server
    http.answers = [(200, {"access_token": "x" * MAX_ANSWER_OCTETS})]
    with pytest.raises(AuthenticationUnavailable, match="too large"):
        await source.token()


def test_tokens_are_asked_for_over_https_only() -> None:
    with pytest.raises(ValueError, match="https"):
        OAuthClient("http://localhost/token", "id", Secret("x"))
