"""RFC 8461."""

import pytest

from pennypost.verify.mta_sts import MAX_AGE_SECONDS, BadPolicy, StsMode, StsPolicy, parse_policy, record_id

GOOD = (
    b"version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmx: backupmx.example.com\n"
    b"max_age: 604800\n"
)


def test_the_policy_of_the_rfc() -> None:
    """RFC 8461 §3.2."""
    policy = parse_policy(GOOD)
    mx = ("mail.example.com", "*.example.net", "backupmx.example.com")
    assert policy == StsPolicy(StsMode.ENFORCE, mx, 604800)
    assert parse_policy(GOOD.replace(b"\n", b"\r\n")) == policy
    assert parse_policy(policy.text) == policy


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"STSv1", b"STSv2"),
        (b"version: STSv1\n", b""),
        (b"enforce", b"maybe"),
        (b"604800", b"-1"),
        (b"604800", b"x"),
        (b"max_age: 604800\n", b""),
        (b"mail.example.com", b"mail example"),
        (b"*.example.net", b"a.*.example.net"),
        (b"mode", b"\xff"),
        (b"mode: ", b"mode "),
        (b"version", b"x: " + b"y" * 70_000 + b"\nversion"),
    ],
)
def test_what_is_no_policy(old: bytes, new: bytes) -> None:
    with pytest.raises(BadPolicy):
        parse_policy(GOOD.replace(old, new))


def test_details() -> None:
    none = parse_policy(b"version: STSv1\nmode: none\nmax_age: 99999999999999"[:-4] + b"\n\n")
    assert none == StsPolicy(StsMode.NONE, (), MAX_AGE_SECONDS)
    twice = parse_policy(GOOD + b"mode: none\nx-more: whatever\n")
    assert twice.mode is StsMode.ENFORCE
    with pytest.raises(BadPolicy):
        parse_policy(b"version: STSv1\nmode: testing\nmax_age: 5\n")


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("mail.example.com", True),
        ("MAIL.example.com.", True),
        ("other.example.com", False),
        ("a.example.net", True),
        ("a.b.example.net", False),
        ("example.net", False),
    ],
)
def test_hosts(host: str, allowed: bool) -> None:
    """RFC 8461 §4.1."""
    assert parse_policy(GOOD).allows(host) is allowed


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([b"v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        ([b"v=STSv1;id=1", b"v=spf1 -all"], "1"),
        ([b"v=STSv1; ext=x; id=1"], "1"),
        ([b"v=STSv1; id=1", b"v=STSv1; id=2"], None),
        ([b"v=STSv1"], None),
        ([b"v=STSv1; id=a_b"], None),
        ([b"v=STSv1; id=" + b"a" * 33], None),
        ([b"v=STSv12; id=1"], None),
        ([b" v=STSv1; id=1"], None),
        ([], None),
    ],
)
def test_records(records: list[bytes], expected: str | None) -> None:
    """RFC 8461 §3.1."""
    assert record_id(records) == expected
