"""`pennypost account`."""

import click

from pennypost.cli.asking import confirm, new_password, password_options
from pennypost.cli.options import Loaded, as_json, configured, fail
from pennypost.cli.output import show_records
from pennypost.cli.parameters import address, bound, shown, size
from pennypost.cli.running import find_account, read, with_store, write
from pennypost.mail.passwords import NewCredential, account_credential
from pennypost.proto.imap.server_url import host_of, server_url
from pennypost.proto.imap.url import BadUrl
from pennypost.store import directory, removal, sending
from pennypost.store.engine import Transaction
from pennypost.store.store import Store


@click.group()
def account() -> None:
    """Manage the accounts: who has mailboxes here."""


def _credential(loaded: Loaded, password: str) -> NewCredential:
    try:
        return account_credential(password, loaded.config.auth)
    except ValueError as error:
        fail(f"this password cannot be used: {error}")


@account.command("add")
@configured
@click.argument("name", type=address)
@click.option("--display-name", default="", help="The name people see.")
@click.option("--quota", type=size, help='What it may hold, as "5 GiB".')
@password_options
def add(loaded: Loaded, name: str, display_name: str, quota: int | None, generate: bool, from_stdin: bool) -> None:
    """Add the account NAME, which is its address and its login name. Its domain must be there already.

    The password is asked for twice. A script writes it to standard input, one line: printf '%s\\n' "$PASSWORD" |
    pennypost account add NAME.
    """
    password = new_password(generate, from_stdin)
    new = _credential(loaded, password)
    added = write(
        loaded,
        lambda tx: directory.add_account(
            tx, name, display_name, new.password_hash, new.scram_sha1, new.scram_sha256, bound(quota)
        ),
    )
    click.echo(password if generate else f"{added.name} added")


@account.command("list")
@configured
@click.option("--domain", help="Only those of this domain.")
@as_json
def list_(loaded: Loaded, domain: str | None, as_json: bool) -> None:
    """List the accounts."""
    records = [
        {
            "name": a.name,
            "display_name": a.display_name,
            "enabled": a.enabled,
            "messages": a.message_count,
            "used_octets": a.used_octets,
            "quota_octets": a.quota_octets,
            "referral": a.referral,
            "created_at": a.created_at.isoformat(timespec="seconds"),
        }
        for a in read(loaded, lambda tx: directory.accounts(tx, domain))
    ]
    show_records(records, as_json=as_json, empty="no accounts")


@account.command("passwd")
@configured
@click.argument("name")
@password_options
def passwd(loaded: Loaded, name: str, generate: bool, from_stdin: bool) -> None:
    """Set the password of the account NAME. App passwords stay.

    It is asked for twice. A script writes it to standard input, one line: printf '%s\\n' "$PASSWORD" | pennypost
    account passwd NAME.
    """
    password = new_password(generate, from_stdin)
    new = _credential(loaded, password)

    async def change(tx: Transaction) -> None:
        found = await find_account(tx, name)
        await directory.set_password(tx, found.id, new.password_hash, new.scram_sha1, new.scram_sha256)

    write(loaded, change)
    click.echo(password if generate else f"password of {name} changed")


def _set_enabled(loaded: Loaded, name: str, enabled: bool) -> None:
    async def change(tx: Transaction) -> None:
        await directory.set_enabled(tx, (await find_account(tx, name)).id, enabled)

    write(loaded, change)


@account.command("disable")
@configured
@click.argument("name")
def disable(loaded: Loaded, name: str) -> None:
    """Let the account NAME neither log in nor get mail; what it holds stays."""
    _set_enabled(loaded, name, enabled=False)
    click.echo(f"{name} disabled")


@account.command("enable")
@configured
@click.argument("name")
def enable(loaded: Loaded, name: str) -> None:
    """Undo `disable`."""
    _set_enabled(loaded, name, enabled=True)
    click.echo(f"{name} enabled")


@account.command("refer")
@configured
@click.argument("name")
@click.argument("url")
def refer(loaded: Loaded, name: str, url: str) -> None:
    """Send who logs in as the account NAME to another IMAP server: URL is as imap://user@imap.example.net/.

    It is let in here only where others let it read their mailboxes. Mail for its address still comes here, and it may
    still send.
    """
    try:
        full = server_url(url, name)
    except BadUrl as problem:
        fail(f"{problem}, not {shown(url)}")
    if host_of(full) == loaded.config.server.own_hostname.lower():
        fail(f"{host_of(full)} is this server: clients would be sent in a circle")

    async def change(tx: Transaction) -> None:
        await directory.set_referral(tx, (await find_account(tx, name)).id, full)

    write(loaded, change)
    click.echo(f"{name} is sent to {full}")


@account.command("unrefer")
@configured
@click.argument("name")
def unrefer(loaded: Loaded, name: str) -> None:
    """Undo `refer`."""

    async def change(tx: Transaction) -> None:
        await directory.set_referral(tx, (await find_account(tx, name)).id, None)

    write(loaded, change)
    click.echo(f"{name} is served here")


@account.command("set")
@configured
@click.argument("name")
@click.option("--display-name", help="The name people see.")
@click.option("--quota", type=size, help='What it may hold, as "5 GiB", or none.')
def set_(loaded: Loaded, name: str, display_name: str | None, quota: int | None) -> None:
    """Change the account NAME."""
    if display_name is None and quota is None:
        raise click.UsageError("say what to change: --display-name or --quota")

    async def change(tx: Transaction) -> None:
        found = await find_account(tx, name)
        if display_name is not None:
            await directory.set_display_name(tx, found.id, display_name)
        if quota is not None:
            await directory.set_quota(tx, found.id, bound(quota))

    write(loaded, change)
    click.echo(f"{name} changed")


@account.command("frozen")
@configured
@as_json
def frozen(loaded: Loaded, as_json: bool) -> None:
    """List the accounts whose sending is frozen, and why."""

    async def look(tx: Transaction) -> list[dict[str, str]]:
        names = {account.id: account.name for account in await directory.accounts(tx)}
        return [
            {
                "name": names.get(entry.account, ""),
                "since": entry.frozen_at.isoformat(timespec="seconds"),
                "reason": entry.reason,
            }
            for entry in await sending.all_frozen(tx)
        ]

    show_records(read(loaded, look), as_json=as_json, empty="no account is frozen")


@account.command("freeze")
@configured
@click.argument("name")
@click.option("--reason", default="by hand", help="What the list says of it.")
def freeze(loaded: Loaded, name: str, reason: str) -> None:
    """Let the account NAME send no mail, and hold what of its waits to be sent. Reading goes on."""

    async def change(tx: Transaction) -> None:
        await sending.freeze(tx, (await find_account(tx, name)).id, reason)

    write(loaded, change)
    click.echo(f"{name} frozen")


@account.command("unfreeze")
@configured
@click.argument("name")
def unfreeze(loaded: Loaded, name: str) -> None:
    """Let the account NAME send again, and send what was held."""

    async def change(tx: Transaction) -> bool:
        return await sending.unfreeze(tx, (await find_account(tx, name)).id)

    click.echo(f"{name} may send again" if write(loaded, change) else f"{name} was not frozen")


@account.command("remove")
@configured
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(loaded: Loaded, name: str, yes: bool) -> None:
    """Remove the account NAME with all its mail."""
    if not yes:
        confirm(f"Remove {name} and all its mail?")

    async def work(store: Store) -> None:
        async def change(tx: Transaction) -> None:
            await directory.remove_account(tx, (await find_account(tx, name)).id)

        await store.write(change)
        await removal.finish(store.engine)

    with_store(loaded, work)
    click.echo(f"{name} removed")
