"""THREAD and UID THREAD (RFC 5256 §3)."""

from pennypost.message import thread_trees
from pennypost.message.thread_trees import Threaded
from pennypost.proto.imap.commands.thread import Thread, ThreadAlgorithm
from pennypost.proto.imap.responses import thread as responses
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap import finding
from pennypost.servers.imap.columns import stored_column, uids_of
from pennypost.servers.imap.finding import Found
from pennypost.servers.imap.session import Session
from pennypost.store.engine import Transaction
from pennypost.store.sort_values import SortColumn

_ALGORITHMS = {
    ThreadAlgorithm.ORDEREDSUBJECT: thread_trees.ordered_subject,
    ThreadAlgorithm.REFERENCES: thread_trees.references,
    ThreadAlgorithm.REFS: thread_trees.refs,
}


async def thread(session: Session, command: Thread) -> Tagged:
    """Look for messages, and tell how they belong together."""
    search = command.search
    key = await finding.criteria(session, search)
    found = await finding.find(session, session.open_mailbox, key)
    session.write(await _told(session, found, command.algorithm, search.uid))
    await session.flush()
    return ok("THREAD completed")


async def _told(session: Session, found: Found, algorithm: ThreadAlgorithm, uid: bool) -> bytes:
    """Give the response. That of a whole mailbox is kept: clients ask for it again and again."""
    selected, piece, cache = session.open_mailbox, found.piece, session.door.sort_columns
    key, uids = (selected.account, selected.id, (algorithm, uid)), uids_of(piece)
    is_whole = len(found.positions) == len(uids) and piece.numbers == range(1, len(uids) + 1)
    if is_whole and (known := cache.answer(key, uids)) is not None:
        return known
    messages, names, tie = await _threaded(session, found), found.named(uid), _ALGORITHMS[algorithm]

    async def operation(_: Transaction) -> bytes:
        forest = tie(messages)
        return responses.thread(forest.roots, forest.children, names)

    line = await session.door.store.scan(operation)
    if is_whole:
        cache.keep_answer(key, uids, line)
    return line


async def _threaded(session: Session, found: Found) -> Threaded:
    """Gather what the algorithms look at, for the messages that were found."""
    selected, piece, positions = session.open_mailbox, found.piece, found.positions
    wanted = (SortColumn.SENT, SortColumn.SUBJECT, SortColumn.IS_REPLY, SortColumn.LINKS)
    columns = [await stored_column(session, selected, piece, column) for column in wanted]
    if len(positions) < len(piece.uids):
        columns = [[column[at] for at in positions] for column in columns]
    return Threaded(*columns)
