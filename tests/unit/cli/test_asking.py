"""What a script gives to commands that ask."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.cli.shell import Shell

EXPECTED = "pennypost: expected the password on standard input, one line of UTF-8"


@pytest.mark.parametrize("options", [(), ("--password-stdin",)])
def test_a_line_of_standard_input_is_the_password(shell: Shell, options: tuple[str, ...]) -> None:
    assert shell("account", "add", "a@example.org", *options, typed="secret\r\nmore\n") == "a@example.org added\n"
    assert shell("account", "passwd", "a@example.org", *options, typed="other") == "password of a@example.org changed\n"


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        (b"", f"{EXPECTED}, and got nothing; --generate-password makes one"),
        (b"\r\nsecret\n", f"{EXPECTED}, and got nothing; --generate-password makes one"),
        (b"\xff\n", EXPECTED),
        (b"x" * 4097 + b"\n", f"{EXPECTED} of at most 4096 octets"),
    ],
)
def test_what_is_no_password(tmp_path: Path, typed: bytes, reason: str) -> None:
    """As a process without a terminal: nothing else is written, no warning of Python's either."""
    command = [sys.executable, "-m", "pennypost", "account", "passwd", "a@example.org"]
    settings = ["--set", f"server.data_dir={tmp_path}"]
    ended = subprocess.run([*command, *settings], input=typed, capture_output=True, start_new_session=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr.decode()) == (1, b"", f"{reason}\n")


def test_a_script_says_yes(shell: Shell) -> None:
    shell("account", "add", "a@example.org", "--generate-password")
    remove = ("account", "remove", "a@example.org")
    status, _, errors = shell.run(*remove)
    assert (status, errors.splitlines()[-1]) == (
        1,
        'pennypost: nothing was changed: expected "y" on standard input, or --yes',
    )
    assert shell.run(*remove, typed="n\n")[0] == 1
    assert len(shell.records("account", "list")) == 1
    assert shell.run(*remove, typed="y\n")[:2] == (0, "a@example.org removed\n")
