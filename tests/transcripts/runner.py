r"""Plays transcripts: what clients say and what the server has to answer, against a real server, three ways.

A transcript is a text file in UTF-8. Line endings in it are LF; on the wire each line ends with CRLF.

    # a comment, as is every line that begins with a number sign; empty lines are for the eye
    % account: alice@example.org secret   headers, "key: value", before the first step: they mean what the folder's own
    % tls: implicit                       set-up makes of them, but for two: connections begin under TLS,
    % ways: lines socket                  and it is played these ways only

    S: +OK ready                the server sends exactly this line
    C: USER alice               the client sends this line
    S1: +OK                     1, 2, …: several connections; none is 1. One is made when it is first named, and again
    C2: NOOP                    when the client speaks on it after it was closed
    S: +OK $size octets         $name matches one word (no space, bracket or parenthesis) and is bound to it by first
    C: RETR $size               use; afterwards it stands for the same. Names are lower case; $$ is a dollar
    S/: \* \d+ EXISTS           a regular expression for the whole line; (?P<name>…) binds and compares like $name
    S*: * FLAGS (\Seen)         neighbouring lines marked * may come in any order …
    S*/: \* OK \[UIDNEXT .*     … expressions too
    S...: a1 OK done            skip lines until this one (S.../: for an expression)
    C~: NUL \x00, CRLF \r\n     octets, nothing is added. Escapes: \r \n \t \\ \xNN, and \{x*500} for 500 times x
    S~: \r\n.\r\n               the server sends exactly these octets next
    C: <STARTTLS handshake>     the client does the TLS handshake
    C: <deflate>                both sides compress from here on (RFC 4978)
    C: <close>                  the client ends its side, and still reads
    C: <abort>                  the client is gone
    S: <close>                  the server closed, and sent nothing before that
    S: <silence>                the server has nothing to say for now (waits a moment)

Consecutive C lines do not wait for an answer: they are pipelined. At the end nothing unexpected may have arrived. A
transcript is played `lines` (in memory, a line at a time), `octets` (in memory, one octet at a time) and `socket`
(real sockets and TLS). A folder's tests are ten lines: see `cases` and `play`.
"""

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Protocol

from tests.transcripts.script import Step, Transcript, matches, parse, substitute, unescape

from pennypost.net.connection import Connection, ConnectionEnded
from pennypost.net.listener import Listener, bind_tcp
from pennypost.net.memory import MemoryConnection
from pennypost.net.self_signed import ensure_self_signed
from pennypost.net.settings import ListenerLimits, TlsSettings
from pennypost.net.tls import ServerTls

WAYS = ("lines", "octets", "socket")
PATIENCE_SECONDS = 10.0
"""How long an answer may take."""
SILENCE_SECONDS = 0.05
"""How long nothing has to come for <silence>."""
OCTETS_LIMIT = 4096
"""A step of more octets than these is sent in pieces of 100 where others go one by one."""


class Door(Protocol):
    """What is tested: serves one connection, as `Listener` would call it."""

    async def handler(self, connection: Connection) -> None: ...


class TranscriptFailure(AssertionError):
    """The server did not answer as written."""


# -- The client's side of a connection


class Client(Protocol):
    async def send(self, data: bytes) -> None: ...

    async def receive(self) -> bytes:
        """Give some octets; b"" at the end."""

    async def handshake(self) -> None: ...

    def send_end(self) -> None: ...

    def abort(self) -> None: ...


class _MemoryClient:
    """In memory; `piece_octets` 0 sends each step whole."""

    def __init__(self, door: Door, implicit_tls: bool, piece_octets: int) -> None:
        self._connection = MemoryConnection(timeout=timedelta(seconds=PATIENCE_SECONDS))
        if implicit_tls:
            self._connection.tls = self._connection.tls_after_handshake
        self._piece_octets = piece_octets
        self._task = asyncio.ensure_future(self._serve(door))

    async def _serve(self, door: Door) -> None:
        try:
            await door.handler(self._connection)
        except ConnectionEnded:
            pass
        finally:
            self._connection.close()

    async def send(self, data: bytes) -> None:
        if not self._piece_octets:
            self._connection.send(data)
            return
        size = self._piece_octets if len(data) <= OCTETS_LIMIT else 100
        for start in range(0, len(data), size):
            self._connection.send(data[start : start + size])
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def receive(self) -> bytes:
        return await self._connection.receive()

    async def handshake(self) -> None:
        await self._connection.handshake()

    def send_end(self) -> None:
        self._connection.send_end()

    def abort(self) -> None:
        self._connection.abort()

    async def finish(self) -> None:
        """End the session, and raise what went wrong in it."""
        self._connection.abort()
        await asyncio.wait_for(self._task, PATIENCE_SECONDS)


