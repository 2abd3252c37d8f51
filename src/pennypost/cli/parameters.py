"""Kinds of values that commands take."""

import math
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address

import click

from pennypost.app.config.values import parse_duration, parse_octets
from pennypost.model.errors import BadAddress
from pennypost.model.rights import RIGHT_LETTERS, VIRTUAL_RIGHTS, Rights, parse_rights
from pennypost.model.text import printable
from pennypost.model.units import Octets
from pennypost.net.endpoint import HOST_NAME, parse_tcp_endpoint
from pennypost.store.keys import MAX_LOCAL_PART_OCTETS, canonical_domain, parse_target

RIGHTS_LETTERS = "".join((*RIGHT_LETTERS.values(), *VIRTUAL_RIGHTS))

UNBOUNDED = -1
"""What "none" is as a size: None is an option that was not given."""


def size(text: str) -> int:
    """Read a size with its unit, or "none"."""
    if text == "none":
        return UNBOUNDED
    try:
        return parse_octets(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}, or none, not {shown(text)}") from None


def rights_(letters: str) -> Rights:
    """Read the letters of rights (RFC 4314 §2.1)."""
    try:
        return parse_rights(letters)
    except ValueError:
        raise click.BadParameter(
            f'expected letters of {RIGHTS_LETTERS}, as "lrs" for reading, not {shown(letters)}'
        ) from None


def bound(octets: int | None) -> Octets | None:
    """Give what the store calls a quota."""
    return None if octets is None or octets == UNBOUNDED else Octets(octets)


def resolver_address(text: str) -> tuple[str, int]:
    """Read the IP address and the port of a resolver."""
    try:
        endpoint = parse_tcp_endpoint(text)
        ip_address(endpoint.host)
    except ValueError:
        raise click.BadParameter(
            f'expected the IP address and the port of a resolver, as "127.0.0.1:53" or "[::1]:53", not {shown(text)}'
        ) from None
    return endpoint.host, endpoint.port


def duration(text: str) -> timedelta:
    """Read a duration with its unit."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}, not {shown(text)}") from None


def address(text: str) -> str:
    """Read an address, whose domain need not be ours."""
    try:
        parse_target(text)
    except BadAddress:
        local = text.rpartition("@")[0]
        if len(local.encode("utf-8", "replace")) > MAX_LOCAL_PART_OCTETS:
            raise click.BadParameter(f"expected at most {MAX_LOCAL_PART_OCTETS} octets before the @") from None
        raise click.BadParameter(f'expected an address, as "user@example.org", not {shown(text)}') from None
    return text


def address_or_none(text: str) -> str:
    """Read an address, or "none"."""
    return text if text == "none" else address(text)


def domain_(text: str) -> str:
    """Read the name of a domain, ours or not."""
    try:
        return canonical_domain(text)
    except BadAddress:
        raise click.BadParameter(f'expected a domain, as "example.org", not {shown(text)}') from None


def host(text: str) -> str:
    """Read the name of a host, with or without its final dot; "" is none."""
    name = text.removesuffix(".")
    if name and HOST_NAME.fullmatch(name) is None:
        raise click.BadParameter(f'expected the name of a host, as "mx.example.org", not {shown(text)}')
    return name


def score(text: str) -> float:
    """Read a score: a number."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise click.BadParameter(f'expected a number, as "5" or "2.5", not {shown(text)}')
    return number


def between(least: int, most: int) -> Callable[[str | int], int]:
    """Make a reader of whole numbers within bounds."""

    def read(text: str | int) -> int:
        digits = str(text)
        if not digits.isascii() or not digits.isdigit() or not least <= int(digits[:18]) <= most:
            raise click.BadParameter(f"expected a whole number, {least} to {most}, not {shown(digits)}")
        return int(digits)

    return read


def shown(text: str) -> str:
    """Show what was given, in quotes."""
    return f'"{printable(text)}"'
