"""What reading a message costs: microseconds for its index and for all that is stored of it, beside the stdlib.

    python -m bench.mime [--check]

Figures are the best of several rounds on one core, uncompiled. `--check` ends with status 1 when a target is missed:
60 µs for the index of a 16 KB multipart message, 100 µs for the digest of a 2 KB text message with 12 fields, 40 ms
for the digest of a 25 MiB attachment.
"""

import argparse
import email
import email.policy
import sys
import timeit
from collections.abc import Callable

from pennypost.message.digest import digest
from pennypost.message.headers import select_fields
from pennypost.message.scan import DEFAULT_TYPE, Scanner
from pennypost.message.structure import decode, encode
from pennypost.message.summary import scan_fields, summarize
from pennypost.message.text import preview

TRACE = b"""\
Return-Path: <bob@example.org>\r
Received: from mail.example.org (mail.example.org [192.0.2.1])\r
\tby mx.example.net (Pennypost) with ESMTPS id 123456789\r
\tfor <alice@example.net>; Mon, 23 Nov 2026 22:00:00 +0000\r
Date: Mon, 23 Nov 2026 22:00:00 +0000\r
From: Bob Builder <bob@example.org>\r
To: Alice Wonder <alice@example.net>, "Carol, C." <carol@example.com>\r
Subject: Re: The quick brown fox and other stories\r
Message-ID: <20261123220000.12345@example.org>\r
In-Reply-To: <20261122220000.999@example.net>\r
References: <a.1@example.net> <20261122220000.999@example.net>\r
MIME-Version: 1.0\r
"""
TEXT_HEADER = TRACE + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
TEXT = b"Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do.\r\n" * 20
BASE64_LINE = b"A" * 76 + b"\r\n"

MULTIPART_HEADER = TRACE + b'Content-Type: multipart/mixed; boundary="----=_Part_1_1183.77"\r\n\r\n'


def multipart(attachment_octets: int) -> bytes:
    """Make a body with text and HTML as alternatives, and an attachment in base64."""
    return (
        b"------=_Part_1_1183.77\r\nContent-Type: multipart/alternative;\r\n\tboundary=\"----=_Part_2_9911.34\"\r\n\r\n"
        b"------=_Part_2_9911.34\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + TEXT + b"\r\n"
        b"------=_Part_2_9911.34\r\nContent-Type: text/html; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>" + TEXT * 2 + b"</p>\r\n"
        b"------=_Part_2_9911.34--\r\n\r\n"
        b"------=_Part_1_1183.77\r\nContent-Type: application/pdf; name=\"report.pdf\"\r\n"
        b"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"report.pdf\"\r\n\r\n"
        + BASE64_LINE * (attachment_octets // len(BASE64_LINE))
        + b"------=_Part_1_1183.77--\r\n"
    )  # fmt: skip


def microseconds(call: Callable[[], object], number: int) -> float:
    """Time the fastest of five rounds of `number` calls."""
    return min(timeit.repeat(call, number=number, repeat=5)) / number * 1e6


def index_of(header_block: bytes, body: bytes) -> object:
    return Scanner(body, len(header_block)).entity(scan_fields(header_block).fields, 0, 0, 1, DEFAULT_TYPE, None)


def main() -> int:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true")
    check = arguments.parse_args().check
    small = multipart(16_384 - len(multipart(0)) - len(MULTIPART_HEADER))
    large = multipart(25 << 20)
    fields = scan_fields(TEXT_HEADER).fields
    index = digest(MULTIPART_HEADER, small).index
    stored = encode(index)
    rows: list[tuple[str, float, float | None]] = []

    def row(name: str, call: Callable[[], object], number: int, target: float | None = None) -> None:
        rows.append((name, microseconds(call, number), target))

    text_size, small_size = len(TEXT_HEADER) + len(TEXT), len(MULTIPART_HEADER) + len(small)
    row(f"index, {small_size:,} octets multipart", lambda: index_of(MULTIPART_HEADER, small), 2_000, 60)
    row(f"digest, {small_size:,} octets multipart", lambda: digest(MULTIPART_HEADER, small), 2_000)
    row(f"digest, {text_size:,} octets text, 12 fields", lambda: digest(TEXT_HEADER, TEXT), 5_000, 100)
    row("  of it: the fields", lambda: scan_fields(TEXT_HEADER), 5_000)
    row("  of it: the summary", lambda: summarize(fields), 5_000)
    row("index packed", lambda: encode(index), 20_000)
    row("index unpacked", lambda: decode(stored), 20_000, 10)
    row("HEADER.FIELDS of 3 names", lambda: select_fields(TEXT_HEADER, (b"From", b"To", b"Subject")), 5_000)
    row("preview of the multipart", lambda: preview(index, small), 500)
    row("digest, 25 MiB attachment", lambda: digest(MULTIPART_HEADER, large), 3, 40_000)
    octets = MULTIPART_HEADER + small
    row("email.message_from_bytes, compat32", lambda: email.message_from_bytes(octets), 100)
    row(
        "email.message_from_bytes, policy.default",
        lambda: email.message_from_bytes(octets, policy=email.policy.default),
        100,
    )
    missed = False
    for name, took, target in rows:
        aim = "" if target is None else f"   target {target:,.0f}"
        missed = missed or (target is not None and took > target)
        print(f"{name:<45}{took:>12,.1f} µs{aim}")
    return 1 if check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
