"""`make demo ONCE=1`, and the same as people run it: it stays until it is told to end."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.running import SOURCE


def start(*arguments: str, folder: Path) -> "subprocess.Popen[str]":
    """Start it as from a terminal: what a shell starts behind itself ignores Ctrl-C."""
    return subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-m", "pennypost", "demo", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(SOURCE), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_once(tmp_path: Path) -> None:
    process = start("--once", folder=tmp_path)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    lines = output.splitlines()
    for told in (
        "alice@example.org submitted a multipart message",
        "another server delivered a message for bob@example.org",
        "its parts: text/plain, text/html, image/x-penny-black",
        "2 messages",
    ):
        assert any(told in line for line in lines), output
    assert list(tmp_path.iterdir()) == []


def test_it_stays_and_can_be_run_again(tmp_path: Path) -> None:
    for _ in range(2):
        process = start(folder=tmp_path)
        assert process.stdout is not None
        lines = [""]
        while "Ctrl-C" not in lines[-1] and (line := process.stdout.readline()):
            lines.append(line)
        assert "Ctrl-C" in lines[-1], "".join(lines)
        assert any("outgoing, SMTP   127.0.0.1 port" in line for line in lines)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert (tmp_path / "demo-data" / "pennypost.db").exists()
