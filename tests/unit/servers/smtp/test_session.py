"""What a transcript cannot say: time, stops, bugs, and the log."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs
from tests.transcripts.smtp.intake import FakeIntake, FakeReception

from pennypost.mail.reception import Language, SmtpClient
from pennypost.model.errors import MessageTooLarge, StorageFull
from pennypost.net.memory import MemoryConnection
from pennypost.proto.smtp import Flavour
from pennypost.servers.smtp import SmtpDoor, SmtpSettings

SETTINGS = SmtpSettings(greeting_delay=timedelta(0))
TRANSACTION = b"EHLO c\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n"


class CountingConnection(MemoryConnection):
    """Remembers each write. `writes`: their octets."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        super().write(data)


class Client:
    """The other end of a connection to a door."""

    def __init__(self, door: SmtpDoor) -> None:
        self.connection = CountingConnection()
        self.task = asyncio.ensure_future(self._serve(door))
        self.heard = b""

    async def _serve(self, door: SmtpDoor) -> None:
        try:
            await door.handler(self.connection)
        finally:
            self.connection.close()

    async def hear(self, end: bytes) -> bytes:
        """Take what the door says until it ends so."""
        heard = b""
        while not heard.endswith(end):
            octets = await asyncio.wait_for(self.connection.receive(), 5)
            assert octets, (heard, end)
            heard += octets
        self.heard += heard
        return heard

    async def say(self, octets: bytes, end: bytes) -> bytes:
        self.connection.send(octets)
        return await self.hear(end)


@asynccontextmanager
async def client_of(
    intake: FakeIntake, settings: SmtpSettings = SETTINGS, flavour: Flavour = Flavour.SMTP
) -> AsyncIterator[Client]:
    client = Client(SmtpDoor(flavour, intake, settings, "mx.example.org"))
    try:
        yield client
    finally:
        client.connection.abort()
        await asyncio.wait_for(client.task, 5)
        assert intake.open == 0


class TestTime:
    """RFC 5321 §4.5.3.2."""

    async def test_a_command_that_comes_by_the_octet_has_a_deadline(self) -> None:
        settings = replace(SETTINGS)
        object.__setattr__(settings, "command_timeout", timedelta(milliseconds=200))
        async with client_of(FakeIntake(), settings) as client:
            await client.hear(b"Pennypost\r\n")
            for _ in range(100):
                client.connection.send(b"x")
                await asyncio.sleep(0.02)
                if client.task.done():
                    break
            assert client.task.done()
            assert await client.hear(b"\r\n") == b"421 4.4.2 Timeout, closing the connection\r\n"

    async def test_a_text_that_comes_by_the_octet_has_one_too(self) -> None:
        settings = replace(SETTINGS, text_time=timedelta(milliseconds=200))
        async with client_of(FakeIntake(), settings) as client:
            await client.say(TRANSACTION, b"<CRLF>.<CRLF>\r\n")
            for _ in range(100):
                client.connection.send(b"x")
                await asyncio.sleep(0.02)
                if client.task.done():
                    break
            assert client.task.done()
            assert await client.hear(b"\r\n") == b"421 4.4.2 Timeout, closing the connection\r\n"

    async def test_a_session_has_an_end(self) -> None:
        settings = replace(SETTINGS, session_time=timedelta(milliseconds=100))
        async with client_of(FakeIntake(), settings) as client:
            await client.say(TRANSACTION, b"<CRLF>.<CRLF>\r\n")
            await asyncio.sleep(0.15)
            heard = await client.say(b"x\r\n.\r\n", b"too long\r\n")
            assert heard == b"250 2.0.0 OK M1\r\n421 4.4.2 The session took too long\r\n"

    async def test_silence(self) -> None:
        settings = replace(SETTINGS)
        object.__setattr__(settings, "command_timeout", timedelta(milliseconds=50))
        async with client_of(FakeIntake(), settings) as client:
            await client.hear(b"421 4.4.2 Timeout, closing the connection\r\n")


