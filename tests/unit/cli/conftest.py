"""Commands run within the process of the tests, and set the log up as they want it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from tests.unit.cli.shell import Shell


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """Leave the log to the next test as it was."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Commands on a store that has a domain."""
    shell = Shell(tmp_path / "data")
    shell("domain", "add", "example.org", "--no-dkim")
    return shell
