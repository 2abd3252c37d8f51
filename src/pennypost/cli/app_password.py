"""`pennypost app-password`."""

import click

from pennypost.cli.options import Loaded, as_json, configured
from pennypost.cli.output import show_record, show_records
from pennypost.cli.running import find_account, read, write
from pennypost.mail.passwords import app_credential, generate_password
from pennypost.model.account import Credential, CredentialKind
from pennypost.model.errors import NoSuchCredential
from pennypost.model.text import printable
from pennypost.store import directory
from pennypost.store.engine import Transaction


@click.group("app-password")
def app_password() -> None:
    """Manage app passwords: one for each program, so that one can be revoked alone."""


@app_password.command("add")
@configured
@click.argument("account")
@click.argument("label")
@as_json
def add(loaded: Loaded, account: str, label: str, as_json: bool) -> None:
    """Make an app password for ACCOUNT, called LABEL, and print it: it cannot be shown again."""
    if not label.strip():
        raise click.UsageError('expected a label, as "phone": it is what the password is revoked by')
    password = generate_password()
    new = app_credential(password)

    async def change(tx: Transaction) -> None:
        found = await find_account(tx, account)
        await directory.add_credential(tx, found.id, CredentialKind.APP_PASSWORD, label, new.password_hash)

    write(loaded, change)
    if as_json:
        show_record({"account": account, "label": label, "password": password}, as_json=True)
    else:
        click.echo(password)


async def _app_passwords(tx: Transaction, account: str) -> list[Credential]:
    found = await find_account(tx, account)
    return [c for c in await directory.credentials(tx, found.id) if c.kind is CredentialKind.APP_PASSWORD]


@app_password.command("list")
@configured
@click.argument("account")
@as_json
def list_(loaded: Loaded, account: str, as_json: bool) -> None:
    """List the app passwords of ACCOUNT: their labels, never what they are."""
    records = [
        {
            "label": c.label,
            "created_at": c.created_at.isoformat(timespec="seconds"),
            "last_used_at": c.last_used_at.isoformat(timespec="seconds") if c.last_used_at else None,
        }
        for c in read(loaded, lambda tx: _app_passwords(tx, account))
    ]
    show_records(records, as_json=as_json, empty="no app passwords")


@app_password.command("revoke")
@configured
@click.argument("account")
@click.argument("label")
def revoke(loaded: Loaded, account: str, label: str) -> None:
    """Revoke the app password LABEL of ACCOUNT."""

    async def change(tx: Transaction) -> None:
        found = await find_account(tx, account)
        for credential in await _app_passwords(tx, account):
            if credential.label == label:
                await directory.revoke_credential(tx, found.id, credential.id)
                return
        raise NoSuchCredential(
            f"{account} has no app password {printable(label)}: pennypost app-password list {account} shows those "
            "there are"
        )

    write(loaded, change)
    click.echo(f"{label} revoked")
