"""A listener whose process has no descriptors left goes on once there are some again."""

import multiprocessing
import socket
import time

import pytest

LIMIT = 60


def serve(loop_name: str, pipe) -> None:
    """Be a server of few descriptors. Runs until it is told to end."""
    import asyncio
    import resource
    from datetime import timedelta

    import uvloop

    from pennypost.net.listener import Listener, bind_tcp
    from pennypost.net.settings import ListenerLimits

    async def echo(connection) -> None:
        while data := await connection.read():
            connection.write(data)

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # stdlib's loop tells of each try
        listener = Listener("few", echo, limits=ListenerLimits(), refusal=b"")
        for sock in bind_tcp("127.0.0.1", 0):
            await listener.open(sock)
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, hard))
        pipe.send(listener.addresses[0])
        await asyncio.to_thread(pipe.recv)
        await listener.stop(timedelta(0))

    factory = uvloop.new_event_loop if loop_name == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


def echoes(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address) as client:
            client.settimeout(10)
            client.sendall(b"still there?")
            return client.recv(100) == b"still there?"
    except ConnectionError:
        return False


@pytest.mark.parametrize("loop_name", ["asyncio", "uvloop"])
def test_accepting_goes_on_after_descriptors_ran_out(loop_name):
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(loop_name, theirs))
    process.start()
    try:
        assert ours.poll(20), "the server did not start"
        address = ours.recv()
        greedy = [socket.create_connection(address) for _ in range(2 * LIMIT)]
        for client in greedy:
            client.close()
        deadline = time.monotonic() + 15
        while not echoes(address):  # libuv resets whom it cannot take
            assert time.monotonic() < deadline, "the listener took no more connections"
            time.sleep(0.05)
    finally:
        ours.send(None)
        process.join(10)
        process.kill()
        ours.close()
        theirs.close()
    assert process.exitcode == 0
