"""Writing down what has happened, and must not be forgotten."""

import asyncio

import structlog

from pennypost.model.errors import ServerBusy, StorageFull
from pennypost.store.engine import Operation, T
from pennypost.store.store import Store

TRY_AGAIN = (StorageFull, ServerBusy)
"""What the store says when it cannot write at all now, whatever it is."""

_log = structlog.stdlib.get_logger("pennypost.queue")


async def persist(store: Store, operation: Operation[T], rows: int) -> T:
    """Write what has happened; while the store cannot, try again: what was sent must not be sent twice.

    `rows`: about how many it changes. Raises ShuttingDown, and what the operation raises of its own.
    """
    pause = 1.0
    while True:
        try:
            return await store.write_rows(operation, rows)
        except TRY_AGAIN as error:
            _log.error("cannot write down what was sent", reason=str(error))
        await asyncio.sleep(pause)
        pause = min(2 * pause, 30.0)
