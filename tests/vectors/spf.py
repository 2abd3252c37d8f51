"""Where the shared SPF suites are, and zones as they write them."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

import yaml

from pennypost.model.dns import Consultation, DnsAnswer, DnsQuestion, DnsRecord, DnsStatus, MxRecord, RecordType, T


class Zone:
    """Answers questions from records: (type, record) pairs for each name. TIMEOUT makes what is not before it fail."""

    def __init__(self, records: dict[str, list[tuple[str, Any]]]) -> None:
        self._records = {name.lower().rstrip("."): values for name, values in records.items()}
        self.asked: list[DnsQuestion] = []

    def answer(self, question: DnsQuestion) -> DnsAnswer:
        self.asked.append(question)
        name, hops = question.name, 0
        if "_dns_error" in name:
            return DnsAnswer(DnsStatus.FAILED)
        while name in self._records and hops < 10:
            alias = [value for kind, value in self._records[name] if kind == "CNAME"]
            if not alias:
                break
            name, hops = alias[0].lower().rstrip("."), hops + 1
        if name not in self._records:
            below = any(other.endswith("." + name) for other in self._records)
            return DnsAnswer(DnsStatus.NO_DATA if below else DnsStatus.NO_SUCH_NAME)
        found: list[DnsRecord] = []
        for kind, value in self._records[name]:
            if kind == question.type.value:
                found.append(_record(question.type, value))
            elif kind == "TIMEOUT" and not found:
                return DnsAnswer(DnsStatus.FAILED)
        return DnsAnswer(DnsStatus.FOUND, tuple(found)) if found else DnsAnswer(DnsStatus.NO_DATA)

    def consult(self, consultation: Consultation[T]) -> T:
        try:
            question = next(consultation)
            while True:
                question = consultation.send(self.answer(question))
        except StopIteration as done:
            result: T = done.value
            return result


def _record(kind: RecordType, value: Any) -> DnsRecord:
    match kind:
        case RecordType.A | RecordType.AAAA:
            return ip_address(value)
        case RecordType.MX:
            return MxRecord(int(value[0]), str(value[1]).lower().rstrip("."))
        case RecordType.TXT:
            text = "".join(value) if isinstance(value, list) else value
            return str(text).encode("utf-8" if not str(text).isascii() else "ascii")
        case _:
            return str(value).lower().rstrip(".")


@dataclass(frozen=True)
class Case:
    name: str
    zone: dict[str, list[tuple[str, Any]]]
    helo: str
    ip: IPv4Address | IPv6Address
    mail_from: str
    expected: tuple[str, ...]
    explanation: str | None = None


def openspf_cases(path: Path) -> Iterator[Case]:
    """Read a suite in the format of openspf.org: each document has tests and zone data."""
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        if not document:
            continue
        zone = {name: list(_openspf_records(entries)) for name, entries in document["zonedata"].items()}
        for name, test in document["tests"].items():
            expected = test["result"]
            yield Case(
                name,
                zone,
                str(test["helo"]),
                ip_address(test["host"]),
                test["mailfrom"],
                tuple(expected) if isinstance(expected, list) else (expected,),
                test.get("explanation"),
            )


def _openspf_records(entries: list[Any]) -> Iterator[tuple[str, Any]]:
    """Give a name's records; what stands as SPF is TXT unless there is TXT, too."""
    pairs = [("TIMEOUT", "") if entry == "TIMEOUT" else next(iter(entry.items())) for entry in entries]
    has_text = any(kind == "TXT" for kind, _ in pairs)
    for kind, value in pairs:
        if kind == "SPF" and not has_text:
            yield "TXT", value
        elif kind != "SPF" and not (kind == "TXT" and value == "NONE"):
            yield kind, value


def line_cases(path: Path) -> Iterator[Case]:
    """Read a suite whose tests are lines in order: what was said last of ip, domain, sender and spf is in force."""
    for document in path.read_text(encoding="utf-8").split("\n---"):
        records, _, tests = document.partition("\ntests:")
        title = next((line[6:] for line in records.splitlines() if line.startswith("name: ")), "")
        zone: dict[str, list[tuple[str, Any]]] = {}
        for line in records.splitlines():
            if line.startswith("  "):
                _add_line(zone, line.strip())
        state = {"name": title, "domain": "", "sender": "", "ip": ""}
        fresh = dict(zone)
        for line in tests.splitlines():
            key, _, value = line.strip().removeprefix("- ").partition(": ")
            key, value = key.strip(), value.strip()
            if key in ("spf", "a", "ptr", "mx"):
                name = value.partition(" ")[0].lower()
                kind = "TXT" if key == "spf" else key.upper()
                if key == "spf":
                    fresh[name] = [pair for pair in fresh.get(name, []) if pair[0] != kind]
                _add_line(fresh, f"{key}: {value}")
            elif key == "expect":
                result, _, explanation = value.partition(" ")
                where = f"{path.stem}: {state['name']} {state['sender']} {state['ip']}"
                ip = ip_address(state["ip"])
                snapshot = {name: list(pairs) for name, pairs in fresh.items()}
                helo = state["domain"] or state["sender"].rpartition("@")[2]
                yield Case(where, snapshot, helo, ip, state["sender"], (result.lower(),), explanation or None)
            elif key in state:
                state[key] = value


def _add_line(zone: dict[str, list[tuple[str, Any]]], line: str) -> None:
    """Take in "kind: name value": addresses and MX hosts have several, separated by blanks or commas."""
    kind, _, rest = line.partition(": ")
    name, _, value = rest.strip().partition(" ")
    values = value.replace(",", " ").split()
    match kind:
        case "spf" | "exp":
            zone.setdefault(name.lower(), []).append(("TXT", value.strip()))
        case "a" | "aaaa":
            for each in values:
                zone.setdefault(name.lower(), []).append(("AAAA" if ":" in each else "A", each))
        case "mx":
            for each in values:
                host = f"mx-{each.replace(':', '-').replace('.', '-')}.{name.lower()}"
                zone.setdefault(name.lower(), []).append(("MX", (10, host)))
                zone.setdefault(host, []).append(("AAAA" if ":" in each else "A", each))
        case "ptr":
            pointer = ip_address(name).reverse_pointer
            for each in values:
                zone.setdefault(pointer, []).append(("PTR", each))
