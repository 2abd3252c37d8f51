import asyncio
import socket
from contextlib import suppress
from datetime import timedelta

import pytest

from pennypost.mail.client_settings import ClientSettings, MailDoor
from pennypost.model.secret import Secret
from pennypost.servers.http import door as http_door
from pennypost.servers.http.door import MAX_REQUEST_OCTETS, HttpDoor
from pennypost.servers.http.pages import make_pages
from pennypost.servers.http.settings import HttpSettings


async def measure() -> bytes:
    return b"pennypost_connections_total 1\n"


class Doctor:
    problems: tuple[str, ...] = ()

    async def examine(self) -> tuple[str, ...]:
        return self.problems


async def post(port: int, path: str, body: bytes) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {path} HTTP/1.1\r\nHost: autodiscover.one.example\r\nConnection: close\r\nContent-Length: {len(body)}"
    writer.write(head.encode() + b"\r\n\r\n" + body)
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    head, _, text = answer.partition("\r\n\r\n")
    return int(head.split()[1]), text


async def get(port: int, path: str, header: str = "", host: str = "localhost") -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{header}\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), body


@pytest.fixture
def listening() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


async def test_metrics_and_health(listening: socket.socket) -> None:
    port, doctor = listening.getsockname()[1], Doctor()
    settings = HttpSettings(metrics_token=Secret("s3cret"))
    door = HttpDoor(settings, make_pages(settings, measure, doctor.examine))
    await door.start([listening])
    try:
        assert await get(port, "/healthz") == (200, "ok\n")
        assert await get(port, "/readyz") == (200, "ready\n")
        doctor.problems = ("the store does not answer",)
        assert await get(port, "/readyz") == (503, "the store does not answer\n")
        assert (await get(port, "/metrics"))[0] == 401
        assert (await get(port, "/metrics", "Authorization: Bearer wrong\r\n"))[0] == 401
        assert await get(port, "/metrics", "Authorization: bearer s3cret\r\n") == (200, (await measure()).decode())
        assert (await get(port, "/elsewhere"))[0] == 404
    finally:
        await door.stop(timedelta(seconds=5))
    with pytest.raises(OSError, match=r"refused|Connect"):
        await get(port, "/healthz")


async def test_our_own_mta_sts_policy(listening: socket.socket) -> None:
    """RFC 8461 §3.3: of the domain in the Host field, if we serve it."""

    async def policy_of(domain: str) -> bytes | None:
        return b"version: STSv1\r\n" if domain == "one.example" else None

    port = listening.getsockname()[1]
    door = HttpDoor(HttpSettings(), make_pages(HttpSettings(), measure, Doctor().examine, policy_of))
    await door.start([listening])
    path = "/.well-known/mta-sts.txt"
    try:
        assert await get(port, path, host="MTA-STS.one.example:443") == (200, "version: STSv1\r\n")
        for host in ("one.example", "mta-sts.two.example", "mta-sts.mta-sts.one.example"):
            assert (await get(port, path, host=host))[0] == 404
    finally:
        await door.stop(timedelta(seconds=1))


async def test_how_mail_programs_are_set_up(listening: socket.socket) -> None:
    async def settings_of(domain: str) -> ClientSettings | None:
        return ClientSettings("mx.one.example", [MailDoor("imap", 993, True)]) if domain == "one.example" else None

    port = listening.getsockname()[1]
    pages = make_pages(HttpSettings(), measure, Doctor().examine, client_settings_of=settings_of)
    door = HttpDoor(HttpSettings(), pages)
    await door.start([listening])
    try:
        path, known = "/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml"
        for asked, host in (
            (path, "Autoconfig.one.example"),
            (known, "one.example"),
            (f"{path}?emailaddress=anna%40One.example", "web.example"),
        ):
            status, text = await get(port, asked, host=host)
            assert status == 200
            assert "<domain>one.example</domain>" in text
            assert "<hostname>mx.one.example</hostname>" in text
        for asked in (path, f"{path}?emailaddress=anna@two.example"):
            assert (await get(port, asked, host="autoconfig.two.example"))[0] == 404
        wanted = b"<EMailAddress>%b</EMailAddress>"
        for spelled in ("/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml"):
            status, text = await post(port, spelled, wanted % b"anna@one.example")
            assert status == 200
            assert "<LoginName>anna@one.example</LoginName>" in text
        assert (await post(port, "/autodiscover/autodiscover.xml", wanted % b"anna@two.example"))[0] == 404
        assert (await post(port, "/autodiscover/autodiscover.xml", b"<Nothing/>"))[0] == 400
        assert (await post(port, "/autodiscover/autodiscover.xml", b"x" * 20_000))[0] == 413
        assert (await get(port, "/autodiscover/autodiscover.xml"))[0] == 405
    finally:
        await door.stop(timedelta(seconds=1))


async def test_requests_have_bounds(listening: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A header without end, a request that never ends, and connections on which nothing is asked."""
    monkeypatch.setattr(http_door, "REQUEST_SECONDS", 0.3)
    address = listening.getsockname()
    settings = HttpSettings(max_connections=2)
    door = HttpDoor(settings, make_pages(settings, measure, Doctor().examine))
    await door.start([listening])
    try:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"GET /healthz HTTP/1.1\r\nX: " + b"x" * MAX_REQUEST_OCTETS)
            assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
            writer.close()

            reader, writer = await asyncio.open_connection(*address)
            for _ in range(3):  # a request may be slow, and others may follow it
                writer.write(b"GET /healthz HTTP/1.1\r\n")
                await asyncio.sleep(0.2)
                writer.write(b"Host: x\r\nX: " + b"x" * (MAX_REQUEST_OCTETS // 2) + b"\r\n\r\n")
                assert (await reader.readuntil(b"ok\n")).startswith(b"HTTP/1.1 200 ")
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: ")
            with suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()

            many = [await asyncio.open_connection(*address) for _ in range(5)]
            with suppress(ConnectionError):
                assert await many[-1][0].read() == b""
            for _, writer in many:
                writer.close()
    finally:
        await door.stop(timedelta(seconds=1))
