"""check_host by questions and answers (RFC 7208), and beside another implementation."""

import itertools
import random
import warnings
from ipaddress import ip_address
from typing import Any

import pytest
from tests.vectors.spf import Zone

from pennypost.model.verification import SpfResult, SpfVerdict
from pennypost.verify.spf import Sender, verify_helo, verify_mail_from

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import spf as oracle

Records = dict[str, list[tuple[str, Any]]]


def check(
    records: Records, *, ip: str = "192.0.2.1", sender: str = "ann@example.org", helo: str = "mx.example.org"
) -> SpfVerdict:
    local, _, domain = sender.rpartition("@")
    return Zone(records).consult(verify_mail_from(Sender(ip_address(ip), helo, local, domain)))


def policy(text: str, **more: list[tuple[str, Any]]) -> Records:
    return {"example.org": [("TXT", text)], **more}


def test_a_pass_names_what_matched() -> None:
    verdict = check(policy("v=spf1 ip4:192.0.2.0/24 -all"))
    assert verdict == SpfVerdict(SpfResult.PASS, "mailfrom", "example.org", "ip4:192.0.2.0/24")


def test_the_null_reverse_path_is_postmaster_at_the_helo_name() -> None:
    records: Records = {
        "mx.example.org": [("TXT", "v=spf1 exists:%{l}.%{d} -all")],
        "postmaster.mx.example.org": [("A", "127.0.0.2")],
    }
    assert check(records, sender="").result is SpfResult.PASS


def test_helo_has_an_identity_of_its_own() -> None:
    zone = Zone({"mx.example.org": [("TXT", "v=spf1 a -all"), ("A", "192.0.2.9")]})
    verdict = zone.consult(verify_helo(Sender(ip_address("192.0.2.9"), "MX.Example.org.", "ann", "example.net")))
    assert (verdict.result, verdict.identity, verdict.domain) == (SpfResult.PASS, "helo", "mx.example.org")


@pytest.mark.parametrize("helo", ["[192.0.2.1]", "localhost", "", "a..example.org", "x" * 64 + ".example.org"])
def test_what_cannot_have_a_policy_has_none(helo: str) -> None:
    zone = Zone({})
    assert zone.consult(verify_helo(Sender(ip_address("192.0.2.1"), helo))).result is SpfResult.NONE
    assert zone.asked == []


def test_a_circle_of_includes_ends_at_the_limit() -> None:
    zone = Zone(policy("v=spf1 include:example.org -all"))
    verdict = zone.consult(verify_mail_from(Sender(ip_address("192.0.2.1"), "h", "ann", "example.org")))
    assert verdict.result is SpfResult.PERMERROR
    assert len(zone.asked) == 11


def test_the_worst_record_asks_a_bounded_number_of_questions() -> None:
    hosts = [("MX", (10, f"h{i}.example.net")) for i in range(10)]
    records: Records = policy("v=spf1 " + "mx:example.net " * 10 + "-all")
    records["example.net"] = list(hosts)
    records |= {f"h{i}.example.net": [("A", "198.51.100.1")] for i in range(10)}
    zone = Zone(records)
    verdict = zone.consult(verify_mail_from(Sender(ip_address("192.0.2.1"), "h", "ann", "example.org")))
    assert verdict.result is SpfResult.FAIL
    assert len(zone.asked) == 1 + 10 * 11


def test_a_huge_record_is_an_error() -> None:
    assert check(policy("v=spf1 " + "ip4:198.51.100.1 " * 600 + "-all")).result is SpfResult.PERMERROR


def test_an_explanation_is_made_printable_and_bounded() -> None:
    records = policy("v=spf1 -all exp=why.%{d}")
    records["why.example.org"] = [("TXT", "%{i} is not ours, %{l}! " + "x" * 900)]
    said = check(records, sender="a\x07b@example.org").explanation
    assert said is not None
    assert said.startswith("192.0.2.1 is not ours, a?b! xxx")
    assert len(said) == 500


def test_an_explanation_that_fails_changes_nothing() -> None:
    records = policy("v=spf1 -all exp=%{p}.example.org")
    records["1.2.0.192.in-addr.arpa"] = [("TIMEOUT", "")]
    assert check(records).result is SpfResult.FAIL


def test_a_local_part_beyond_ascii_matches_no_name() -> None:
    """RFC 8616 §4."""
    assert check(policy("v=spf1 exists:%{l}.example.org -all"), sender="ünn@example.org").result is SpfResult.FAIL


