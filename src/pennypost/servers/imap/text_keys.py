"""Keys of text that need not read messages (RFC 9051 §6.4.4): turned into the UIDs of the messages that match.

Fields that are often looked for are kept in memory, as SORT's are. BODY and TEXT go by the full-text index.
The index finds words and beginnings of words. Where the words alone do not settle it, several of them for instance, the
messages that have them are read and compared; so are those that the index does not know yet. What has no word in it is
left as it is, and so is a search of few messages: those are read and compared throughout.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple

from pennypost.message.search_text import Query, folded, query_words
from pennypost.model.ids import AccountId
from pennypost.proto.imap.responses.search import ranges_of
from pennypost.proto.imap.search_keys import All, And, BodyKey, HeaderKey, Not, Or, SearchKey, TextKey, UidKey
from pennypost.proto.imap.sequence import SequenceSet
from pennypost.servers.imap.columns import stored_column
from pennypost.servers.imap.matching import Positions
from pennypost.servers.imap.selected import Selected, Slice
from pennypost.servers.imap.session import Session
from pennypost.store.engine import Transaction
from pennypost.store.sort_columns import TooLarge
from pennypost.store.sort_values import SortColumn

FEW = 200
"""Messages that are rather read than looked up."""

ON_THE_LOOP = 20_000
"""Fields that a command compares at once: some milliseconds. More are compared on a thread."""

MAX_ASKED = 16
"""Keys that are looked up in the index, for each mailbox."""

MANY = 250_000
"""Messages whose fields are not kept in memory."""

Scan = Callable[[SearchKey, Positions], Awaitable[Positions]]
"""Reads messages and gives those that match a key."""


class Answer(NamedTuple):
    """What the index knows, as `store.search.Hits`."""

    messages: frozenset[int]
    unsure: frozenset[int]
    upto: int


class Lookups:
    """What one command asks the index. `few`: messages that are rather read.

    Answers are kept for the mailboxes of an account that come after the first. What is delivered meanwhile is above
    what the answer knows of, and is read.
    """

    def __init__(self, few: int | None = None) -> None:
        self.few = FEW if few is None else few
        self.compared = 0
        """Fields that were compared on the event loop."""
        self._asked = 0
        self._answers: dict[tuple[AccountId, Query, bool, bool, bool], Answer] = {}

    def begin(self) -> None:
        """Go on to a mailbox."""
        self._asked = 0

    def may_ask(self) -> bool:
        """Whether another key may be looked up. Each that is may lead to messages being read, for it alone; where there
        are many, all messages are read once for all of them."""
        self._asked += 1
        return self._asked <= MAX_ASKED

    async def find(
        self,
        session: Session,
        account: AccountId,
        query: Query,
        *,
        header: bool,
        body: bool = True,
        fuzzy: bool = False,
    ) -> Answer:
        """Ask the index, once for all mailboxes."""
        asked = (account, query, header, body, fuzzy)
        answer = self._answers.get(asked)
        if answer is None:
            hits = await session.door.store.search.find(account, query, header=header, body=body, fuzzy=fuzzy)
            answer = Answer(frozenset(hits.messages), frozenset(hits.unsure), hits.upto)
            self._answers[asked] = answer
        return answer


async def resolved(
    session: Session,
    selected: Selected,
    key: SearchKey,
    piece: Slice,
    among: Positions,
    scan: Scan,
    lookups: Lookups,
) -> SearchKey:
    """Put UIDs in the place of keys that the index answers. `among`: the messages that matter."""
    if len(among) <= lookups.few:
        return key
    match key:
        case And(keys=keys):
            return And(tuple([await resolved(session, selected, inner, piece, among, scan, lookups) for inner in keys]))
        case Or(keys=keys):
            return Or(tuple([await resolved(session, selected, inner, piece, among, scan, lookups) for inner in keys]))
        case Not(key=inner):
            return Not(await resolved(session, selected, inner, piece, among, scan, lookups))
        case BodyKey(text="") | TextKey(text=""):
            return All()  # RFC 9051 §6.4.4: every text has the empty one in it
        case BodyKey() | TextKey() if session.door.store.search.enabled:
            return await _looked_up(session, selected, key, piece, among, scan, lookups)
        case HeaderKey(name=name, text=wanted):
            column = _FIELDS.get(name.lower())
            if column is not None and "\n" not in wanted and _is_worthwhile(session, selected, column, piece, among):
                with suppress(TooLarge):  # then messages are read, some at a time
                    return await _compared(session, selected, column, folded(wanted), piece, among, lookups)
    return key


_FIELDS = {
    "subject": SortColumn.SUBJECT_FIELD,
    "from": SortColumn.FROM_FIELD,
    "to": SortColumn.TO_FIELD,
    "cc": SortColumn.CC_FIELD,
    "bcc": SortColumn.BCC_FIELD,
}


def _is_worthwhile(session: Session, selected: Selected, column: SortColumn, piece: Slice, among: Positions) -> bool:
    """Whether a field is better had of all messages: it is kept already, or most of them are looked at."""
    if len(piece.uids) > MANY:
        return False
    return 2 * len(among) >= len(piece.uids) or session.door.sort_columns.has(selected.account, selected.id, column)


async def _compared(
    session: Session,
    selected: Selected,
    column: SortColumn,
    needle: str,
    piece: Slice,
    among: Positions,
    lookups: Lookups,
) -> SearchKey:
    """Compare a field that is kept in memory. An empty text asks whether it is there (RFC 9051 §6.4.4).

    Raises TooLarge.
    """
    fields = await stored_column(session, selected, piece, column, spared=True)

    def compare() -> SearchKey:
        found = [piece.uids[at] for at in among if (field := fields[at]) is not None and needle in field]
        return UidKey(SequenceSet(ranges_of(found)))

    async def operation(_: Transaction) -> SearchKey:
        return compare()

    lookups.compared += len(among)
    return compare() if lookups.compared <= ON_THE_LOOP else await session.door.store.scan(operation)


async def _looked_up(
    session: Session,
    selected: Selected,
    key: BodyKey | TextKey,
    piece: Slice,
    among: Positions,
    scan: Scan,
    lookups: Lookups,
) -> SearchKey:
    query = query_words(folded(key.text))
    if query is None or not lookups.may_ask():
        return key
    having, unsure, upto = await lookups.find(session, selected.account, query, header=isinstance(key, TextKey))
    messages = piece.messages
    found: list[int] = []
    to_read: list[int] = []
    for at in among:
        message = messages[at]
        if message > upto or message in unsure:
            to_read.append(at)
        elif message in having:
            (found if query.exact else to_read).append(at)
    if to_read:
        found = sorted([*found, *await scan(key, to_read)])
    return UidKey(SequenceSet(ranges_of([piece.uids[at] for at in found])))
