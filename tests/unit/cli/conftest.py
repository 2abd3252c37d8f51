"""Commands run within the process of the tests, and set the log up as they want it."""

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """Leave the log to the next test as it was."""
    yield
    structlog.reset_defaults()
