"""DMARC by questions and answers (RFC 9989)."""

from dataclasses import replace
from typing import Any

import pytest
from tests.vectors.spf import Zone

from pennypost.model.dns import DnsQuestion, RecordType
from pennypost.model.verification import (
    DkimResult,
    DkimVerdict,
    DmarcPolicy,
    DmarcResult,
    DmarcVerdict,
    SpfResult,
    SpfVerdict,
)
from pennypost.verify.dmarc import Forgery, find_author, parse, verify, verify_all
from pennypost.verify.dmarc.destinations import Destinations, destinations
from pennypost.verify.dmarc.record import mailbox_of
from pennypost.verify.dmarc.tree import targets, walk


def zone(**records: str) -> Zone:
    """Make a zone of policy records: `example_org="p=reject"`; a name that is there without a policy has ""."""
    made: dict[str, list[tuple[str, Any]]] = {}
    for name, policy in records.items():
        domain = name.replace("__", "-").replace("_", ".")
        if policy:
            made[f"_dmarc.{domain}"] = [("TIMEOUT", "")] if policy == "TIMEOUT" else [("TXT", f"v=DMARC1; {policy}")]
        else:
            made[domain] = [("A", "192.0.2.1")]
    return Zone(made)


def spf(domain: str, result: SpfResult = SpfResult.PASS) -> SpfVerdict:
    return SpfVerdict(result, "mailfrom", domain)


def dkim(domain: str, result: DkimResult = DkimResult.PASS) -> DkimVerdict:
    return DkimVerdict(result, domain, "s", f"@{domain}", "rsa-sha256", "abc")


def judge(z: Zone, author: str, *passed: SpfVerdict | DkimVerdict) -> DmarcVerdict:
    first = next((p for p in passed if isinstance(p, SpfVerdict)), None)
    return z.consult(verify(author, first, [p for p in passed if isinstance(p, DkimVerdict)]))


def test_the_same_domain_needs_one_question() -> None:
    z = zone(example_org="p=reject")
    verdict = judge(z, "example.org", spf("example.org"))
    assert (verdict.result, verdict.spf_aligned, verdict.dkim_aligned) == (DmarcResult.PASS, True, False)
    assert z.asked == [DnsQuestion("_dmarc.example.org", RecordType.TXT)]


def test_nothing_aligned_fails_with_the_policy_of_the_domain() -> None:
    verdict = judge(zone(example_org="p=reject"), "example.org", spf("example.net"), dkim("mail.example.com"))
    assert (verdict.result, verdict.policy) == (DmarcResult.FAIL, DmarcPolicy.REJECT)


@pytest.mark.parametrize(
    ("tags", "aligned"),
    [("", True), ("; adkim=r", True), ("; adkim=s", False), ("; adkim=x", True), ("; aspf=s", True)],
)
def test_relaxed_is_the_default_and_strict_wants_the_same_domain(tags: str, aligned: bool) -> None:
    verdict = judge(zone(example_org="p=none" + tags), "news.example.org", dkim("mail.example.org"))
    assert verdict.dkim_aligned is aligned


@pytest.mark.parametrize(
    ("record", "author", "policy"),
    [
        ("p=reject", "a.example.org", "reject"),
        ("p=reject; sp=quarantine", "example.org", "reject"),
        ("p=reject; sp=quarantine", "a.example.org", "quarantine"),
        ("p=none; sp=quarantine; np=reject", "a.example.org", "quarantine"),
        ("p=none; sp=quarantine; np=reject", "gone.example.org", "reject"),
        ("p=none; np=reject", "a.example.org", "none"),
        ("p=none; np=reject", "gone.example.org", "reject"),
        ("p=none; sp=reject", "gone.example.org", "reject"),
        ("p=reject; t=y", "example.org", "quarantine"),
        ("p=quarantine; t=y", "example.org", "none"),
        ("p=reject; pct=0", "example.org", "reject"),
        ("p=bogus; rua=mailto:a@example.org", "example.org", "none"),
        ("p=reject; sp=bogus; rua=mailto:a@example.org", "a.example.org", "none"),
        ("P=Reject", "example.org", "reject"),
    ],
)
def test_which_policy_applies(record: str, author: str, policy: str) -> None:
    verdict = judge(zone(example_org=record, a_example_org=""), author)
    assert (verdict.result, verdict.policy.value) == (DmarcResult.FAIL, policy)


@pytest.mark.parametrize("record", ["p=bogus", "sp=reject", "p=reject; np=what", "rua=example.org"])
def test_a_record_without_a_policy_or_a_place_for_reports_is_none(record: str) -> None:
    assert judge(zone(example_org=record), "example.org").result is DmarcResult.NONE


