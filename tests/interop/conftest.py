"""One server for the tests of a module, and somebody new for each test."""

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.running import Account, RunningServer

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Start a server. A module may name `SETTINGS` and `WORKERS`. Its LMTP socket is `server.lmtp_socket`."""
    short = Path(tempfile.mkdtemp(prefix="pp"))  # the path of a Unix socket has 108 octets at the most
    try:
        with RunningServer(
            tmp_path_factory.mktemp("server") / "data",
            f"listeners.lmtp=unix:{short}/lmtp",
            "limits.connections_per_address=1000",
            "auth.network_failures_free=1000",
            "auth.network_failures_before_ban=1000",
            *getattr(request.module, "SETTINGS", ()),
            workers=getattr(request.module, "WORKERS", 1),
        ) as running:
            running.lmtp_socket = short / "lmtp"
            yield running
    finally:
        shutil.rmtree(short)


@pytest.fixture
def new_account(server: RunningServer) -> Callable[[], Account]:
    """Make accounts of example.org that nobody had before."""
    return lambda: server.make_account(f"user{next(_numbers)}@example.org")


@pytest.fixture
def account(new_account: Callable[[], Account]) -> Account:
    return new_account()
