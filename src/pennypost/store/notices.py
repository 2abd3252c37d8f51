"""Hints between workers that something is new.

*Theory of operation.* After a commit the worker that made it calls its own subscribers, and sends (account, modseq)
pairs to the sockets of the other workers of the same store: a folder of Unix datagram sockets, one for each open store.
A notice carries no data. Who gets one reads the store; who misses one sees the change at the next reading. So nothing
here is waited for, and nothing fails: a full socket keeps its pairs for a moment and tries again a few times, a
socket that nobody reads any more is removed.

The folder is 0700 and the sockets 0600: who can send here is the user we run as.
"""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from struct import Struct

from pennypost.model.ids import AccountId, ModSeq
from pennypost.store.engine import Notice

Callback = Callable[[ModSeq], None]

_PAIR = Struct("<qq")
_PAIRS_PER_DATAGRAM = 256
_DATAGRAM = _PAIR.size * _PAIRS_PER_DATAGRAM
_SUFFIX = ".notices"
_PATH_LIMIT = 107
"""Octets of a socket's path (unix(7)); a longer one is reached through /proc/self/fd."""

_SETTLED_NANOSECONDS = 100_000_000
"""A folder's time stamp is coarse: what was listed this soon after a change may lack a change of the same tick."""

_RETRY_SECONDS = 0.02
_RETRIES = 5
_UNSENT_LIMIT = 4096


class Notices:
    """The notices of one open store. Used on its event loop only."""

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.get_running_loop()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
        self._subscribers: dict[AccountId, list[Callback]] = {}
        self._peers: list[str] = []
        self._listed_at = 0
        self._unsent: dict[str, dict[AccountId, ModSeq]] = {}
        self._retry: asyncio.TimerHandle | None = None
        self._retries = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._socket.bind(self._path(self._name))
        (folder / self._name).chmod(0o600)
        self._loop.add_reader(self._socket.fileno(), self._receive)

    def subscribe(self, account: AccountId, callback: Callback) -> Callable[[], None]:
        """Let `callback` be called, on the loop, after commits that changed the account. Gives the unsubscription."""
        callbacks = self._subscribers.setdefault(account, [])
        callbacks.append(callback)

        def unsubscribe() -> None:
            if callback in callbacks:
                callbacks.remove(callback)
            if not callbacks and self._subscribers.get(account) is callbacks:
                del self._subscribers[account]

        return unsubscribe

    def post(self, notices: Iterable[Notice]) -> None:
        """Tell our subscribers and the other workers of a commit. Never waits, never raises."""
        newest: dict[AccountId, ModSeq] = {}
        for account, modseq in notices:
            newest[account] = max(modseq, newest.get(account, modseq))
        for account, modseq in newest.items():
            self._tell(account, modseq)
        for peer in self._others():
            waiting = self._unsent.setdefault(peer, {})
            if len(waiting) + len(newest) <= _UNSENT_LIMIT:
                waiting.update(newest)
            self._send(peer)

    def close(self) -> None:
        """Stop listening and remove our socket."""
        self._loop.remove_reader(self._socket.fileno())
        if self._retry is not None:
            self._retry.cancel()
        self._socket.close()
        (self._folder / self._name).unlink(missing_ok=True)
        os.close(self._folder_fd)

    # -- Sending

    def _path(self, name: str) -> str:
        path = str(self._folder / name)
        return path if len(os.fsencode(path)) <= _PATH_LIMIT else f"/proc/self/fd/{self._folder_fd}/{name}"

    def _others(self) -> list[str]:
        """List the sockets of the other workers, again when the folder has changed."""
        changed_at = os.fstat(self._folder_fd).st_mtime_ns
        if self._listed_at <= changed_at + _SETTLED_NANOSECONDS:
            self._listed_at = time.time_ns()
            self._peers = [
                name for name in os.listdir(self._folder_fd) if name.endswith(_SUFFIX) and name != self._name
            ]
        return self._peers

    def _send(self, peer: str) -> None:
        """Send what waits for a peer, as far as its socket takes it."""
        waiting = self._unsent[peer]
        while waiting:
            pairs = list(waiting.items())[:_PAIRS_PER_DATAGRAM]
            try:
                self._socket.sendto(b"".join(_PAIR.pack(*pair) for pair in pairs), self._path(peer))
            except BlockingIOError:
                if self._retry is None:
                    self._retry = self._loop.call_later(_RETRY_SECONDS, self._send_again)
                return
            except OSError as error:
                if isinstance(error, ConnectionRefusedError):
                    (self._folder / peer).unlink(missing_ok=True)  # its worker was killed
                break
            for account, _ in pairs:
                del waiting[account]
        del self._unsent[peer]

    def _send_again(self) -> None:
        self._retry = None
        self._retries += 1
        if self._retries > _RETRIES:
            self._unsent.clear()
        for peer in list(self._unsent):
            self._send(peer)
        if not self._unsent:
            self._retries = 0

    # -- Receiving

    def _receive(self) -> None:
        newest: dict[AccountId, ModSeq] = {}
        for _ in range(64):
            try:
                datagram = self._socket.recv(_DATAGRAM)
            except OSError:
                break
            if len(datagram) % _PAIR.size:
                continue
            for account, modseq in _PAIR.iter_unpack(datagram):
                newest[account] = max(modseq, newest.get(account, modseq))
        for account, modseq in newest.items():
            self._tell(account, modseq)

    def _tell(self, account: AccountId, modseq: ModSeq) -> None:
        for callback in tuple(self._subscribers.get(account, ())):
            try:
                callback(modseq)
            except Exception as error:  # a bug of one subscriber is not the others'
                self._loop.call_exception_handler({"message": "a subscriber to notices failed", "exception": error})
