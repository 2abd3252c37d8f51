"""Ask the administrator: for passwords, and whether he is sure. Scripts answer on standard input, or by options."""

import sys

import click

from pennypost.cli.options import Command, fail
from pennypost.mail.passwords import generate_password

MAX_PASSWORD_OCTETS = 4096
"""Of a password on standard input, in UTF-8: what is longer is no password but a file."""


def password_options(command: Command) -> Command:
    """Add --generate-password and --password-stdin; the command gets them as `generate` and `from_stdin`."""
    command = click.option(
        "--password-stdin",
        "from_stdin",
        is_flag=True,
        help="Read the password from standard input, one line, also from a terminal.",
    )(command)
    return click.option("--generate-password", "generate", is_flag=True, help="Make a password and print it.")(command)


def new_password(generate: bool, from_stdin: bool) -> str:
    """Make a password, read one line of standard input, or ask for it twice where that is a terminal."""
    if generate and from_stdin:
        raise click.UsageError("--generate-password and --password-stdin exclude each other")
    if generate:
        return generate_password()
    if from_stdin or not on_terminal():
        return _read_password()
    asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return asked


def on_terminal() -> bool:
    """Whether somebody can be asked: standard input is a terminal."""
    return sys.stdin.isatty()


def _read_password() -> str:
    expected = "expected the password on standard input, one line of UTF-8"
    line = sys.stdin.buffer.readline(MAX_PASSWORD_OCTETS + 2).rstrip(b"\r\n")
    if not line:
        fail(f"{expected}, and got nothing; --generate-password makes one")
    if len(line) > MAX_PASSWORD_OCTETS:
        fail(f"{expected} of at most {MAX_PASSWORD_OCTETS} octets")
    try:
        return line.decode()
    except UnicodeDecodeError:
        fail(expected)


def confirm(question: str) -> None:
    """Go on if the answer is yes, on the terminal or in a line of standard input; else end with status 1."""
    try:
        click.confirm(question, abort=True, err=True)
    except click.Abort:
        if on_terminal():
            raise
        click.echo(err=True)
        fail('nothing was changed: expected "y" on standard input, or --yes')
