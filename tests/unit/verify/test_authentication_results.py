"""RFC 8601, RFC 6008: Authentication-Results, written and read."""

from contextlib import suppress
from ipaddress import ip_address
from time import process_time

import authres
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pennypost.model.verification import (
    ArcResult,
    ArcVerdict,
    DkimResult,
    DkimVerdict,
    DmarcPolicy,
    DmarcResult,
    DmarcVerdict,
    IprevResult,
    IprevVerdict,
    SpfResult,
    SpfVerdict,
)
from pennypost.verify.authentication_results import (
    NO_DKIM,
    BadResults,
    Outcome,
    arc_outcome,
    dkim_outcome,
    dmarc_outcome,
    field,
    iprev_outcome,
    parse,
    payload,
    spf_outcome,
    without_ours,
)

ALL = (
    iprev_outcome(IprevVerdict(IprevResult.PASS, "client.example"), ip_address("192.0.2.1")),
    spf_outcome(SpfVerdict(SpfResult.PASS, "mailfrom", "example.org"), "ann@example.org"),
    spf_outcome(SpfVerdict(SpfResult.NONE, "helo", "client.example"), "client.example"),
    dkim_outcome(
        DkimVerdict(
            DkimResult.FAIL,
            "example.org",
            "s1",
            "@example.org",
            "rsa-sha256",
            "abc/+=",
            body_length_limited=True,
            detail='the "body" has been changed',
        )
    ),
    NO_DKIM,
    dmarc_outcome(
        DmarcVerdict(DmarcResult.PASS, "example.org", "example.org", "example.org", DmarcPolicy.REJECT, True, False)
    ),
    arc_outcome(ArcVerdict(ArcResult.PASS, ("lists.example",), 0)),
)


def test_lines_are_folded() -> None:
    lines = field("mx.example.net", ALL).split(b"\r\n")
    assert lines[0] == b"Authentication-Results: mx.example.net;"
    assert all(line.startswith(b"\t") for line in lines[1:-1])
    assert max(map(len, lines)) <= 90


def test_what_is_written_is_read() -> None:
    found = parse(payload("mx.example.net", ALL))
    assert found.authserv_id == "mx.example.net"
    assert [(one.method, one.result, one.reason, one.properties) for one in found.outcomes] == [
        (one.method, one.result, one.reason, one.properties) for one in ALL
    ]


def test_no_result_at_all() -> None:
    assert field("mx.example.net", ()) == b"Authentication-Results: mx.example.net;\r\n\tnone\r\n"
    assert parse(b" mx.example.net; none").outcomes == ()


def test_another_implementation_reads_it() -> None:
    found = authres.parse(field("mx.example.net", ALL).decode().replace("\r\n", ""))
    assert str(found.authserv_id) == "mx.example.net"
    results = [(one.method, one.result) for one in found.results]
    assert ("spf", "pass") in results
    assert ("dkim", "fail") in results
    assert ("dmarc", "pass") in results


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b" example.com 1; spf=pass smtp.mailfrom=a@b.example", [("spf", "pass")]),
        (b" (c) example.com (d (e) f) ; dkim/1 = pass (good; key) header.d=b.example;", [("dkim", "pass")]),
        (b' "example.com"; auth=pass reason="a;b=c \\"d\\"" smtp.auth=x', [("auth", "pass")]),
        (b" example.com; SPF=Fail", [("spf", "fail")]),
    ],
)
def test_forms_that_others_use(value: bytes, expected: list[tuple[str, str]]) -> None:
    found = parse(value)
    assert found.authserv_id == "example.com"
    assert [(one.method, one.result) for one in found.outcomes] == expected


@pytest.mark.parametrize(
    "value", [b"", b" ", b";", b"=x", b" a 2; none", b" a b c; none", b" a; spf", b" a; spf=", b"(x"]
)
def test_what_is_none(value: bytes) -> None:
    with pytest.raises(BadResults):
        parse(value)


@given(st.binary(max_size=200))
def test_anything_is_read_or_refused(value: bytes) -> None:
    with suppress(BadResults):
        parse(value)


quotable = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=30)


@given(quotable, quotable)
@example("0", ";")
@example("=", "=")
def test_no_value_escapes_its_quotes(reason: str, value: str) -> None:
    (found,) = parse(payload("a", [Outcome("dkim", "fail", reason, (("header.i", value),), comment=reason)])).outcomes
    printable = "".join(c if c.isprintable() else "?" for c in reason)
    assert (found.method, found.result, found.reason) == ("dkim", "fail", printable)


def test_what_claims_to_be_ours_is_removed() -> None:
    mine = b"Authentication-Results: MX.example.net; spf=pass\r\n"
    folded = b"authentication-results:\r\n\tmx.example.net 1;\r\n\tdkim=pass\r\n"
    broken = b"Authentication-Results: ;;;\r\n"
    foreign = b"Authentication-Results: other.example; spf=pass\r\n"
    rest = b"From: a@b.example\r\n\r\n"
    assert without_ours(mine + foreign + folded + broken + rest, "mx.example.net") == foreign + rest


def test_results_by_the_thousand_are_taken_out_in_one_walk() -> None:
    ours = b"Authentication-Results: mx.example.org; spf=pass\r\n"
    other = b"Authentication-Results: b; spf=pass\r\n"
    header = (ours + other) * 20_000 + b"\r\n"
    begun = process_time()
    assert without_ours(header, "mx.example.org") == other * 20_000 + b"\r\n"
    assert process_time() - begun < 2


@pytest.mark.parametrize(
    "claim",
    [
        b" mx.example.org.; spf=pass",
        b' "mx.example.org; spf=pass',
        b' "mx.example.org(c) ',
        b" MX.EXAMPLE.ORG.",
        "mx。example.org; spf=pass".encode(),
    ],
)
def test_what_may_be_taken_for_ours_is(claim: bytes) -> None:
    assert without_ours(b"Authentication-Results:" + claim + b"\r\n\r\n", "mx.example.org") == b"\r\n"


def test_what_names_another_host_stays_however_it_goes_on() -> None:
    others = (
        b"Authentication-Results: mx.example.com; dmarc=fail header.from\r\n"
        b"Authentication-Results: mx.example.com 2; spf=pass\r\n"
    )
    nobodys = b"Authentication-Results: spf=none (sender IP is ) smtp.mailfrom=a@example.com\r\n"
    assert without_ours(others + nobodys + b"\r\n", "mx.example.org") == others + b"\r\n"
