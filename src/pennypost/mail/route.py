"""Where an address leads: to mailboxes of ours, to other hosts, or nowhere (RFC 5321 §3.6, §5)."""

from dataclasses import dataclass

from pennypost.mail.verification import Filing
from pennypost.model.address import Address
from pennypost.model.errors import BadMailboxName, MailboxLimit, NoSuchRecipient, RelayDenied
from pennypost.model.ids import AccountId, MailboxId
from pennypost.model.mailbox import MailboxRole
from pennypost.store import mailboxes
from pennypost.store.engine import Transaction
from pennypost.store.resolve import LocalRecipient, resolve


@dataclass(frozen=True, slots=True)
class LocalTarget:
    """An account that gets the message. `mailbox`: where it is to be filed; `inbox`: where, if that is gone.

    `bounded`: the account, or its domain, has a quota.
    """

    account: AccountId
    mailbox: MailboxId
    inbox: MailboxId
    bounded: bool = True


@dataclass(frozen=True, slots=True)
class Route:
    """What becomes of one recipient. `local` and `remote` may both be filled: an alias can do both."""

    local: tuple[LocalTarget, ...]
    remote: tuple[Address, ...]

    @property
    def is_plain(self) -> bool:
        """Whether it leads to accounts without a quota and nowhere else: so it does for everybody, until the directory
        changes."""
        return bool(self.local) and not self.remote and not any(target.bounded for target in self.local)


async def route(tx: Transaction, address: Address, separator: str, *, relay: bool, subaddress_mailboxes: bool) -> Route:
    """Find the route of a recipient.

    `separator`: see `StoreSettings.subaddress_separator`. `relay`: whether addresses of domains that are not ours are
    taken; only our own users may ask for that. `subaddress_mailboxes`: mail for `user+tag` goes into the mailbox `tag`
    where there is one (RFC 5233). Raises NoSuchRecipient, RecipientDisabled, RelayDenied.
    """
    found = await resolve(tx, address, separator)
    if found is None:
        if relay and address.domain:
            return Route((), (address,))
        raise RelayDenied if address.domain else NoSuchRecipient
    local = []
    for recipient in found.accounts:
        mailbox = recipient.inbox
        if subaddress_mailboxes and recipient.detail is not None:
            mailbox = await _mailbox_of_tag(tx, recipient, recipient.detail)
        local.append(LocalTarget(recipient.account, mailbox, recipient.inbox, recipient.bounded))
    return Route(tuple(local), found.remote)


async def mailbox_now(tx: Transaction, target: LocalTarget, filed: Filing = Filing.INBOX) -> MailboxId:
    """Give the mailbox to file into, as things are in this transaction: it may have gone since RCPT.

    What is filed as junk goes to the account's mailbox for that, where there is one, whatever the address said.
    """
    if filed is Filing.JUNK:
        junk = await mailboxes.by_role(tx, target.account, MailboxRole.JUNK)
        if junk is not None and junk.selectable:
            return junk.id
    if target.mailbox == target.inbox:
        return target.inbox
    found = await mailboxes.by_id(tx, target.account, target.mailbox)
    return found.id if found is not None and found.selectable else target.inbox


async def held_mailbox(tx: Transaction, target: LocalTarget, name: str) -> MailboxId:
    """Give the mailbox in which an account finds what was held at the door; it is made when it is missing."""
    try:
        found = await mailboxes.find(tx, target.account, name)
        if found is None:
            found = await mailboxes.create(tx, target.account, name)
            await mailboxes.subscribe(tx, target.account, name)  # else many clients would not show it
    except (BadMailboxName, MailboxLimit):
        found = None
    if found is not None and found.selectable:
        return found.id
    return await mailbox_now(tx, target, Filing.JUNK)


async def _mailbox_of_tag(tx: Transaction, recipient: LocalRecipient, tag: str) -> MailboxId:
    """Find the mailbox called like the tag. Tags come from strangers, so they choose among mailboxes and make none."""
    try:
        mailbox = await mailboxes.find(tx, recipient.account, tag)
    except BadMailboxName:
        return recipient.inbox
    return mailbox.id if mailbox is not None and mailbox.selectable else recipient.inbox
