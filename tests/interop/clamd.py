"""ClamAV's clamd on a Unix socket, with a database of one signature: the EICAR test file's."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.interop.tools import find_program
from tests.running import until

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


@contextmanager
def clamd(folder: Path, *options: str) -> Iterator[Path]:
    """Run clamd until the end of the `with`. Gives the path of its socket."""
    program = find_program("clamd")
    assert program is not None
    database, socket, config = folder / "signatures", folder / "clamd.sock", folder / "clamd.conf"
    database.mkdir(parents=True)
    (database / "test.ndb").write_text(f"Eicar-Test-Signature:0:*:{EICAR.hex()}\n")
    config.write_text(
        "\n".join(
            (
                f"LocalSocket {socket}",
                f"DatabaseDirectory {database}",
                f"TemporaryDirectory {folder}",
                "Foreground yes",
                "MaxThreads 4",
                "Bytecode no",
                *options,
            )
        )
        + "\n"
    )
    with (folder / "clamd.log").open("wb") as log:
        process = subprocess.Popen([program, "--config-file", str(config)], stdout=log, stderr=log)
    try:
        until(lambda: process.poll() is not None or socket.exists(), why="clamd does not start")
        assert process.poll() is None, (folder / "clamd.log").read_text()
        yield socket
    finally:
        process.terminate()
        process.wait(10)
