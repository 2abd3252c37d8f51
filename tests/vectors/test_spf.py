"""Every case of the SPF suites (RFC 7208), against their own zones."""

import pytest
from tests.vectors import mime
from tests.vectors.spf import Case, Zone, line_cases, openspf_cases

from pennypost.model.verification import SpfResult, SpfVerdict
from pennypost.verify.spf import Sender, verify_helo, verify_mail_from

ROOT = mime.root()

EXPLAINED = {
    # RFC 7208 §4.6: an error anywhere in a record counts, also behind "all" ("ip:" is no mechanism).
    "all: All test sender@test.org 10.0.0.1": "permerror",
    # §4.6.4: ten names that do not exist are more than two void look-ups.
    "basic: DNS Lookup Limits sender@ok.test.org 172.168.0.1": "permerror",
    # §5.7: exists asks for A records, whatever the client's address is.
    "exists: Exists sender@ip6.test.org 167.1.2.3": "fail",
    "macro: Macro expansion 2 strong-bad@email.example.com 2001:db8::cb01": "fail",
    # §5.6: ip6 is about IPv6 clients; a mapped address is IPv4 (§5).
    "ip: IPv6 match sender@test.org 10.1.2.3": "fail",
}
"""Where the second suite expects what the RFC forbids: what it says instead."""

OPENSPF = list(openspf_cases(ROOT / "spf-rfc7208" / "rfc7208-tests.yml"))
LINES = [case for path in sorted((ROOT / "spf-mailauth").glob("*.yml")) for case in line_cases(path)]


def sender_of(case: Case) -> Sender:
    local, _, domain = case.mail_from.rpartition("@")
    return Sender(case.ip, case.helo, local, domain, receiver="receiver.example")


def expect(case: Case, verdict: SpfVerdict) -> None:
    assert verdict.result.value in case.expected, verdict
    if case.explanation is not None and verdict.result is SpfResult.FAIL:
        # "i" has hexadecimal digits, whose case does not matter in the DNS (RFC 7208 §7.3).
        assert (verdict.explanation or "DEFAULT").lower() == case.explanation.lower()


@pytest.mark.parametrize("case", OPENSPF, ids=lambda case: case.name)
def test_a_case_of_the_openspf_suite_has_one_of_its_results(case: Case) -> None:
    expect(case, Zone(case.zone).consult(verify_mail_from(sender_of(case))))


@pytest.mark.parametrize("case", LINES, ids=lambda case: case.name)
def test_a_case_of_the_second_suite_has_its_result(case: Case) -> None:
    """There the HELO identity comes first, and its fail is the result."""
    verdict = Zone(case.zone).consult(verify_helo(sender_of(case)))
    if verdict.result is not SpfResult.FAIL or case.helo == case.mail_from.rpartition("@")[2]:
        verdict = Zone(case.zone).consult(verify_mail_from(sender_of(case)))
    if case.name in EXPLAINED:
        assert verdict.result.value == EXPLAINED[case.name]
        return
    expect(case, verdict)


def test_the_suites_are_there() -> None:
    assert len(OPENSPF) > 200
    assert len(LINES) > 160
    assert set(EXPLAINED) <= {case.name for case in LINES}
