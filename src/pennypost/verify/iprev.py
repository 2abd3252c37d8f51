"""Does the name of a client lead back to it (RFC 8601 §3)?"""

from ipaddress import IPv4Address, IPv6Address

from pennypost.model.dns import Consultation, DnsQuestion, DnsStatus, RecordType
from pennypost.model.verification import IprevResult, IprevVerdict

MAX_NAMES = 5
"""Names of one PTR that are asked for."""


def verify(ip: IPv4Address | IPv6Address) -> Consultation[IprevVerdict]:
    """Look up the names of an address, and the addresses of those."""
    answer = yield DnsQuestion(ip.reverse_pointer.lower(), RecordType.PTR)
    if answer.status is DnsStatus.FAILED:
        return IprevVerdict(IprevResult.TEMPERROR)
    names = [name for name in answer.records if isinstance(name, str)]
    if not names:
        return IprevVerdict(IprevResult.PERMERROR)
    kind = RecordType.A if ip.version == 4 else RecordType.AAAA
    failed = False
    for name in names[:MAX_NAMES]:
        forward = yield DnsQuestion(name, kind)
        if ip in forward.records:
            return IprevVerdict(IprevResult.PASS, name)
        failed = failed or forward.status is DnsStatus.FAILED
    return IprevVerdict(IprevResult.TEMPERROR if failed else IprevResult.FAIL, names[0])
