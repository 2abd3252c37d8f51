"""DNSSEC by a validating resolver: what is signed counts, what was tampered with is no answer (RFC 4035)."""

from ipaddress import IPv4Address

import pytest
from tests.interop.signed_dns import SignedDns
from tests.interop.tools import need

from pennypost.model.dns import DnsAnswer, DnsQuestion, DnsStatus, MxRecord, RecordType
from pennypost.net.resolver import Resolver
from pennypost.net.settings import ResolverSettings
from pennypost.verify.dane import Finding, Tlsa, find_tlsa

pytestmark = need("unbound")

DIGEST = "ab" * 32
RECORDS = f"""@ IN MX 10 mx
mx IN A 192.0.2.1
_25._tcp.mx IN TLSA 3 1 1 {DIGEST}
alias IN CNAME mx
"""


async def ask(server: SignedDns, name: str, kind: RecordType) -> DnsAnswer:
    resolver = Resolver(ResolverSettings(), (("127.0.0.1", server.port),))
    try:
        return await resolver.ask(DnsQuestion(name, kind))
    finally:
        await resolver.close()


async def tlsa(server: SignedDns) -> Tlsa:
    resolver = Resolver(ResolverSettings(), (("127.0.0.1", server.port),))
    try:
        return await resolver.consult(find_tlsa("mx.secure.test", None, 25))
    finally:
        await resolver.close()


async def test_what_is_signed_is_authentic() -> None:
    with SignedDns("secure.test", RECORDS) as server:
        mx = await ask(server, "secure.test", RecordType.MX)
        assert (mx.records, mx.authentic) == ((MxRecord(10, "mx.secure.test"),), True)
        a = await ask(server, "alias.secure.test", RecordType.A)
        assert (a.records, a.authentic, a.canonical_name) == ((IPv4Address("192.0.2.1"),), True, "mx.secure.test")
        for name, status in (("mx.secure.test", DnsStatus.NO_DATA), ("no.secure.test", DnsStatus.NO_SUCH_NAME)):
            absent = await ask(server, name, RecordType.AAAA)
            assert (absent.status, absent.authentic) == (status, True)  # proved by NSEC records
        found = await tlsa(server)
        assert (found.finding, found.records[0].data.hex()) == (Finding.USABLE, DIGEST)


@pytest.mark.parametrize(("old", "new"), [(DIGEST, "cd" * 32), (f"3 1 1 {DIGEST}", f"3 1 1 {'00' * 32}")])
async def test_what_was_changed_on_the_way_is_no_answer(old: str, new: str) -> None:
    """RFC 7672 §2.1.2: and then the host is not used."""
    with SignedDns("secure.test", RECORDS, lambda zone: zone.replace(old, new)) as server:
        assert (await ask(server, "_25._tcp.mx.secure.test", RecordType.TLSA)).status is DnsStatus.FAILED
        assert (await tlsa(server)).finding is Finding.FAILED
        assert (await ask(server, "mx.secure.test", RecordType.A)).authentic  # the rest still is


async def test_a_signature_that_was_taken_away() -> None:
    """Nobody can make a signed zone an unsigned one."""

    def strip(zone: str) -> str:
        return "\n".join(line for line in zone.splitlines() if "RRSIG TLSA" not in line) + "\n"

    with SignedDns("secure.test", RECORDS, strip) as server:
        assert (await tlsa(server)).finding is Finding.FAILED
