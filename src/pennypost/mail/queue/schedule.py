"""When a delivery is tried again, when its sender is warned, and when it is given up (RFC 5321 §4.5.4.1)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pennypost.mail.queue.settings import QueueSettings
from pennypost.model.envelope import DeliverByMode, Envelope

JITTER = 0.1
"""How far a wait may be from what is configured, so that what failed together is not tried together."""

RELEASE_STEP = timedelta(hours=1)
"""By how much each level of priority lets a message go sooner than others (RFC 6710 §5)."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The instants of one message. `warn_at`: None for one whose sender is not to be told. `hard`: it is returned then
    because the sender wants it so (RFC 2852), not because we give up."""

    warn_at: datetime | None
    expire_at: datetime
    hard: bool = False


def deadlines(settings: QueueSettings, envelope: Envelope, tried_since: datetime, seen_at: datetime) -> Deadlines:
    """Work out when a message is to be warned of and given up. What was requested of us (RFC 2852) may come sooner;
    it counts from `seen_at`. `tried_since`: as in `QueuedMessage`."""
    warn_at, expire_at, hard = tried_since + settings.warn_after, tried_since + settings.expire_after, False
    if envelope.deliver_by is not None:
        due = seen_at + envelope.deliver_by.within
        if envelope.deliver_by.mode is DeliverByMode.RETURN:
            if due < expire_at:
                expire_at, hard = due, True
        else:
            warn_at = min(warn_at, due)
    return Deadlines(None if envelope.reverse_path is None else warn_at, expire_at, hard)


def next_attempt(
    settings: QueueSettings, attempts: int, now: datetime, limits: Deadlines, warned: bool, chance: Callable[[], float]
) -> datetime:
    """Give when to try again after `attempts` (1 or more) that failed. `chance`: gives 0 ≤ x < 1.

    The last attempt falls on the instant at which the message is given up, and one on the warning's, so that what the
    sender is told then is true.
    """
    wait = settings.retry_after[min(attempts, len(settings.retry_after)) - 1]
    instant = now + wait * (1 + JITTER * (2 * chance() - 1))
    if limits.expire_at > now:
        instant = min(instant, limits.expire_at)
    if not warned and limits.warn_at is not None and limits.warn_at > now:
        instant = min(instant, limits.warn_at)
    return instant
