"""Where attachments lie in a body."""

import base64
import mmap
import random
import tempfile
import time

import pytest

from pennypost.message.encoded_parts import MOST_PARTS, encoded_parts

DATA = base64.encodebytes(random.Random(2).randbytes(9_000)).replace(b"\n", b"\r\n")
INNER = DATA.rstrip(b"\r\n")


def part(data: bytes = DATA, field: bytes = b"Content-Transfer-Encoding: base64", more: bytes = b"") -> bytes:
    return b"--b\r\nContent-Type: image/png\r\n" + field + b"\r\n" + more + b"\r\n" + data


def found(body: bytes, least: int = 8_192) -> list[bytes]:
    return [body[begin:end] for begin, end in encoded_parts(body, 0, least)]


@pytest.mark.parametrize(
    "field",
    [
        b"Content-Transfer-Encoding: base64",
        b"content-transfer-encoding:base64",
        b"CONTENT-TRANSFER-ENCODING:\tbase64 ",
        b"Content-Transfer-Encoding: BASE64",
        b"Content-Transfer-Encoding: base64; because=it is",
    ],
)
def test_an_attachment_is_found_however_its_field_is_written(field: bytes) -> None:
    assert found(b"--b\r\n\r\nText.\r\n" + part(field=field) + b"--b--\r\n") == [INNER]


@pytest.mark.parametrize("end", [b"--b--\r\n", b"\r\n\r\n--b--\r\n", b"", b"\r\n"])
@pytest.mark.parametrize("more", [b"", b"Content-Disposition: attachment;\r\n filename=base64.png\r\n"])
def test_line_breaks_at_its_end_are_not_counted_to_it(end: bytes, more: bytes) -> None:
    assert found(part(more=more) + end) == [INNER]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"A letter about base64.\r\n" + DATA,
        part(field=b"Content-Transfer-Encoding: quoted-printable; base64"),
        part(field=b"X-Content-Transfer-Encoding: base64"),
        part(field=b"Content-Transfer-Encoding: Base64"),
        part(DATA[:8_000]),
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Transfer-Encoding: base64\r\n" + b"x" * 5_000 + b"\r\n\r\n" + DATA,
        b"Content-Transfer-Encoding: base64\r\n\r\n-" + DATA,
    ],
)
def test_what_is_none(body: bytes) -> None:
    assert found(body) == []


def test_all_of_several_are_found_in_their_order() -> None:
    others = [INNER[: 8_300 + 78 * number] for number in range(3)]
    body = b"".join(part(one + b"\r\n") for one in others) + b"--b--\r\n"
    assert found(body) == [one.rstrip(b"\r\n") for one in others]
    assert len(found(part() * (MOST_PARTS + 2))) == MOST_PARTS


def test_places_count_from_the_begin_of_a_file_and_the_body_begins_later() -> None:
    header = part()  # one that lies before the body is not of the body
    octets = header + part() + b"--b--\r\n"
    with tempfile.TemporaryFile() as file:
        file.write(octets)
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        assert encoded_parts(mapped, len(header), 8_192) == encoded_parts(octets, len(header), 8_192)
        ((begin, end),) = encoded_parts(mapped, len(header), 8_192)
        assert (begin > len(header), octets[begin:end]) == (True, INNER)


def test_a_body_with_more_outside_of_its_parts_is_not_looked_through() -> None:
    text, end = b"--b\r\n\r\n" + b"Words.\r\n" * 100, b"--b--\r\n"
    body = text + part() + text + part() + end
    outside = len(body) - 2 * len(INNER)
    for most, count in ((outside, 2), (outside + 5_000, 2), (outside - 1, 0), (100, 0), (0, 0)):
        assert len(encoded_parts(body, 0, 8_192, most)) == count
        assert len(encoded_parts(b"x" * 5_000 + body, 5_000, 8_192, most)) == count
    many = part() * (MOST_PARTS + 2)
    outside = len(many) - MOST_PARTS * len(INNER)
    assert [len(encoded_parts(many, 0, 8_192, most)) for most in (outside, outside - 1)] == [MOST_PARTS, 0]


def test_what_follows_fields_is_read_through_once_for_all_of_them() -> None:
    def taken(fields: int) -> float:
        body = b"Content-Transfer-Encoding: base64\r\n" * fields + b"\r\n" + b"A" * 30_000_000 + b"-" + part()
        start = time.process_time()
        assert found(body) == [INNER]
        return time.process_time() - start

    assert min(taken(110) for _ in range(3)) < 4 * min(taken(1) for _ in range(3))


@pytest.mark.parametrize(
    "hostile",
    [
        b"\r\nContent-Transfer-Encoding: base64",
        b"\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        b"base64" * 10,
        b"\r\n" * 20,
    ],
)
def test_hostile_bodies_take_no_longer(hostile: bytes) -> None:
    body = part() + b"\r\n" + hostile * (4_000_000 // len(hostile))
    start = time.process_time()
    assert len(encoded_parts(body, 0, 8_192)) <= MOST_PARTS
    assert time.process_time() - start < 1
