"""Options every command has, and what its failure looks like."""

from collections.abc import Callable
from functools import update_wrapper
from pathlib import Path
from typing import Any, NoReturn

import click

from pennypost.app.config.load import Loaded, load_config
from pennypost.model.errors import ConfigError, MailError

Command = Callable[..., Any]


def configured(command: Command) -> Command:
    """Add --config and --set; the command gets what they give as its first argument, `loaded`."""

    def wrapper(config: Path | None, settings: tuple[str, ...], **arguments: Any) -> Any:
        try:
            loaded = load_config(config, settings)
        except ConfigError as error:
            fail(str(error))
        return command(loaded, **arguments)

    wrapped: Command = update_wrapper(wrapper, command)
    wrapped = click.option(
        "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set a key of the configuration for this run."
    )(wrapped)
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="PENNYPOST_CONFIG",
        metavar="FILE",
        help="The configuration file. [default: /etc/pennypost/pennypost.toml]",
    )(wrapped)


def as_json(command: Command) -> Command:
    """Add --json; the command gets it as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON.")(command)


def fail(reason: str) -> NoReturn:
    """End with status 1 and the reason."""
    click.echo(f"pennypost: {reason}", err=True)
    raise SystemExit(1)


def reason_of(error: MailError) -> str:
    """Say why something was refused, for an administrator: no status code, no capital."""
    return error.reason[:1].lower() + error.reason[1:]


__all__ = ["Loaded", "as_json", "configured", "fail", "reason_of"]
