"""A next host for tests: speaks SMTP or LMTP as well, or as badly, as it is told, on loopback ports of its own."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

PIPELINING, CHUNKING, EIGHT, UTF8 = "PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8"
EVERYTHING = (PIPELINING, CHUNKING, EIGHT, UTF8, "SIZE 1000000", "DSN", "ENHANCEDSTATUSCODES", "BINARYMIME")

HANG = "hang"
"""In place of a reply: nothing comes."""
RESET = "reset"
"""In place of a reply: the connection is reset."""
CLOSE = "close"
ENDLESS = "endless"
"""In place of a reply: one that does not end."""

Script = dict[str, "str | list[str]"]


@dataclass
class Kept:
    """A message that was taken."""

    sender: str
    recipients: list[str]
    octets: bytes
    tls: bool


@dataclass
class NextHost:
    """`announced`: in EHLO. `script`: what is answered in place of the usual, by verb ("CONNECT", "EHLO", "MAIL",
    "RCPT", "DATA", "TEXT", "BDAT", "QUIT", "RSET", or a whole line): a reply, HANG, RESET, CLOSE, ENDLESS, or a list of
    these for one time after the other, of which the last stays. `tls`: offers STARTTLS, and does it by this context;
    with `implicit`, TLS from the first octet.
    """

    announced: tuple[str, ...] = EVERYTHING
    script: Script = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    implicit: bool = False
    lmtp: bool = False
    name: str = "next.example"
    kept: list[Kept] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    connections: int = 0
    peers: set[str] = field(default_factory=set)
    port: int = 0
    host: str = "127.0.0.1"
    log_in: Callable[[str], str] | None = None
    _server: asyncio.Server | None = None
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def __aenter__(self) -> "NextHost":
        context = self.tls if self.implicit else None
        self._server = await asyncio.start_server(self._serve, self.host, self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.peers.add(writer.get_extra_info("peername")[0])
        try:
            await _Session(self, reader, writer).run()
        except (OSError, asyncio.IncompleteReadError, _Over):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    def scripted(self, verb: str) -> str | None:
        answer = self.script.get(verb)
        if isinstance(answer, list):
            return answer.pop(0) if len(answer) > 1 else answer[0]
        return answer


class _Over(Exception):
    pass


class _Session:
    def __init__(self, host: NextHost, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.host, self.reader, self.writer = host, reader, writer
        self.tls = host.implicit
        self.open = False
        self.sender, self.recipients, self.chunks = "", list[str](), b""

    async def run(self) -> None:
        await self.reply("CONNECT", f"220 {self.host.name} ESMTP")
        while line := (await self.reader.readuntil(b"\r\n")).decode():
            line = line.removesuffix("\r\n")
            self.host.lines.append(line)
            await self.command(line, line.split(" ")[0].upper())

    async def reply(self, verb: str, usual: str) -> str:
        answer = self.host.scripted(verb) or usual
        match answer:
            case "hang":
                await asyncio.sleep(3600)
            case "reset":
                self.writer.transport.abort()
                raise _Over
            case "close":
                raise _Over
            case "endless":
                while True:
                    self.writer.write(b"250-and so on\r\n" * 100)
                    await self.writer.drain()
        self.writer.write(answer.encode("latin-1") + b"\r\n")
        await self.writer.drain()
        if answer.startswith("421"):
            raise _Over
        return answer

    async def command(self, line: str, verb: str) -> None:
        match verb:
            case "EHLO" | "LHLO" | "HELO":
                offered = self.host.announced if verb != "HELO" else ()
                if self.host.tls is not None and not self.tls:
                    offered = (*offered, "STARTTLS")
                lines = [self.host.name, *offered]
                usual = "\r\n".join(f"250{'-' if n < len(lines) - 1 else ' '}{each}" for n, each in enumerate(lines))
                await self.reply(verb, usual)
            case "STARTTLS":
                if (await self.reply(verb, "220 go")).startswith("2"):
                    assert self.host.tls is not None
                    await self.writer.start_tls(self.host.tls)
                    self.tls = True
            case "AUTH":
                await self.authenticate(line)
            case "MAIL":
                self.open = (await self.reply(verb, "250 2.1.0 ok")).startswith("2")
                self.sender = _path(line)
            case "RCPT" if not self.open:
                await self.reply("", "503 5.5.1 MAIL first")
            case "RCPT":
                answer = await self.reply(line if line in self.host.script else verb, "250 2.1.5 ok")
                if answer.startswith("2"):
                    self.recipients.append(_path(line))
            case "DATA":
                usual = "354 go" if self.recipients else "554 5.5.1 no recipients"
                if (await self.reply(verb, usual)).startswith("354"):
                    text = await self.text()
                    await self.end("TEXT", text)
            case "BDAT":
                _, size, *last = line.split(" ")
                self.chunks += await self.reader.readexactly(int(size))
                if last and self.recipients:
                    await self.end("BDAT", self.chunks)
                else:
                    await self.reply(verb, "250 2.0.0 ok" if self.recipients else "503 5.5.1 no recipients")
            case "QUIT":
                await self.reply(verb, "221 2.0.0 bye")
                raise _Over
            case "RSET":
                self.sender, self.recipients, self.chunks = "", [], b""
                await self.reply(verb, "250 2.0.0 ok")
            case _:
                await self.reply(verb, "500 5.5.2 what")

    async def text(self) -> bytes:
        lines: list[bytes] = []
        while (line := await self.reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)

    async def end(self, verb: str, octets: bytes) -> None:
        kept = Kept(self.sender, self.recipients, octets, self.tls)
        self.sender, self.recipients, self.chunks = "", [], b""
        for _ in kept.recipients if self.host.lmtp else [0]:
            answer = self.host.script.get(verb)
            if answer is None or (isinstance(answer, list) and answer[0].startswith("2")):
                self.host.kept.append(kept)
            await self.reply(verb, "250 2.0.0 kept")

    async def authenticate(self, line: str) -> None:
        """Answer by the `log_in` of the host, which gives the reply to each line of the exchange."""
        assert self.host.log_in is not None
        while True:
            answer = self.host.log_in(line)
            self.writer.write(answer.encode() + b"\r\n")
            if not answer.startswith("334"):
                return
            line = (await self.reader.readuntil(b"\r\n")).decode().removesuffix("\r\n")


def _path(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]
