"""States what one idle TLS connection costs a server: resident memory before and with N of them.

    python -m bench.idle_connections                        the bare listener, in a process of its own
    python -m bench.idle_connections --loop asyncio         … on the standard library's loop instead of uvloop
    python -m bench.idle_connections --pid P --port 993 --login NAME:PASSWORD
                                                            a running server: LOGIN, SELECT INBOX and IDLE over IMAP
                                                            (several --pid where it has several workers)

The client's side lives in this process and is not counted. Memory is the sum of the proportional set sizes (PSS).
"""

import argparse
import asyncio
import multiprocessing
import os
import resource
import ssl
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

PARALLEL_HANDSHAKES = 50


def memory_kib(pids: list[int]) -> int:
    """Give what the processes occupy."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def serve_bare(loop_name: str, pipe: Pipe) -> None:
    """Be a server that greets and waits. Runs until the pipe is closed."""
    from pennypost.net.connection import Connection
    from pennypost.net.listener import Listener, bind_tcp
    from pennypost.net.self_signed import ensure_self_signed
    from pennypost.net.settings import ListenerLimits, TlsSettings
    from pennypost.net.tls import ServerTls

    async def idle(connection: Connection) -> None:
        connection.write(b"* OK ready\r\n")
        while await connection.read():
            pass

    async def serve() -> None:
        files = ensure_self_signed(Path(tempfile.mkdtemp(prefix="idle-")), "localhost")
        limits = ListenerLimits(connections=100_000, connections_per_address=100_000)
        listener = Listener(
            "idle",
            idle,
            limits=limits,
            refusal=b"",
            tls=ServerTls(TlsSettings(), (files,)),
            implicit_tls=True,
            timeout=timedelta(minutes=30),
        )
        for sock in bind_tcp("127.0.0.1", 0):
            await listener.open(sock)
        pipe.send(listener.addresses[0][1])
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
        await listener.stop(timedelta(0))

    with asyncio.Runner(loop_factory=loop_factory(loop_name)) as runner:
        runner.run(serve())


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if name == "asyncio":
        return asyncio.new_event_loop
    import uvloop

    return uvloop.new_event_loop


async def connect(host: str, port: int, login: str | None) -> asyncio.StreamWriter:
    """Make one connection and leave it idle."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    await reader.readline()
    if login is not None:
        name, _, password = login.partition(":")
        for tag, command in (("a", f'LOGIN "{name}" "{password}"'), ("b", "SELECT INBOX"), ("c", "IDLE")):
            writer.write(f"{tag} {command}\r\n".encode())
            while not (line := await reader.readline()).startswith((tag.encode() + b" ", b"+")):
                if not line:
                    raise ConnectionError(f"closed during {command.split()[0]}")
            if not line.startswith((tag.encode() + b" OK", b"+")):
                raise ConnectionError(line.decode("ascii", "replace"))
    return writer


async def measure(pids: list[int], host: str, port: int, count: int, login: str | None) -> float:
    """Open `count` connections; give KiB for each."""
    first = [await connect(host, port, login) for _ in range(10)]  # what is made once, is made now
    await asyncio.sleep(0.5)
    before = memory_kib(pids)
    gate = asyncio.Semaphore(PARALLEL_HANDSHAKES)

    async def one() -> asyncio.StreamWriter:
        async with gate:
            return await connect(host, port, login)

    writers = await asyncio.gather(*(one() for _ in range(count)))
    await asyncio.sleep(1)
    after = memory_kib(pids)
    for writer in [*first, *writers]:
        writer.transport.abort()
    return (after - before) / count


def main() -> None:
    parser = argparse.ArgumentParser(description="memory of idle TLS connections")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    parser.add_argument("--pid", type=int, action="append", default=[])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=993)
    parser.add_argument("--login", help="NAME:PASSWORD of an account, for IMAP")
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if arguments.pid:
        each = asyncio.run(measure(arguments.pid, arguments.host, arguments.port, arguments.count, arguments.login))
        sys.stdout.write(f"{arguments.count} idle TLS connections: {each:.1f} KiB each\n")
        return
    pipe, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve_bare, args=(arguments.loop, theirs))
    process.start()
    port = pipe.recv()
    assert process.pid is not None
    try:
        each = asyncio.run(measure([process.pid], "127.0.0.1", port, arguments.count, None))
    finally:
        pipe.send(None)
        process.join(10)
    load = os.getloadavg()[0]
    sys.stdout.write(
        f"{arguments.count} idle TLS connections, {arguments.loop}: {each:.1f} KiB each (load {load:.1f})\n"
    )


if __name__ == "__main__":
    main()
