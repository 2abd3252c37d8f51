"""The DNS tree walk (RFC 9989 §4.10): from a domain towards the root, where does a policy record stand?"""

from collections.abc import Iterator
from dataclasses import dataclass

from pennypost.model.dns import Consultation, DnsQuestion, DnsStatus, RecordType
from pennypost.verify.dmarc.record import PolicyRecord, parse

MAX_QUERIES = 8
"""Names with more labels are cut to seven after the first question (RFC 9989 §4.10)."""

PREFIX = "_dmarc."


class LookupFailed(Exception):
    """The DNS had no answer: neither pass nor fail can be told (RFC 9989 §5.3.6)."""


@dataclass(frozen=True, slots=True)
class Walk:
    """What a walk found, the longest name first. `start`: where it began. `start_missing`: `_dmarc` there is NXDOMAIN,
    so that `start` may not exist itself."""

    start: str
    found: tuple[tuple[str, PolicyRecord], ...]
    start_missing: bool = False

    @property
    def organizational_domain(self) -> str:
        """Select the Organizational Domain (RFC 9989 §4.10.2)."""
        for name, record in self.found:
            if record.psd == "n":
                return name
            if record.psd == "y" and name != self.start:
                below = self.start.removesuffix("." + name).rpartition(".")[2]
                return f"{below}.{name}"
        return self.found[-1][0] if self.found else self.start

    def record_at(self, name: str) -> PolicyRecord | None:
        """Give the record that was found at a name."""
        return next((record for found, record in self.found if found == name), None)

    @property
    def public_suffix(self) -> tuple[str, PolicyRecord] | None:
        """The record of a public suffix above the start, if there is one."""
        return next(((n, r) for n, r in self.found if r.psd == "y" and n != self.start), None)


def targets(domain: str) -> Iterator[str]:
    """Give the names that a walk asks for, at most `MAX_QUERIES` (RFC 9989 §4.10 steps 3, 4 and 7)."""
    yield domain
    labels = domain.split(".")
    rest = labels[1:] if len(labels) < MAX_QUERIES else labels[-(MAX_QUERIES - 1) :]
    while rest:
        yield ".".join(rest)
        rest = rest[1:]


def walk(domain: str) -> Consultation[Walk]:
    """Walk from a domain up (RFC 9989 §4.10). Raises LookupFailed."""
    found: list[tuple[str, PolicyRecord]] = []
    missing = False
    for name in targets(domain):
        record, absent = yield from look_up(name)
        if name == domain:
            missing = absent
        if record is not None:
            found.append((name, record))
            if record.psd != "u":
                break
    return Walk(domain, tuple(found), missing)


def look_up(name: str) -> Consultation[tuple[PolicyRecord | None, bool]]:
    """Ask for the one policy record of a name, and say whether the name asked for is NXDOMAIN. Raises LookupFailed.

    Of several records none counts (RFC 9989 §4.10 step 2).
    """
    if len(PREFIX) + len(name) > 253:
        return None, False
    answer = yield DnsQuestion(PREFIX + name, RecordType.TXT)
    if answer.status is DnsStatus.FAILED:
        raise LookupFailed(PREFIX + name)
    texts = [text for text in answer.records if isinstance(text, bytes)]
    records = [record for text in texts if (record := parse(text)) is not None]
    return (records[0] if len(records) == 1 else None), answer.status is DnsStatus.NO_SUCH_NAME
