"""URLs of servers (RFC 5092 §3), as referrals hold them (RFC 2221 §3)."""

import pytest

from pennypost.proto.imap.server_url import host_of, server_url
from pennypost.proto.imap.url import BadUrl


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("imap://imap.example.net", "imap://joe%40example.org;AUTH=*@imap.example.net/"),
        ("IMAP://SERVER2/", "imap://joe%40example.org;AUTH=*@server2/"),
        ("imap://MIKE@SERVER2/", "imap://MIKE;AUTH=*@server2/"),
        ("imap://mike;AUTH=SCRAM-SHA-256@server2:0993/", "imap://mike;AUTH=SCRAM-SHA-256@server2:993/"),
        ("imap://m%69ke%40x%5D%22@192.0.2.1", "imap://mike%40x%5D%22;AUTH=*@192.0.2.1/"),
    ],
)
def test_written_in_full(text: str, full: str) -> None:
    assert server_url(text, "joe@example.org") == full
    assert server_url(full, "somebody else") == full
    assert host_of(full) == full.split("@")[1].strip("/").split(":")[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "imap.example.net",
        "imaps://imap.example.net/",
        "imap://joe@/",
        "imap://imap.example.net/INBOX",
        "imap://joe;AUTH=@imap.example.net/",
        "imap://joe@imap.example.net:0/",
        "imap://joe@imap.example.net:65536/",
        "imap://joe@[2001:db8::1]/",
        "imap://joe@imap.example.net/]\r\n* BYE",
        "imap://joe@bücher.example/",
        "imap://" + "x" * 255 + "/",
    ],
)
def test_none(text: str) -> None:
    with pytest.raises(BadUrl):
        server_url(text, "joe@example.org")
