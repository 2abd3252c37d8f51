"""Which next hop a delivery goes to (RFC 5321 §5)."""

from ipaddress import ip_address

from pennypost.mail.queue.settings import QueueSettings, Smarthost, SmarthostLanguage
from pennypost.model.address import Address
from pennypost.model.errors import BadAddress
from pennypost.model.relaying import HopKind, NextHop
from pennypost.store.keys import canonical_domain
from pennypost.store.queue import hop_of_domain

_MAX_KNOWN = 20_000


def canonical(domain: str) -> str:
    """Give a domain as next hops are called by it: A-labels, lower case; what is no domain as it is."""
    try:
        return canonical_domain(domain)
    except BadAddress:
        return domain.lower()


def hop_name(hop: NextHop) -> str:
    """Give the name of a next hop: what the queue groups by, and an administrator reads."""
    name = hop_of_domain(str(hop))
    if hop.login:
        name += f" as {hop.login}"
    return f"{name} from {hop.source}" if hop.source else name


class Router:
    """Finds next hops by the settings."""

    def __init__(self, settings: QueueSettings) -> None:
        self.settings = settings
        self._backed_up = frozenset(map(canonical, settings.backup_for))
        self._smarthosts = settings.smarthosts
        self._sources = {canonical(domain): str(ip_address(source)) for domain, source in settings.sources.items()}
        self._tiers = sorted({host.after_failures for host in settings.smarthosts if host.after_failures})
        self._known: dict[tuple[str, str, int], tuple[str, NextHop]] = {}
        self._backs_up: dict[str, bool] = {}

    def find(self, sender: Address | None, recipient: Address, attempts: int = 0) -> tuple[str, NextHop]:
        """Give the next hop of a delivery, and its name. `attempts`: those that failed so far."""
        tier = sum(attempts >= failures for failures in self._tiers) if self._tiers else 0
        key = ("" if sender is None else sender.domain, recipient.domain, tier)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            hop = self._find(canonical(key[0]), canonical(key[1]), attempts)
            known = self._known[key] = hop_name(hop), hop
        return known

    def backs_up(self, domain: str) -> bool:
        """Whether we are a backup MX of a domain: its mail is taken from anybody and passed on."""
        if not self._backed_up:
            return False
        known = self._backs_up.get(domain)
        if known is None:
            if len(self._backs_up) >= _MAX_KNOWN:
                self._backs_up.clear()
            known = self._backs_up[domain] = canonical(domain) in self._backed_up
        return known

    def _find(self, sender: str, recipient: str, attempts: int) -> NextHop:
        source = self._sources.get(sender, "")
        # One that only helps out after failures comes before one that always goes: it is the more particular.
        fitting = [host for host in self._smarthosts if _fits(host, sender, recipient)]
        for host in sorted(fitting, key=lambda host: -host.after_failures):
            if host.after_failures <= attempts:
                kind = HopKind.LMTP if host.protocol is SmarthostLanguage.LMTP else HopKind.SMARTHOST
                return NextHop(kind, "", host.host, host.port, host.tls, host.login, source)
        return NextHop(HopKind.MX, recipient, source=source)


def _fits(host: Smarthost, sender: str, recipient: str) -> bool:
    return (not host.senders or sender in map(canonical, host.senders)) and (
        not host.recipients or recipient in map(canonical, host.recipients)
    )
