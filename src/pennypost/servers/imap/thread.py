"""THREAD and UID THREAD (RFC 5256 §3)."""

from pennypost.message import thread_trees
from pennypost.message.thread_trees import Threaded
from pennypost.proto.imap.commands.thread import Thread, ThreadAlgorithm
from pennypost.proto.imap.responses import thread as responses
from pennypost.proto.imap.responses.status import Tagged, ok
from pennypost.servers.imap import finding
from pennypost.servers.imap.finding import Found
from pennypost.servers.imap.matching import asks_modseq
from pennypost.servers.imap.session import Session
from pennypost.servers.imap.sort import stored_column
from pennypost.store.engine import Transaction
from pennypost.store.sort_columns import SortColumn

_ALGORITHMS = {
    ThreadAlgorithm.ORDEREDSUBJECT: thread_trees.ordered_subject,
    ThreadAlgorithm.REFERENCES: thread_trees.references,
    ThreadAlgorithm.REFS: thread_trees.refs,
}


async def thread(session: Session, command: Thread) -> Tagged:
    """Look for messages, and tell how they belong together."""
    search = command.search
    finding.check_charset(search)
    if asks_modseq(search.key):
        session.use_condstore()
    found = await finding.find(session, session.open_mailbox, search.key)
    messages = await _threaded(session, found)
    names = found.named(search.uid)
    algorithm = _ALGORITHMS[command.algorithm]

    async def operation(_: Transaction) -> bytes:
        forest = algorithm(messages)
        return responses.thread(forest.roots, forest.children, names)

    session.write(await session.door.store.scan(operation))
    await session.flush()
    return ok("THREAD completed")


async def _threaded(session: Session, found: Found) -> Threaded:
    """Gather what the algorithms look at, for the messages that were found."""
    selected, piece, positions = session.open_mailbox, found.piece, found.positions
    columns = [
        await stored_column(session, selected, piece, column)
        for column in (SortColumn.SENT, SortColumn.SUBJECT, SortColumn.IS_REPLY, SortColumn.LINKS)
    ]
    if len(positions) < len(piece.uids):
        columns = [[column[at] for at in positions] for column in columns]
    return Threaded(*columns)
