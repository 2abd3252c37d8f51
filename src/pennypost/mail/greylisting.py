"""Ask the sender of a doubtful message to come again, and show the message meanwhile (RFC 6647).

What is held is stored like any other message, in the mailbox for junk, where whom it is for sees it at once; its sender
is told `451`. When the same message comes again by the same route, soon enough and not too soon, the stored one moves
to the inbox and nothing is stored twice. If somebody has moved or removed it meanwhile, that is what he wanted. When
too much is held for an account already nobody is asked: the message is delivered, since it was below the threshold.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from pennypost.mail.judge import Judgement, JunkSettings, Verdict
from pennypost.mail.reception import SmtpClient
from pennypost.mail.route import LocalTarget, mailbox_now
from pennypost.model.address import Address
from pennypost.model.ids import AccountId, MessageId
from pennypost.model.mailbox import MailboxRole
from pennypost.store import greylist, mailboxes, messages
from pennypost.store.engine import Transaction

_NETWORK_BITS = {4: 24, 6: 64}


@dataclass(frozen=True, slots=True)
class Doubt:
    """A message whose sender should come again: hashes of its route, and of itself on it. `named`: it says itself which
    message it is; else another one with the same text cannot be told from it."""

    route: int
    key: int
    named: bool


def doubt(
    client: SmtpClient,
    sender: Address | None,
    name: bytes | None,
    body_digest: bytes,
    judgements: Iterable[Judgement],
    settings: JunkSettings,
) -> Doubt | None:
    """Say whether a message is doubtful for all it is for. None: it is not, or must not wait.

    `name`: its Message-ID, or where it has none its Date: the same text may come every day.
    """
    found = list(judgements)
    if not settings.greylist or sender is None or client.peer.ip is None or not found:
        return None
    for one in found:
        if one.verdict is not Verdict.ACCEPT or one.hasty or one.score.total < settings.greylist_threshold:
            return None
    ip = client.peer.ip
    network = str(ip_network((ip, _NETWORK_BITS[ip.version]), strict=False)).encode()
    route = greylist.hash_of(network, sender.key.encode())
    key = greylist.hash_of(network, sender.key.encode(), name or b"", body_digest)
    return Doubt(route, key, name is not None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a doubtful message. `stored`: as `Acceptance.stored`. `wait`: its sender has to come again."""

    stored: list[str]
    wait: bool


Deliver = Callable[[Sequence[LocalTarget], bool], Awaitable[list[str]]]
"""Stores the message for some targets, as held or as usual; gives the name of each, in order."""


async def decide(
    tx: Transaction, found: Doubt, targets: Sequence[LocalTarget], settings: JunkSettings, deliver: Deliver
) -> Outcome:
    """Hold a doubtful message, or release it, or let it in."""
    accounts = list(dict.fromkeys(target.account for target in targets))
    before = {account: await greylist.find(tx, account, found.key, settings.greylist_delay) for account in accounts}
    # What has no name may be a new message with the text of one that was let in: rather twice in the inbox than lost.
    held = {account: one for account, one in before.items() if one is not None and (found.named or not one.released)}
    new = [account for account in accounts if account not in held]
    if any(one.due or one.released for one in held.values()):
        names = await deliver([target for target in targets if target.account in new], False) if new else []
        for account, one in held.items():
            if not one.released:
                await _let_in(tx, next(target for target in targets if target.account == account), one.message)
                await greylist.release(tx, account, found.key)
            names.append(f"{account}/{one.message}")
        return Outcome(names, wait=False)
    if not held and await _goes_through(tx, new, found, settings):  # for all, or it would come twice to some
        return Outcome(await deliver(targets, False), wait=False)
    chosen = [next(t for t in targets if t.account == account) for account in new if before[account] is None]
    names = await deliver(chosen, True) if chosen else []
    for target, name in zip(chosen, names, strict=True):
        message = MessageId(int(name.rpartition("/")[2]))
        await greylist.hold(tx, target.account, found.key, found.route, message)
    return Outcome(names, wait=True)


async def _goes_through(tx: Transaction, accounts: Sequence[AccountId], found: Doubt, settings: JunkSettings) -> bool:
    """Whether nobody is asked to come again: a sender who did before, or too much is held."""
    for account in accounts:
        known = await greylist.is_known(tx, account, found.route)
        if known or await greylist.waiting(tx, account) >= settings.greylist_limit:
            return True
    return False


async def _let_in(tx: Transaction, target: LocalTarget, message: MessageId) -> None:
    """Move a message to where it should have gone, if it still lies where it was held, and nowhere else."""
    account = target.account
    junk = await mailboxes.by_role(tx, account, MailboxRole.JUNK)
    places = await greylist.places(tx, account, message)
    if junk is not None and len(places) == 1 and places[0][0] == junk.id:
        await messages.move(tx, account, junk.id, [places[0][1]], await mailbox_now(tx, target))