@pytest.mark.parametrize("text", [b"v=DMARC1", b"v=DMARC1;p=none", b"v = DMARC1 ; p=none"])
def test_what_is_a_record(text: bytes) -> None:
    assert parse(text) is not None


@pytest.mark.parametrize("text", [b"", b"v=dmarc1; p=none", b"v=DMARC12; p=none", b"p=none; v=DMARC1", b"v=spf1 -all"])
def test_what_is_no_record(text: bytes) -> None:
    assert parse(text) is None


def test_of_several_records_none_counts() -> None:
    z = Zone({"_dmarc.example.org": [("TXT", "v=DMARC1; p=reject"), ("TXT", "v=DMARC1; p=none")]})
    assert judge(z, "example.org").result is DmarcResult.NONE
    z = Zone({"_dmarc.example.org": [("TXT", "v=DMARC1; p=reject"), ("TXT", "something else")]})
    assert judge(z, "example.org").result is DmarcResult.FAIL


def test_a_walk_asks_eight_questions_at_most() -> None:
    """The example of RFC 9989 §4.10."""
    assert list(targets("a.b.c.d.e.f.g.h.i.j.mail.example.com")) == [
        "a.b.c.d.e.f.g.h.i.j.mail.example.com",
        "g.h.i.j.mail.example.com",
        "h.i.j.mail.example.com",
        "i.j.mail.example.com",
        "j.mail.example.com",
        "mail.example.com",
        "example.com",
        "com",
    ]
    assert len(list(targets("a.b.c.d.e.f.example.com"))) == 8


@pytest.mark.parametrize(
    ("records", "start", "organization"),
    [
        ({"mail_example_com": "p=none", "example_com": "p=none"}, "a.mail.example.com", "example.com"),
        ({"mail_example_com": "p=none; psd=n", "example_com": "p=none"}, "a.mail.example.com", "mail.example.com"),
        ({"com": "p=none; psd=y"}, "a.mail.example.com", "example.com"),
        ({"example_com": "p=none; psd=y"}, "example.com", "example.com"),
        ({}, "a.mail.example.com", "a.mail.example.com"),
        (
            {"giant_bank_example": "p=none", "bank_example": "p=reject; psd=y"},
            "mail.giant.bank.example",
            "giant.bank.example",
        ),
        ({"bank_example": "p=reject; psd=y"}, "mail.mega.bank.example", "mega.bank.example"),
    ],
)
def test_the_organizational_domain(records: dict[str, str], start: str, organization: str) -> None:
    """The examples of RFC 9989 §4.10.2 and B.4."""
    assert zone(**records).consult(walk(start)).organizational_domain == organization


def test_a_public_suffix_speaks_for_those_who_do_not() -> None:
    z = zone(bank_example="p=none; sp=quarantine; np=reject; psd=y", giant_bank_example="")
    assert judge(z, "giant.bank.example").policy is DmarcPolicy.QUARANTINE
    assert judge(z, "mega.bank.example").policy is DmarcPolicy.REJECT
    # Two customers of one suffix are not one organization.
    assert judge(z, "giant.bank.example", dkim("mega.bank.example")).result is DmarcResult.FAIL


def test_a_subdomain_with_psd_n_is_an_organization_of_its_own() -> None:
    z = zone(example_com="p=reject", tenant_example_com="p=none; psd=n")
    assert judge(z, "example.com", dkim("x.tenant.example.com")).result is DmarcResult.FAIL
    assert judge(z, "a.tenant.example.com", dkim("x.tenant.example.com")).result is DmarcResult.PASS


def test_failures_of_the_dns_are_neither_pass_nor_fail() -> None:
    assert judge(zone(example_org="TIMEOUT"), "example.org").result is DmarcResult.TEMPERROR
    assert judge(zone(org="TIMEOUT"), "a.example.org").result is DmarcResult.TEMPERROR
    z = zone(example_org="p=reject")
    assert judge(z, "example.org", spf("example.org", SpfResult.TEMPERROR)).result is DmarcResult.TEMPERROR
    assert judge(z, "example.org", dkim("example.org", DkimResult.TEMPERROR)).result is DmarcResult.TEMPERROR
    assert judge(z, "example.org", dkim("example.net", DkimResult.TEMPERROR)).result is DmarcResult.FAIL
    partly = replace(dkim("example.org"), partial=True)
    assert judge(z, "example.org", partly).result is DmarcResult.FAIL
    passed = judge(z, "example.org", spf("example.org", SpfResult.TEMPERROR), dkim("example.org"))
    assert passed.result is DmarcResult.PASS


