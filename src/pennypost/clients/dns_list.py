"""A list in the DNS as a screener: what is on it speaks for or against a message, or is refused at once (RFC 5782).

The resolver that everything else asks is asked, so that what is known already costs nothing.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, ip_network

from publicsuffixlist import PublicSuffixList

from pennypost.clients.screening.settings import ScreenerSettings
from pennypost.clients.screening.shape import (
    NOTHING,
    Moment,
    Opinion,
    Reply,
    Ruling,
    ScreenerFailed,
    Screening,
    Visit,
    one_line,
)
from pennypost.junk.content import Content
from pennypost.junk.evidence import Evidence
from pennypost.message.addresses import addresses, parse_addresses
from pennypost.model.envelope import Envelope
from pennypost.net.resolver import Resolver
from pennypost.verify.dmarc.author import domain_name
from pennypost.verify.dns_list import (
    NEVER_LISTED_ADDRESS,
    NEVER_LISTED_DOMAIN,
    Listing,
    ListSilent,
    ListUnusable,
    look_up,
    name_of_address,
    reason,
)

MAX_NAMES = 20
"""Domains of one message that one list is asked about."""


class Listed(Enum):
    """What a list is asked about."""

    ADDRESS = "address"
    HELO = "helo"
    SENDER = "sender"
    LINKS = "links"


@dataclass(frozen=True, slots=True)
class DnsListSettings(ScreenerSettings):
    """A list in the DNS (RFC 5782) of hosts or domains that are known for junk, or for wanted mail."""

    zone: str = ""
    """Its name, as "zen.spamhaus.org". Has to be given. Most lists have terms of use: some may not be asked through
    public resolvers, some cost money."""

    of: tuple[Listed, ...] = (Listed.ADDRESS,)
    """What is looked up: "address" (of the host that sends; IPv4 and IPv6), or domains: "helo", "sender" (of the
    reverse-path and of the author), "links"."""

    weight: float = 2.0
    """What it weighs in the score to be on it; below 0 it speaks for the message."""

    answers: Mapping[str, float] = field(default_factory=dict)
    """Weights of single answers, by address or network: `{ "127.0.0.2" = 3.0, "127.0.0.10/31" = 1.5 }`. An answer that
    is not among them then says nothing. Empty: each has `weight`."""

    refuse: bool = False
    """Whether mail from listed hosts, and from listed domains with "helo" and "sender", is refused before it comes
    in."""

    timeout: timedelta = timedelta(seconds=10)
    at_once: int = 200

    def __post_init__(self) -> None:
        ScreenerSettings.__post_init__(self)
        if domain_name(self.zone) != self.zone:
            raise ValueError("zone: expected a domain name in lower case")
        if not self.of or (Listed.ADDRESS in self.of and len(set(self.of)) > 1):
            raise ValueError(
                'of: expected "address", or some of "helo", "sender", "links": a list is of hosts or of domains'
            )
        for code in self.answers:
            network = ip_network(code)
            if network.version != 4 or not network.is_loopback:
                raise ValueError("answers: expected addresses or networks in 127.0.0.0/8")


class DnsList:
    """The screener."""

    kind = "dns-list"
    in_turn = False

    def __init__(self, settings: DnsListSettings, resolver: Resolver) -> None:
        self.settings = settings
        self.name = settings.zone
        self.resolver = resolver
        self.suffixes = PublicSuffixList() if Listed.ADDRESS not in settings.of else None
        self.moments = frozenset({Moment.CONTENT, Moment.SENDER} if settings.refuse else {Moment.CONTENT})
        self._weights = sorted(
            ((ip_network(code), weight) for code, weight in settings.answers.items()),
            key=lambda entry: -entry[0].prefixlen,
        )

    def begin(self, visit: Visit) -> Screening:
        return _LookUp(self, visit)

    async def close(self) -> None:
        """The resolver is somebody else's."""

    async def find(self, names: dict[str, str]) -> list[tuple[Listing, float]]:
        """Give those of some names that are on the list, and what each weighs. Raises ScreenerFailed."""
        zone = self.settings.zone
        never = NEVER_LISTED_ADDRESS if Listed.ADDRESS in self.settings.of else NEVER_LISTED_DOMAIN
        questions = (self.resolver.consult(look_up(zone, name, never)) for name in names)
        found: list[tuple[Listing, float]] = []
        problems: list[ListUnusable] = []
        for answer in await asyncio.gather(*questions, return_exceptions=True):
            if isinstance(answer, ListUnusable):
                problems.append(answer)
            elif isinstance(answer, BaseException):
                raise answer
            elif answer is not None and (weight := self._weight(answer.codes)):
                found.append((answer, weight))
        for problem in problems:  # one name without an answer among many says nothing of the list
            if not isinstance(problem, ListSilent) or len(problems) == len(names):
                raise ScreenerFailed(str(problem))
        return found

    def _weight(self, codes: tuple[IPv4Address, ...]) -> float:
        """Give the weight of what a list answered: that of the answer that says most."""
        if not self._weights:
            return self.settings.weight
        each = [next((weight for network, weight in self._weights if _within(code, network)), 0.0) for code in codes]
        return max(each, key=abs, default=0.0)


