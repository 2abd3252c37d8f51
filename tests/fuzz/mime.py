"""Fuzzes the reading of messages. Invariant: whatever octets come, nothing is raised; header block and body together
are the octets; the parts of the index lie inside each other, in order; index, ENVELOPE and BODYSTRUCTURE are well
formed and survive being stored; fields put before the header change nothing; and no message takes longer than its
size allows.

    python -m tests.fuzz.mime [SECONDS] [SEED]
"""

import random
import sys
import time

from tests.vectors.mime import read_imap

from pennypost.message import text
from pennypost.message.decode import content
from pennypost.message.digest import digest, parse
from pennypost.message.headers import field_list, prepend, remove, select_fields, select_other_fields, split
from pennypost.message.imap_form import imap_body, sent_envelope
from pennypost.message.structure import Part, Section, decode, encode, find_part, locate
from pennypost.message.words import decode_words

SEEDS = [
    b'From: A <a@b.example>\r\nTo: g: c@d.example, "x y"@z (c);\r\nSubject: Re: [l] =?utf-8?q?=C3=BC?= x\r\n'
    b"Date: Mon, 23 Nov 2026 22:00:00 +0000\r\nMessage-ID: <1@x>\r\nReferences: <0@x>\r\n <2@x>\r\n\r\nbody\r\n",
    b'Content-Type: multipart/mixed;\r\n boundary="B"\r\n\r\npre\r\n'
    b"--B\r\nContent-Type: text/html; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>=C3=BC<br>\r\n"
    b"--B\r\nContent-Type: multipart/alternative; boundary=BB\r\n\r\n--BB\r\n\r\nx\r\n--BB--\r\n"
    b"--B\r\nContent-Type: application/pdf; name*0*=utf-8''a; name*1=b\r\nContent-Transfer-Encoding: base64\r\n"
    b'Content-Disposition: attachment; filename="a\\"b"\r\n\r\nYWJj\r\n--B--\r\nepi',
    b"Content-Type: multipart/digest; boundary=B\n\n--B\n\nContent-Type: message/rfc822\n\nSubject: in\n\n"
    b"--B\n\nx: y\n--B--\n",
]
PARTS = [
    *(bytes([octet]) for octet in b'\r\n\0 \t()"\\<>@,;:=*[]\xff'),
    *(
        b"\r\n",
        b"--B",
        b"--B--",
        b"\n--BB\n",
        b"=?utf-8?b?",
        b"?=",
        b"\xc3\xbc",
        b"Re: ",
        b"(fwd)",
        b"\r\n\r\n",
        b"\n\n",
    ),
    *(b"boundary=B", b"Content-Type: message/rfc822\r\n\r\n", b"Content-Type: multipart/mixed; boundary=B\r\n"),
    *(b"From: ", b"begin 644 x\n", b"<div>"),
]

SECONDS_PER_MEBIBYTE = 3.0
"""Far above what any message takes, far below what a quadratic one of 1 MiB would."""


def mutated(octets: bytes, random: random.Random) -> bytes:
    """Cut, repeat and sprinkle a message."""
    data = bytearray(octets)
    for _ in range(random.randint(1, 8)):
        at = random.randint(0, len(data))
        match random.randrange(5):
            case 0:
                data[at:at] = random.choice(PARTS)
            case 1:
                del data[at : at + random.randint(1, 20)]
            case 2:
                data[at:at] = random.choice(PARTS) * random.choice((2, 10, 300))
            case 3:
                end = min(len(data), at + random.randint(1, 200))
                data[at:at] = data[at:end] * random.randint(1, 5)
            case _:
                if at < len(data):
                    data[at] = random.randrange(256)
    return bytes(data)


def check_part(part: Part, start: int, end: int) -> None:
    assert start <= part.header_start <= part.body_start <= part.body_end <= end
    at = part.body_start
    for child in part.children:
        check_part(child, at, part.body_end)
        at = child.body_end


def check(octets: bytes) -> None:
    """Read one message in every way there is."""
    header_block, body = split(octets)
    assert header_block + body == octets
    made = digest(header_block, body)
    check_part(made.index, 0, len(body))
    assert decode(encode(made.index)) == made.index
    for written in (sent_envelope(made.envelope), made.bodystructure, imap_body(made.index)):
        read_imap(written)
    assert len(read_imap(sent_envelope(made.envelope))) == 10
    assert all(0 <= defect.offset <= len(octets) for defect in parse(header_block, body).defects)
    longer = digest(prepend(header_block, (b"Return-Path", b"<x@y>")), body)
    assert longer.index == made.index
    assert longer.summary == made.summary
    for numbers, part in text.walk(made.index):
        assert find_part(made.index, numbers) == part
        for section in Section:
            locate(made.index, numbers, section)
        content(part, body)
    text.plain_text(made.index, body)
    text.html(made.index, body)
    assert len(text.preview(made.index, body)) <= 256
    text.attachments(made.index)
    names = []
    for name, value in field_list(header_block):
        decode_words(value)
        names.append(name)
    kept = remove(header_block, names)
    assert not field_list(kept)
    assert select_other_fields(header_block, names) == b"\r\n"
    assert len(select_fields(header_block, names)) <= len(header_block) + len(b"\n\r\n")


def main(seconds: float, seed: int) -> None:
    chance = random.Random(seed)
    corpus = list(SEEDS)
    started = time.monotonic()
    runs = 0
    while time.monotonic() - started < seconds:
        octets = mutated(chance.choice(corpus), chance)
        before = time.perf_counter()
        try:
            check(octets)
        except BaseException:
            sys.stderr.write(f"after {runs} messages: {octets!r}\n")
            raise
        took = time.perf_counter() - before
        assert took < 0.5 + SECONDS_PER_MEBIBYTE * len(octets) / (1 << 20), (took, octets)
        runs += 1
        if len(octets) < 20_000 and chance.random() < 0.1:
            corpus.append(octets)
            if len(corpus) > 300:
                del corpus[chance.randrange(len(SEEDS), len(corpus))]
    sys.stdout.write(f"mime: {runs} messages\n")


if __name__ == "__main__":
    main(
        float(sys.argv[1]) if len(sys.argv) > 1 else 10.0,
        int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32),
    )
