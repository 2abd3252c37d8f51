"""Hints between workers that something is new.

*Theory of operation.* After a commit the worker that made it calls its own subscribers, and sends (account, modseq)
pairs to the sockets of the other workers of the same store: a folder of Unix datagram sockets, one for each open store.
A notice carries no data. Who gets one reads the store; who misses one sees the change at the next reading. So nothing
here is waited for, and nothing fails: a full socket keeps its pairs for a moment and tries again a few times, a
socket that nobody reads any more is removed.

*Interest.* Most commits concern accounts that nobody watches. Beside its socket each open store has a file, mapped by
the others, with an octet for each of `BUCKETS` of accounts: 0 says that it has no subscriber to any of them, and is
sent nothing. Who subscribes sets the octet and then reads the store: a commit that was not told of came before that.

The folder is 0700 and the sockets 0600: who can send here is the user we run as.
"""

import asyncio
import contextlib
import mmap
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
_INTEREST = ".interest"

BUCKETS = 4096
"""Octets of the file that tells in whose accounts a worker is interested."""

_PATH_LIMIT = 107
"""Octets of a socket's path (unix(7)); a longer one is reached through /proc/self/fd."""

_SETTLED_NANOSECONDS = 100_000_000
"""A folder's time stamp is coarse: what was listed this soon after a change may lack a change of the same tick."""

_RETRY_SECONDS = 0.02
_RETRIES = 5
_UNSENT_LIMIT = 4096


class _Peer:
    """The socket of another worker: its address, and in what it is interested."""

    def __init__(self, name: str, address: str, folder: int) -> None:
        self.name = name
        self.address = address
        self.unsent: dict[AccountId, ModSeq] = {}
        self._interest: mmap.mmap | None = None
        try:
            descriptor = os.open(_interest_of(name), os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
        except OSError:
            return  # it is told everything
        with contextlib.suppress(OSError, ValueError):
            self._interest = mmap.mmap(descriptor, BUCKETS, prot=mmap.PROT_READ)
        os.close(descriptor)

    def is_interested(self, account: AccountId) -> bool:
        """Whether it may have a subscriber to the account."""
        return self._interest is None or self._interest[account % BUCKETS] != 0

    def close(self) -> None:
        if self._interest is not None:
            self._interest.close()


def _interest_of(name: str) -> str:
    return name.removesuffix(_SUFFIX) + _INTEREST


class Notices:
    """The notices of one open store. Used on its event loop only."""

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.get_running_loop()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
        self._subscribers: dict[AccountId, list[Callback]] = {}
        self._peers: dict[str, _Peer] = {}
        self._listed_at = 0
        self._retry: asyncio.TimerHandle | None = None
        self._retries = 0
        self._sweep()
        self._watched = [0] * BUCKETS
        self._interest = self._make_interest()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._socket.bind(self._path(self._name))
        (folder / self._name).chmod(0o600)
        self._loop.add_reader(self._socket.fileno(), self._receive)

    def subscribe(self, account: AccountId, callback: Callback) -> Callable[[], None]:
        """Let `callback` be called, on the loop, after commits that changed the account. Gives the unsubscription."""
        callbacks = self._subscribers.get(account)
        if callbacks is None:
            callbacks = self._subscribers[account] = []
            self._watch(account, 1)
        callbacks.append(callback)

        def unsubscribe() -> None:
            if callback in callbacks:
                callbacks.remove(callback)
            if not callbacks and self._subscribers.get(account) is callbacks:
                del self._subscribers[account]
                self._watch(account, -1)

        return unsubscribe

    def post(self, notices: Iterable[Notice]) -> None:
        """Tell our subscribers and the other workers of a commit. Never waits, never raises."""
        newest: dict[AccountId, ModSeq] = {}
        for account, modseq in notices:
            newest[account] = max(modseq, newest.get(account, modseq))
        for account, modseq in newest.items():
            self._tell(account, modseq)
        self._look_for_others()
        for peer in self._peers.values():
            for account, modseq in newest.items():
                if peer.is_interested(account) and len(peer.unsent) < _UNSENT_LIMIT:
                    peer.unsent[account] = modseq
            if peer.unsent:
                self._send(peer)

    def close(self) -> None:
        """Stop listening and remove our socket."""
        self._loop.remove_reader(self._socket.fileno())
        if self._retry is not None:
            self._retry.cancel()
        self._socket.close()
        self._remove(self._name)
        self._interest.close()
        for peer in self._peers.values():
            peer.close()
        self._peers.clear()
        os.close(self._folder_fd)

    # -- What is watched

    def _make_interest(self) -> mmap.mmap:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(_interest_of(self._name), flags, 0o600, dir_fd=self._folder_fd)
        try:
            os.ftruncate(descriptor, BUCKETS)
            return mmap.mmap(descriptor, BUCKETS)
        finally:
            os.close(descriptor)

    def _watch(self, account: AccountId, more: int) -> None:
        """Count accounts that have subscribers, and let the others know of the first and of the last."""
        bucket = account % BUCKETS
        self._watched[bucket] += more
        if not self._interest.closed:
            self._interest[bucket] = 1 if self._watched[bucket] else 0

    # -- Sending

    def _path(self, name: str) -> str:
        path = str(self._folder / name)
        return path if len(os.fsencode(path)) <= _PATH_LIMIT else f"/proc/self/fd/{self._folder_fd}/{name}"

    def _sweep(self) -> None:
        """Remove what killed workers left."""
        for name in os.listdir(self._folder_fd):
            if name.endswith(_SUFFIX):
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as visitor:
                    try:
                        visitor.connect(self._path(name))
                    except ConnectionRefusedError:
                        self._remove(name)
                    except OSError:
                        pass  # it is full, or gone already

    def _remove(self, name: str) -> None:
        for one in (name, _interest_of(name)):
            (self._folder / one).unlink(missing_ok=True)

    def _look_for_others(self) -> None:
        """List the sockets of the other workers again when the folder has changed."""
        changed_at = os.fstat(self._folder_fd).st_mtime_ns
        if self._listed_at <= changed_at + _SETTLED_NANOSECONDS:
            self._listed_at = time.time_ns()
            names = {name for name in os.listdir(self._folder_fd) if name.endswith(_SUFFIX) and name != self._name}
            for name in self._peers.keys() - names:
                self._peers.pop(name).close()
            for name in names - self._peers.keys():
                self._peers[name] = _Peer(name, self._path(name), self._folder_fd)

    def _send(self, peer: _Peer) -> None:
        """Send what waits for a peer, as far as its socket takes it."""
        waiting = peer.unsent
        while waiting:
            pairs = list(waiting.items())[:_PAIRS_PER_DATAGRAM]
            try:
                self._socket.sendto(b"".join([_PAIR.pack(*pair) for pair in pairs]), peer.address)
            except BlockingIOError:
                if self._retry is None:
                    self._retry = self._loop.call_later(_RETRY_SECONDS, self._send_again)
                return
            except OSError as error:
                if isinstance(error, ConnectionRefusedError):
                    self._remove(peer.name)  # its worker was killed
                waiting.clear()
                return
            for account, _ in pairs:
                del waiting[account]

    def _send_again(self) -> None:
        self._retry = None
        self._retries += 1
        peers = [peer for peer in self._peers.values() if peer.unsent]
        for peer in peers:
            if self._retries > _RETRIES:
                peer.unsent.clear()
            self._send(peer)
        if not any(peer.unsent for peer in peers):
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
