"""The MIME index of bodies right and wrong (RFC 2046 §5.1–5.2)."""

import time

import pytest

from pennypost.message.defects import DefectKind
from pennypost.message.digest import digest, parse
from pennypost.message.limits import MAX_DEPTH, MAX_PARTS
from pennypost.message.structure import Part


def index_of(content_type: bytes, body: bytes) -> Part:
    return digest(b"From: a@b\r\nContent-Type: " + content_type + b"\r\n\r\n", body).index


def kinds(content_type: bytes, body: bytes) -> list[DefectKind]:
    header_block = b"From: a@b\r\nDate: 1 Jan 2026 00:00:00 +0000\r\nContent-Type: " + content_type + b"\r\n\r\n"
    return [defect.kind for defect in parse(header_block, body).defects]


def leaves(part: Part, body: bytes) -> list[bytes]:
    if part.children:
        return [leaf for child in part.children for leaf in leaves(child, body)]
    return [body[part.body_start : part.body_end]]


@pytest.mark.parametrize(
    ("body", "contents"),
    [
        (b"--B\r\n\r\none\r\n--B\r\n\r\ntwo\r\n--B--\r\n", [b"one", b"two"]),
        (b"preamble\r\n--B\r\n\r\none\r\n--B--\r\nepilogue\r\n--B\r\n\r\nnot a part\r\n", [b"one"]),
        (b"--B\n\none\n--B\n\ntwo\n--B--\n", [b"one", b"two"]),
        (b"--B  \r\n\r\none\r\n--B-- \t\r\n", [b"one"]),  # transport padding
        (b"--B\r\n\r\none\r\n--BB\r\n--B x\r\n--B--\r\n", [b"one\r\n--BB\r\n--B x"]),
        (b"--B\r\n\r\none\r\n--B", [b"one", b""]),
        (b"--B\r\n\r\none\r\n--B--", [b"one"]),
        (b"--B\r\n\r\none", [b"one"]),
        (b"--B\r\n\r\none\r\n\r\n--B--", [b"one\r\n"]),
        (b"--B\r\n\r\n\r\n--B--", [b""]),
        (b"--B\r\n\r\n--B--", [b""]),
        (b"--B\r\n--B\r\n--B--", [b"", b""]),
        (b"--B\r\nX: y\r\n--B--", [b""]),
        (b"--B\r\nX: y", [b""]),
        (b"\r\n--B\r\n\r\none\r--B\r\n--B--", [b"one\r--B"]),  # a lone CR ends no line
        (b"--B--\r\n--B\r\n\r\none\r\n", [b""]),
        (b"", [b""]),
    ],
)
def test_parts(body: bytes, contents: list[bytes]) -> None:
    assert leaves(index_of(b"multipart/mixed; boundary=B", body), body) == contents


def test_offsets_are_those_of_the_octets() -> None:
    body = b"pre\r\n--B\r\nContent-Type: text/html\r\n\r\n<p>\r\nx\r\n--B--\r\nepi"
    (part,) = index_of(b'multipart/mixed; boundary="B"', body).children
    assert body[part.header_start : part.body_start] == b"Content-Type: text/html\r\n\r\n"
    assert body[part.body_start : part.body_end] == b"<p>\r\nx"
    assert (part.type, part.subtype, part.lines, part.size) == (b"text", b"html", 1, 6)


def test_an_outer_delimiter_ends_what_is_inside() -> None:
    """RFC 2046 §5.1.2."""
    body = (
        b"--out\r\nContent-Type: multipart/mixed; boundary=outer\r\n\r\n--outer\r\n\r\none\r\n"
        b"--out\r\n\r\ntwo\r\n--outer\r\n\r\nstill two\r\n--out--\r\n"
    )
    index = index_of(b"multipart/mixed; boundary=out", body)
    assert leaves(index, body) == [b"one", b"two\r\n--outer\r\n\r\nstill two"]
    assert kinds(b"multipart/mixed; boundary=out", body) == [DefectKind.NO_CLOSE_DELIMITER]


def test_boundaries_that_are_the_same() -> None:
    body = b"--B\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n\r\none\r\n--B--\r\n"
    body += b"--B\r\n\r\ntwo\r\n--B--\r\n"
    index = index_of(b"multipart/mixed; boundary=B", body)
    assert leaves(index, body) == [b"one", b"two"]
    assert index.children[0].is_multipart


