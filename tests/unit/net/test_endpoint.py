from pathlib import Path

import pytest

from pennypost.net.endpoint import TcpEndpoint, UnixEndpoint, parse_endpoint

BASE = Path("/etc/pennypost")


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.0.0.1:2525", TcpEndpoint("127.0.0.1", 2525)),
        ("[::]:25", TcpEndpoint("::", 25)),
        ("[2001:db8::1]:0", TcpEndpoint("2001:db8::1", 0)),
        ("*:25", TcpEndpoint("*", 25)),
        ("localhost:143", TcpEndpoint("localhost", 143)),
        ("unix:/run/p/lmtp", UnixEndpoint(Path("/run/p/lmtp"))),
        ("unix:lmtp", UnixEndpoint(BASE / "lmtp")),
    ],
)
def test_endpoints(text: str, endpoint: object) -> None:
    assert parse_endpoint(text, BASE) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "25",
        ":25",
        "host:",
        "host:65536",
        "host:-1",
        "host:٢٥",
        "::1:25",
        "[::1]",
        "[x]:25",
        "[x:y]:25",
        "unix:",
        "a b:1",
    ],
)
def test_endpoints_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        parse_endpoint(text, BASE)


@pytest.mark.parametrize("text", ["127.0.0.1:25", "[::1]:25", "*:25", "unix:/a/b"])
def test_written_as_it_is_read(text: str) -> None:
    assert str(parse_endpoint(text, BASE)) == text
