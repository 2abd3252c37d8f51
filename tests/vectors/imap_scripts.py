r"""Plays scripts in imaptest's format: commands, the untagged responses that must, may or must not come, variables.

A script is a header of `key: value` lines, an empty line, and groups: a command, or several that are pipelined
(`tag1 noop` … `tag1 ok`), each with what is expected of it: `* …` must come, `! …` must not, `? …` may. With several
connections a command begins with the number of its own. `{{{` … `}}}` is a literal, `~{{{` one of octets. `$name` is
bound by what it first matches; `$` matches anything; `$3` is what message 3 of the beginning of the group is called
now. Lists are compared in order, but for those that have none: flags, and the pairs of FETCH and STATUS. `append`
without a message takes the next one of the script's mbox file.
"""

import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import quote

PATIENCE_SECONDS = 10.0
MAILBOX = "scripted"
DEFAULT_MESSAGES = "default.mbox"


class Failure(AssertionError):
    """The server did not answer as the script says."""


# -- Reading scripts


@dataclass
class Command:
    line: int
    tag: str
    text: bytes
    reply: bytes | None


@dataclass
class Group:
    connection: int
    commands: list[Command] = field(default_factory=list)
    expected: list[tuple[str, "Pattern"]] = field(default_factory=list)

    @property
    def waits(self) -> bool:
        return any(command.reply is None for command in self.commands)


@dataclass
class Script:
    """`messages`: those of its mbox file, with their internal dates; `count`: how many there are at the beginning."""

    name: str
    headers: dict[str, str]
    groups: list[Group]
    messages: list[tuple[str, bytes]]

    @property
    def connections(self) -> int:
        wanted = self.headers.get("connections", "1")
        return 2 if wanted == "n" else int(wanted)

    @property
    def state(self) -> str:
        return self.headers.get("state", "selected")

    @property
    def count(self) -> int:
        wanted = self.headers.get("messages", "0")
        return len(self.messages) if wanted == "all" else int(wanted)


_REPLY = re.compile(rb'(?:tag(\d+) +)?(ok|no|bad|"")(?= |\Z)', re.IGNORECASE)
_TAG = re.compile(rb"tag(\d+) +")


def load(path: Path) -> Script:
    """Read a script, with the messages beside it, or the folder's own."""
    headers: dict[str, str] = {}
    groups: list[Group] = []
    script = Script(path.name, headers, groups, _messages(path))
    lines = _logical_lines(path.read_bytes())
    for _, line in lines:
        if not line:
            break
        key, _, value = line.decode().partition(":")
        headers[key.strip()] = value.strip()
    for number, line in lines:
        if line:
            _read_line(script, number, line)
    return script


def _read_line(script: Script, number: int, line: bytes) -> None:
    groups = script.groups
    group = groups[-1] if groups else None
    if line[:2] in (b"* ", b"! ", b"? "):
        assert group is not None
        group.expected.append((chr(line[0]), pattern(line[2:])))
        return
    numbered = re.match(rb"\d+ (?=(?:ok|no|bad)\b)", line)
    answer = _REPLY.match(line, numbered.end() if numbered is not None and group is not None and group.waits else 0)
    if group is not None and group.waits and answer is not None:
        tag = (answer.group(1) or b"").decode()
        waiting = next(command for command in group.commands if command.tag == tag)
        waiting.reply = line[answer.start(2) :]
        return
    connection = 0
    if script.connections > 1:
        digits, _, line = line.partition(b" ")
        connection = int(digits) - 1
    answer, tagged = _REPLY.match(line), _TAG.match(line)
    tag, reply = "", None
    if answer is not None:
        tag, reply, line = (answer.group(1) or b"").decode(), answer.group(2), line[answer.end() :].lstrip(b" ")
    elif tagged is not None:
        tag, line = tagged.group(1).decode(), line[tagged.end() :]
    if group is None or not group.waits or not tag:
        group = Group(connection)
        groups.append(group)
    group.commands.append(Command(number, tag, line, reply))


