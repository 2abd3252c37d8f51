"""ESEARCH: one search of several mailboxes (RFC 7377).

One mailbox after the other is looked at, none of them changes, and the open one stays open. What somebody may not read,
and what they may not look up without its being named, is passed over in silence (RFC 7377 §2.2).
"""

from contextlib import suppress

from pennypost.model.errors import BadMailboxName, MailboxNotPermitted, NoSuchMailbox, NotPermitted
from pennypost.model.ids import AccountId, MailboxId
from pennypost.model.mailbox import DELIMITER
from pennypost.model.rights import Rights
from pennypost.proto.imap.commands.esearch import SearchMailboxes, SearchScope, SearchSource
from pennypost.proto.imap.commands.search import SearchReturn
from pennypost.proto.imap.responses import text
from pennypost.proto.imap.responses.status import Tagged, bad, ok
from pennypost.proto.imap.search_keys import SearchKey
from pennypost.servers.imap import contexts, finding, fuzzy, search_result, unasked
from pennypost.servers.imap.errors import Refused
from pennypost.servers.imap.list import Name, every_name
from pennypost.servers.imap.matching import asks_modseq
from pennypost.servers.imap.selected import Selected
from pennypost.servers.imap.session import Session
from pennypost.servers.imap.text_keys import Lookups
from pennypost.store import places
from pennypost.store.acl import Action
from pennypost.store.engine import Transaction
from pennypost.store.places import Reached, is_own


async def esearch(session: Session, command: SearchMailboxes) -> Tagged:
    """Tell of each mailbox what was found in it; nothing of those in which nothing was."""
    search = command.search
    updates = search.returns is not None and bool(search.returns & SearchReturn.UPDATE)
    if session.selected is None and (command.selected or updates):
        raise Refused(bad("No mailbox is open"))
    contexts.refuse_second(session, search)
    key = await finding.criteria(session, search)
    opened, others = await _meant(session, command)
    lookups = Lookups(few=0)  # the index answers for all mailboxes of an account at once
    if opened is not None:
        selected = session.open_mailbox
        uids = await _search(session, command, key, selected, opened, lookups)
        search_result.save(session, search, uids)
        contexts.begin(session, search, key, uids, tell_new=unasked.teller(session, search.told_of_new))
    for reached in others:
        await _search_other(session, command, key, reached, lookups)
        await session.breathe()
    await session.flush()
    return ok("ESEARCH completed")


async def _search_other(
    session: Session, command: SearchMailboxes, key: SearchKey, reached: Reached, lookups: Lookups
) -> None:
    try:
        view = await session.door.views.open(reached.account, reached.id, reached.reader)
    except NoSuchMailbox:
        return  # it went meanwhile
    foreign = reached.account != session.owner.account
    selected = Selected(view, reached.mailbox.uid_validity, True, reached.rights, foreign)
    try:
        await _search(session, command, key, selected, reached.name, lookups)
    finally:
        selected.close()


async def _search(
    session: Session,
    command: SearchMailboxes,
    key: SearchKey,
    selected: Selected,
    name: str,
    lookups: Lookups,
) -> list[int]:
    """Search one mailbox, and tell what was found, if anything was."""
    search = command.search
    found = await finding.find(session, selected, key, lookups)
    if not found.positions:
        return []
    modseqs = [found.piece.modseqs[at] for at in found.positions] if asks_modseq(key) else None
    scores = fuzzy.relevancies(found.scores, found.positions) if search.fuzzy else ()
    returns = search.returns if search.returns is not None else SearchReturn.ALL
    place = text.mailbox(name, session.utf8), selected.uid_validity
    search_result.tell_extended(session, search, returns, found.uids, modseqs, scores, place)
    return found.uids


async def _meant(session: Session, command: SearchMailboxes) -> tuple[str | None, list[Reached]]:
    """Find the mailboxes that are meant: the name of the open one, if it is, and the others, each once."""
    user, selected = session.owner.account, session.selected
    place = (selected.account, selected.id) if selected is not None else None
    only_selected = all(source.scope is SearchScope.SELECTED for source in command.sources)

    async def operation(tx: Transaction) -> tuple[str | None, list[Reached]]:
        opened: str | None = None
        if command.selected and place is not None:
            opened = await places.name_of(tx, user, *place)
        if only_selected:
            return opened, []
        found = await _others(tx, user, command)
        if opened is None and place is not None:
            opened = next((one.name for one in found if (one.account, one.id) == place), None)
        return opened, [one for one in found if (one.account, one.id) != place]

    return await session.door.store.scan(operation)


async def _others(tx: Transaction, user: AccountId, command: SearchMailboxes) -> list[Reached]:
    """Find the mailboxes that are not named as the open one."""
    foreign = any(
        source.scope is SearchScope.SUBSCRIBED or not all(map(is_own, source.names)) for source in command.sources
    )
    found: dict[tuple[AccountId, MailboxId], Reached] = {}
    for name in await every_name(tx, user, others=foreign):
        reached = name.reached
        if reached is None or not name.selectable or not reached.rights & Rights.READ:
            continue
        if any(_means(source, name) for source in command.sources):
            found[reached.account, reached.id] = reached
    for named in {name for source in command.sources for name in source.names if not is_own(name)}:
        with suppress(NoSuchMailbox, NotPermitted, MailboxNotPermitted, BadMailboxName):
            reached = await places.reach(tx, user, named, Action.READ)  # without the right to look it up, too
            found.setdefault((reached.account, reached.id), reached)
    return list(found.values())


def _means(source: SearchSource, name: Name) -> bool:
    match source.scope:
        case SearchScope.SELECTED:
            return False
        case SearchScope.INBOXES | SearchScope.PERSONAL:  # any may be delivered to (RFC 5465 §6.3)
            return is_own(name.name)
        case SearchScope.SUBSCRIBED:
            return name.subscribed
        case SearchScope.MAILBOXES:
            return name.name in source.names
        case SearchScope.SUBTREE:
            return name.name in source.names or any(name.name.startswith(one + DELIMITER) for one in source.names)
        case SearchScope.SUBTREE_ONE:
            above, delimiter, _ = name.name.rpartition(DELIMITER)
            return name.name in source.names or (bool(delimiter) and above in source.names)
