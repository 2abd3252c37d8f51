"""Who may be sent reports about a domain (RFC 9990 §4)."""

from dataclasses import dataclass

from pennypost.model.dns import Consultation, DnsQuestion, DnsStatus, RecordType
from pennypost.verify.dmarc.record import PolicyRecord, mailbox_of, parse
from pennypost.verify.dmarc.tree import LookupFailed, walk


@dataclass(frozen=True, slots=True)
class Destinations:
    """`addresses`: those that want the report, each once. `undecided`: the DNS failed for one; ask later."""

    addresses: tuple[str, ...]
    undecided: bool = False


def destinations(policy_domain: str, uris: tuple[str, ...]) -> Consultation[Destinations]:
    """Find the addresses among the URIs of rua or ruf that may have reports about a domain.

    An address elsewhere counts only when its own domain says that it wants them.
    """
    wanted: dict[str, None] = {}
    undecided = False
    for uri in uris:
        address = mailbox_of(uri)
        if address is None:
            continue
        try:
            confirmed = yield from _confirmed(policy_domain, address)
        except LookupFailed:
            undecided = True
            continue
        wanted.update(dict.fromkeys(confirmed))
    return Destinations(tuple(wanted), undecided)


def _confirmed(policy_domain: str, address: str) -> Consultation[tuple[str, ...]]:
    host = address.rpartition("@")[2].lower()
    if host == policy_domain:
        return (address,)
    if (yield from walk(policy_domain)).organizational_domain == (yield from walk(host)).organizational_domain:
        return (address,)
    name = f"{policy_domain}._report._dmarc.{host}"
    if len(name) > 253:
        return ()
    answer = yield DnsQuestion(name, RecordType.TXT)
    if answer.status is DnsStatus.FAILED:
        raise LookupFailed(name)
    parsed = (parse(text) for text in answer.records if isinstance(text, bytes))
    records: list[PolicyRecord] = [record for record in parsed if record is not None]
    if not records:
        return ()
    instead = [found for record in records for uri in record.reports if (found := mailbox_of(uri)) is not None]
    if not instead:
        return (address,)
    # An override may only lead to the same host, or nobody is told anything.
    if any(found.rpartition("@")[2].lower() != host for found in instead):
        return ()
    return tuple(instead)
