"""`pennypost mailbox`."""

import click

from pennypost.cli.mailbox_acl import acl
from pennypost.cli.options import Loaded, as_json, configured
from pennypost.cli.output import show_records
from pennypost.cli.running import find_account, read
from pennypost.model.mailbox import Mailbox
from pennypost.store import mailboxes
from pennypost.store.engine import Transaction


@click.group()
def mailbox() -> None:
    """Look at mailboxes, and say who may see them."""


mailbox.add_command(acl)


@mailbox.command("list")
@configured
@click.argument("account")
@as_json
def list_(loaded: Loaded, account: str, as_json: bool) -> None:
    """List the mailboxes of ACCOUNT."""

    async def look(tx: Transaction) -> list[Mailbox]:
        return await mailboxes.list_all(tx, (await find_account(tx, account)).id)

    records = [
        {
            "name": m.name,
            "role": m.role.value if m.role else None,
            "messages": m.total,
            "unseen": m.unseen,
            "octets": m.octets,
            "subscribed": m.subscribed,
            "uid_validity": m.uid_validity,
            "uid_next": m.uid_next,
        }
        for m in read(loaded, look)
        if m.selectable
    ]
    show_records(records, as_json=as_json, empty="no mailboxes")
