"""Signed messages of other implementations (RFC 6376, RFC 8463, RFC 8617), with the records of their keys."""

import json
import re
from pathlib import Path

import pytest
from tests.unit.verify.dkim.keys import consult
from tests.vectors import mime

from pennypost.model.verification import ArcResult, DkimResult, DkimVerdict
from pennypost.verify import arc
from pennypost.verify.dkim import Policy, verify

ROOT = mime.root()
GOLDEN = sorted((ROOT / "dkim-chasquid").glob("*.result"))
SIGNED = sorted((ROOT / "dkim-mailauth" / "dkim").glob("*.txt"))
NOW = 1_500_000_000
"""Before any of them expires; their dates lie in the future then, which is left out of account."""

WORDS = {"SUCCESS": {DkimResult.PASS}, "TEMPFAIL": {DkimResult.TEMPERROR}}
REFUSED = {DkimResult.FAIL, DkimResult.NEUTRAL, DkimResult.PERMERROR, DkimResult.POLICY}


def crlf(octets: bytes) -> bytes:
    return re.sub(rb"\r?\n", b"\r\n", octets)


def judge(message: bytes, records: dict[str, list[bytes]], now: int) -> tuple[DkimVerdict, ...]:
    end = message.find(b"\r\n\r\n") + 4
    header, body = (message[:end], message[end:]) if end > 3 else (message, b"")
    return consult(verify(header, body, now, Policy()), records)


def zone(path: Path) -> dict[str, list[bytes]]:
    """Read "name: record" lines, which a backslash continues; a record TEMPERROR is a look-up that fails."""
    records: dict[str, list[bytes]] = {}
    if path.exists():
        for line in path.read_text().replace("\\\n", " ").splitlines():
            name, colon, text = line.partition(":")
            if not colon or line.startswith("#"):
                continue
            if "TEMPERROR" in text:
                records[name.strip()] = []
            elif "PERMERROR" not in text:
                records.setdefault(name.strip(), []).append(text.strip().encode())
    return records


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    expected = json.loads(path.read_text())
    found = judge(crlf(path.with_suffix(".msg").read_bytes()), zone(path.with_suffix(".dns")), 1_800_000_000)
    # Of seven signatures they look at five, we at eight.
    for verdict, result in zip(found, expected["Results"] or [], strict=False):
        assert verdict.result in WORDS.get(result["State"], REFUSED), (verdict, result)
    assert len(found) >= expected["Found"]
    assert sum(verdict.result is DkimResult.PASS for verdict in found) >= expected["Valid"]


@pytest.mark.parametrize("path", SIGNED, ids=lambda path: path.stem)
def test_signed_by_others(path: Path) -> None:
    head, _, message = crlf(path.read_bytes()).partition(b"\r\n\r\n")
    records: dict[str, list[bytes]] = {}
    for line in head.decode().split("\r\n"):
        name, _, text = line.partition(" ")
        records.setdefault(name, []).append(text.encode())
    made = [int(number) for number in re.findall(rb"[ ;\t]t=([0-9]+)", message)]
    found = judge(message, records, max(made, default=NOW))
    assert found
    assert all(verdict.result is DkimResult.PASS for verdict in found), found


CHAINS = sorted((ROOT / "dkim-mailauth" / "arc").glob("*.txt"))


@pytest.mark.parametrize("path", CHAINS, ids=lambda path: path.stem)
def test_chains_of_others(path: Path) -> None:
    head, _, message = crlf(path.read_bytes()).partition(b"\r\n\r\n")
    records: dict[str, list[bytes]] = {}
    for line in head.decode().split("\r\n"):
        name, _, text = line.partition(" ")
        records.setdefault(name, []).append(text.encode())
    end = message.index(b"\r\n\r\n") + 4
    verdict = consult(arc.validate(message[:end], message[end:], 1_800_000_000), records)
    assert verdict.result is ArcResult.PASS, verdict
