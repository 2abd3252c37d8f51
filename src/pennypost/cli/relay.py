"""`pennypost relay`."""

import click

from pennypost.cli.options import Loaded, as_json, configured, fail
from pennypost.cli.output import show_records
from pennypost.cli.parameters import domain_
from pennypost.cli.running import read, write
from pennypost.store import transport
from pennypost.verify.mta_sts import parse_policy


@click.group("relay")
def relay() -> None:
    """Show what is remembered of how other domains take mail."""


@relay.command("policies")
@configured
@as_json
def policies(loaded: Loaded, as_json: bool) -> None:
    """List the MTA-STS policies that hold, the oldest first (RFC 8461)."""
    found = read(loaded, transport.policies)
    records = []
    for stored in found:
        policy = parse_policy(stored.policy)
        records.append(
            {
                "domain": stored.domain,
                "mode": policy.mode.value,
                "mx": list(policy.mx),
                "fetched": stored.fetched_at.isoformat(timespec="seconds"),
                "holds_until": stored.expires_at.isoformat(timespec="seconds"),
            }
        )
    show_records(records, as_json=as_json, empty="no policies")


@relay.command("tls")
@configured
@as_json
def tls(loaded: Loaded, as_json: bool) -> None:
    """List the domains that took mail under TLS, those first that have none any more: their mail waits."""
    records = [
        {
            "domain": domain,
            "seen": memory.seen_at.isoformat(timespec="seconds"),
            "missed_since": memory.missed_since.isoformat(timespec="seconds") if memory.missed_since else None,
        }
        for domain, memory in read(loaded, transport.tls_memories)
    ]
    show_records(records, as_json=as_json, empty="no domains")


@relay.command("forget-tls")
@click.argument("domain", type=domain_)
@configured
def forget_tls(loaded: Loaded, domain: str) -> None:
    """Let mail for a domain go in clear, though it went under TLS before."""
    if not write(loaded, lambda tx: transport.forget_tls(tx, domain.lower())):
        fail(f"nothing is remembered of {domain}: pennypost relay tls lists of whom something is")
