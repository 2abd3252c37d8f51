"""What can be set of every screener."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from pennypost.model.bounds import bounded, positive_times


class Fallback(Enum):
    """What becomes of mail that a screener could not be asked about."""

    ACCEPT = "accept"
    DEFER = "defer"


@dataclass(frozen=True, slots=True)
class ScreenerSettings:
    """A program that is asked about incoming mail."""

    timeout: timedelta = timedelta(seconds=30)
    """How long one question may take, from the connection to the last octet of the answer; as long it may wait for its
    turn (`at_once`) before."""

    on_failure: Fallback = Fallback.ACCEPT
    """What follows when it does not answer, or makes no sense: "accept" goes on without it, "defer" tells senders to
    try again later."""

    failures: int = 5
    """After so many failures in a row it is left alone: nobody waits for it, and `on_failure` holds."""

    pause: timedelta = timedelta(seconds=30)
    """For how long; then one message tries it."""

    at_once: int = 20
    """Questions that are asked at the same time, by each worker; others wait for their turn."""

    def __post_init__(self) -> None:
        positive_times(self, "timeout", "pause")
        bounded(self, "failures", "at_once", least=1)

    @property
    def patience(self) -> timedelta:
        """How long a question may take in all."""
        return self.timeout
