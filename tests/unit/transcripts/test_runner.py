"""The transcript runner itself, with a tiny door."""

import pytest
from tests.transcripts.runner import WAYS, TranscriptFailure, cases, play
from tests.transcripts.script import parse, unescape

from pennypost.net.connection import Connection


class Echo:
    """Greets; answers each line in capitals; knows STLS, LIST, COUNT and QUIT."""

    def __init__(self) -> None:
        self._count = 0

    async def handler(self, connection: Connection) -> None:
        connection.write(b"+OK hello\r\n")
        buffer = b""
        while octets := await connection.read():
            buffer += octets
            while b"\r\n" in buffer:
                line, _, buffer = buffer.partition(b"\r\n")
                if line == b"STLS":
                    connection.write(b"+OK go\r\n")
                    buffer = b""
                    await connection.start_tls()
                elif line == b"LIST":
                    connection.write(b"* a\r\n* b 7\r\n* c 7\r\nend\r\n")
                elif line == b"COUNT":
                    self._count += 1
                    connection.write(b"count %d [%d]\r\n" % (self._count, self._count))
                elif line == b"FAULT":
                    raise LookupError("a bug")
                elif line == b"QUIT":
                    connection.write(b"bye\r\n")
                    return
                else:
                    connection.write(line.upper() + b"\r\n")


async def played(text: str, way: str) -> None:
    await play(parse(text), way, Echo())


GOOD = {
    "words": "S: +OK hello\nC: one\nS: ONE\nC: two\nC: three\nS: TWO\nS: THREE\nC: QUIT\nS: bye\nS: <close>",
    "variables": "S: +OK hello\nC: COUNT\nS: count $n [$n]\nC: $n$$\nS: 1$$\n"
    "C: COUNT\nS/: count (?P<m>.).*\nC: $m\nS: 2",
    "any order": "S: +OK hello\nC: LIST\nS*: * c $x\nS*/: \\* a\nS*: * b $x\nS: end",
    "skipping": "S: +OK hello\nC: LIST\nS...: * c 7\nS: end\nC: LIST\nS.../: e.d\nC: COUNT\nS...: count 1 [1]",
    "raw": "S: +OK hello\nC~: \\x61\\{bc*3}\\r\\n\nS: ABCBCBC\nC~: x\nS: <silence>\nC~: y\\r\\n\nS~: XY\\r\nS~: \\n",
    "tls": "S: +OK hello\nC: STLS\nS: +OK go\nC: <STARTTLS handshake>\nC: inside\nS: INSIDE",
    "connections": "S1: +OK hello\nS2: +OK hello\nC1: a\nC2: b\nS2: B\nS1: A\nC1: <close>\nC1: c\nS1: +OK hello\nS1: C",
    "half-closed": "S: +OK hello\nC: a\nC: <close>\nS: A\nS: <close>",
    "implicit": "% tls: implicit\nS: +OK hello\nC: a\nS: A",
    "utf-8": "S: +OK hello\nC: zürich\nS: ZüRICH",
    "gone": "S: +OK hello\nC: a\nC: <abort>",
}

BAD = {
    "other line": ("S: +OK hello\nC: one\nS: TWO", "got 'ONE'"),
    "other value": ("S: +OK hello\nC: COUNT\nS: count $n [$n]\nC: COUNT\nS: count $n [$n]", "count 2"),
    "missing in group": ("S: +OK hello\nC: LIST\nS*: * a\nS*: * x\nS: end", "none of"),
    "too much": ("S: +OK hello\nC: LIST\nS: * a\nS: * b 7\nS: * c 7", "at the end"),
    "not closed": ("S: +OK hello\nC: a\nS: <close>", "not closed"),
    "not silent": ("S: +OK hello\nC: a\nS: <silence>", "got b'A"),
    "closed": ("S: +OK hello\nC: QUIT\nS: bye\nS: more", "closed"),
    "octets": ("S: +OK hello\nC: a\nS~: B\\r\\n", "got b'A"),
    "unbound": ("S: +OK hello\nC: $nothing", "KeyError"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", GOOD)
async def test_what_fits_passes(name, way):
    await played(GOOD[name], way)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BAD)
async def test_what_does_not_fit_fails_and_says_why(name, way):
    text, reason = BAD[name]
    with pytest.raises(TranscriptFailure, match=reason.replace("[", r"\[")):
        await played(text, way)


async def test_a_fault_in_the_door_is_not_hidden():
    with pytest.raises(LookupError):
        await played("S: +OK hello\nC: FAULT", "lines")


def test_headers_and_ways(tmp_path):
    transcript = parse("% account: alice\n% account: bob\n\n# comment\nS: % not: header\n")
    assert transcript.headers == {"account": ["alice", "bob"]}
    assert [step.text for step in transcript.steps] == ["% not: header"]
    (tmp_path / "b.txt").write_text("% ways: lines socket\nS: x\n")
    (tmp_path / "a.txt").write_text("S: x\n")
    found = [(path.stem, way) for path, way in cases(tmp_path)]
    assert found == [("a", "lines"), ("a", "octets"), ("a", "socket"), ("b", "lines"), ("b", "socket")]


@pytest.mark.parametrize("text", ["S: x\n% late: header", "neither", "C*: x", "X: x"])
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(ValueError, match="line"):
        parse(text)


def test_escapes():
    assert unescape(r"a\x00\\\r\n\t\{\x41b*2}é") == b"a\x00\\\r\n\tAbAb\xc3\xa9"
    with pytest.raises(ValueError, match="escape"):
        unescape(r"\q")
