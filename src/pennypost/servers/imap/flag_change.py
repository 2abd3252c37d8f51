"""Changing flags in the open mailbox, whoever's it is: what STORE, and FETCH for `\\Seen`, have in common."""

from collections.abc import Sequence

from pennypost.model.flags import Flags
from pennypost.model.ids import ModSeq, Uid
from pennypost.servers.imap.selected import Selected
from pennypost.store import flags, seen
from pennypost.store.engine import Transaction
from pennypost.store.flag_change import StoreMode
from pennypost.store.flags import Known, StoreResult


async def change_flags(
    tx: Transaction,
    selected: Selected,
    uids: Sequence[Uid],
    mode: StoreMode,
    given: Flags,
    keywords: Sequence[str] = (),
    unchanged_since: ModSeq | None = None,
    known: Known | None = None,
) -> StoreResult:
    """Change flags; in another's mailbox those that the user's rights allow, and `\\Seen` as the user's own.

    `known`: the messages as the mailbox's snapshot has them.
    """
    account, mailbox = selected.account, selected.id
    if not selected.foreign:
        return await flags.store(tx, account, mailbox, uids, mode, given, keywords, unchanged_since, known=known)
    return await seen.store(
        tx, account, mailbox, selected.reader, selected.rights, uids, mode, given, keywords, unchanged_since
    )