@pytest.mark.parametrize("result", [SpfResult.SOFTFAIL, SpfResult.NEUTRAL, SpfResult.NONE, SpfResult.PERMERROR])
def test_only_a_pass_of_spf_counts(result: SpfResult) -> None:
    assert judge(zone(example_org="p=none"), "example.org", spf("example.org", result)).result is DmarcResult.FAIL


def test_of_several_authors_the_strictest_failure_counts() -> None:
    z = zone(a_example="p=reject", b_example="p=none")
    verdict = z.consult(verify_all(("b.example", "a.example"), spf("b.example"), ()))
    assert (verdict.result, verdict.from_domain, verdict.policy) == (DmarcResult.FAIL, "a.example", DmarcPolicy.REJECT)


def test_no_author_or_too_many_cannot_be_checked() -> None:
    z = zone()
    assert z.consult(verify_all((), None, ())).result is DmarcResult.PERMERROR
    many = tuple(f"d{i}.example" for i in range(6))
    assert z.consult(verify_all(many, None, ())).result is DmarcResult.PERMERROR
    assert z.asked == []


@pytest.mark.parametrize(
    ("header", "domains", "forgeries"),
    [
        (b"From: Ann <ann@Example.ORG>", ("example.org",), ()),
        ("From: ann@bücher.example".encode(), ("xn--bcher-kva.example",), ()),
        (b"Subject: x", (), (Forgery.NO_FIELD,)),
        (b"From: Ann", (), (Forgery.NO_DOMAIN,)),
        (b"From: <>", (), (Forgery.NO_DOMAIN,)),
        (b"From: " + b'"\\' * 40_000 + b"<a@x.example>", (), (Forgery.NO_DOMAIN,)),
        (b"From: a@[192.0.2.1]", (), (Forgery.NO_DOMAIN,)),
        (b"From: a@x.example, b@y.example", ("x.example", "y.example"), (Forgery.SEVERAL_DOMAINS,)),
        (b"From: a@x.example, b@x.example", ("x.example",), ()),
        (b"From: a@x.example\r\nFrom: b@x.example", ("x.example",), (Forgery.SEVERAL_FIELDS,)),
        (b'From: "boss@bank.example" <a@x.example>', ("x.example",), (Forgery.OTHER_NAME,)),
        (b'From: "a@x.example" <a@x.example>', ("x.example",), ()),
    ],
)
def test_whose_name_a_message_bears(header: bytes, domains: tuple[str, ...], forgeries: tuple[Forgery, ...]) -> None:
    found = find_author(header + b"\r\n\r\n")
    assert (found.domains, found.forgeries) == (domains, forgeries)


def test_a_crowd_of_authors_costs_no_more_than_a_few() -> None:
    crowd = b", ".join(b"a@d%d.example" % n for n in range(5000))
    assert find_author(b"From: " + crowd + b"\r\n\r\n").domains == ()
    many = find_author(b"From: a@x.example\r\n" * 50_000 + b"\r\n")
    assert many == find_author(b"From: a@x.example\r\n" * 2 + b"\r\n")


def test_where_reports_may_go() -> None:
    """RFC 9990 §4."""
    z = Zone(
        {
            "_dmarc.example.org": [("TXT", "v=DMARC1; p=none")],
            "example.org._report._dmarc.agreed.example": [("TXT", "v=DMARC1")],
            "example.org._report._dmarc.moved.example": [("TXT", "v=DMARC1; rua=mailto:new@moved.example")],
            "example.org._report._dmarc.trap.example": [("TXT", "v=DMARC1; rua=mailto:victim@bank.example")],
            "example.org._report._dmarc.down.example": [("TIMEOUT", "")],
        }
    )

    def ask(*uris: str) -> Destinations:
        return z.consult(destinations("example.org", uris))

    assert ask("mailto:a@example.org", "mailto:b@mail.example.org").addresses == ("a@example.org", "b@mail.example.org")
    assert ask("mailto:a@agreed.example").addresses == ("a@agreed.example",)
    assert ask("mailto:a@moved.example").addresses == ("new@moved.example",)
    assert ask("mailto:a@trap.example", "mailto:a@stranger.example", "https://example.org/").addresses == ()
    assert ask("mailto:a@down.example") == Destinations((), undecided=True)


def test_addresses_of_reports() -> None:
    record = parse(b"v=DMARC1; p=none; rua=mailto:a%2Bb@example.org!10m , https://x.example/,nonsense, mailto:<x>")
    assert record is not None
    assert [mailbox_of(uri) for uri in record.reports] == ["a+b@example.org", None, None]