def test_dns_failures_are_temporary() -> None:
    assert check({"example.org": [("TIMEOUT", "")]}).result is SpfResult.TEMPERROR
    assert check(policy("v=spf1 a:x.example.org ip4:192.0.2.1 -all") | {"x.example.org": [("TIMEOUT", "")]}).result is (
        SpfResult.TEMPERROR
    )


# -- Beside pyspf

_NAMES = ("a.example.net", "b.example.net", "mx.example.net", "missing.example.net", "example.org", "inc.example.net")
_ZONE: Records = {
    "a.example.net": [("A", "192.0.2.1"), ("A", "192.0.2.2"), ("AAAA", "2001:db8::1"), ("MX", (10, "b.example.net"))],
    "b.example.net": [("A", "192.0.2.130"), ("TXT", "v=spf1 ip4:192.0.2.130 ?all")],
    "mx.example.net": [("MX", (10, "a.example.net")), ("MX", (20, "b.example.net")), ("TXT", "v=spf1 mx -all")],
    "inc.example.net": [("TXT", "v=spf1 ip6:2001:db8::/32 ~all")],
    "1.2.0.192.in-addr.arpa": [("PTR", "a.example.net")],
    "130.2.0.192.in-addr.arpa": [("PTR", "other.example"), ("PTR", "b.example.net")],
    "ann.192.0.2.1.x.example.net": [("A", "127.0.0.2")],
}
_TERMS = (
    "all",
    "a",
    "a/24",
    "a//64",
    "a:{n}",
    "a:{n}/25",
    "a:{n}/25//48",
    "mx",
    "mx:{n}",
    "mx:{n}/30",
    "ptr",
    "ptr:{n}",
    "ip4:192.0.2.1",
    "ip4:192.0.2.0/25",
    "ip4:192.0.2.999",
    "ip4:192.0.2.0/33",
    "ip6:2001:db8::/32",
    "ip6:2001:db8::1",
    "ip6:zz",
    "include:{n}",
    "exists:{n}",
    "exists:%{{l}}.%{{i}}.x.example.net",
    "exists:%{{d2}}",
    "exists:%{{o}}",
    "exists:%{{x}}",
    "include",
    "redirect={n}",
    "exp={n}",
    "foo=bar",
    "foo:bar",
    "A:{n}",
    "-aLL",
    "a:%{{h}}",
    "a:com",
    "a:c-.x",
)
_CLIENTS = ("192.0.2.1", "192.0.2.130", "198.51.100.7", "2001:db8::1", "2001:db9::1")


def _oracle_lookup(
    name: str, qtype: str, strict: object = True, timeout: float = 20
) -> list[tuple[tuple[str, str], Any]]:
    found = []
    for kind, value in _ZONE_NOW.get(name.lower().rstrip("."), []):
        if kind == qtype:
            found.append(((name, qtype), (value.encode(),) if kind == "TXT" else value))
    return found


_ZONE_NOW: Records = {}


def _random_record(chance: random.Random) -> str:
    terms = [
        chance.choice(("", "", "-", "~", "?", "+")) + chance.choice(_TERMS).format(n=chance.choice(_NAMES))
        for _ in range(chance.randint(0, 4))
    ]
    return " ".join(["v=spf1", *terms, *chance.choice(([], ["-all"], ["~all"]))])


def _explained(record: str, theirs: str) -> bool:
    """pyspf counts a name of a PTR that does not exist as a void look-up; RFC 7208 §4.6.4 speaks of terms."""
    return theirs == "permerror" and "ptr" in record


def test_pyspf_agrees_on_generated_records(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(7208)
    monkeypatch.setattr(oracle, "DNSLookup", _oracle_lookup)
    agreed, different = 0, []
    for number, client in itertools.product(range(400), _CLIENTS):
        record = _random_record(chance)
        zone = _ZONE | {"example.org": [("TXT", record), ("A", "192.0.2.2")]}
        _ZONE_NOW.clear()
        _ZONE_NOW.update(zone)
        ours = check(zone, ip=client, helo="a.example.net").result.value
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = oracle.query(i=client, s="ann@example.org", h="a.example.net").check()[0]
        if ours == theirs:
            agreed += 1
        elif not _explained(record, theirs):
            different.append((number, client, record, ours, theirs))
    assert different == []
    assert agreed > 1990