def _logical_lines(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Give lines without comments, literals folded into them."""
    lines = iter(enumerate(octets.split(b"\n"), 1))
    for number, line in lines:
        if line.startswith(b"#"):
            continue
        whole = b""
        while line.endswith(b"{{{"):
            binary = line.endswith(b"~{{{")
            content: list[bytes] = []
            for _, following in lines:
                if following.startswith(b"}}}"):
                    break
                content.append(following)
            literal = (b"\n" if binary else b"\r\n").join(content)
            mark = b"~" if binary else b""
            whole += b"%b%b{%d}\r\n%b" % (line[: -4 if binary else -3], mark, len(literal), literal)
            line = following[3:]
        yield number, whole + line


def _messages(path: Path) -> list[tuple[str, bytes]]:
    mbox = path.with_name(path.name + ".mbox")
    octets = (mbox if mbox.exists() else path.with_name(DEFAULT_MESSAGES)).read_bytes()
    _, *found = re.split(rb"^From \S+ +([^\n]*)\n", octets, flags=re.MULTILINE)
    texts = [text.replace(b"\n", b"\r\n") for text in found[1::2]]
    return list(zip(map(_internal_date, found[::2]), texts, strict=True))


def _internal_date(written: bytes) -> str:
    """Read the date of a From line, as asctime writes it, perhaps with a zone behind."""
    fields = written.decode().split()
    moment = datetime.strptime(" ".join(fields[1:5]), "%b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    zone = fields[5] if len(fields) > 5 else "+0000"
    return f"{moment:%d-%b-%Y %H:%M:%S} {zone}"


# -- Arguments


@dataclass
class Pattern:
    """A list that is expected. `chain`: so many arguments belong together, where there is no order."""

    items: list[Any]
    ordered: bool = True
    chain: int = 1
    extra: bool = False
    ignored: frozenset[bytes] = frozenset()
    banned: frozenset[bytes] = frozenset()


_TOKEN = re.compile(rb'[ \r\n]+|(\()|(\))|"((?:[^"\\]|\\.)*)"|~?\{(\d+)\+?\}\r\n|([^ ()\r\n]+)', re.DOTALL)


def arguments(octets: bytes) -> list[Any]:
    """Take a response apart: atoms, strings and literals as octets, NIL as None, lists as lists."""
    stack: list[list[Any]] = [[]]
    at = 0
    while at < len(octets):
        found = _TOKEN.match(octets, at)
        assert found is not None, octets[at:]
        at = found.end()
        opens, closes, quoted, size, atom = found.groups()
        if opens:
            stack.append([])
        elif closes:
            inner = stack.pop()
            stack[-1].append(inner)
        elif quoted is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", quoted, flags=re.DOTALL))
        elif size:
            stack[-1].append(octets[at : at + int(size)])
            at += int(size)
        elif atom is not None:
            stack[-1].append(None if atom.upper() == b"NIL" else atom)
    return stack[0]


def pattern(octets: bytes) -> Pattern:
    """Read what is expected; what has no order is known by its place."""
    found = arguments(octets)
    numbered = bool(found) and isinstance(found[0], bytes) and re.match(rb"\d|\$", found[0]) is not None
    name = found[1] if numbered and len(found) > 1 else found[0] if found else b""
    return _as_pattern(found, (name.lower() if isinstance(name, bytes) else b"",))


def _as_pattern(items: Sequence[Any], place: tuple[Any, ...]) -> Pattern:
    made = Pattern([])
    given = False
    for at, item in enumerate(items):
        if isinstance(item, bytes) and item.startswith(b"$!") and not made.items:
            given = True
            _direct(made, item[2:].lower())
        elif isinstance(item, list):
            before = items[at - 1] if at else b""
            made.items.append(_as_pattern(item, (*place, before.lower() if isinstance(before, bytes) else at)))
        else:
            made.items.append(item)
    if not given and len(place) > 1:
        _default(made, place)
    return made


def _direct(made: Pattern, directive: bytes) -> None:
    word, _, value = directive.partition(b"=")
    match word:
        case b"unordered":
            made.ordered, made.extra, made.chain = False, True, int(value or 1)
        case b"ordered":
            made.ordered = True
        case b"extra":
            made.extra = True
        case b"noextra":
            made.extra = False
        case b"ignore":
            made.ignored |= {value}
        case b"ban":
            made.banned |= {value}


def _default(made: Pattern, place: tuple[Any, ...]) -> None:
    match place:
        case (b"list" | b"lsub", (b"list" | b"lsub")):
            made.ordered, made.extra = False, True
        case (b"status", _) | (b"fetch", b"fetch"):
            made.ordered, made.extra, made.chain = False, True, 2
        case (b"fetch", b"fetch", b"flags"):
            made.ordered, made.ignored = False, frozenset({b"\\recent"})


# -- Comparing


Variables = dict[str, bytes]

_VARIABLE = re.compile(rb"\$(?:\{(\w+)\}|(?!\$)(\w*)|(\$))")


def matches(wanted: Pattern, given: Sequence[Any], known: Variables, prefix: bool = False) -> Variables | None:
    """Compare; give the variables with those that were bound by it. `prefix`: more may follow, also in the last."""
    if wanted.ordered:
        return _in_order(wanted.items, given, known, prefix)
    left = [list(given[at : at + wanted.chain]) for at in range(0, len(given), wanted.chain)]
    for at in range(0, len(wanted.items), wanted.chain):
        for chain in left:
            bound = _in_order(wanted.items[at : at + wanted.chain], chain, known, False)
            if bound is not None:
                known = bound
                left.remove(chain)
                break
        else:
            return None
    words = {chain[0].lower() for chain in left if isinstance(chain[0], bytes)}
    if words & wanted.banned or (not wanted.extra and words - wanted.ignored):
        return None
    return known


def _in_order(wanted: Sequence[Any], given: Sequence[Any], known: Variables, prefix: bool) -> Variables | None:
    if len(given) < len(wanted) or (len(given) > len(wanted) and not prefix):
        return None
    for at, (one, other) in enumerate(zip(wanted, given, strict=False)):
        bound = _one(one, other, known, prefix and at == len(wanted) - 1)
        if bound is None:
            return None
        known = bound
    return known


def _one(wanted: Any, given: Any, known: Variables, prefix: bool) -> Variables | None:
    if wanted == b"$":
        return known
    if isinstance(wanted, Pattern):
        return matches(wanted, given, known) if isinstance(given, list) else None
    if wanted is None or given is None or isinstance(given, list):
        return known if wanted is given else None
    return _text(wanted, given, known, prefix)


def _text(wanted: bytes, given: bytes, known: Variables, prefix: bool) -> Variables | None:
    if b"\0" in wanted:  # imaptest compares up to there, and its scripts go by that
        wanted, given = wanted.partition(b"\0")[0], given.partition(b"\0")[0]
    expression, fresh, at = b"", list[str](), 0
    for found in _VARIABLE.finditer(wanted):
        expression += re.escape(wanted[at : found.start()])
        at = found.end()
        name = (found.group(1) or found.group(2) or b"").decode()
        if found.group(3):
            expression += rb"\$"
        elif name in known:
            expression += re.escape(known[name])
        elif name in fresh:
            expression += b"(?P=%b)" % name.encode()
        elif name and not name.isdigit():
            fresh.append(name)
            expression += b"(?P<%b>.*?)" % name.encode()
        else:
            expression += b"(?!)" if name else b".*?"
    expression += re.escape(wanted[at:]) + (b".*" if prefix else b"")
    match = re.fullmatch(expression, given, re.IGNORECASE | re.DOTALL)
    return known | {name: match.group(name) for name in fresh} if match is not None else None


def expanded(text: bytes, known: Variables) -> bytes:
    """Put variables into a command. Raises Failure for one that was never bound."""

    def value(found: re.Match[bytes]) -> bytes:
        if found.group(3):
            return b"$"
        name = (found.group(1) or found.group(2)).decode()
        if name not in known:
            raise Failure(f"${name} was never bound")
        return known[name]

    return _VARIABLE.sub(value, text)


# -- Playing


class Client:
    """One connection. `count`: the messages that it was told of."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        self._buffer = b""
        self._tags = 0
        self.count = 0
        self.response()

    def send(self, command: bytes) -> bytes:
        """Send a command, each literal when it is asked for; give its tag."""
        self._tags += 1
        tag = b"t%d" % self._tags
        rest, start = tag + b" " + command + b"\r\n", 0
        while (found := re.compile(rb"~?\{(\d+)\}\r\n").search(rest, start)) is not None:
            self._socket.sendall(rest[: found.end()])
            asked = self.response()
            while asked.startswith(b"* "):
                asked = self.response()
            if not asked.startswith(b"+"):
                self._buffer = asked + self._buffer
                return tag
            rest, start = rest[found.end() :], int(found.group(1))
        self._socket.sendall(rest)
        return tag

    def response(self) -> bytes:
        """Give one response, its literals in place; empty at the end."""
        whole = b""
        while True:
            line = self._take_line()
            whole += line
            found = re.search(rb"\{(\d+)\}\r\n\Z", line)
            if found is None:
                break
            while len(self._buffer) < int(found.group(1)):
                self._more()
            whole += self._buffer[: int(found.group(1))]
            self._buffer = self._buffer[int(found.group(1)) :]
        if (told := re.match(rb"\* (\d+) (EXISTS|EXPUNGE)", whole)) is not None:
            self.count = int(told.group(1)) if told.group(2) == b"EXISTS" else self.count - 1
        return whole

    def _take_line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            if not self._more():
                return b""
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line + b"\r\n"

    def _more(self) -> bool:
        data = self._socket.recv(65536)
        self._buffer += data
        return bool(data)

    def must(self, command: bytes) -> None:
        """Send a command that prepares the script."""
        tag = self.send(command)
        while not (answer := self.response()).startswith(tag + b" "):
            assert answer, command
        assert answer.startswith(tag + b" OK"), (command, answer)

    def close(self) -> None:
        self._socket.close()


class Player:
    """Plays one script on a mailbox of its own."""

    def __init__(self, script: Script, port: int, user: str, password: str) -> None:
        self._script = script
        self._source = cycle(script.messages)
        self._clients = [Client(port) for _ in range(script.connections)]
        local, _, domain = user.partition("@")
        self._known: Variables = {}
        for number in ("", *map(str, range(2, script.connections + 1))):
            for name, value in (("user", user), ("username", local), ("domain", domain), ("password", password)):
                self._known[name + number] = value.encode()
        self._known |= {"mailbox": MAILBOX.encode(), "mailbox_url": quote(MAILBOX).encode()}
        self._login = f'LOGIN "{user}" "{password}"'.encode()

    def play(self) -> None:
        """Raises Failure."""
        try:
            self._prepare()
            for group in self._script.groups:
                self._play(group)
        finally:
            for client in self._clients:
                client.close()

    def _prepare(self) -> None:
        state, first = self._script.state, self._clients[0]
        if state == "nonauth":
            return
        for client in self._clients:
            client.must(self._login)
        if state == "auth":
            return
        first.must(f"CREATE {MAILBOX}".encode())
        for _ in range(self._script.count):
            first.must(self._append(MAILBOX.encode()))
        if state == "selected":
            for client in self._clients:
                client.must(f"SELECT {MAILBOX}".encode())

    def _append(self, arguments: bytes) -> bytes:
        date, message = next(self._source)
        return b'APPEND %b "%b" {%d}\r\n%b' % (arguments, date.encode(), len(message), message)

    def _play(self, group: Group) -> None:
        client = self._clients[group.connection]
        numbers = {str(number): number for number in range(1, client.count + 1)}
        waiting = {client.send(self._command(command, numbers)): command for command in group.commands}
        tag = next(iter(waiting))
        missing = list(group.expected)
        heard: list[bytes] = []
        while waiting:
            response = client.response()
            heard.append(response)
            known = self._known | {name: b"%d" % number for name, number in numbers.items()} | {"tag": tag}
            if response.startswith(b"* "):
                missing = self._untagged(group, missing, response, known)
                self._renumber(numbers, response)
                continue
            command = waiting.pop(response.split(b" ")[0], None)
            if command is None:
                if not response and all(command.reply == b'""' for command in waiting.values()):
                    break
                raise Failure(f"{self._where(group)}: got {response!r} after {heard[-8:-1]!r}")
            self._tagged(group, command, response, known)
        left = [wanted.items for mark, wanted in missing if mark == "*"]
        if left:
            raise Failure(f"{self._where(group)}: did not hear {left!r}, but {heard[-12:]!r}")

    def _command(self, command: Command, numbers: dict[str, int]) -> bytes:
        text = expanded(command.text, self._known | {name: b"%d" % number for name, number in numbers.items()})
        word, _, rest = text.partition(b" ")
        if word.lower() == b"append" and not re.search(rb"\{\d+\}\r\n|catenate", rest, re.IGNORECASE):
            return self._append(rest or MAILBOX.encode())
        return text

    def _untagged(
        self, group: Group, missing: list[tuple[str, Pattern]], response: bytes, known: Variables
    ) -> list[tuple[str, Pattern]]:
        given = arguments(response[2:])
        prefix = isinstance(given[0], bytes) and given[0].lower() in (b"ok", b"no", b"bad", b"bye")
        left = []
        for mark, wanted in missing:
            bound = matches(wanted, given, known, prefix)
            if bound is None:
                left.append((mark, wanted))
            elif mark == "!":
                raise Failure(f"{self._where(group)}: heard {response!r}")
            else:
                self._known |= {name: value for name, value in bound.items() if name not in known}
        return left

    def _tagged(self, group: Group, command: Command, response: bytes, known: Variables) -> None:
        reply = command.reply or b""
        given = arguments(response.partition(b" ")[2])
        if reply == b'""':
            return
        bound = matches(pattern(reply), given, known, prefix=True)
        if bound is None:
            raise Failure(f"{self._where(group)}: expected {reply!r}, got {response!r}")
        self._known |= {name: value for name, value in bound.items() if name not in known}

    @staticmethod
    def _renumber(numbers: dict[str, int], response: bytes) -> None:
        found = re.match(rb"\* (\d+) EXPUNGE", response)
        if found is None:
            return
        gone = int(found.group(1))
        for name, number in list(numbers.items()):
            if number == gone:
                del numbers[name]
            elif number > gone:
                numbers[name] = number - 1

    def _where(self, group: Group) -> str:
        return f"{self._script.name}, line {group.commands[0].line}, {group.commands[0].text[:100]!r}"
