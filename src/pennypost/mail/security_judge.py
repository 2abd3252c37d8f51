"""What TLS a host found by MX records has to have: DANE before MTA-STS (RFC 8461 §2), and those before memory."""

from typing import Protocol

from pennypost.mail.relay_settings import RelaySettings
from pennypost.mail.routing import Exchangers, HostAddresses
from pennypost.mail.sts_policies import StsPolicies
from pennypost.mail.tls_record import TlsRecord
from pennypost.mail.transport_security import HostSecurity, PolicyIdentity, Proof
from pennypost.model.dns import TlsaRecord
from pennypost.model.errors import TlsPolicyFailure
from pennypost.net.resolver import Resolver
from pennypost.verify.dane import Finding, find_tlsa
from pennypost.verify.mta_sts import StsMode, StsPolicy


class SecurityJudge(Protocol):
    """Decides for each host."""

    async def judge(
        self, domain: str, exchangers: Exchangers, host: str, where: HostAddresses, port: int
    ) -> HostSecurity:
        """Say what is asked of a host. Raises MailError when it must not be used now."""
        ...


class Trusting:
    """Asks nothing of anybody: TLS where it works."""

    async def judge(
        self, domain: str, exchangers: Exchangers, host: str, where: HostAddresses, port: int
    ) -> HostSecurity:
        return HostSecurity(Proof.OPPORTUNISTIC, trusted_name=exchangers.authentic)


class PolicyJudge:
    """Asks what the domain's DNS and its MTA-STS policy ask, and at least what was seen before."""

    def __init__(self, settings: RelaySettings, resolver: Resolver, policies: StsPolicies, record: TlsRecord) -> None:
        self._settings = settings
        self._resolver = resolver
        self._policies = policies
        self._record = record

    async def judge(
        self, domain: str, exchangers: Exchangers, host: str, where: HostAddresses, port: int
    ) -> HostSecurity:
        if self._settings.dane and exchangers.authentic and where.authentic:
            dane = await self._dane(domain, host, where, port)
            if dane is not None:
                return dane
        if self._settings.mta_sts != "off":
            sts = await self._mta_sts(domain, host)
            if sts is not None:
                return sts
        demanded = await self._record.demands_tls(domain)
        return HostSecurity(
            Proof.ENCRYPTED if demanded else Proof.OPPORTUNISTIC,
            trusted_name=exchangers.authentic,
            policy=PolicyIdentity("no-policy-found", domain),
        )

    async def _dane(self, domain: str, host: str, where: HostAddresses, port: int) -> HostSecurity | None:
        """RFC 7672 §2.2."""
        tlsa = await self._resolver.consult(find_tlsa(host, where.canonical_name, port))
        match tlsa.finding:
            case Finding.NONE:
                return None
            case Finding.FAILED:
                self._record.failed(PolicyIdentity("tlsa", domain, (), (host,)), "dnssec-invalid", host)
                raise TlsPolicyFailure(f"The DNS does not answer for the TLSA records of {host}")
        strings = tuple(_presented(tlsa.base, port, record) for record in tlsa.records)
        policy = PolicyIdentity("tlsa", domain, strings, (host,))
        if tlsa.finding is Finding.UNUSABLE:
            self._record.failed(policy, "tlsa-invalid", host)
            return HostSecurity(Proof.ENCRYPTED, tls_name=tlsa.base, trusted_name=True, policy=policy)
        names = tuple(dict.fromkeys((tlsa.base, host, domain)))  # RFC 7672 §3.2.2
        return HostSecurity(Proof.DANE, "dane", tlsa.records, tlsa.base, names, trusted_name=True, policy=policy)

    async def _mta_sts(self, domain: str, host: str) -> HostSecurity | None:
        """RFC 8461 §5."""
        found = await self._policies.of(domain)
        if found.problem:
            self._record.failed(PolicyIdentity("sts", domain), found.problem, reason=found.detail)
        policy = found.policy
        if policy is None:
            return None
        identity = sts_identity(domain, policy)
        enforced = policy.mode is StsMode.ENFORCE and self._settings.mta_sts == "enforce"
        if policy.allows(host):
            if enforced:
                return HostSecurity(Proof.VALID, "mta-sts", trusted_name=True, policy=identity)
            demanded = await self._record.demands_tls(domain)
            proof = Proof.ENCRYPTED if demanded else Proof.OPPORTUNISTIC
            return HostSecurity(proof, trusted_name=True, testing=True, policy=identity)
        self._record.failed(identity, "validation-failure", host, reason=f"{host} is not in the policy")
        if enforced:
            raise TlsPolicyFailure(f"The policy of {domain} does not allow {host}")
        return None


def sts_identity(domain: str, policy: StsPolicy) -> PolicyIdentity:
    """Describe a policy for reports."""
    return PolicyIdentity("sts", domain, policy.lines, policy.mx)


def _presented(base: str, port: int, record: TlsaRecord) -> str:
    """Write a record as in a zone file (RFC 6698 §2.2)."""
    data = record.data.hex().upper()
    return f"_{port}._tcp.{base}. IN TLSA {record.usage} {record.selector} {record.matching_type} {data}"
