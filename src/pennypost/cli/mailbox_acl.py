"""`pennypost mailbox acl`."""

import click

from pennypost.cli.options import Loaded, as_json, configured
from pennypost.cli.output import show_records
from pennypost.cli.parameters import rights_
from pennypost.cli.running import find_account, read, require_grantee, write
from pennypost.model.errors import NoSuchMailbox
from pennypost.model.ids import AccountId
from pennypost.model.mailbox import Mailbox
from pennypost.model.rights import Rights, format_rights
from pennypost.model.text import printable
from pennypost.store import acl as store_acl
from pennypost.store import mailboxes
from pennypost.store.acl import AclMode, Entry
from pennypost.store.engine import Transaction


@click.group("acl")
def acl() -> None:
    """Manage who may do what with a mailbox (RFC 4314).

    IDENTIFIER is an account, anyone or authenticated, these of the owner's domain. Rights are letters: l see, r read, s
    mark as seen, w set other flags, i put messages in, p post, k create below, x delete the mailbox, t mark as
    deleted, e expunge, a administer.
    """


_negative = click.option("--deny", "negative", is_flag=True, help="Deny these rights instead of granting them.")


@acl.command("list")
@configured
@click.argument("account")
@click.argument("mailbox")
@as_json
def list_(loaded: Loaded, account: str, mailbox: str, as_json: bool) -> None:
    """List who may do what with MAILBOX of ACCOUNT, which itself may do all."""

    async def look(tx: Transaction) -> list[Entry]:
        owner, found = await _find(tx, account, mailbox)
        return await store_acl.entries(tx, owner, found.id)

    records = [
        {"identifier": e.identifier, "rights": format_rights(e.granted), "denied": format_rights(e.denied)}
        for e in read(loaded, look)
    ]
    show_records(records, as_json=as_json, empty="nobody else")


@acl.command("set")
@configured
@click.argument("account")
@click.argument("mailbox")
@click.argument("identifier")
@click.argument("rights", type=rights_)
@_negative
def set_(loaded: Loaded, account: str, mailbox: str, identifier: str, rights: Rights, negative: bool) -> None:
    """Let IDENTIFIER do what RIGHTS say with MAILBOX of ACCOUNT, and nothing else."""
    _change(loaded, account, mailbox, identifier, rights, negative)
    click.echo(f"{identifier} {'is denied' if negative else 'has'} {format_rights(rights)} on {mailbox} of {account}")


@acl.command("remove")
@configured
@click.argument("account")
@click.argument("mailbox")
@click.argument("identifier")
@_negative
def remove(loaded: Loaded, account: str, mailbox: str, identifier: str, negative: bool) -> None:
    """Take the rights of IDENTIFIER on MAILBOX of ACCOUNT away, or what is denied."""
    _change(loaded, account, mailbox, identifier, Rights.NONE, negative)
    click.echo(f"{identifier} removed")


def _change(loaded: Loaded, account: str, mailbox: str, identifier: str, rights: Rights, negative: bool) -> None:
    async def change(tx: Transaction) -> None:
        owner, found = await _find(tx, account, mailbox)
        await require_grantee(tx, owner, identifier)
        await store_acl.change(tx, owner, found.id, identifier, AclMode.SET, rights, negative=negative)

    write(loaded, change)


async def _find(tx: Transaction, account: str, mailbox: str) -> tuple[AccountId, Mailbox]:
    owner = (await find_account(tx, account)).id
    found = await mailboxes.find(tx, owner, mailbox)
    if found is None:
        raise NoSuchMailbox(
            f"{account} has no mailbox {printable(mailbox)}: pennypost mailbox list {account} shows those there are"
        )
    return owner, found
