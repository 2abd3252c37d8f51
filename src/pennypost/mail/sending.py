"""How much our users may send, and what happens when somebody else sends in their name.

Limits are held against counts that are kept in the same transaction as the message, so that no number of connections
and workers gets past them. What looks like a stolen password freezes the sending of the account: nothing of its leaves
any more, what waits is held, reading goes on, and owner and postmaster are told. `pennypost account unfreeze` ends it.
"""

from collections.abc import Sequence
from datetime import timedelta

import structlog

from pennypost.mail.limit_settings import SendingSettings
from pennypost.mail.limits import network_of
from pennypost.mail.notice import post_notice
from pennypost.model.address import Address
from pennypost.model.authentication import Authenticated
from pennypost.model.errors import SendingFrozen, SendingLimit
from pennypost.model.peer import Peer
from pennypost.store import sending
from pennypost.store.engine import Transaction
from pennypost.store.sending import Counts, Usage
from pennypost.store.store import Store

_HOUR = timedelta(hours=1)

_log = structlog.stdlib.get_logger("pennypost.sending")


class SendingGuard:
    """Holds accounts to their limits, and watches them."""

    def __init__(self, store: Store, settings: SendingSettings, hostname: str) -> None:
        self._store = store
        self._settings = settings
        self._hostname = hostname
        self.counts = settings.any_limit
        """Whether messages have to be counted."""

    async def admit(self, user: Authenticated) -> None:
        """At MAIL FROM: raise SendingFrozen for an account that may not send."""
        if await self._store.glance(lambda tx: sending.frozen(tx, user.account)) is not None:
            raise SendingFrozen

    async def examine(self, user: Authenticated, peer: Peer, recipients: Sequence[Address]) -> None:
        """Before a message for other hosts is stored: freeze the account if this looks like abuse.

        Raises SendingFrozen then, when the freeze is durable and the notices are stored.
        """
        if not self.counts:
            return
        network = _network(peer)
        keys = _keys(recipients)

        async def look(tx: Transaction) -> str | None:
            used = await sending.usage(tx, user.account)
            strangers = await sending.strangers(tx, user.account, keys)
            return await self._suspicion(tx, user, network, used, strangers)

        reason = await self._store.read(look)
        if reason is None:
            return

        async def freeze(tx: Transaction) -> None:
            if await sending.freeze(tx, user.account, reason):
                subject, text = f"Sending is stopped for {user.name}", _text(user.name, reason)
                await post_notice(tx, self._store, self._hostname, user.name, subject, text)

        await self._store.write(freeze)
        _log.warning("sending frozen", account=user.name, peer=str(peer), reason=reason)
        raise SendingFrozen

    async def count(self, tx: Transaction, user: Authenticated, peer: Peer, recipients: Sequence[Address]) -> None:
        """In the transaction that stores a message for other hosts: count it.

        Raises SendingFrozen, and SendingLimit when it is one too many: nothing is stored then.
        """
        account, keys = user.account, _keys(recipients)
        if await sending.frozen(tx, account) is not None:
            raise SendingFrozen
        if not self.counts:
            return
        used = await sending.usage(tx, account)
        new = await sending.write_to(tx, account, keys)
        self._hold_to_limits(used, len(keys), new)
        await sending.count(tx, account, Counts(messages=1, recipients=len(keys), new_recipients=new))
        await sending.send_from(tx, account, _network(peer))

    def _hold_to_limits(self, used: Usage, recipients: int, new: int) -> None:
        s = self._settings
        bounds = (
            (s.messages_per_hour, used.hour.messages + 1, "messages in an hour"),
            (s.messages_per_day, used.day.messages + 1, "messages in a day"),
            (s.recipients_per_hour, used.hour.recipients + recipients, "recipients in an hour"),
            (s.recipients_per_day, used.day.recipients + recipients, "recipients in a day"),
            (s.new_recipients_per_day, used.day.new_recipients + new, "first-time recipients in a day"),
        )
        for most, number, what in bounds:
            if most and number > most:
                raise SendingLimit(f"More than {most} {what}, try again later")

    async def _suspicion(
        self, tx: Transaction, user: Authenticated, network: str, used: Usage, strangers: int
    ) -> str | None:
        """Say what makes an account look like somebody else's, or None."""
        s = self._settings
        new = used.hour.new_recipients + strangers
        if s.freeze_new_recipients and new > s.freeze_new_recipients:
            return f"{new} recipients within an hour to whom it had never written before"
        if s.freeze_bounces and used.hour.bounces > s.freeze_bounces:
            return f"{used.hour.bounces} recipients within an hour who do not exist or refused"
        if s.freeze_networks:
            networks = await sending.networks_since(tx, user.account, _HOUR, network)
            if networks > s.freeze_networks:
                return f"mail from {networks} networks within an hour"
        if (
            s.freeze_new_recipients_elsewhere
            and new > s.freeze_new_recipients_elsewhere
            and await sending.is_new_network(tx, user.account, network, s.new_network_time)
        ):
            return f"{new} new recipients within an hour, from a network it had not used before ({network})"
        return None


def _network(peer: Peer) -> str:
    return "unix" if peer.ip is None else str(network_of(peer.ip))


def _keys(recipients: Sequence[Address]) -> list[str]:
    return list(dict.fromkeys(address.key for address in recipients))


def _text(name: str, reason: str) -> str:
    return (
        f"The account {name} has sent mail in a way that looks as if somebody else knew its password:\n\n"
        f"    {reason}\n\n"
        "So that nobody is harmed in your name, the account can send no mail to other servers for now. Mail that was\n"
        "waiting to be sent is held. Reading mail, and receiving it, goes on as usual.\n\n"
        "If it was not you: change the password, and remove app passwords that you do not know.\n"
        "In either case tell your administrator, who lets the account send again with\n\n"
        f"    pennypost account unfreeze {name}\n"
    )
