"""Kinds of values that commands take."""

from datetime import timedelta
from ipaddress import ip_address

import click

from pennypost.app.config.values import parse_duration, parse_octets
from pennypost.model.rights import Rights, parse_rights
from pennypost.model.units import Octets
from pennypost.net.endpoint import parse_tcp_endpoint

UNBOUNDED = -1
"""What "none" is as a size: None is an option that was not given."""


def size(text: str) -> int:
    """Read a size with its unit, or "none"."""
    if text == "none":
        return UNBOUNDED
    try:
        return parse_octets(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}, or none") from None


def rights_(letters: str) -> Rights:
    """Read the letters of rights (RFC 4314 §2.1)."""
    try:
        return parse_rights(letters)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def bound(octets: int | None) -> Octets | None:
    """Give what the store calls a quota."""
    return None if octets is None or octets == UNBOUNDED else Octets(octets)


def resolver_address(text: str) -> tuple[str, int]:
    """Read the IP address and the port of a resolver."""
    try:
        endpoint = parse_tcp_endpoint(text)
        ip_address(endpoint.host)
    except ValueError as error:
        raise click.BadParameter(f"expected the address of a resolver and its port: {error}") from None
    return endpoint.host, endpoint.port


def duration(text: str) -> timedelta:
    """Read a duration with its unit."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