class _SocketClient:
    """Over a real socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def receive(self) -> bytes:
        try:
            return await self._reader.read(65536)
        except ConnectionError:
            return b""

    async def handshake(self) -> None:
        await self._writer.start_tls(_trusting(), server_hostname="localhost")

    def send_end(self) -> None:
        if self._writer.can_write_eof():
            self._writer.write_eof()
        else:
            self._writer.close()  # TLS has no half-closed connections here

    def abort(self) -> None:
        self._writer.transport.abort()

    async def finish(self) -> None:
        self._writer.close()


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@cache
def certificate() -> ServerTls:
    """Give the certificate that servers under test use."""
    return ServerTls(TlsSettings(), (ensure_self_signed(Path(mkdtemp(prefix="transcripts-")), "localhost"),))


# -- Playing


class _Deflate:
    """The client's side of a compressed connection."""

    def __init__(self) -> None:
        self._out = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        self.expand = zlib.decompressobj(-zlib.MAX_WBITS).decompress

    def compress(self, octets: bytes) -> bytes:
        return self._out.compress(octets) + self._out.flush(zlib.Z_SYNC_FLUSH)


@dataclass
class _Line:
    """One connection as the transcript sees it."""

    client: _MemoryClient | _SocketClient
    deflate: "_Deflate | None" = None
    buffer: bytes = b""
    ended: bool = False
    closed_by_client: bool = False


Connect = Callable[[], Awaitable[_MemoryClient | _SocketClient]]


@dataclass
class _Play:
    transcript: Transcript
    connect: Connect
    variables: dict[str, str]
    lines: dict[str, _Line] = field(default_factory=dict)
    finished: list[_Line] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    async def run(self) -> None:
        steps = self.transcript.steps
        position = 0
        while position < len(steps):
            step = steps[position]
            group = [step]
            if step.any_order:
                for following in steps[position + 1 :]:
                    if not (following.any_order and following.connection == step.connection):
                        break
                    group.append(following)
            position += len(group)
            try:
                await self._step(step, group)
            except TranscriptFailure:
                raise
            except Exception as problem:
                raise self._failure(step, f"{type(problem).__name__}: {problem}") from problem
        for name, line in self.lines.items():
            await asyncio.sleep(0)
            if line.buffer:
                raise TranscriptFailure(f"connection {name} sent at the end: {line.buffer!r}\n{self._conversation()}")

    async def _step(self, step: Step, group: list[Step]) -> None:
        line = await self._line(step)
        match step.kind:
            case "send":
                await self._send(step, line, substitute(step.text, self.variables).encode() + b"\r\n")
            case "raw":
                await self._send(step, line, unescape(substitute(step.text, self.variables)))
            case "directive":
                await self._directive(step, line)
            case "octets":
                await self._expect_octets(step, line)
            case _ if step.skipping:
                while not matches(step, await self._next_line(step, line), self.variables):
                    pass
            case _ if step.any_order:
                await self._expect_group(group, line)
            case _:
                got = await self._next_line(step, line)
                if not matches(step, got, self.variables):
                    raise self._failure(step, f"got {got!r}")

    async def _line(self, step: Step) -> _Line:
        line = self.lines.get(step.connection)
        if line is not None and line.closed_by_client and not step.by_server:
            self.finished.append(line)
            line = None
        if line is None:
            line = self.lines[step.connection] = _Line(await self.connect())
        return line

    async def _send(self, step: Step, line: _Line, octets: bytes) -> None:
        self.heard.append(f"C{step.connection}: {octets[:200]!r}")
        await line.client.send(line.deflate.compress(octets) if line.deflate is not None else octets)

    async def _directive(self, step: Step, line: _Line) -> None:
        match step.text:
            case "<STARTTLS handshake>":
                if line.buffer:
                    raise self._failure(step, f"in clear before the handshake: {line.buffer!r}")
                await line.client.handshake()
            case "<deflate>":
                line.deflate = _Deflate()
            case "<close>" if step.by_server:
                if await self._more(step, line) or line.buffer:
                    raise self._failure(step, f"not closed: {line.buffer!r}")
                line.closed_by_client = True
            case "<close>":
                line.client.send_end()
                line.closed_by_client = True
            case "<abort>":
                line.client.abort()
                line.closed_by_client = True
            case _:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._more(step, line), SILENCE_SECONDS)
                if line.buffer:
                    raise self._failure(step, f"got {line.buffer!r}")

    async def _expect_group(self, group: list[Step], line: _Line) -> None:
        waiting = list(group)
        while waiting:
            got = await self._next_line(waiting[0], line)
            found = next((step for step in waiting if matches(step, got, self.variables)), None)
            if found is None:
                raise self._failure(waiting[0], f"got {got!r}, which is none of {[step.text for step in waiting]}")
            waiting.remove(found)

    async def _expect_octets(self, step: Step, line: _Line) -> None:
        expected = unescape(substitute(step.text, self.variables))
        while len(line.buffer) < len(expected):
            if not await self._more(step, line):
                break
        got, line.buffer = line.buffer[: len(expected)], line.buffer[len(expected) :]
        self.heard.append(f"S{step.connection}: {got[:200]!r}")
        if got != expected:
            raise self._failure(step, f"got {got!r}")

    async def _next_line(self, step: Step, line: _Line) -> str:
        while b"\r\n" not in line.buffer:
            if not await self._more(step, line):
                raise self._failure(step, f"the server closed; it sent {line.buffer!r} before")
        got, _, line.buffer = line.buffer.partition(b"\r\n")
        self.heard.append(f"S{step.connection}: {got[:200]!r}")
        return got.decode("utf-8", "surrogateescape")

    async def _more(self, step: Step, line: _Line) -> bool:
        """Wait for more octets; False at the end."""
        if line.ended:
            return False
        if step.text == "<silence>":
            octets = await line.client.receive()
        else:
            try:
                octets = await asyncio.wait_for(line.client.receive(), PATIENCE_SECONDS)
            except TimeoutError:
                raise self._failure(step, f"no answer; so far {line.buffer!r}") from None
        line.buffer += line.deflate.expand(octets) if line.deflate is not None else octets
        line.ended = not octets
        return bool(octets)

    def _failure(self, step: Step, problem: str) -> TranscriptFailure:
        side = "S" if step.by_server else "C"
        return TranscriptFailure(
            f"line {step.number}, {side}{step.connection}: {step.text}\n{problem}\n{self._conversation()}"
        )

    def _conversation(self) -> str:
        return "\n".join(["the conversation so far:", *self.heard[-40:]])


