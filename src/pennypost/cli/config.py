"""`pennypost config`."""

import click

from pennypost.app.config.describe import show
from pennypost.app.privileges import check_user
from pennypost.cli.options import Loaded, as_json, configured, fail
from pennypost.cli.output import show_records
from pennypost.model.errors import ConfigError


@click.group()
def config() -> None:
    """Check and show the configuration."""


@config.command("check")
@configured
def check(loaded: Loaded) -> None:
    """Tell every problem of the configuration; the status is 0 when there is none."""
    problems = tuple(check_user(loaded.config.server))
    if problems:
        fail(str(ConfigError(str(loaded.file or ""), problems)))
    click.echo(f"{loaded.file or 'no file: the defaults'}: ok")


@config.command("show")
@configured
@as_json
def show_(loaded: Loaded, as_json: bool) -> None:
    """Show every setting, its value and where it comes from. Secrets are not shown."""
    found = show(loaded)
    if as_json:
        records = [{"key": key, "value": value, "origin": origin} for key, value, origin in found]
        show_records(records, as_json=True)
        return
    width = max(len(f"{key} = {value}") for key, value, _ in found if len(value) < 60)
    for key, value, origin in found:
        click.echo(f"{f'{key} = {value}'.ljust(width)}  # {origin}")
