"""Make guessing passwords slow, then impossible, and keep the owner's way in open.

Every failure counts in the store, so that all workers know, under three keys: the peer's network, the account, and both
together. After a few, the next attempt is refused for a second, then two, four, …; after many, for the length of a
ban. What is refused costs no hash.

Networks from which an account logged in during the last weeks are known to it. A known one is held up only by what came
from it for this account; all others by what came from them for anybody, and from anybody for this account. So a
stranger who guesses cannot keep the owner away, and who owns one account cannot wash away his guesses at others.
"""

from ipaddress import IPv6Network

from pennypost.mail.settings import AuthSettings
from pennypost.model.errors import StorageFull, TooManyFailures
from pennypost.model.ids import CredentialId
from pennypost.model.peer import Peer
from pennypost.store import credentials, leases, throttle
from pennypost.store.engine import Transaction
from pennypost.store.store import Store
from pennypost.store.throttle import ThrottlePolicy

_HOLDER = "login"
_REMEMBERED = 10_000
"""Logins of today whose success this worker has already written down."""


def network_of(peer: Peer) -> str:
    """Name what failures are counted by: an IPv4 address, an IPv6 /64, or "unix"."""
    ip = peer.ip
    if ip is None:
        return "unix"
    if ip.version == 6:
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(IPv6Network((ip, 64), strict=False))
    return str(ip)


class LoginGuard:
    """Admits login attempts and keeps count of how they end."""

    def __init__(self, store: Store, settings: AuthSettings) -> None:
        self._store = store
        self._known_for = settings.known_network_time
        self._network_policy = ThrottlePolicy(
            free=settings.network_failures_free,
            ban_after=settings.network_failures_before_ban,
            ban=settings.ban_time,
            forget=settings.failure_memory,
        )
        self._account_policy = ThrottlePolicy(
            free=settings.account_failures_free,
            ban_after=settings.account_failures_before_ban,
            ban=settings.ban_time,
            forget=settings.failure_memory,
        )
        self._written: dict[tuple[str, str, CredentialId | None], int] = {}

    async def admit(self, peer: Peer, name: str) -> None:
        """Raise TooManyFailures while the peer's network, or the account for networks it does not know, is held up."""
        network = network_of(peer)

        async def held_up(tx: Transaction) -> bool:
            known = await leases.holder_of(tx, _known_key(name, network)) is not None
            keys = [_pair_key(name, network)] if known else [_network_key(network), _account_key(name)]
            return await throttle.blocked_until(tx, keys) is not None

        if await self._store.read(held_up):
            raise TooManyFailures

    async def failed(self, peer: Peer, name: str) -> None:
        """Count a failure."""
        network = network_of(peer)

        async def count(tx: Transaction) -> None:
            await throttle.record_failure(tx, _network_key(network), self._network_policy)
            await throttle.record_failure(tx, _account_key(name), self._account_policy)
            await throttle.record_failure(tx, _pair_key(name, network), self._network_policy)

        await self._store.write(count)

    async def succeeded(self, peer: Peer, name: str, credential: CredentialId | None) -> None:
        """Forget the account's failures; once a day, write down the network and the use of the credential.

        When the disk is full all that is left undone.
        """
        network = network_of(peer)
        today = self._store.clock().toordinal()
        keys = (_pair_key(name, network), _account_key(name))

        async def counted(tx: Transaction) -> bool:
            return any([await throttle.failures(tx, key) for key in keys])

        use = (name, network, credential)
        if self._written.get(use) == today and not await self._store.read(counted):
            return

        async def settle(tx: Transaction) -> None:
            for key in keys:
                await throttle.clear(tx, key)
            await leases.acquire(tx, _known_key(name, network), _HOLDER, self._known_for)
            if credential is not None:
                await credentials.touch_credential(tx, credential)

        try:
            await self._store.write(settle)
        except StorageFull:
            return  # who knows the password may read, and make room
        if len(self._written) >= _REMEMBERED:
            self._written.clear()
        self._written[use] = today


def _network_key(network: str) -> str:
    return f"login:{network}"


def _account_key(name: str) -> str:
    return f"account:{name}"


def _pair_key(name: str, network: str) -> str:
    return f"account:{name}:{network}"


def _known_key(name: str, network: str) -> str:
    return f"known:{name}:{network}"
