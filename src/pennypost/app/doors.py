"""Which door stands behind each listener."""

from collections.abc import Mapping
from dataclasses import dataclass

from pennypost.app.config.settings import Config
from pennypost.app.figures import Figures
from pennypost.mail.authenticate import Authenticator
from pennypost.net.listener import Handler
from pennypost.store.store import Store


@dataclass(frozen=True, slots=True)
class Door:
    """What serves the connections of one listener. `refusal`: what one too many is told."""

    handler: Handler
    refusal: bytes
    implicit_tls: bool = False


def make_doors(config: Config, store: Store, authenticator: Authenticator, figures: Figures) -> Mapping[str, Door]:
    """Make the doors of one worker, by the name of their listener."""
    return {}
