"""`pennypost serve`."""

import click

from pennypost.app.start import serve as run
from pennypost.app.state import AlreadyRunning
from pennypost.cli.options import Loaded, configured, fail
from pennypost.model.errors import ConfigError
from pennypost.store.engine import StoreUnusable


@click.command()
@configured
def serve(loaded: Loaded) -> None:
    """Run the mail server until SIGTERM or Ctrl-C. SIGHUP reads the certificates anew."""
    try:
        status = run(loaded)
    except (ConfigError, StoreUnusable, AlreadyRunning, OSError) as error:
        fail(str(error))
    raise SystemExit(status)
