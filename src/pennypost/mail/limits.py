"""How much strangers may ask of us: token buckets, delays, bans (RFC 5321 §7.8).

Theory of operation. Everything is decided in memory, at once. A bucket is filled by what a peer does and runs down at a
steady rate; what would make it overflow is refused for now. Each worker keeps its own buckets, with what the other
workers had put into them a few seconds ago: a task adds up and fetches the list of bans every `SYNC_INTERVAL`, in one
commit when there is something to add. Nothing is written for a connection or a message.

Failures fill a bucket of their own. Past one level replies to refused commands are delayed, so that guessing costs
time; past another the address is banned, in this worker at once and in the others after the next exchange. That keeps
it from the door for incoming mail only: our own users may have the same address, behind one they share with others, and
whoever guesses passwords elsewhere is held up by `guard`. What an administrator bans is kept from all doors.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import structlog

from pennypost.mail.limit_settings import DefenceSettings
from pennypost.model.address import Address
from pennypost.model.errors import BadAddress, MailError, RateLimited, SenderBanned
from pennypost.model.peer import Peer
from pennypost.net.incident import log_incident
from pennypost.store import bans, buckets
from pennypost.store.bans import Ban
from pennypost.store.buckets import Addition
from pennypost.store.engine import Transaction
from pennypost.store.keys import canonical_domain
from pennypost.store.store import Store

SYNC_INTERVAL = 5.0
"""Seconds between two exchanges with other workers."""
MAX_BUCKETS = 50_000
"""Buckets one worker keeps; those that were not used for longest are forgotten."""

_log = structlog.stdlib.get_logger("pennypost.defence")

Ip = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Quantity(Enum):
    """What is counted."""

    CONNECTIONS = "connections"
    MESSAGES = "messages"
    RECIPIENTS = "recipients"
    FAILURES = "failures"
    OCTETS = "octets"


@lru_cache(maxsize=4096)
def network_of(ip: Ip) -> Network:
    """Give the network that an address is counted with: an IPv4 /24, an IPv6 /64 (RFC 6177 §2). Those who come come
    again, and to make it takes as long as a look into an index."""
    return ip_network((ip, 24 if ip.version == 4 else 64), strict=False)


@dataclass(frozen=True, slots=True)
class Rate:
    """How much a bucket holds, and in which time that runs out."""

    amount: float
    seconds: float

    @property
    def per_second(self) -> float:
        return self.amount / self.seconds


class _Bucket:
    """`level`: how full at `at`. `added`: of that, what the other workers do not know yet."""

    __slots__ = ("added", "at", "level", "rate")

    def __init__(self, rate: Rate, at: float) -> None:
        self.rate = rate
        self.level = 0.0
        self.at = at
        self.added = 0.0

    def run_down(self, now: float) -> None:
        self.level = max(0.0, self.level - (now - self.at) * self.rate.per_second)
        self.at = now


class Buckets:
    """The buckets of one worker, by key. `clock`: seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, size: int = MAX_BUCKETS) -> None:
        self._clock = clock
        self._size = size
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._changed: set[str] = set()

    def add(self, key: str, amount: float, rate: Rate) -> float:
        """Fill a bucket, also past its brim. Gives its level."""
        bucket = self._bucket(key, rate)
        bucket.level += amount
        bucket.added += amount
        self._changed.add(key)
        return bucket.level

    def fits(self, key: str, amount: float, rate: Rate) -> bool:
        """Whether a bucket can take so much more. An empty one takes anything, so that nothing is refused for ever."""
        level = self._bucket(key, rate).level
        return level + amount <= rate.amount or level <= 0

    def take_additions(self) -> list[Addition]:
        """Give what was added since the last time."""
        additions = []
        for key in self._changed:
            bucket = self._buckets.get(key)
            if bucket is not None and bucket.added:
                additions.append(Addition(key, bucket.added, bucket.rate.per_second))
                bucket.added = 0.0
        self._changed.clear()
        return additions

    def heed(self, levels: dict[str, float]) -> None:
        """Set buckets to the level they have with all workers, beside what was added here meanwhile."""
        now = self._clock()
        for key, level in levels.items():
            bucket = self._buckets.get(key)
            if bucket is not None:
                bucket.level = level + bucket.added
                bucket.at = now

    def _bucket(self, key: str, rate: Rate) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(rate, now)
            if len(self._buckets) > self._size:
                forgotten, _ = self._buckets.popitem(last=False)
                self._changed.discard(forgotten)
        else:
            self._buckets.move_to_end(key)
            bucket.run_down(now)
        return bucket


