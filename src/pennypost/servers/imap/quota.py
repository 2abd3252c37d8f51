"""GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208 §4.1).

Each account is one quota root: all its mailboxes count against it. An account calls its own `Account`; that of another
is `Account/` with the other's name, shown to who may read a mailbox there, and to administrators, who may set it. A
mailbox of an account without limits counts against none.
"""

from pennypost.model.errors import NoSuchAccount, NoSuchMailbox
from pennypost.model.ids import AccountId
from pennypost.model.rights import Rights
from pennypost.proto.imap.commands.quota import GetQuota, GetQuotaRoot, SetQuota
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.quota import Resource, quota, quotaroot
from pennypost.proto.imap.responses.status import Tagged, no, ok
from pennypost.servers.imap.errors import Refused
from pennypost.servers.imap.session import Session
from pennypost.store import acl, directory, places
from pennypost.store import quota as store_quota
from pennypost.store.acl import Action
from pennypost.store.engine import Transaction
from pennypost.store.quota import Counts, Limits, Usage

ROOT = "Account"

_UNIT = 1024
"""STORAGE and ANNOTATION-STORAGE are told in units of 1024 octets (RFC 9208 §5.1, §5.4)."""

_RESOURCES = {
    "STORAGE": "octets",
    "MESSAGE": "messages",
    "MAILBOX": "mailboxes",
    "ANNOTATION-STORAGE": "annotation_octets",
}
"""What may be limited, and the field of `Limits` that says it (RFC 9208 §5)."""

Figures = tuple[Usage, Counts]


async def getquota(session: Session, command: GetQuota) -> Tagged:
    """Tell usage and limits of a quota root."""

    async def operation(tx: Transaction) -> Figures:
        return await _figures(tx, await _account(tx, session, command.root, to_see=True))

    _require_visible(session)
    session.write(quota(command.root, _resources(*await session.door.store.read(operation))))
    return ok("GETQUOTA completed")


async def getquotaroot(session: Session, command: GetQuotaRoot) -> Tagged:
    """Tell which quota root a mailbox counts against; its usage and limits to who may read the mailbox."""
    user = session.owner.account
    _require_visible(session)

    async def operation(tx: Transaction) -> tuple[str, Figures | None]:
        try:
            reached = await places.find(tx, user, command.mailbox, Action.ASK_OWN_RIGHTS)
        except NoSuchMailbox:
            if not places.is_own(command.mailbox):
                raise
            return ROOT, await _figures(tx, user)  # RFC 9208 §4.1.2: it need not be there
        root = ROOT if reached.account == user else f"{ROOT}/{(await directory.account(tx, reached.account)).name}"
        return root, await _figures(tx, reached.account) if reached.rights & Rights.READ else None

    root, figures = await session.door.store.read(operation)
    resources = _resources(*figures) if figures is not None else []
    roots = (root,) if resources or figures is None else ()  # RFC 9208 §7: a list of resources has one at least
    session.write(quotaroot(command.mailbox, roots, session.utf8))
    if resources:
        session.write(quota(root, resources))
    return ok("GETQUOTAROOT completed")


async def setquota(session: Session, command: SetQuota) -> Tagged:
    """Set all limits of a quota root; those that are not named are lifted (RFC 9208 §4.1.3). For administrators."""
    if not may_set(session):
        return no("Quotas are set by administrators", codes.NOPERM)
    values: dict[str, int] = {}
    for resource, limit in command.limits:
        field = _RESOURCES.get(resource)
        if field is None:
            return no("No such resource", codes.CANNOT)
        values[field] = min(limit * _UNIT if resource.endswith("STORAGE") else limit, 2**62)

    async def operation(tx: Transaction) -> Figures:
        account = await _account(tx, session, command.root)
        await store_quota.limit(tx, account, Limits(**values))
        return await _figures(tx, account)

    session.write(quota(command.root, _resources(*await session.door.store.write(operation))))
    return ok("SETQUOTA completed")


def may_set(session: Session) -> bool:
    """Whether who logged in may set quotas."""
    return session.owner.name in session.door.settings.administrators


def _require_visible(session: Session) -> None:
    if not session.door.settings.quota_visible:
        raise Refused(no("Quotas are not shown", codes.NOPERM))


async def _account(tx: Transaction, session: Session, root: str, *, to_see: bool = False) -> AccountId:
    """Find whose quota root is named: `to_see` it, it is enough to read a mailbox there (§6). Raises Refused."""
    user, name = session.owner.account, root.removeprefix(f"{ROOT}/")
    if root == ROOT or (name != root and name == session.owner.name):
        return user
    found = await directory.find_account(tx, name) if name != root else None
    if name != root and may_set(session):
        if found is None:
            raise NoSuchAccount
        return found.id
    if to_see and found is not None:
        rights = (await acl.visible(tx, user)).get(found.id, {}).values()
        if any(each & Rights.READ for each in rights):
            return found.id
    raise Refused(no("No such quota root", codes.NONEXISTENT))


async def _figures(tx: Transaction, account: AccountId) -> Figures:
    return await store_quota.usage(tx, account), await store_quota.counts(tx, account)


def _resources(usage: Usage, counts: Counts) -> list[Resource]:
    """List the resources that are limited; none, and so an empty list, for an account without limits."""
    every = (
        (b"STORAGE", usage.used_octets, usage.quota_octets, _UNIT),
        (b"MESSAGE", usage.message_count, usage.quota_messages, 1),
        (b"MAILBOX", counts.mailboxes, counts.quota_mailboxes, 1),
        (b"ANNOTATION-STORAGE", counts.annotation_octets, counts.quota_annotation_octets, _UNIT),
    )
    return [Resource(name, -(-used // unit), bound // unit) for name, used, bound, unit in every if bound is not None]
