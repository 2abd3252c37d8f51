"""What a server keeps in its folder beside the store: one lock, one secret."""

import fcntl
import os
import secrets
from contextlib import suppress
from pathlib import Path

SECRET_OCTETS = 32


class AlreadyRunning(Exception):
    """Another server runs on this folder."""


class FolderLock:
    """Held while a server runs on a folder; the kernel lets go of it with the last of the server's processes."""

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise AlreadyRunning(f"{folder}: another server runs on this folder (process {holder})") from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another server run."""
        os.close(self._descriptor)


def lasting_secret(folder: Path) -> bytes:
    """Give the server's own secret, made at the first start: 32 octets, the same in every worker and after a restart.

    It is written whole under another name and then linked, so that of workers who start together one wins.
    """
    path = folder / "secret"
    while True:
        with suppress(FileNotFoundError):
            secret = path.read_bytes()
            if len(secret) == SECRET_OCTETS:
                return secret
            raise OSError(f"{path} is damaged: {len(secret)} octets instead of {SECRET_OCTETS}")
        temporary = path.with_name(f".secret.{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, secrets.token_bytes(SECRET_OCTETS))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with suppress(FileExistsError):
            os.link(temporary, path)
        temporary.unlink()