class TestStop:
    """RFC 5321 §3.8."""

    @staticmethod
    def stop(client: Client) -> None:
        client.connection.shutting_down = True
        client.connection.interrupt()

    @pytest.mark.parametrize("before", [b"", b"EHLO c\r\n", TRANSACTION.removesuffix(b"DATA\r\n")])
    async def test_between_commands(self, before: bytes) -> None:
        async with client_of(FakeIntake()) as client:
            await client.say(b"NOOP\r\n" + before + b"NOOP\r\n", b"250 2.0.0 OK\r\n")
            await asyncio.sleep(0)
            self.stop(client)
            assert (await client.hear(b"down\r\n")).endswith(b"421 4.3.2 Service shutting down\r\n")
            await asyncio.wait_for(client.task, 5)

    async def test_a_text_that_has_begun_is_taken_in(self) -> None:
        intake = FakeIntake()
        async with client_of(intake) as client:
            await client.say(TRANSACTION, b"<CRLF>.<CRLF>\r\n")
            self.stop(client)
            await asyncio.sleep(0.01)
            heard = await client.say(b"x\r\n.\r\n", b"down\r\n")
            assert heard == b"250 2.0.0 OK M1\r\n421 4.3.2 Service shutting down\r\n"
        assert len(intake.stored) == 1

    async def test_an_interrupt_for_nothing(self) -> None:
        async with client_of(FakeIntake()) as client:
            await client.hear(b"Pennypost\r\n")
            client.connection.interrupt()
            assert await client.say(b"NOOP\r\n", b"\r\n") == b"250 2.0.0 OK\r\n"


class TestBugs:
    async def test_in_the_middle_of_a_text(self) -> None:
        intake = FakeIntake()

        class Broken(FakeReception):
            def write(self, chunk: bytes) -> None:
                raise ZeroDivisionError("secret detail")

        intake.begin = lambda client: Broken(intake, client)  # type: ignore[method-assign]
        intake.open = 1
        with capture_logs() as logs:
            async with client_of(intake) as client:
                await client.say(TRANSACTION, b"<CRLF>.<CRLF>\r\n")
                heard = await client.say(b"x\r\n.\r\nNOOP\r\n", b"250 2.0.0 OK\r\n")
        assert heard.startswith(b"451 4.3.0 Internal error, try again later (incident ")
        assert b"secret" not in heard
        incident = next(line for line in logs if line["event"] == "incident")
        assert incident["incident"] in heard.decode()

    async def test_what_the_intake_refuses_while_it_reads(self) -> None:
        intake = FakeIntake()

        class Small(FakeReception):
            def write(self, chunk: bytes) -> None:
                raise MessageTooLarge

        intake.begin = lambda client: Small(intake, client)  # type: ignore[method-assign]
        intake.open = 1
        async with client_of(intake) as client:
            await client.say(TRANSACTION, b"<CRLF>.<CRLF>\r\n")
            client.connection.send(b"x\r\n")
            heard = await client.say(b"y\r\n.\r\nNOOP\r\n", b"250 2.0.0 OK\r\n")
            assert heard == b"552 5.3.4 Message too large\r\n250 2.0.0 OK\r\n"

    async def test_a_disk_that_is_full_while_the_text_comes(self) -> None:
        intake = FakeIntake()

        class Full(FakeReception):
            def write(self, chunk: bytes) -> None:
                if not self.text:
                    self.text = chunk
                    raise StorageFull
                super().write(chunk)  # there is room again: what comes now would lack its beginning

        intake.begin = lambda client: Full(intake, client)  # type: ignore[method-assign]
        intake.open = 1
        async with client_of(intake) as client:
            await client.say(TRANSACTION, b"<CRLF>.<CRLF>\r\n")
            client.connection.send(b"x\r\n")
            heard = await client.say(b"y\r\n.\r\nNOOP\r\n", b"250 2.0.0 OK\r\n")
            assert heard == b"452 4.3.1 Insufficient system storage\r\n250 2.0.0 OK\r\n"
        assert intake.stored == []