def test_a_message_inside() -> None:
    """RFC 2046 §5.2.1: header, envelope and lines of the message inside."""
    inner = b"From: in@x.example\r\nSubject: inside\r\n\r\nline\r\nline\r\n"
    body = b"--B\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--B--\r\n"
    (part,) = index_of(b"multipart/mixed; boundary=B", body).children
    assert part.is_message
    assert part.lines == 5
    message = part.children[0]
    assert body[message.header_start : message.body_start] == b"From: in@x.example\r\nSubject: inside\r\n\r\n"
    assert body[message.body_start : message.body_end] == b"line\r\nline\r\n"
    assert message.envelope is not None
    assert b'"inside"' in message.envelope
    assert message.lines == 2


def test_digest_defaults_to_messages() -> None:
    """RFC 2046 §5.1.5."""
    body = b"--B\r\n\r\nSubject: a\r\n\r\nx\r\n--B\r\nContent-Type: text/plain\r\n\r\ny\r\n--B--\r\n"
    one, two = index_of(b"multipart/digest; boundary=B", body).children
    assert (one.type, one.subtype) == (b"message", b"rfc822")
    assert (two.type, two.subtype) == (b"text", b"plain")


def test_lines_of_messages_inside_messages() -> None:
    body = b"A: 1\r\nContent-Type: message/rfc822\r\n\r\nB: 2\r\n\r\nx\r\ny\r\n"
    index = index_of(b"message/rfc822", body)
    middle = index.children[0]
    assert index.lines == body.count(b"\n") == 7
    assert middle.lines == 4
    assert middle.children[0].lines == 2


@pytest.mark.parametrize(
    ("content_type", "body", "kind"),
    [
        (b"multipart/mixed", b"--B\r\n\r\none\r\n", DefectKind.NO_BOUNDARY),
        (b"multipart/mixed; boundary=C", b"--B\r\n\r\none\r\n", DefectKind.NO_PARTS),
        (b"multipart/mixed; boundary=B", b"--B\r\n\r\none\r\n", DefectKind.NO_CLOSE_DELIMITER),
        (b"multipart/mixed; boundary=B", b"--B\r\nX: y\r\n--B--\r\n", DefectKind.NO_HEADER_END),
        (b"nonsense", b"x", DefectKind.BAD_CONTENT_TYPE),
        (b"text/plain\r\nContent-Transfer-Encoding: x", b"x", DefectKind.BAD_ENCODING),
    ],
)
def test_defects(content_type: bytes, body: bytes, kind: DefectKind) -> None:
    assert kinds(content_type, body) == [kind]


def test_a_multipart_without_parts_has_an_empty_one() -> None:
    index = index_of(b"multipart/mixed", b"text\r\n")
    assert index.lacks_parts
    (part,) = index.children
    assert (part.type, part.size, part.lines) == (b"text", 0, 0)


def depth_of(part: Part) -> int:
    return 1 + max((depth_of(child) for child in part.children), default=0)


def test_depth_is_bounded() -> None:
    body = b"".join(b"--B%d\r\nContent-Type: multipart/mixed; boundary=B%d\r\n\r\n" % (n, n + 1) for n in range(200))
    index = index_of(b"multipart/mixed; boundary=B0", body)
    assert depth_of(index) == MAX_DEPTH
    assert DefectKind.TOO_DEEP in kinds(b"multipart/mixed; boundary=B0", body)
    assert depth_of(index_of(b"message/rfc822", b"Content-Type: message/rfc822\r\n\r\n" * 200)) == MAX_DEPTH


def test_parts_are_bounded_and_the_rest_is_one_leaf() -> None:
    body = b"--B\r\n\r\nx\r\n" * (MAX_PARTS + 100)
    index = index_of(b"multipart/mixed; boundary=B", body)
    assert len(index.children) == MAX_PARTS
    last = index.children[-1]
    assert (last.type, last.subtype, last.body_end) == (b"application", b"octet-stream", len(body))
    assert DefectKind.TOO_MANY_PARTS in kinds(b"multipart/mixed; boundary=B", body)


MIB = 1 << 20


@pytest.mark.parametrize(
    "unit",
    [
        b"\n--",
        b"\n--Bx",
        b"\n--B",
        b"\n--B\n\n",
        b"\n--B--",
        b"\n--B\nContent-Type: message/rfc822\n\n",
        b"\n--B\nA:",
        b"\r",
        b"\n",
    ],
)
def test_time_is_linear(unit: bytes) -> None:
    """Four times the octets take about four times the time, far from sixteen, for what a delimiter scan likes least."""
    header_block = b"Content-Type: multipart/mixed; boundary=B\r\n\r\n"

    def fastest(octets: int) -> float:
        body = unit * (octets // len(unit))
        times = []
        for _ in range(3):
            started = time.thread_time()  # whoever else is busy does not count
            digest(header_block, body)
            times.append(time.thread_time() - started)
        return min(times)

    assert fastest(4 * MIB) < 8 * fastest(MIB) + 0.05
