"""What strangers write about TLS: only the one error is ever raised, and what was written is read back."""

import json
from contextlib import suppress
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.verify.test_tls_report import EXAMPLE

from pennypost.model.dns import TlsaRecord
from pennypost.verify.dane import is_usable, vouches
from pennypost.verify.mta_sts import BadPolicy, StsMode, StsPolicy, parse_policy, record_id
from pennypost.verify.tls_report import BadReport, decompress, read_report, report_uris, write_report

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOSTS = st.from_regex(r"(\*\.)?[a-z0-9]{1,9}(\.[a-z0-9]{1,9}){0,3}", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(StsMode), st.lists(HOSTS, min_size=1, max_size=5), st.integers(0, 31_557_600))
def test_a_policy_is_read_as_it_was_written(mode: StsMode, mx: list[str], age: int) -> None:
    policy = StsPolicy(mode, tuple(mx), age)
    assert parse_policy(policy.text) == policy


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from([b"version: STSv1", b"mode: ", b"mx: a", b"\n", b"\r", b":", b"\xff", b" ", b"max_age: 9"])
    )
)
def test_any_policy(pieces: list[bytes]) -> None:
    with suppress(BadPolicy):
        parse_policy(b"".join(pieces))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([b"v=STSv1", b"v=TLSRPTv1", b";", b"id=", b"rua=", b"mailto:a@b", b",", b"\xff", b"!"]))
)
def test_any_records(pieces: list[bytes]) -> None:
    record = b"".join(pieces)
    record_id([record])
    assert all(uri.isascii() for uri in report_uris([record]) if uri.startswith("mailto:"))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=50), st.integers(0, len(EXAMPLE)), st.integers(0, 50))
def test_any_report(junk: bytes, at: int, dropped: int) -> None:
    for octets in (junk, b"\x1f\x8b" + junk, EXAMPLE[:at] + junk + EXAMPLE[at + dropped :]):
        try:
            report = read_report(decompress(octets))
        except BadReport:
            continue
        assert read_report(write_report(report)) == report


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_any_json(value: object) -> None:
    with suppress(BadReport):
        read_report(json.dumps({"organization-name": value, "date-range": value, "policies": [value]}).encode())


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.binary(max_size=60), max_size=4),
    st.integers(0, 5),
    st.integers(0, 3),
    st.integers(0, 4),
    st.binary(max_size=70),
)
def test_any_chain(chain: list[bytes], usage: int, selector: int, matching: int, data: bytes) -> None:
    record = TlsaRecord(usage, selector, matching, data)
    is_usable(record)
    assert not vouches([record], chain, ["a.example"], NOW)