class TestLog:
    async def test_a_line_for_each_transaction(self) -> None:
        with capture_logs() as logs:
            async with client_of(FakeIntake()) as client:
                await client.say(TRANSACTION, b"<CRLF>.<CRLF>\r\n")
                await client.say(b"secret text\r\n.\r\n", b"OK M1\r\n")
                refused = b"MAIL FROM:<>\r\nRCPT TO:<nobody@example.org>\r\nRSET\r\n"
                await client.say(refused, b"250 2.0.0 OK\r\n")
                await client.say(b"MAIL FROM:<>\r\n", b"OK\r\n")
        lines = [line for line in logs if line["event"] == "transaction"]
        assert lines[0].pop("ms") >= 0  # type: ignore[operator]
        assert lines[0] == {
            "event": "transaction",
            "log_level": "info",
            "peer": "127.0.0.1",
            "hello": "c",
            "tls": None,
            "auth": None,
            "sender": "<a@example.net>",
            "recipients": "bob@example.org",
            "size": 13,
            "verdict": "accepted",
            "id": "M1",
            "stored": "1/7",
        }
        assert (lines[1]["verdict"], lines[1]["refused"]) == ("reset", "nobody@example.org: 5.1.1")
        assert lines[2]["verdict"] == "abandoned"
        assert "secret" not in repr(logs)

    async def test_what_is_refused_before_a_transaction(self) -> None:
        with capture_logs() as logs:
            async with client_of(FakeIntake()) as client:
                await client.say(b"EHLO c\r\nMAIL FROM:<secret\r\n", b"or <>\r\n")
        assert [(line["event"], line["verdict"]) for line in logs] == [
            ("command refused", "501 5.1.7 Bad sender address syntax: expected <local-part@domain> or <>")
        ]
        assert "secret" not in repr(logs)

    async def test_many_recipients_are_counted_only(self) -> None:
        with capture_logs() as logs:
            async with client_of(FakeIntake(max_recipients=100)) as client:
                await client.say(
                    b"EHLO c\r\nMAIL FROM:<>\r\n" + b"RCPT TO:<bob@example.org>\r\n" * 25 + b"RSET\r\n", b"2.0.0 OK\r\n"
                )
        line = next(line for line in logs if line["event"] == "transaction")
        assert line["recipients"].endswith("bob@example.org and 5 more")


class TestWhoIsThere:
    """RFC 3848: what `mail` is told, for the Received field."""

    @pytest.mark.parametrize(
        ("hello", "flavour", "language"),
        [
            (b"HELO c\r\n", Flavour.SMTP, Language.SMTP),
            (b"EHLO c\r\n", Flavour.SMTP, Language.ESMTP),
            (b"LHLO c\r\n", Flavour.LMTP, Language.LMTP),
        ],
    )
    async def test_language(self, hello: bytes, flavour: Flavour, language: Language) -> None:
        intake = FakeIntake()
        async with client_of(intake, flavour=flavour) as client:
            await client.say(hello + TRANSACTION[8:], b"<CRLF>.<CRLF>\r\n")
            await client.say(b".\r\n", b"OK M1\r\n")
            peer = client.connection.peer
        assert intake.stored[0][0] == SmtpClient(peer, "c", language)


async def test_one_segment_is_answered_in_one_write() -> None:
    async with client_of(FakeIntake()) as client:
        await client.hear(b"Pennypost\r\n")
        client.connection.writes.clear()
        await client.say(TRANSACTION, b"<CRLF>.<CRLF>\r\n")
        assert len(client.connection.writes) == 1


def test_settings_are_checked() -> None:
    for wrong in (
        {"command_timeout": timedelta(minutes=4)},
        {"text_timeout": timedelta(0)},
        {"text_time": timedelta(0)},
        {"session_time": timedelta(0)},
        {"greeting_delay": timedelta(minutes=2)},
        {"max_errors": 0},
    ):
        name = next(iter(wrong))
        with pytest.raises(ValueError, match=name):
            SmtpSettings(**wrong)  # type: ignore[arg-type]


def test_a_door_without_what_it_needs() -> None:
    with pytest.raises(ValueError, match="authenticator"):
        SmtpDoor(Flavour.SUBMISSION, FakeIntake(), SETTINGS, "mx.example.org")
