"""dnspython's messages become answers of ours, names become its names."""

from ipaddress import IPv4Address, IPv6Address

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdtypes.ANY.CAA
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.NS
import dns.rdtypes.ANY.PTR
import dns.rdtypes.ANY.RRSIG
import dns.rdtypes.ANY.SOA
import dns.rdtypes.ANY.TLSA
import dns.rdtypes.ANY.TXT
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.rdtypes.IN.SRV

from pennypost.model.dns import (
    CaaRecord,
    DnsAnswer,
    DnsQuestion,
    DnsRecord,
    DnsStatus,
    MxRecord,
    SrvRecord,
    TlsaRecord,
)

MAX_RECORDS = 1000
"""Records of one answer that are looked at."""


def name_from(name: str) -> dns.name.Name | None:
    """Make a name of A-labels; None for what no name can be. Nothing in it is an escape."""
    labels = name.removesuffix(".").split(".") if name not in ("", ".") else []
    try:
        return dns.name.Name([label.encode("ascii") for label in labels] + [b""])
    except (UnicodeEncodeError, dns.exception.DNSException):
        return None


def answer_from(response: dns.message.Message, question: DnsQuestion, *, authentic: bool) -> DnsAnswer:
    """Read a response whose code is NOERROR or NXDOMAIN. `authentic`: its AD bit is believed.

    Raises DNSException for one that makes no sense: CNAMEs in a circle, an answer for a name that does not exist.
    """
    if not isinstance(response, dns.message.QueryMessage):
        raise dns.exception.FormError("not an answer to a question")  # type: ignore[no-untyped-call]
    chain = response.resolve_chaining()
    authentic = authentic and bool(response.flags & dns.flags.AD)
    canonical = _text(chain.canonical_name) if chain.cnames else None
    if chain.answer is None:
        missing = response.rcode() == dns.rcode.NXDOMAIN
        status = DnsStatus.NO_SUCH_NAME if missing else DnsStatus.NO_DATA
        return DnsAnswer(status, (), authentic, canonical, chain.minimum_ttl)
    records = tuple(_record(rdata) for rdata in list(chain.answer)[:MAX_RECORDS])
    return DnsAnswer(DnsStatus.FOUND, records, authentic, canonical, chain.minimum_ttl)


def _text(name: dns.name.Name) -> str:
    return "" if name == dns.name.root else name.to_text(omit_final_dot=True).lower()


def _record(rdata: dns.rdata.Rdata) -> DnsRecord:
    match rdata:
        case dns.rdtypes.IN.A.A():
            return IPv4Address(rdata.address)
        case dns.rdtypes.IN.AAAA.AAAA():
            return IPv6Address(rdata.address)
        case dns.rdtypes.ANY.MX.MX():
            return MxRecord(rdata.preference, _text(rdata.exchange))
        case dns.rdtypes.ANY.TXT.TXT():
            return b"".join(rdata.strings)
        case dns.rdtypes.ANY.TLSA.TLSA():
            return TlsaRecord(rdata.usage, rdata.selector, rdata.mtype, rdata.cert)
        case dns.rdtypes.IN.SRV.SRV():
            return SrvRecord(rdata.priority, rdata.weight, rdata.port, _text(rdata.target))
        case dns.rdtypes.ANY.CAA.CAA():
            return CaaRecord(rdata.flags, rdata.tag.decode("ascii", "replace").lower(), rdata.value)
        case dns.rdtypes.ANY.SOA.SOA():
            return _text(rdata.mname)
        case dns.rdtypes.ANY.CNAME.CNAME() | dns.rdtypes.ANY.NS.NS() | dns.rdtypes.ANY.PTR.PTR():
            return _text(rdata.target)
        case _:
            raise dns.exception.FormError(f"a record of type {rdata.rdtype}")  # type: ignore[no-untyped-call]
