"""Which hosts take the mail of a domain, and where they are (RFC 5321 §5.1). Calculations that ask the DNS.

Preference groups are shuffled, so that load is spread; a domain without MX records is its own host; a null MX says that
there is none (RFC 7505). Where we are among the hosts ourselves, those less preferred and equal to us are cut off, or
mail would go round in circles.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import groupby

from pennypost.model.dns import Consultation, DnsAnswer, DnsQuestion, DnsStatus, MxRecord, RecordType
from pennypost.model.errors import DirectoryFailure, NoSuchMailDomain, NullMx, RoutingLoop, Unroutable

IpAddress = IPv4Address | IPv6Address

MAX_EXCHANGERS = 50
"""Hosts of one domain that are looked at."""

MAX_ADDRESSES = 20
"""Addresses of one host that are looked at, of each family."""


@dataclass(frozen=True, slots=True)
class Exchangers:
    """The hosts to try, in order. `authentic`: the MX records, or their absence, were validated with DNSSEC.

    `implicit`: there is no MX record, the domain is its own host.
    """

    hosts: tuple[str, ...]
    authentic: bool
    implicit: bool = False


@dataclass(frozen=True, slots=True)
class HostAddresses:
    """Where a host is. `authentic`: whatever was answered. `canonical_name`: where CNAME records led, or None."""

    addresses: tuple[IpAddress, ...]
    authentic: bool
    canonical_name: str | None = None


def literal_address(domain: str) -> IpAddress | None:
    """Read an address literal, "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 §4.1.3); None for a domain name.

    Raises Unroutable for what is neither: what asks for reports, or an alias, may name such.
    """
    if not (domain.startswith("[") and domain.endswith("]")):
        return None
    inner = domain[1:-1]
    try:
        return ip_address(inner[5:] if inner[:5].lower() == "ipv6:" else inner)
    except ValueError:
        raise Unroutable(f"{domain} is no address") from None


def find_exchangers(
    domain: str, own_names: Collection[str], shuffle: Callable[[list[MxRecord]], None]
) -> Consultation[Exchangers]:
    """Find the hosts of a domain. `own_names`: what we are called, lower case. `shuffle`: puts a list in any order.

    Raises NullMx, NoSuchMailDomain, RoutingLoop, DirectoryFailure.
    """
    answer = yield DnsQuestion(domain, RecordType.MX)
    match answer.status:
        case DnsStatus.FAILED:
            raise DirectoryFailure(f"The DNS does not answer for the mail hosts of {domain}")
        case DnsStatus.NO_SUCH_NAME:
            raise NoSuchMailDomain(f"There is no domain {domain}")
        case DnsStatus.NO_DATA:
            if domain in own_names:
                raise RoutingLoop(f"Mail for {domain} would come back to us")
            return Exchangers((domain,), answer.authentic, implicit=True)
    records = [record for record in answer.records if isinstance(record, MxRecord)]
    hosts = [record for record in records if record.exchange]
    if not hosts:
        raise NullMx(f"{domain} does not accept mail")
    ours = [record.preference for record in hosts if record.exchange in own_names]
    if ours:
        hosts = [record for record in hosts if record.preference < min(ours)]
        if not hosts:
            raise RoutingLoop(f"Mail for {domain} would come back to us: we are its best mail host")
    ordered: list[str] = []
    for _, group in groupby(sorted(hosts, key=lambda record: record.preference), lambda record: record.preference):
        equals = list(group)
        shuffle(equals)
        ordered += [record.exchange for record in equals]
    return Exchangers(tuple(dict.fromkeys(ordered))[:MAX_EXCHANGERS], answer.authentic)


def find_addresses(host: str) -> Consultation[HostAddresses]:
    """Find where a host is, the families alternating, IPv6 first (RFC 8305 §4). `host`: a name, or an IP address.

    Raises DirectoryFailure when there is none and a question failed, Unroutable when there is none.
    """
    try:
        return HostAddresses((ip_address(host),), authentic=False)
    except ValueError:
        pass
    six = yield DnsQuestion(host, RecordType.AAAA)
    four = yield DnsQuestion(host, RecordType.A)
    families = [_addresses(six), _addresses(four)]
    addresses = [family[n] for n in range(MAX_ADDRESSES) for family in families if n < len(family)]
    if not addresses:
        if DnsStatus.FAILED in (six.status, four.status):
            raise DirectoryFailure(f"The DNS does not answer for the address of {host}")
        raise Unroutable(f"{host} has no address")
    found = four if four.records else six
    # A question that failed says nothing: else whoever keeps one answer away would keep DANE away (RFC 7672 §2.2.2).
    authentic = all(answer.authentic for answer in (six, four) if answer.status is not DnsStatus.FAILED)
    return HostAddresses(tuple(addresses), authentic, found.canonical_name)


def accepts_mail(domain: str) -> Consultation[None]:
    """Ask whether a domain says that it takes no mail. Raises NullMx, for `556 5.1.10` at RCPT (RFC 7505 §4.1).

    A DNS that does not answer, or a domain that is not there, is left to the queue.
    """
    if domain.startswith("["):
        return
    answer = yield DnsQuestion(domain, RecordType.MX)
    records = [record for record in answer.records if isinstance(record, MxRecord)]
    if records and not any(record.exchange for record in records):
        raise NullMx(f"{domain} does not accept mail")


def _addresses(answer: DnsAnswer) -> list[IpAddress]:
    return [record for record in answer.records if isinstance(record, IPv4Address | IPv6Address)]
