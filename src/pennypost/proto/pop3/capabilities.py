"""What CAPA lists (RFC 2449 §6), which depends on the state and on TLS."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server offers.

    `mechanisms`: SASL mechanisms that may be used now. `user`: USER and PASS may be used now. `stls`: there is a
    certificate. `expire_days`: how long mail is kept at least; None is for ever (EXPIRE NEVER). `login_delay_seconds`:
    between two logins; 0 is none. `implementation`: name and version, or empty to be silent of it.
    """

    mechanisms: tuple[str, ...] = ()
    user: bool = False
    stls: bool = False
    expire_days: int | None = None
    login_delay_seconds: int = 0
    implementation: str = ""


def capabilities(offer: Offer, authenticated: bool) -> list[str]:
    """List the capabilities: one a line.

    STLS is announced in the AUTHORIZATION state only (RFC 2595 §4), and IMPLEMENTATION to those who are known only,
    which RFC 2449 §6.9 leaves to us. UTF8 USER: names and passwords may be UTF-8 (RFC 6856 §2.2).
    """
    lines = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"]
    if offer.user:
        lines.append("USER")
    if offer.mechanisms:
        lines.append("SASL " + " ".join(offer.mechanisms))
    if offer.stls and not authenticated:
        lines.append("STLS")
    lines.append("EXPIRE NEVER" if offer.expire_days is None else f"EXPIRE {offer.expire_days}")
    lines.append(f"LOGIN-DELAY {offer.login_delay_seconds}")
    lines += ["UTF8 USER", "LANG"]
    if offer.implementation and authenticated:
        lines.append(f"IMPLEMENTATION {offer.implementation}")
    return lines
