"""The addresses to try for a next hop, one after the other, each with the TLS it has to have."""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address

from pennypost.mail.relay_settings import RelaySettings
from pennypost.mail.routing import (
    HostAddresses,
    IpAddress,
    find_addresses,
    find_exchangers,
    literal_address,
)
from pennypost.mail.security_judge import SecurityJudge
from pennypost.mail.transport_security import HostSecurity, Proof
from pennypost.model.errors import MailError, Unroutable
from pennypost.model.relaying import HopKind, NextHop, TlsMode
from pennypost.net.outbound import lies_in
from pennypost.net.resolver import Resolver

LMTP_PORT = 24
SUBMISSION_PORT = 587
SUBMISSIONS_PORT = 465

_LOCALHOST = HostAddresses((IPv6Address("::1"), IPv4Address("127.0.0.1")), authentic=False)
"""RFC 6761 §6.3: nobody has to be asked."""

_PROOFS = {
    TlsMode.OFF: HostSecurity(Proof.CLEAR),
    TlsMode.OPPORTUNISTIC: HostSecurity(Proof.OPPORTUNISTIC),
    TlsMode.REQUIRED: HostSecurity(Proof.ENCRYPTED),
    TlsMode.VERIFIED: HostSecurity(Proof.VALID, "pki", trusted_name=True),
    TlsMode.IMPLICIT: HostSecurity(Proof.VALID, "pki", trusted_name=True),
}


@dataclass(frozen=True, slots=True)
class Target:
    """One address to try. `host`: its name, or its address where it has none. `address`: an IP address, or the path of
    a Unix socket."""

    host: str
    address: str
    port: int
    security: HostSecurity
    implicit_tls: bool = False
    lmtp: bool = False

    def __str__(self) -> str:
        """As `RecipientResult.remote` has it."""
        return self.host if self.host == self.address else f"{self.host} [{self.address}]"

    @property
    def tls_name(self) -> str:
        """Whom TLS asks for."""
        return self.security.tls_name or self.host


class Targets:
    """Finds targets. `own_names`: what we are called, lower case."""

    def __init__(
        self, settings: RelaySettings, resolver: Resolver, judge: SecurityJudge, own_names: frozenset[str]
    ) -> None:
        self._settings = settings
        self._resolver = resolver
        self._judge = judge
        self._own_names = own_names
        self._random = random.SystemRandom()

    def of(
        self, hop: NextHop, *, require_tls: bool = False, ignore_policy: bool = False
    ) -> AsyncIterator[Target | MailError]:
        """Give the targets of a hop, in order, and in place of a host that cannot be tried why not.

        Raises MailError when there is none at all. `require_tls`: REQUIRETLS was asked for (RFC 8689 §4.2.1).
        `ignore_policy`: `TLS-Required: No` (RFC 8689 §3).
        """
        if hop.kind is HopKind.MX:
            address = literal_address(hop.domain)
            return (
                self._literal(hop, address, require_tls)
                if address is not None
                else self._exchangers(hop, require_tls, ignore_policy)
            )
        return self._host(hop, require_tls)

    async def _literal(self, hop: NextHop, address: IpAddress, require_tls: bool) -> AsyncIterator[Target | MailError]:
        """RFC 5321 §4.1.3: no MX records are asked for."""
        if lies_in(address, self._settings.refuse_networks):
            raise Unroutable(f"No mail goes to {address}")
        yield Target(str(address), str(address), self._settings.port, _least(hop, require_tls))

    async def _host(self, hop: NextHop, require_tls: bool) -> AsyncIterator[Target | MailError]:
        """A smarthost, or an LMTP server: "unix:/path", a path, a name, or an address."""
        implicit = hop.tls is TlsMode.IMPLICIT
        lmtp = hop.kind is HopKind.LMTP
        usual = LMTP_PORT if lmtp else SUBMISSIONS_PORT if implicit else SUBMISSION_PORT
        port = hop.port or usual
        path = hop.host.removeprefix("unix:")
        if path.startswith("/"):
            yield Target(path, path, 0, HostSecurity(Proof.CLEAR), lmtp=lmtp)
            return
        host = hop.host.removeprefix("[").removesuffix("]")
        found = _LOCALHOST if host.lower() == "localhost" else await self._resolver.consult(find_addresses(host))
        for address in _of_family(found.addresses, hop.source):
            yield Target(host, str(address), port, _least(hop, require_tls), implicit, lmtp)

    async def _exchangers(
        self, hop: NextHop, require_tls: bool, ignore_policy: bool
    ) -> AsyncIterator[Target | MailError]:
        consultation = find_exchangers(hop.domain, self._own_names, self._random.shuffle)
        exchangers = await self._resolver.consult(consultation)
        for host in exchangers.hosts:
            try:
                where = await self._resolver.consult(find_addresses(host))
                security = _PROOFS[hop.tls]
                if not ignore_policy and hop.tls is not TlsMode.OFF:
                    judged = await self._judge.judge(hop.domain, exchangers, host, where, self._settings.port)
                    security = _stricter(judged, security, require_tls)
            except MailError as problem:
                yield problem
                continue
            for address in _of_family(where.addresses, hop.source):
                if lies_in(address, self._settings.refuse_networks):
                    yield Unroutable(f"{host} [{address}] cannot be a mail host of {hop.domain}")
                else:
                    yield Target(host, str(address), self._settings.port, security)


def _of_family(addresses: tuple[IpAddress, ...], source: str) -> tuple[IpAddress, ...]:
    """Leave those that can be reached from a local address; all, where none was asked for."""
    if not source:
        return addresses
    version = ip_address(source).version
    return tuple(address for address in addresses if address.version == version)


def _least(hop: NextHop, require_tls: bool) -> HostSecurity:
    """What a host has to prove that was named by an administrator, or by its address."""
    return _stricter(_PROOFS[hop.tls], _PROOFS[hop.tls], require_tls and hop.kind is not HopKind.MX)


def _stricter(judged: HostSecurity, least: HostSecurity, require_tls: bool) -> HostSecurity:
    security = judged if judged.proof >= least.proof else least
    if require_tls and security.proof < Proof.VALID and (judged.trusted_name or least.trusted_name):
        # RFC 8689 §4.2.1: the certificate has to be valid for a host that is known to serve the domain.
        return replace(security, proof=Proof.VALID, vouched_by="pki")
    return security
