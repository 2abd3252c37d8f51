"""imaptest's compliance scripts, played against a running server by a player of our own (`imap_scripts`)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.running import RunningServer
from tests.vectors import imap_scripts, mime

FOLDER = "imap-imaptest-scripts"

MISSING = frozenset({"urlauth=binary"})
"""Capabilities, in lower case, that we do not have."""


def scripts() -> list[Path]:
    folder = mime.root() / FOLDER
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix == "" and path.name not in ("LICENSE", "SOURCE"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("scripts"), "auth.allow_cleartext_login=loopback") as running:
        yield running


@pytest.mark.skipif(not scripts(), reason="imaptest's scripts are not here")
@pytest.mark.parametrize("path", scripts(), ids=lambda path: path.name)
def test_script(path: Path, server: RunningServer) -> None:
    script = imap_scripts.load(path)
    if MISSING & set(script.headers.get("capabilities", "").lower().split()):
        pytest.skip(f"we do not have {script.headers['capabilities']}")
    account = server.make_account(f"{path.name}@example.org")
    imap_scripts.Player(script, server.ports["imap"], account.name, account.password).play()
