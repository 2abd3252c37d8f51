"""Whom we connect to."""

from ipaddress import ip_address

import pytest

from pennypost.mail.relay_settings import NOT_ROUTED
from pennypost.net.outbound import lies_in


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("0.0.0.0", True),
        ("169.254.169.254", True),
        ("::1", True),
        ("::", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:192.0.2.1", False),
        ("192.0.2.1", False),
        ("2001:db8::1", False),
    ],
)
def test_networks(address: str, expected: bool) -> None:
    """An IPv4 address that is written as IPv6 leads to the same place."""
    assert lies_in(ip_address(address), NOT_ROUTED) is expected
