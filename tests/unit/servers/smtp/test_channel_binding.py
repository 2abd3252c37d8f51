"""SCRAM with channel binding, over real sockets and TLS."""

import asyncio
import hashlib
import ssl
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from scramp import ScramClient
from tests.transcripts.runner import certificate
from tests.transcripts.smtp.intake import PASSWORD, FakeAuthenticator, FakeIntake

from pennypost.net.listener import Listener, bind_tcp
from pennypost.net.settings import ListenerLimits
from pennypost.proto.smtp import Flavour
from pennypost.servers.smtp import REFUSAL, SmtpDoor, SmtpSettings


@pytest.fixture
async def port() -> AsyncIterator[int]:
    door = SmtpDoor(Flavour.SUBMISSION, FakeIntake(), SmtpSettings(), "mx.example.org", FakeAuthenticator())
    listener = Listener("submission", door.handler, limits=ListenerLimits(), refusal=REFUSAL, tls=certificate())
    for sock in bind_tcp("127.0.0.1", 0):
        await listener.open(sock)
    yield int(listener.addresses[0][1])
    await listener.stop(timedelta(seconds=5))


def trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Client:
    """As much of a client as is needed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, line: str) -> list[str]:
        self.writer.write(line.encode() + b"\r\n")
        return await self.hear()

    async def hear(self) -> list[str]:
        lines = []
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), 5)).decode().removesuffix("\r\n")
            lines.append(line)
            if line[3:4] != "-":
                return lines

    async def start_tls(self) -> None:
        assert (await self.say("STARTTLS"))[0].startswith("220 ")
        await self.writer.start_tls(trusting(), server_hostname="localhost")


async def connect(port: int) -> Client:
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    await client.hear()
    await client.say("EHLO c")
    return client


@pytest.mark.parametrize(("certificate_seen", "verdict"), [("the server's", "235 2.7.0 "), ("another's", "535 5.7.8 ")])
async def test_tls_server_end_point(port: int, certificate_seen: str, verdict: str) -> None:
    """RFC 5929 §4.1, RFC 5802 §6: somebody in the middle shows another certificate, and gets nowhere."""
    client = await connect(port)
    await client.start_tls()
    offered = next(line for line in await client.say("EHLO c") if "AUTH" in line)
    assert "SCRAM-SHA-256-PLUS" in offered
    der = client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    end_point = hashlib.sha256(der if certificate_seen == "the server's" else der + b"x").digest()
    scram = ScramClient(
        ["SCRAM-SHA-256-PLUS"], "alice@example.org", PASSWORD, channel_binding=("tls-server-end-point", end_point)
    )
    first = b64encode(scram.get_client_first().encode()).decode()
    (line,) = await client.say(f"AUTH SCRAM-SHA-256-PLUS {first}")
    scram.set_server_first(b64decode(line[4:]).decode())
    (line,) = await client.say(b64encode(scram.get_client_final().encode()).decode())
    if line.startswith("334 "):
        scram.set_server_final(b64decode(line[4:]).decode())
        (line,) = await client.say("")
    assert line.startswith(verdict)
    client.writer.close()


async def test_a_hidden_offer_is_found_out(port: int) -> None:
    """RFC 5802 §6: `y` says that the client saw no -PLUS mechanism, though we offered one."""
    client = await connect(port)
    await client.start_tls()
    await client.say("EHLO c")
    first = b64encode(b"y,,n=alice@example.org,r=abc").decode()
    assert (await client.say(f"AUTH SCRAM-SHA-256 {first}"))[0].startswith("535 5.7.8 ")
    client.writer.close()
