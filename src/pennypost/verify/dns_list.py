"""Lists in the DNS of who is known for junk, or for wanted mail: DNSBL and DNSWL (RFC 5782).

An address is asked for with its octets, or nibbles, in reverse (RFC 5782 §2.1, §2.4), a domain as it is (§3). Who is on
the list has A records in 127.0.0.0/8 that say why. Lists also use them to say that they do not want to be asked, and a
list that was given up may say yes to everything: both are found out here, so that no mail suffers from it.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network

from pennypost.model.dns import Consultation, DnsQuestion, DnsStatus, RecordType

_LOOPBACK = ip_network("127.0.0.0/8")
_REFUSALS = (ip_network("127.255.255.0/24"), ip_network("127.0.0.1/32"), ip_network("127.0.0.255/32"))
"""What lists answer who may not ask them: Spamhaus, SURBL and URIBL, DNSWL."""

NEVER_LISTED_ADDRESS, NEVER_LISTED_DOMAIN = "1.0.0.127", "invalid"
"""What must not be on a list (RFC 5782 §5)."""

MAX_TEXT = 300


class ListUnusable(Exception):
    """The list did not answer, or not as a list does. The text says how, in one line."""


class ListSilent(ListUnusable):
    """It did not answer, this time."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Something that is on a list. `name`: what was asked for, without the zone. `codes`: the A records."""

    name: str
    codes: tuple[IPv4Address, ...]


def name_of_address(address: IPv4Address | IPv6Address) -> str:
    """Give the name by which a list knows an address (RFC 5782 §2.1, §2.4)."""
    return address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


def look_up(zone: str, name: str, never_listed: str) -> Consultation[Listing | None]:
    """Find out whether a name is on a list. `never_listed`: what it is tried with when it says yes.

    Raises ListSilent when it does not answer, ListUnusable when it does not want to be asked, or says yes to
    everything.
    """
    answer = yield DnsQuestion(f"{name}.{zone}", RecordType.A)
    if answer.status is DnsStatus.FAILED:
        raise ListSilent("it does not answer")
    codes = tuple(record for record in answer.records if isinstance(record, IPv4Address))
    if not codes:
        return None
    _check(codes)
    tried = yield DnsQuestion(f"{never_listed}.{zone}", RecordType.A)
    if tried.status is DnsStatus.FOUND:
        raise ListUnusable("it lists what no list may list")
    return Listing(name, codes)


def reason(zone: str, name: str) -> Consultation[str]:
    """Give what a list says of somebody on it (RFC 5782 §2.1); "" when it says nothing."""
    answer = yield DnsQuestion(f"{name}.{zone}", RecordType.TXT)
    texts = [record.decode("ascii", "replace") for record in answer.records if isinstance(record, bytes)]
    return texts[0][:MAX_TEXT] if texts else ""


def _check(codes: tuple[IPv4Address, ...]) -> None:
    for code in codes:
        if code not in _LOOPBACK:
            raise ListUnusable(f"it answers {code}, as no list does")
        if any(code in network for network in _REFUSALS):
            raise ListUnusable(f"it does not want to be asked from here: {code}")