class Lists:
    """What is banned and what is allowed, ready to be asked for every connection."""

    def __init__(self) -> None:
        self._networks: dict[tuple[int, int], dict[int, tuple[bool, datetime | None, bool]]] = {}
        self._domains: dict[str, tuple[bool, datetime | None]] = {}

    def load(self, entries: list[Ban]) -> None:
        """Take these instead of what was known."""
        self._networks = {}
        self._domains = {}
        for entry in entries:
            self.put(entry.subject, allowed=entry.allowed, until=entry.until, automatic=entry.automatic)

    def put(self, subject: str, *, allowed: bool, until: datetime | None, automatic: bool = False) -> None:
        """Add one entry."""
        try:
            network = ip_network(subject)
        except ValueError:
            self._domains[subject] = (allowed, until)
            return
        table = self._networks.setdefault((network.version, network.prefixlen), {})
        table[int(network.network_address)] = (allowed, until, automatic)

    def verdict(self, ip: Ip, now: datetime, *, known: bool = False) -> bool | None:
        """Say whether an address is allowed or banned by the list, None for neither. Allowed wins.

        `known`: by what an administrator said alone.
        """
        if not self._networks:
            return None
        banned = False
        number, bits = int(ip), ip.max_prefixlen
        for (version, length), table in self._networks.items():
            if version == ip.version:
                entry = table.get(number >> (bits - length) << (bits - length))
                if entry is not None and (entry[1] is None or entry[1] > now):
                    if entry[0]:
                        return True
                    banned = banned or not (known and entry[2])
        return False if banned else None

    def domain_verdict(self, domain: str, now: datetime) -> bool | None:
        """As `verdict`, for a sender's domain or one above it."""
        name = domain
        while name and self._domains:
            entry = self._domains.get(name)
            if entry is not None and (entry[1] is None or entry[1] > now):
                return entry[0]
            name = name.partition(".")[2]
        return None


