"""OpenDKIM and Rspamd about the corpus of generated and mutated messages: their verdicts are ours, or else a reason is
named for the difference.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.dns_server import FakeDns
from tests.interop.rspamd import PLUGINS, rspamd
from tests.interop.tools import need, run
from tests.unit.mail.corpus import COUNT, HELO, Made, Ours, messages, verify

from pennypost.model.verification import DkimResult, DmarcResult, SpfResult

RSPAMD_SYMBOLS = {
    "dkim": {
        "R_DKIM_ALLOW": "pass",
        "R_DKIM_REJECT": "fail",
        "R_DKIM_NA": "none",
        "R_DKIM_TEMPFAIL": "temperror",
        "R_DKIM_PERMFAIL": "permerror",
    },
    "spf": {
        "R_SPF_ALLOW": "pass",
        "R_SPF_FAIL": "fail",
        "R_SPF_SOFTFAIL": "softfail",
        "R_SPF_NEUTRAL": "neutral",
        "R_SPF_NA": "none",
        "R_SPF_DNSFAIL": "temperror",
        "R_SPF_PERMFAIL": "permerror",
    },
    "dmarc": {
        "DMARC_POLICY_ALLOW": "pass",
        "DMARC_POLICY_REJECT": "fail reject",
        "DMARC_POLICY_QUARANTINE": "fail quarantine",
        "DMARC_POLICY_SOFTFAIL": "fail none",
        "DMARC_NA": "none",
        "DMARC_DNSFAIL": "temperror",
        "DMARC_BAD_POLICY": "permerror",
    },
}
OPENDKIM_ENDS = {
    " succeeded": "pass",
    " failed: signature verification failed": "fail",
    "message not signed": "none",
}

Difference = Callable[[Made, Ours, str, str], bool]
"""Says of a message, our verdicts, a method, and their result of it, whether this is why theirs is another."""


def _unended(made: Made, ours: Ours, method: str, theirs: str) -> bool:
    """OpenDKIM takes such a message for malformed, and says that it is not signed; RFC 6376 §3.4.4 has us add what is
    missing.
    """
    return method == "dkim" and theirs == "none" and bool(ours.signatures) and not made.octets.endswith(b"\r\n")


def _tenant(made: Made, ours: Ours, method: str, theirs: str) -> bool:
    """By RFC 9989 §4.10.2 a domain with "psd=n" is an organization of its own; Rspamd follows RFC 7489, to which what
    stands below example.net is all one.
    """
    passing = [verdict.domain for verdict in ours.signatures if verdict.result is DkimResult.PASS]
    if ours.spf.result is SpfResult.PASS:
        passing.append(made.mail_from)
    wanted = (made.author, our_results(ours)["dmarc"], theirs) == ("example.net", "fail none", "pass")
    return method == "dmarc" and wanted and "tenant.example.net" in passing


OPENDKIM_DIFFERENCES: dict[str, Difference] = {"the last line has no CRLF": _unended}
RSPAMD_DIFFERENCES: dict[str, Difference] = {"the tree of domains is walked, not a list of suffixes": _tenant}


@dataclass
class Batch:
    """Messages whose DNS does not contradict itself, so that one server can say it all."""

    zone: dict[str, list[tuple[str, Any]]] = field(default_factory=dict)
    messages: list[Made] = field(default_factory=list)

    def takes(self, made: Made) -> bool:
        return all(self.zone.get(name, records) == records for name, records in made.zone.items())

    def add(self, made: Made) -> None:
        self.zone |= made.zone
        self.messages.append(made)

    def records(self) -> dict[tuple[str, str], list[str]]:
        """Write the zone as the DNS server of the tests wants it."""
        found: dict[tuple[str, str], list[str]] = {}
        for name, records in self.zone.items():
            for kind, value in records:
                found.setdefault((name, kind), []).append(_data(kind, value))
        return found


def _data(kind: str, value: Any) -> str:
    match kind:
        case "TXT":
            return " ".join(f'"{value[at : at + 255]}"' for at in range(0, len(value), 255))
        case "MX":
            return f"{value[0]} {value[1]}."
    return str(value)


@pytest.fixture(scope="module")
def batches() -> list[Batch]:
    found: list[Batch] = []
    for made in messages():
        batch = next((batch for batch in found if batch.takes(made)), None)
        if batch is None:
            found.append(batch := Batch())
        batch.add(made)
    assert sum(len(batch.messages) for batch in found) == COUNT
    return found


@need("opendkim")
def test_opendkim_has_our_verdicts_of_the_corpus(tmp_path: Path, batches: list[Batch]) -> None:
    comparison = Comparison(OPENDKIM_DIFFERENCES)
    for batch in batches:
        for made, theirs in zip(batch.messages, ask_opendkim(tmp_path, batch, b""), strict=True):
            comparison.compare(made, {"dkim": theirs})
    comparison.expect({"dkim pass", "dkim fail", "dkim none"})

    ended = Comparison({})  # as every message that comes by SMTP
    for batch in batches:
        batch = Batch(batch.zone, [made for made in batch.messages if not made.octets.endswith(b"\r\n")])
        for made, theirs in zip(batch.messages, ask_opendkim(tmp_path, batch, b"\r\n"), strict=True):
            ended.compare(made, {"dkim": theirs})
    ended.expect({"dkim fail", "dkim none"})


@need("rspamd")
def test_rspamd_has_our_verdicts_of_the_corpus(tmp_path: Path, batches: list[Batch]) -> None:
    if not (PLUGINS / "dmarc.lua").is_file():
        pytest.skip(f"Rspamd has no DMARC in {PLUGINS}")
    comparison = Comparison(RSPAMD_DIFFERENCES)
    for number, batch in enumerate(batches):
        with FakeDns(batch.records()) as dns, rspamd(tmp_path / f"r{number}", dns.port, verifies=True) as socket:
            for made, theirs in zip(batch.messages, ask_rspamd(socket, batch.messages), strict=True):
                comparison.compare(made, theirs)
    comparison.expect(
        {"dkim pass", "dkim fail", "dkim none"}
        | {"spf pass", "spf fail", "spf softfail", "spf neutral", "spf none"}
        | {"dmarc pass", "dmarc fail none", "dmarc fail quarantine", "dmarc fail reject", "dmarc none"}
    )


class Comparison:
    """Our results beside theirs; `reasons`: why they may differ."""

    def __init__(self, reasons: Mapping[str, Difference]) -> None:
        self._reasons = reasons
        self._met: set[str] = set()
        self._seen: set[str] = set()

    def compare(self, made: Made, theirs: Mapping[str, str]) -> None:
        """Want the same result for each method, or a reason."""
        ours = verify(made)
        results = our_results(ours)
        for method, result in theirs.items():
            self._seen.add(f"{method} {result}")
            if result != results[method]:
                reasons = [name for name, holds in self._reasons.items() if holds(made, ours, method, result)]
                assert reasons, f"{made.text}: {method} {results[method]}, and theirs {result}"
                self._met.update(reasons)

    def expect(self, seen: set[str]) -> None:
        """Want these results to have been theirs, no other ones, and each reason to have been one."""
        assert self._seen == seen
        assert self._met == set(self._reasons)


def our_results(ours: Ours) -> dict[str, str]:
    """Give a result for each method; DMARC's failures with the policy that applies."""
    dkim = [verdict.result.value for verdict in ours.signatures] or ["none"]
    assert len(dkim) == 1, "no message of the corpus has more signatures"
    dmarc = ours.dmarc.result.value
    if ours.dmarc.result is DmarcResult.FAIL:
        dmarc += f" {ours.dmarc.policy.value}"
    return {"dkim": dkim[0], "spf": ours.spf.result.value, "dmarc": dmarc}


