"""SEARCH, SORT and THREAD of two IMAP servers, in turn: what takes how long, and whether both find the same.

    python -m bench.searching --mailbox b10k NAME=HOST:PORT:USER:PASSWORD NAME=HOST:PORT:USER:PASSWORD

Each round asks both servers everything on a connection of its own. The first round is told apart: what a server has to
read then it may keep. The mailboxes hold the same messages, which somebody has put there (`imap_load.py fill` of the
load tools does).
"""

import argparse
import re
import socket
import time
from dataclasses import dataclass
from statistics import median

COMMANDS = (
    "SEARCH UNSEEN",
    "SEARCH SUBJECT quokka",
    "SEARCH FROM marguerite",
    "SEARCH BODY zebrawood",
    "SEARCH TEXT ultrarareword",
    "SORT (REVERSE DATE) UTF-8 ALL",
    "SORT (SUBJECT DATE) UTF-8 ALL",
    "THREAD REFERENCES UTF-8 ALL",
    "THREAD REFS UTF-8 ALL",
)
REPEATS = 3
"""Times that a command is given in a row, of which the quickest counts: others use the machine, too."""


@dataclass(frozen=True)
class Target:
    name: str
    host: str
    port: int
    user: str
    password: str


class Connection:
    def __init__(self, target: Target) -> None:
        self._socket = socket.create_connection((target.host, target.port), 600)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self._file.readline()
        self.say(f'LOGIN "{target.user}" "{target.password}"')

    def say(self, command: str) -> list[bytes]:
        """Give the untagged lines of an answer."""
        self._socket.sendall(b"x " + command.encode() + b"\r\n")
        lines: list[bytes] = []
        while not (line := self._file.readline()).startswith(b"x "):
            if not line:
                raise EOFError("the server ended the connection")
            lines.append(line)
        if not line.startswith(b"x OK"):
            raise RuntimeError(line.decode(errors="replace"))
        return lines

    def close(self) -> None:
        self.say("LOGOUT")
        self._socket.close()


def ask(target: Target, mailbox: str) -> dict[str, tuple[float, bytes]]:
    """Give the milliseconds of each command, and what it found."""
    connection = Connection(target)
    connection.say(f'SELECT "{mailbox}"')
    found: dict[str, tuple[float, bytes]] = {}
    for command in COMMANDS:
        for _ in range(REPEATS):
            begun = time.perf_counter()
            lines = connection.say(command)
            took = (time.perf_counter() - begun) * 1e3
            told = b"".join(line for line in lines if re.match(rb"\* (SEARCH|SORT|THREAD)", line))
            found[command] = min(found.get(command, (took, told)), (took, told))
    connection.close()
    return found


def target_of(text: str) -> Target:
    name, _, place = text.partition("=")
    host, port, user, password = place.split(":")
    return Target(name, host, int(port), user, password)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mailbox", default="INBOX")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("targets", nargs=2, type=target_of)
    options = parser.parse_args()
    results: dict[str, list[dict[str, tuple[float, bytes]]]] = {target.name: [] for target in options.targets}
    for _ in range(options.rounds):
        for target in options.targets:
            results[target.name].append(ask(target, options.mailbox))
    one, other = (target.name for target in options.targets)
    print(f"{'':32} {one:>10} {other:>10}  ratio of medians (of first round), milliseconds")
    for command in COMMANDS:
        times = {name: [rounds[command][0] for rounds in results[name]] for name in (one, other)}
        same = len({rounds[command][1] for name in (one, other) for rounds in results[name]}) == 1
        middle = {name: median(times[name]) for name in (one, other)}
        print(
            f"{command:32} {middle[one]:10.2f} {middle[other]:10.2f}  {middle[one] / middle[other]:7.1f}"
            f" ({times[one][0] / times[other][0]:.1f}){'' if same else '  other results'}"
        )


if __name__ == "__main__":
    main()