async def play(transcript: Transcript, way: str, door: Door, variables: dict[str, str] | None = None) -> None:
    """Play a transcript against `door`. Raises TranscriptFailure, or what went wrong in the door itself."""
    implicit_tls = "implicit" in transcript.headers.get("tls", ())
    async with _connecting(way, door, implicit_tls) as connect:
        playing = _Play(transcript, connect, dict(variables or {}))
        try:
            await playing.run()
        finally:
            for line in [*playing.finished, *playing.lines.values()]:
                await line.client.finish()


@asynccontextmanager
async def _connecting(way: str, door: Door, implicit_tls: bool) -> AsyncIterator[Connect]:
    if way != "socket":
        piece = 1 if way == "octets" else 0

        async def in_memory() -> _MemoryClient:
            return _MemoryClient(door, implicit_tls, piece)

        yield in_memory
        return
    listener = Listener(
        "transcript",
        door.handler,
        limits=ListenerLimits(),
        refusal=b"",
        tls=certificate(),
        implicit_tls=implicit_tls,
    )
    for sock in bind_tcp("127.0.0.1", 0):
        await listener.open(sock)
    host, port = listener.addresses[0]

    async def over_socket() -> _SocketClient:
        options = {"ssl": _trusting(), "server_hostname": "localhost"} if implicit_tls else {}
        return _SocketClient(*await asyncio.open_connection(host, int(port), **options))

    try:
        yield over_socket
    finally:
        await listener.stop(timedelta(seconds=PATIENCE_SECONDS))


def find(folder: Path) -> list[Path]:
    """Give the transcripts of a folder, sorted."""
    return sorted(folder.glob("*.txt"))


def ways_of(transcript: Transcript) -> tuple[str, ...]:
    """Give the ways in which a transcript is to be played."""
    wanted = transcript.headers.get("ways")
    return tuple(wanted[0].split()) if wanted else WAYS


def cases(folder: Path) -> list[tuple[Path, str]]:
    """Give every transcript of a folder with every way to play it, for `pytest.mark.parametrize("path, way", …)`."""
    return [(path, way) for path in find(folder) for way in ways_of(parse(path.read_text("utf-8")))]


def case_id(value: object) -> str:
    """Name a case: `ids=case_id`."""
    return value.stem if isinstance(value, Path) else str(value)