def ask_opendkim(folder: Path, batch: Batch, end: bytes) -> Iterator[str]:
    """Have it verify each message, with `end` behind it: all in one run of its test mode."""
    paths = [folder / str(number) for number in range(len(batch.messages))]
    for path, made in zip(paths, batch.messages, strict=True):
        path.write_bytes(made.octets + end)
    keys = {name: records[0][1] for name, records in batch.zone.items() if "._domainkey." in name}
    (folder / "dns").write_text("".join(f"{name} {key}\n" for name, key in keys.items()))
    (folder / "conf").write_text(f"Syslog no\nRequireSafeKeys no\nMode v\nTestDNSData {folder / 'dns'}\n")
    said = run("opendkim", "-x", folder / "conf", "-t", ",".join(map(str, paths)), status=None)
    told = dict(re.findall(r"^opendkim: (\S+): (.*)$", said, re.MULTILINE))
    for path in paths:
        line = told.get(str(path), "nothing")
        yield next((result for words, result in OPENDKIM_ENDS.items() if line.endswith(words)), line)


def ask_rspamd(socket: Path, messages: list[Made]) -> Iterator[dict[str, str]]:
    """Give what it says of each message, by method, in our words."""
    with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(socket)), timeout=30) as client:
        for made in messages:
            envelope = {"IP": made.client, "Helo": HELO, "From": f"carl@{made.mail_from}", "Rcpt": "anna@penny.test"}
            answer = client.post("http://rspamd/checkv2", content=made.octets, headers=envelope)
            symbols = answer.raise_for_status().json()["symbols"]
            yield {
                method: " and ".join(result for symbol, result in table.items() if symbol in symbols)
                for method, table in RSPAMD_SYMBOLS.items()
            }