def _within(code: IPv4Address, network: object) -> bool:
    return isinstance(network, IPv4Network) and code in network


class _LookUp(Screening):
    def __init__(self, dns_list: DnsList, visit: Visit) -> None:
        self._list = dns_list
        self._visit = visit

    async def sender(self, envelope: Envelope) -> Opinion:
        """Refuse who is on the list (RFC 5782 §2.1: the TXT record says why)."""
        names = self._names(envelope, None)
        for listing, weight in await self._list.find(names):
            if weight > 0:
                zone = self._list.settings.zone
                said = one_line(await self._list.resolver.consult(reason(zone, listing.name)))
                text = f"Refused: {names[listing.name]} is on the list {zone}{': ' if said else ''}{said}"
                return Opinion(Ruling.REFUSE, _note(listing), Reply(550, "5.7.1", text))
        return NOTHING

    async def content(self, envelope: Envelope, content: Content) -> Opinion:
        names = self._names(envelope, content)
        found = await self._list.find(names)
        if not found:
            return NOTHING
        zone = self._list.settings.zone
        listing, weight = max(found, key=lambda entry: abs(entry[1]))
        trust = "are trusted" if weight < 0 else "are known for junk"
        sentence = one_line(f"{names[listing.name]} is on {zone}, a list of those who {trust}.")
        return Opinion(note=_note(listing), evidence=(Evidence(f"on-{zone}", weight, sentence),))

    def _names(self, envelope: Envelope, content: Content | None) -> dict[str, str]:
        """Give what to ask for, and what that is in words."""
        of, ip = self._list.settings.of, self._visit.peer.ip
        if Listed.ADDRESS in of:
            return {name_of_address(ip): f"the host {ip}"} if ip is not None and not ip.is_loopback else {}
        names: dict[str, str] = {}
        for domain, words in self._domains(of, envelope, content):
            registered = self._registered(domain)
            if registered is not None and len(names) < MAX_NAMES:
                names.setdefault(registered, f"{words} {registered}")
        return names

    def _domains(
        self, of: tuple[Listed, ...], envelope: Envelope, content: Content | None
    ) -> Iterator[tuple[str, str]]:
        if Listed.HELO in of:
            yield self._visit.hello, "the host name"
        if Listed.SENDER in of:
            if envelope.reverse_path is not None:
                yield envelope.reverse_path.domain, "the sender's domain"
            if content is not None:
                author = parse_addresses(content.fields.get("from", "").encode("utf-8", "replace"))
                for address in addresses(author):
                    yield address.domain, "the author's domain"
        if Listed.LINKS in of and content is not None:
            for link in content.links:
                yield link.host, "a link's domain"

    def _registered(self, domain: str) -> str | None:
        """Give the domain that somebody has registered, by which lists know it; None for addresses and suffixes."""
        name = domain_name(domain)
        if name is None or name.rpartition(".")[2].isdigit() or self._list.suffixes is None:
            return None
        registered = self._list.suffixes.privatesuffix(name)
        return str(registered) if registered else None


def _note(listing: Listing) -> str:
    return one_line(f"{listing.name} is listed: {', '.join(map(str, listing.codes))}")
