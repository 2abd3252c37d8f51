import asyncio
import socket
from datetime import timedelta

import pytest

from pennypost.model.secret import Secret
from pennypost.servers.http.door import HttpDoor
from pennypost.servers.http.pages import make_pages
from pennypost.servers.http.settings import HttpSettings


async def measure() -> bytes:
    return b"pennypost_connections_total 1\n"


class Doctor:
    problems: tuple[str, ...] = ()

    async def examine(self) -> tuple[str, ...]:
        return self.problems


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
