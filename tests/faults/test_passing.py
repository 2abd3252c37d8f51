"""kill -9 while messages are passed on: what was answered 250 arrives, and twice only where a reply was lost.

PENNYPOST_PASSING_MESSAGES says how many messages each client sends.
"""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from tests.faults.test_queue import ForgetfulHost, waiting
from tests.running import RunningServer, until

MESSAGES = int(os.environ.get("PENNYPOST_PASSING_MESSAGES", "150"))
CLIENTS = 8
ALONE = 20
"""Messages of one client before the others come."""
PAUSE_SECONDS = 0.1
"""Between them: the one before is written down by then, and the host is idle."""
WORKERS = 2
CONNECTIONS = 4
"""To the next host, of each worker: for what came into the queue, each has one message under way."""
KILLS = 2


class Client:
    """A mail host that sends message after message, and each again until it is answered 250."""

    def __init__(self, number: int, port: int, messages: int = MESSAGES, pause: float = 0.0) -> None:
        self._number, self._port, self._messages, self._pause = number, port, messages, pause
        self.answered: set[str] = set()

    def _addresses(self) -> Iterator[str]:
        for number in range(self._messages):
            yield f"r{self._number * MESSAGES + number}@far.example"

    async def run(self) -> None:
        left = list(self._addresses())
        while left:
            try:
                await self._session(left)
            except (OSError, EOFError):
                await asyncio.sleep(0.05)

    async def _session(self, left: list[str]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            await self._answer(reader)
            await self._ask(reader, writer, b"EHLO client.example\r\n")
            while left:
                address = left[0]
                await self._ask(reader, writer, b"MAIL FROM:<a@y.example>\r\n")
                await self._ask(reader, writer, f"RCPT TO:<{address}>\r\n".encode())
                await self._ask(reader, writer, b"DATA\r\n")
                await self._ask(reader, writer, b"Subject: hello\r\n\r\nhello\r\n.\r\n")
                self.answered.add(address)
                left.pop(0)
                await asyncio.sleep(self._pause)
        finally:
            writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, octets: bytes) -> None:
        writer.write(octets)
        await self._answer(reader)

    async def _answer(self, reader: asyncio.StreamReader) -> None:
        while (line := await reader.readuntil(b"\r\n"))[3:4] == b"-":
            pass
        assert line[:1] in b"23", line


async def test_what_was_answered_for_is_at_the_next_host(tmp_path: Path) -> None:
    async with ForgetfulHost() as host:
        server = RunningServer(
            tmp_path / "data",
            f'queue.smarthosts=[{{host="127.0.0.1", port={host.port}, tls="off"}}]',
            'queue.backup_for=["far.example"]',
            "queue.lease_time=5 s",
            "queue.retry_after=1 s",
            "queue.pass_on_within=1 s",
            f"queue.hop_connections={CONNECTIONS}",
            f"queue.hop_connections_at_first={CONNECTIONS}",
            "smtp.greeting_delay=0 s",
            workers=WORKERS,
        )
        await asyncio.to_thread(server.start)
        alone = Client(CLIENTS, server.ports["smtp"], ALONE, PAUSE_SECONDS)
        async with asyncio.timeout(60):
            await alone.run()
        await asyncio.to_thread(
            until, lambda: '"queue":null' in server.log_text(), why="none needed no place in the queue"
        )
        clients = [Client(number, server.ports["smtp"]) for number in range(CLIENTS)]
        sending = [asyncio.create_task(client.run()) for client in clients]
        for kill in range(1, KILLS + 1):
            async with asyncio.timeout(60):
                while len(host.taken) < kill * CLIENTS * MESSAGES // (KILLS + 2):  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            assert server.process is not None
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait()
            await asyncio.to_thread(server.start)
        async with asyncio.timeout(120):
            await asyncio.gather(*sending)
            while await asyncio.to_thread(waiting, server):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.assert_sound)
        everybody = {address for client in (alone, *clients) for address in client.answered}
        assert len(everybody) == CLIENTS * MESSAGES + ALONE
        assert set(host.taken) == everybody
        again = {address for address, times in host.taken.items() if times > 1}
        # Whose reply was kept back came twice; of the others only what was under way when the server was killed.
        assert host.cut <= again
        assert len(again - host.cut) <= KILLS * (CLIENTS + WORKERS * CONNECTIONS)