class Defence:
    """Watches the doors of one worker. `run` it as a task; cancel it to end."""

    def __init__(self, store: Store, settings: DefenceSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._settings = settings
        self._buckets = Buckets(clock)
        self._lists = Lists()
        self._new_bans: list[tuple[str, str, datetime]] = []
        self._exempt = settings.exempt
        self._rates = {
            Quantity.CONNECTIONS: (settings.connections_per_minute, 60.0),
            Quantity.MESSAGES: (settings.messages_per_hour, 3600.0),
            Quantity.RECIPIENTS: (settings.recipients_per_hour, 3600.0),
            Quantity.OCTETS: (settings.octets_per_hour, 3600.0),
        }
        self._failures = Rate(float(settings.failures_before_ban or 1), settings.failure_time.total_seconds())

    # -- Connections

    def admits(self, peer: Peer) -> bool:
        """Say whether a peer may connect to the door for incoming mail, and count the connection."""
        return self._admits(peer, known=False)

    def admits_user(self, peer: Peer) -> bool:
        """Say whether a peer may connect to a door at which one logs in, and count the connection."""
        return self._admits(peer, known=True)

    def _admits(self, peer: Peer, *, known: bool) -> bool:
        ip = peer.ip
        if ip is None:
            return True
        listed = self._lists.verdict(ip, self._store.clock(), known=known)
        if listed is not None:
            return listed
        return self._is_exempt(ip) or self._take(ip, Quantity.CONNECTIONS, 1)

    def _is_exempt(self, ip: Ip) -> bool:
        return any(ip.version == network.version and ip in network for network in self._exempt)

    def _unlimited(self, ip: Ip) -> bool:
        return self._is_exempt(ip) or self._lists.verdict(ip, self._store.clock()) is True

    def _take(self, ip: Ip, quantity: Quantity, amount: float) -> bool:
        """Fill the buckets of an address and of its network; False when one would overflow, and then neither is."""
        most, seconds = self._rates[quantity]
        if not most:
            return True
        address = Rate(most, seconds)
        network = Rate(most * self._settings.network_factor, seconds)
        keys = (f"{quantity.value} {ip}", f"{quantity.value} {network_of(ip)}")
        if not (self._buckets.fits(keys[0], amount, address) and self._buckets.fits(keys[1], amount, network)):
            return False
        self._buckets.add(keys[0], amount, address)
        self._buckets.add(keys[1], amount, network)
        return True

    # -- Mail

    def sender(self, peer: Peer, sender: Address | None) -> None:
        """Count a message at MAIL FROM. Raises RateLimited, SenderBanned."""
        now = self._store.clock()
        domain = ""
        if sender is not None:
            try:
                domain = canonical_domain(sender.domain)
            except BadAddress:
                domain = ""
            if domain and self._lists.domain_verdict(domain, now) is False:
                raise SenderBanned
        ip = peer.ip
        if ip is None or self._unlimited(ip):
            return
        if not self._take(ip, Quantity.MESSAGES, 1):
            raise RateLimited("Too many messages, try again later")
        most = self._settings.domain_messages_per_hour
        if domain and most and not self._fill(f"messages @{domain}", 1, Rate(most, 3600.0)):
            raise RateLimited("Too many messages from this domain, try again later")

    def recipient(self, peer: Peer, recipient: Address) -> None:
        """Count a recipient that exists. Raises RateLimited."""
        ip = peer.ip
        if ip is None or self._unlimited(ip):
            return
        if not self._take(ip, Quantity.RECIPIENTS, 1):
            raise RateLimited("Too many recipients, try again later")
        most = self._settings.recipient_messages_per_hour
        if most and not self._fill(f"messages to {recipient.key}", 1, Rate(most, 3600.0)):
            raise RateLimited("This recipient gets too many messages, try again later")

    def octets(self, peer: Peer, size: int) -> None:
        """Count the octets of a message. Raises RateLimited."""
        ip = peer.ip
        if ip is not None and not self._unlimited(ip) and not self._take(ip, Quantity.OCTETS, size):
            raise RateLimited("Too much mail, try again later")

    def _fill(self, key: str, amount: float, rate: Rate) -> bool:
        if not self._buckets.fits(key, amount, rate):
            return False
        self._buckets.add(key, amount, rate)
        return True

    # -- Failures

    def failed(self, peer: Peer, why: str) -> float:
        """Count a refusal. Gives the seconds to wait before it is told."""
        ip, settings = peer.ip, self._settings
        if ip is None or not settings.failures_before_ban or self._unlimited(ip):
            return 0.0
        # An IPv6 host has a whole /64 to itself.
        subject = str(network_of(ip)) if ip.version == 6 else str(ip)
        level = self._buckets.add(f"{Quantity.FAILURES.value} {subject}", 1, self._failures)
        if level >= settings.failures_before_ban:
            until = self._store.clock() + settings.ban_time
            network = subject if ip.version == 6 else f"{subject}/32"
            if self._lists.verdict(ip, self._store.clock()) is False:
                return settings.tarpit_delay.total_seconds()  # a connection from before the ban
            self._lists.put(network, allowed=False, until=until, automatic=True)
            self._new_bans.append((network, f"too many failures, the last one: {why}"[:200], until))
            _log.warning("banned", network=network, reason=why, until=until.isoformat(timespec="seconds"))
        return settings.tarpit_delay.total_seconds() if level > settings.failures_before_tarpit else 0.0

    # -- With the other workers

    async def run(self) -> None:
        """Exchange with the store every SYNC_INTERVAL, for ever. What fails is logged, and tried again."""
        while True:
            try:
                await self.exchange()
            except MailError as error:
                _log.warning("limits not exchanged", reason=str(error))
            except Exception as problem:
                log_incident("defence", problem)
            await asyncio.sleep(SYNC_INTERVAL)

    async def exchange(self) -> None:
        """Tell what was added and who was banned here; hear how full the buckets are and who is listed."""
        additions, new_bans = self._buckets.take_additions(), self._new_bans
        self._new_bans = []
        if additions or new_bans:

            async def tell(tx: Transaction) -> dict[str, float]:
                for subject, reason, until in new_bans:
                    await bans.add_automatic(tx, subject, reason, until)
                return await buckets.add(tx, additions)

            self._buckets.heed(await self._store.write_large(tell))
        self._lists.load(await self._store.scan(bans.listed))
