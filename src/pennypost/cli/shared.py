"""`pennypost shared`."""

from functools import partial

import click

from pennypost.cli.asking import confirm
from pennypost.cli.options import Loaded, as_json, configured
from pennypost.cli.output import show_records
from pennypost.cli.parameters import address as address_
from pennypost.cli.parameters import bound, rights_, size
from pennypost.cli.running import find_account, read, require_grantee, with_store, write
from pennypost.model.account import Account
from pennypost.model.errors import NoSuchAccount
from pennypost.model.rights import Rights
from pennypost.store import acl, directory, mailboxes, names, removal
from pennypost.store.acl import AclMode
from pennypost.store.engine import Transaction
from pennypost.store.store import Store

_rights = click.option("--rights", type=rights_, default="lrswipkxte", show_default=True, help="What they may do.")


@click.group()
def shared() -> None:
    """Manage shared accounts: mailboxes that several people use, with an address of their own and no login.

    Members find them below "Shared/ADDRESS/". Rights are letters of RFC 4314: l see, r read, s mark as seen, w set
    other flags, i put messages in, p post, k create below, x delete the mailbox, t mark as deleted, e expunge, a
    administer.
    """


@shared.command("add")
@configured
@click.argument("address", type=address_)
@click.option("--display-name", default="", help="The name people see.")
@click.option("--quota", type=size, help='What it may hold, as "5 GiB".')
@click.option("--member", "members", multiple=True, metavar="ACCOUNT", help="Who may use it; may be given again.")
@_rights
def add(
    loaded: Loaded, address: str, display_name: str, quota: int | None, members: tuple[str, ...], rights: Rights
) -> None:
    """Add a shared account with the address ADDRESS. Its domain must be there already."""

    async def make(tx: Transaction) -> Account:
        made = await directory.add_account(tx, address, display_name, quota_octets=bound(quota), shared=True)
        for member in members:
            await _grant(tx, made, member, AclMode.SET, rights)
        return made

    click.echo(f"{write(loaded, make).name} added")


@shared.command("list")
@configured
@as_json
def list_(loaded: Loaded, as_json: bool) -> None:
    """List the shared accounts, and who may use the INBOX of each."""

    async def look(tx: Transaction) -> list[dict[str, object]]:
        records: list[dict[str, object]] = []
        for found in await directory.accounts(tx):
            if found.shared:
                inbox = await mailboxes.require(tx, found.id, names.INBOX)
                members = [entry.identifier for entry in await acl.entries(tx, found.id, inbox.id) if entry.granted]
                records.append({"name": found.name, "display_name": found.display_name, "members": members})
        return records

    show_records(read(loaded, look), as_json=as_json, empty="no shared accounts")


@shared.command("join")
@configured
@click.argument("address")
@click.argument("member")
@_rights
def join(loaded: Loaded, address: str, member: str, rights: Rights) -> None:
    """Let MEMBER (an account, anyone, or authenticated) use all mailboxes of the shared account ADDRESS."""

    async def change(tx: Transaction) -> None:
        await _grant(tx, await _find(tx, address), member, AclMode.SET, rights)

    write(loaded, change)
    click.echo(f"{member} may use {address}")


@shared.command("leave")
@configured
@click.argument("address")
@click.argument("member")
def leave(loaded: Loaded, address: str, member: str) -> None:
    """Take all rights to mailboxes of the shared account ADDRESS from MEMBER."""

    async def change(tx: Transaction) -> None:
        await _grant(tx, await _find(tx, address), member, AclMode.SET, Rights.NONE)

    write(loaded, change)
    click.echo(f"{member} may not use {address} any more")


@shared.command("remove")
@configured
@click.argument("address")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(loaded: Loaded, address: str, yes: bool) -> None:
    """Remove the shared account ADDRESS with all its mail."""
    if not yes:
        confirm(f"Remove {address} and all its mail?")

    async def change(tx: Transaction) -> None:
        await directory.remove_account(tx, (await _find(tx, address)).id)

    async def work(store: Store) -> None:
        await store.write(change)
        await removal.finish(store.engine)

    with_store(loaded, work)
    click.echo(f"{address} removed")


async def _find(tx: Transaction, address: str) -> Account:
    found = await find_account(tx, address)
    if not found.shared:
        raise NoSuchAccount(f"Not a shared account: {address}; pennypost shared list shows those there are")
    return found


async def _grant(tx: Transaction, account: Account, member: str, mode: AclMode, rights: Rights) -> None:
    grant = partial(acl.change, tx, account.id)
    await require_grantee(tx, account.id, member)
    for mailbox in await mailboxes.list_all(tx, account.id):
        await grant(mailbox.id, member, mode, rights)
