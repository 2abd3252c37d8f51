"""Several hundred generated and mutated messages: our verdicts beside those of dkimpy, pyspf and authres.

SPF is pyspf's to confirm, DKIM dkimpy's; DMARC follows from the parts by the table in `expected_dmarc`; and
authres has to read what we write into Authentication-Results.
"""

import re
import warnings
from ipaddress import ip_address
from typing import Any

import authres
import dkim as dkimpy
import pytest
from tests.unit.mail.corpus import HELO, ORGANIZATIONS, POLICIES, Made, messages, sender_of, verify
from tests.vectors.spf import Zone

from pennypost.mail.verification import Verdicts
from pennypost.mail.verifier import outcomes
from pennypost.model.address import Address
from pennypost.model.peer import Peer
from pennypost.model.verification import DkimResult, DmarcPolicy, DmarcResult, SpfResult
from pennypost.verify import authentication_results, iprev
from pennypost.verify.spf import verify_helo

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import spf as pyspf


def oracle_dkim(made: Made) -> list[bool]:
    """Have dkimpy verify each signature."""

    def look_up(name: bytes, timeout: float = 5) -> bytes | None:
        found = made.zone.get(name.decode().rstrip("."), [])
        return found[0][1].encode() if found else None

    checker = dkimpy.DKIM(made.octets)
    count = sum(name.lower() == b"dkim-signature" for name, _ in checker.headers)
    results = []
    for index in range(count):
        try:
            results.append(bool(checker.verify(index, dnsfunc=look_up)))
        except dkimpy.DKIMException:
            results.append(False)
    return results


def oracle_spf(made: Made, monkeypatch: pytest.MonkeyPatch) -> str:
    def look_up(name: str, qtype: str, strict: object = True, timeout: float = 20) -> list[Any]:
        records = made.zone.get(name.lower().rstrip("."), [])
        return [
            ((name, qtype), (value.encode(),) if kind == "TXT" else value) for kind, value in records if kind == qtype
        ]

    monkeypatch.setattr(pyspf, "DNSLookup", look_up)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result: str = pyspf.query(i=made.client, s=f"carl@{made.mail_from}", h=HELO).check()[0]
    return result


def expected_dmarc(made: Made, spf_passes: bool, signers: list[str]) -> tuple[DmarcResult, DmarcPolicy]:
    """Say what DMARC comes to, from the parts: alignment by the table of organizations."""
    organization = ORGANIZATIONS[made.author]
    record = POLICIES[organization]
    if not record:
        return DmarcResult.NONE, DmarcPolicy.NONE
    strict = "adkim=s" in record
    identifiers = [*signers, *([made.mail_from] if spf_passes else [])]
    aligned = any(name == made.author if strict else ORGANIZATIONS[name] == organization for name in identifiers)
    wanted = re.search(r"sp=(\w+)" if made.author != organization and "sp=" in record else r"p=(\w+)", record)
    assert wanted is not None
    return DmarcResult.PASS if aligned else DmarcResult.FAIL, DmarcPolicy(wanted[1])


def test_a_corpus_has_the_verdicts_of_other_implementations(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, int] = {}
    for made in messages():
        zone, ours = Zone(made.zone), verify(made)
        spf, signatures, dmarc = ours.spf, ours.signatures, ours.dmarc

        assert spf.result.value == oracle_spf(made, monkeypatch), made.text
        assert [verdict.result is DkimResult.PASS for verdict in signatures] == oracle_dkim(made), made.text
        signers = [verdict.domain for verdict in signatures if verdict.result is DkimResult.PASS]
        expected = expected_dmarc(made, spf.result is SpfResult.PASS, signers)
        assert (dmarc.result, dmarc.policy) == expected, made.text

        peer = Peer(ip_address(made.client), 1)
        reverse = zone.consult(iprev.verify(ip_address(made.client)))
        verdicts = Verdicts(spf, zone.consult(verify_helo(sender_of(made))), signatures, dmarc, None, reverse)
        field = authentication_results.field(
            "mail.penny.test", outcomes(peer, Address("carl", made.mail_from), verdicts)
        )
        read = authres.AuthenticationResultsHeader.parse(re.sub(r"\r\n[ \t]+", " ", field.decode()).strip())
        assert read.authserv_id == "mail.penny.test"
        told = [(result.method, result.result) for result in read.results]
        assert ("spf", spf.result.value) in told
        assert ("dmarc", dmarc.result.value) in told
        assert [result for method, result in told if method == "dkim"] == (
            [verdict.result.value for verdict in signatures] or ["none"]
        )
        for kind in (f"spf {spf.result.value}", f"dmarc {dmarc.result.value}", *(v.result.value for v in signatures)):
            seen[kind] = seen.get(kind, 0) + 1
    assert {"spf pass", "spf fail", "spf softfail", "spf neutral", "spf none"} <= set(seen)
    assert {"dmarc pass", "dmarc fail", "dmarc none", "pass", "fail"} <= set(seen)
