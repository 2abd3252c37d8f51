"""GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208 §4.1)."""

from pennypost.model.errors import NotPermitted
from pennypost.proto.imap.commands.quota import GetQuota, GetQuotaRoot, SetQuota
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.quota import Resource, quota, quotaroot
from pennypost.proto.imap.responses.status import Tagged, no, ok
from pennypost.servers.imap.session import Session
from pennypost.store import places
from pennypost.store import quota as store_quota
from pennypost.store.engine import Transaction
from pennypost.store.quota import Usage

ROOT = "Account"
"""The one quota root there is: all of an account's mailboxes count against it."""

_UNIT = 1024
"""STORAGE is told in units of 1024 octets (RFC 9208 §5.1)."""


async def getquota(session: Session, command: GetQuota) -> Tagged:
    """Tell usage and limit of a quota root."""
    if command.root != ROOT or not session.door.settings.quota_visible:
        return no("No such quota root", codes.NONEXISTENT)
    account = session.owner.account
    usage = await session.door.store.read(lambda tx: store_quota.usage(tx, account))
    session.write(quota(ROOT, _resources(usage)))
    return ok("GETQUOTA completed")


async def getquotaroot(session: Session, command: GetQuotaRoot) -> Tagged:
    """Tell which quota root a mailbox counts against, and its usage and limit."""
    account = session.owner.account
    if not session.door.settings.quota_visible:
        return no("Quotas are not shown", codes.NOPERM)

    async def operation(tx: Transaction) -> Usage:
        reached = await places.find(tx, account, command.mailbox)
        if reached.account != account:
            raise NotPermitted("Quotas of others are not shown")
        return await store_quota.usage(tx, account)

    usage = await session.door.store.read(operation)
    session.write(quotaroot(command.mailbox, (ROOT,), session.rev2))
    session.write(quota(ROOT, _resources(usage)))
    return ok("GETQUOTAROOT completed")


async def setquota(session: Session, command: SetQuota) -> Tagged:
    """Refuse: limits are an administrator's to set (RFC 9208 §4.1.3)."""
    return no("Quotas are set by the administrator", codes.NOPERM)


def _resources(usage: Usage) -> list[Resource]:
    """List the resources that are limited; none, and so an empty list, for an account without quota."""
    if usage.quota_octets is None:
        return []
    return [Resource(b"STORAGE", -(-usage.used_octets // _UNIT), usage.quota_octets // _UNIT)]
