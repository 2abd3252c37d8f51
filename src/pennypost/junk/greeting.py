"""What a host called itself says for or against what it sends (RFC 5321 §4.1.1.1, §4.1.4)."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from pennypost.junk.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Greeting:
    """`hello`: the argument of HELO or EHLO. `is_ours`: it is the name of this host or of a domain of ours, and the
    peer is none of us. `name`: to which the peer's address leads and which leads back, "" for none. `early`: it spoke
    before it was greeted."""

    hello: str
    is_ours: bool = False
    name: str = ""
    early: bool = False


def greeting(found: Greeting) -> Iterator[Evidence]:
    """Weigh how a host introduced itself."""
    hello = found.hello.lower().rstrip(".")
    if found.early:
        yield Evidence(
            "spoke-too-early", 2.0, "The host it came from talked before it was asked, as no mail server does."
        )
    if found.is_ours:
        yield Evidence("hello-forged", 4.0, "The host it came from pretends to be ours.")
    elif _is_bare_address(hello):
        yield Evidence("hello-is-a-number", 1.5, "The host it came from gives a bare number as its name.")
    elif hello.startswith("["):
        yield Evidence("hello-is-an-address", 0.5, "The host it came from has an address for a name.")
    elif "." not in hello:
        yield Evidence("hello-is-no-name", 1.2, "The host it came from does not give a full name.")
    elif found.name and _end(hello) != _end(found.name.lower().rstrip(".")):
        yield Evidence("hello-of-another", 0.3, "The host it came from is known by another name than it gives.")


def _is_bare_address(hello: str) -> bool:
    try:
        ip_address(hello)
    except ValueError:
        return False
    return True


def _end(host: str) -> str:
    return ".".join(host.rsplit(".", 2)[-2:])
