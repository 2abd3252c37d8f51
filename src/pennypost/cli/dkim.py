"""`pennypost dkim`."""

import click

from pennypost.cli.options import Loaded, as_json, configured
from pennypost.cli.output import show_records
from pennypost.cli.running import read, write
from pennypost.mail.signing import generate as generate_keys
from pennypost.mail.signing import make_key
from pennypost.model.errors import AlreadyExists
from pennypost.store import signing_keys
from pennypost.store.directory import require_domain
from pennypost.store.engine import Transaction
from pennypost.store.signing_keys import KeyState, StoredKey
from pennypost.verify.dkim import SigningAlgorithm

ALGORITHMS = {"rsa": SigningAlgorithm.RSA_SHA256, "ed25519": SigningAlgorithm.ED25519_SHA256}


@click.group()
def dkim() -> None:
    """Manage the keys that sign mail of our domains (DKIM)."""


def _algorithms(chosen: tuple[str, ...]) -> list[SigningAlgorithm]:
    return [ALGORITHMS[name] for name in (chosen or tuple(ALGORITHMS))]


_algorithm = click.option(
    "--algorithm", "chosen", multiple=True, type=click.Choice(tuple(ALGORITHMS)), help="Which one only. [default: both]"
)


@dkim.command("generate")
@configured
@click.argument("domain")
@_algorithm
def generate(loaded: Loaded, domain: str, chosen: tuple[str, ...]) -> None:
    """Make keys for DOMAIN, which has none yet of these algorithms. They sign at once."""
    settings = loaded.config.dkim
    keys = {algorithm: make_key(algorithm, settings.rsa_bits) for algorithm in _algorithms(chosen)}

    async def operation(tx: Transaction) -> list[StoredKey]:
        name = (await require_domain(tx, domain)).name
        have = {key.algorithm for key in await signing_keys.of_domain(tx, name)}
        if known := [algorithm.value for algorithm in keys if algorithm.value in have]:
            raise AlreadyExists(
                f"{name} has keys of {' and '.join(known)} already: pennypost dkim rotate {name} makes new ones"
            )
        return await generate_keys(tx, settings, name, keys)

    _tell(write(loaded, operation))


@dkim.command("rotate")
@configured
@click.argument("domain")
@_algorithm
@click.option(
    "--now", "at_once", is_flag=True, help="Sign with the new keys at once: the old ones may be known to others."
)
def rotate(loaded: Loaded, domain: str, chosen: tuple[str, ...], at_once: bool) -> None:
    """Make new keys for DOMAIN. They sign after `dkim.publish_time`, when the server has seen them in the DNS, which it
    looks at every half hour; until then the old ones do. Those are forgotten `dkim.retire_time` later."""
    settings = loaded.config.dkim
    keys = {algorithm: make_key(algorithm, settings.rsa_bits) for algorithm in _algorithms(chosen)}
    made = write(loaded, lambda tx: generate_keys(tx, settings, domain, keys, at_once=at_once))
    _tell(made)
    if at_once:
        click.echo("\nThey sign from now on: until they are published, signatures of this mail fail.", err=True)
    else:
        click.echo(f"\nThey sign from {made[0].active_from:%Y-%m-%d %H:%M} UTC on, if they are published by then.")


@dkim.command("list")
@configured
@click.argument("domain", required=False)
@as_json
def list_(loaded: Loaded, domain: str | None, as_json: bool) -> None:
    """List the keys of DOMAIN, or of all domains, with the records that publish them."""

    async def operation(tx: Transaction) -> list[dict[str, object]]:
        found = (
            await signing_keys.every(tx)
            if domain is None
            else await signing_keys.of_domain(tx, (await require_domain(tx, domain)).name)
        )
        records: list[dict[str, object]] = []
        for key in found:
            state, _ = signing_keys.states([k for k in found if k.domain == key.domain], tx.now)[key.selector]
            records.append(_record(key, state))
        return records

    records = read(loaded, operation)
    if not as_json:
        records = [{name: value for name, value in record.items() if name != "record"} for record in records]
    show_records(records, as_json=as_json, empty="no keys")


@dkim.command("remove")
@configured
@click.argument("domain")
@click.argument("selector")
def remove(loaded: Loaded, domain: str, selector: str) -> None:
    """Forget the key SELECTOR of DOMAIN, whatever it does."""

    async def operation(tx: Transaction) -> None:
        await signing_keys.remove(tx, (await require_domain(tx, domain)).name, selector)

    write(loaded, operation)
    click.echo(f"{selector} of {domain} removed: take its record out of the DNS")


def _record(key: StoredKey, state: KeyState) -> dict[str, object]:
    return {
        "domain": key.domain,
        "selector": key.selector,
        "algorithm": key.algorithm,
        "state": state.value,
        "active_from": key.active_from.isoformat(timespec="seconds"),
        "published": None if key.published_at is None else key.published_at.isoformat(timespec="seconds"),
        "sealed": key.sealed,
        "name": f"{key.selector}._domainkey.{key.domain}",
        "record": key.record,
    }


def _tell(keys: list[StoredKey]) -> None:
    """Say what to put into the DNS."""
    click.echo("Publish these TXT records:")
    for key in keys:
        click.echo(f"\n{key.selector}._domainkey.{key.domain}\n{key.record}")
