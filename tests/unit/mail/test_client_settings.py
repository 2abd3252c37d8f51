"""What mail programs are told, as their own readers would take it apart."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennypost.mail.client_settings import (
    AUTODISCOVER_REQUEST,
    ClientSettings,
    MailDoor,
    asked_address,
    autoconfig,
    autodiscover,
)

SETTINGS = ClientSettings(
    "mx.penny.test",
    [
        MailDoor("smtp", 465, True),
        MailDoor("smtp", 587, False),
        MailDoor("imap", 993, True),
        MailDoor("pop3", 110, False),
    ],
)
REQUEST = b"""<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request>
<EMailAddress>%b</EMailAddress>
<AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema>
</Request></Autodiscover>"""


def test_mozilla() -> None:
    root = ET.fromstring(autoconfig("penny.test", SETTINGS))
    assert (root.tag, root.get("version")) == ("clientConfig", "1.1")
    provider = root.find("emailProvider")
    assert provider is not None
    assert provider.findtext("domain") == "penny.test"
    found = [
        (server.tag, server.get("type"), server.findtext("port"), server.findtext("socketType"))
        for server in provider
        if server.tag.endswith("Server")
    ]
    assert found == [
        ("incomingServer", "imap", "993", "SSL"),
        ("incomingServer", "pop3", "110", "STARTTLS"),
        ("outgoingServer", "smtp", "465", "SSL"),
        ("outgoingServer", "smtp", "587", "STARTTLS"),
    ]
    for server in provider.iter("incomingServer"):
        assert server.findtext("hostname") == "mx.penny.test"
        assert server.findtext("username") == "%EMAILADDRESS%"
        assert server.findtext("authentication") == "password-cleartext"


def test_microsoft() -> None:
    space = {"": AUTODISCOVER_REQUEST}
    root = ET.fromstring(autodiscover("a&b@penny.test", SETTINGS))
    account = root.find("Response/Account", space)
    assert account is not None
    assert account.findtext("Action", None, space) == "settings"
    protocols = account.findall("Protocol", space)
    assert [(p.findtext("Type", None, space), p.findtext("SSL", None, space)) for p in protocols] == [
        ("SMTP", "on"),
        ("SMTP", "off"),
        ("IMAP", "on"),
        ("POP3", "off"),
    ]
    assert {p.findtext("LoginName", None, space) for p in protocols} == {"a&b@penny.test"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (b"anna@penny.test", "anna@penny.test"),
        (b" a&amp;b@penny.test\n", "a&b@penny.test"),
        ("jürgen@penny.test".encode(), "jürgen@penny.test"),
        (b"anna", None),
        (b"", None),
        (b"a\x00b@penny.test", None),
        (b"\xff@penny.test", None),
        (b"a" * 400 + b"@penny.test", None),
    ],
)
def test_whose_settings_are_asked_for(written: bytes, expected: str | None) -> None:
    assert asked_address(REQUEST % written) == expected


def test_names_of_any_prefix() -> None:
    assert asked_address(b"<a:EMailAddress>x@y.test</a:EMailAddress>") == "x@y.test"
    assert asked_address(b"<Request/>") is None


@given(st.text(min_size=1).filter(str.isprintable))
def test_nothing_breaks_out(text: str) -> None:
    ET.fromstring(autoconfig(text, SETTINGS))
    ET.fromstring(autodiscover(text, SETTINGS))
