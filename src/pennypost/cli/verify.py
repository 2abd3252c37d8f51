"""`pennypost verify`."""

import asyncio
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from enum import Enum
from ipaddress import ip_address
from pathlib import Path

import click
import msgspec

from pennypost.cli.junk import judgement_record, show_judgement, weigh
from pennypost.cli.options import Loaded, as_json, configured
from pennypost.cli.parameters import resolver_address, shown
from pennypost.mail.reception import Language, SmtpClient
from pennypost.mail.verification import Verdicts, filing
from pennypost.mail.verifier import Verifier, outcomes
from pennypost.message import headers
from pennypost.model.address import Address
from pennypost.model.errors import BadAddress
from pennypost.model.peer import Peer
from pennypost.model.text import printable
from pennypost.net.resolver import Resolver
from pennypost.store.keys import parse_key, split_key
from pennypost.verify import authentication_results


def _sender(text: str) -> Address | None:
    """Read MAIL FROM: an address, with or without its angle brackets; "<>" is the null reverse-path."""
    bare = text.strip().removeprefix("<").removesuffix(">")
    if not bare:
        return None
    try:
        parse_key(bare)
    except BadAddress:
        raise click.BadParameter(f'expected an address, as "user@example.org", or <>, not {shown(text)}') from None
    return Address(*split_key(bare))


def _ip(text: str) -> Peer:
    try:
        return Peer(ip_address(text), 0)
    except ValueError:
        raise click.BadParameter(f'expected an IP address, as "192.0.2.1", not {shown(text)}') from None


@click.command("verify")
@configured
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--ip", "peer", type=_ip, required=True, help="The address of the host that sent it.")
@click.option("--helo", required=True, help="What that host called itself.")
@click.option("--mail-from", "sender", type=_sender, required=True, help="The reverse-path; <> is the null one.")
@click.option("--resolver", type=resolver_address, metavar="HOST:PORT", help="Whom to ask. [default: as configured]")
@click.option("--account", metavar="NAME", help="Whose score. [default: of somebody who has taught nothing]")
@as_json
def verify(
    loaded: Loaded,
    file: Path,
    peer: Peer,
    helo: str,
    sender: Address | None,
    resolver: tuple[str, int] | None,
    account: str | None,
    as_json: bool,
) -> None:
    """Say what is thought of the message in FILE ("-" is standard input) and its sender: SPF, DKIM, ARC, DMARC, iprev,
    what would follow from them, and whether it is taken for junk."""
    octets = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    if b"\r\n" not in octets:
        octets = octets.replace(b"\n", b"\r\n")  # as it would have come over SMTP
    found = asyncio.run(_verify(loaded, octets, peer, helo, sender, resolver))
    client = SmtpClient(peer, helo, Language.ESMTP)
    judgement = weigh(loaded, octets, client, found, account)
    if as_json:
        plain = {**_plain(found, peer), **judgement_record(judgement)}
        click.echo(msgspec.json.format(msgspec.json.encode(plain), indent=2).decode())
        return
    for outcome in outcomes(peer, sender, found):
        folded = authentication_results.payload("", [outcome]).decode().lstrip("; \r\n\t")
        click.echo(printable(folded.replace("\r\n\t", " ")))
    for forgery in found.forgeries:
        click.echo(f"From: {forgery.value}")
    if found.bimi is not None:
        click.echo(printable(f"BIMI: {found.bimi.location or 'declined'} ({found.bimi.domain})"))
    why = f" ({found.override}: {found.override_comment})" if found.override else ""
    click.echo(printable(f"What follows: {found.handling.value}{why}"))
    show_judgement(judgement)


async def _verify(
    loaded: Loaded, octets: bytes, peer: Peer, helo: str, sender: Address | None, server: tuple[str, int] | None
) -> Verdicts:
    config = loaded.config
    resolver = Resolver(config.dns, (server,) if server is not None else config.dns.servers)
    verifier = Verifier(resolver, config.verification, config.server.own_hostname, lambda: datetime.now(UTC))
    header, body = headers.split(octets)
    try:
        return await verifier.verify(peer, helo, sender, header, octets, len(octets) - len(body))
    finally:
        verifier.close()
        await resolver.close()


def _plain(found: Verdicts, peer: Peer) -> dict[str, object]:
    plain: dict[str, object] = {"ip": str(peer.ip), "mailbox": filing(found).value}
    plain.update({name: _simple(value) for name, value in asdict(found).items()})
    return plain


def _simple(value: object) -> object:
    """Make what JSON can hold."""
    if isinstance(value, dict):
        return {key: _simple(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_simple(each) for each in value]
    if isinstance(value, Enum):
        return value.value
    return value
