"""Refresh tokens that are replaced are known to all workers, and after a restart (RFC 6749 §6)."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from tests.unit.clients.test_oauth import AUTHORITY, Server
from tests.unit.mail.conftest import World

from pennypost.clients.smtp.oauth import OAuthClient, TokenSource
from pennypost.mail.refresh_tokens import KeptToken
from pennypost.model.errors import StorageFull
from pennypost.model.secret import Secret
from pennypost.store import refresh_tokens

Worker = Callable[..., TokenSource]


@pytest_asyncio.fixture
async def made(world: World) -> AsyncIterator[tuple[Server, Worker]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("localhost").configure_cert(context)
    server = Server()
    server.answers = [(200, {"access_token": f"a{n}", "refresh_token": f"refresh-{n}"}) for n in range(2, 9)]
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    trust = ssl.create_default_context()
    AUTHORITY.configure_trust(trust)

    def worker(token: str = "refresh-1", login: str = "host") -> TokenSource:
        port = listening.sockets[0].getsockname()[1]
        client = OAuthClient(f"https://localhost:{port}/token", "id", Secret(token))
        return TokenSource(client, trust, KeptToken(world.store, login, client.refresh_token))

    yield server, worker
    listening.close()
    await listening.wait_closed()


def asked(server: Server) -> list[str]:
    return [form["refresh_token"][0] for form in server.asked]


async def test_each_worker_goes_on_with_the_token_that_was_given_last(made: tuple[Server, Worker]) -> None:
    server, worker = made
    first, second = worker(), worker()
    assert [(await one.token()).value for one in (first, second)] == ["a2", "a3"]
    first.forget()
    assert (await first.token()).value == "a4"
    assert (await worker().token()).value == "a5"  # after a restart
    assert asked(server) == ["refresh-1", "refresh-2", "refresh-3", "refresh-4"]


async def test_workers_refresh_one_after_the_other(made: tuple[Server, Worker]) -> None:
    server, worker = made
    await asyncio.gather(*(worker().token() for _ in range(3)))
    assert asked(server) == ["refresh-1", "refresh-2", "refresh-3"]


async def test_what_followed_another_token_is_forgotten(world: World, made: tuple[Server, Worker]) -> None:
    server, worker = made
    await worker().token()
    await worker("other").token()
    await worker(login="host 2").token()
    assert asked(server) == ["refresh-1", "other", "refresh-1"]
    for login in ("host", "host 2"):
        sealed = await world.store.read(lambda tx, login=login: refresh_tokens.find(tx, login))
        assert sealed is not None
        assert b"refresh" not in sealed


async def test_a_token_that_could_not_be_kept_is_used_and_kept_later(
    made: tuple[Server, Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, worker = made
    first = worker()

    async def full(*_: object) -> None:
        raise StorageFull

    with monkeypatch.context() as patch:
        patch.setattr(refresh_tokens, "keep", full)
        assert (await first.token()).value == "a2"
    server.answers[0] = (200, {"access_token": "same"})
    first.forget()
    assert (await first.token()).value == "same"
    assert (await worker().token()).value == "a4"
    assert asked(server) == ["refresh-1", "refresh-2", "refresh-2"]
