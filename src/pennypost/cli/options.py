"""Options every command has, and what its failure looks like."""

from collections.abc import Callable
from functools import update_wrapper
from pathlib import Path
from typing import Any, NoReturn

import click
import structlog

from pennypost.app.config.load import Loaded, load_config
from pennypost.model.errors import ConfigError, MailError

Command = Callable[..., Any]


def configured(command: Command) -> Command:
    """Add --config and --set; the command gets what they give as its first argument, `loaded`."""

    def wrapper(config: Path | None, settings: tuple[str, ...], **arguments: Any) -> Any:
        _log_to_standard_error()
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


class _StandardError:
    """What a command has to say beside its output: warnings, and worse."""

    def quiet(self, _text: str) -> None:
        return

    def loud(self, text: str) -> None:
        click.echo(text, err=True)

    debug = info = msg = log = quiet
    warning = warn = error = critical = exception = fatal = failure = err = loud


def _log_to_standard_error() -> None:
    """Keep the log out of what a command writes: programs read it. `serve` sets the log up for itself."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ],
        logger_factory=lambda *_: _StandardError(),
    )


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
