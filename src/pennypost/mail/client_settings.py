"""What mail programs ask for to set themselves up: the forms of Mozilla (autoconfig) and of Microsoft (autodiscover).

Everybody may ask. No password is taken, and nothing is said of an address but what holds for all of its domain.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr, unescape

MAX_REQUEST_OCTETS = 16 * 1024
"""Of what a program sends to be told its settings."""
MAX_ADDRESS = 320
"""Letters of an address (RFC 5321 §4.5.3.1: 64 and 255, and what stands between)."""

AUTODISCOVER_REQUEST = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_AUTODISCOVER = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"

# The element of the request that says whose settings are wanted. The rest is not looked at, so nothing has to parse XML
# of strangers.
_ADDRESS = re.compile(rb"<(?:\w{1,20}:)?EMailAddress\s*>\s*([^<]{1,1000}?)\s*</", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MailDoor:
    """Where a mail program can connect. `protocol`: "imap", "pop3" or "smtp". `implicit_tls`: TLS from the first octet
    (RFC 8314 §3), else by STARTTLS or STLS."""

    protocol: str
    port: int
    implicit_tls: bool


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Where the mail of a domain is to be had. `doors`: those that are liked best first."""

    hostname: str
    doors: Sequence[MailDoor]


def autoconfig(domain: str, settings: ClientSettings) -> bytes:
    """Write the settings of a domain as Thunderbird and others read them: config-v1.1.xml."""
    name = escape(domain)
    servers = [_server(settings.hostname, door) for door in settings.doors if door.protocol != "smtp"]
    servers += [_server(settings.hostname, door) for door in settings.doors if door.protocol == "smtp"]
    lines = (
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<clientConfig version="1.1">',
        f"  <emailProvider id={quoteattr(domain)}>",
        f"    <domain>{name}</domain>",
        f"    <displayName>{name}</displayName>",
        f"    <displayShortName>{name}</displayShortName>",
        *servers,
        "  </emailProvider>",
        "</clientConfig>",
    )
    return ("\n".join(lines) + "\n").encode()


def _server(hostname: str, door: MailDoor) -> str:
    element = "outgoingServer" if door.protocol == "smtp" else "incomingServer"
    return "\n".join(
        (
            f'    <{element} type="{door.protocol}">',
            f"      <hostname>{escape(hostname)}</hostname>",
            f"      <port>{door.port}</port>",
            f"      <socketType>{'SSL' if door.implicit_tls else 'STARTTLS'}</socketType>",
            "      <authentication>password-cleartext</authentication>",
            "      <username>%EMAILADDRESS%</username>",
            f"    </{element}>",
        )
    )


def asked_address(request: bytes) -> str | None:
    """Give the address whose settings an autodiscover request wants; None: it names none."""
    found = _ADDRESS.search(request)
    if found is None:
        return None
    try:
        text = unescape(found[1].decode("utf-8"), {"&quot;": '"', "&apos;": "'"})
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() and len(text) <= MAX_ADDRESS and "@" in text else None


def autodiscover(address: str, settings: ClientSettings) -> bytes:
    """Write the settings of an address as Outlook reads them (MS-OXDSCLI §2.2.4, for servers other than Exchange)."""
    protocols: list[str] = []
    for door in settings.doors:
        protocols += (
            "      <Protocol>",
            f"        <Type>{door.protocol.upper()}</Type>",
            f"        <Server>{escape(settings.hostname)}</Server>",
            f"        <Port>{door.port}</Port>",
            f"        <LoginName>{escape(address)}</LoginName>",
            "        <DomainRequired>off</DomainRequired>",
            "        <SPA>off</SPA>",
            f"        <SSL>{'on' if door.implicit_tls else 'off'}</SSL>",
            f"        <Encryption>{'SSL' if door.implicit_tls else 'TLS'}</Encryption>",
            "        <AuthRequired>on</AuthRequired>",
            "      </Protocol>",
        )
    lines = (
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<Autodiscover xmlns="{_AUTODISCOVER}">',
        f'  <Response xmlns="{AUTODISCOVER_REQUEST}">',
        "    <Account>",
        "      <AccountType>email</AccountType>",
        "      <Action>settings</Action>",
        *protocols,
        "    </Account>",
        "  </Response>",
        "</Autodiscover>",
    )
    return ("\n".join(lines) + "\n").encode()
