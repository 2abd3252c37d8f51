"""Telling what SEARCH found: SEARCH or ESEARCH (RFC 9051 §6.4.4, §7.3.4; RFC 3501 §7.2.5; RFC 4731), and saving it."""

from collections.abc import Sequence

from pennypost.proto.imap.commands.esearch import SearchMailboxes
from pennypost.proto.imap.commands.search import Search, SearchReturn
from pennypost.proto.imap.commands.sort import Sort
from pennypost.proto.imap.commands.thread import Thread
from pennypost.proto.imap.responses.search import esearch, ranges_of
from pennypost.proto.imap.responses.search import search as search_response
from pennypost.servers.imap.session import Session


def tell(
    session: Session,
    command: Search,
    found: Sequence[int],
    modseqs: Sequence[int] | None = None,
    scores: Sequence[int] = (),
) -> None:
    """Write the result of SEARCH, in the form asked for. `found`: numbers or UIDs, as the command goes.

    `modseqs`: theirs, where the client asked for mod-sequences; `scores`: how relevant they are.
    """
    returns = command.returns
    if returns is None:
        if not session.rev2:
            session.write(search_response(found, max(modseqs, default=None) if modseqs is not None else None))
            return
        returns = SearchReturn.ALL  # RFC 9051 §6.4.4
    tell_extended(session, command, returns, found, modseqs, scores)


def tell_extended(
    session: Session,
    command: Search,
    returns: SearchReturn,
    found: Sequence[int],
    modseqs: Sequence[int] | None = None,
    scores: Sequence[int] = (),
    mailbox: tuple[bytes, int] | None = None,
) -> None:
    """Write ESEARCH. `found`: in the order asked for, which is what MIN, MAX and PARTIAL go by (RFC 5267 §3.1).

    `mailbox`: its name on the wire and its UIDVALIDITY, for the command that searches several (RFC 7377 §2.1).
    """
    told = returns & ~(SearchReturn.SAVE | SearchReturn.CONTEXT | SearchReturn.UPDATE)
    if not told and returns & SearchReturn.SAVE:
        return  # RFC 5182 §2.1: nothing is returned but the tagged OK
    session.write(
        esearch(
            session.tag,
            command.uid,
            minimum=found[0] if found and told & SearchReturn.MIN else None,
            maximum=found[-1] if found and told & SearchReturn.MAX else None,
            count=len(found) if told & SearchReturn.COUNT else None,
            found=ranges_of(found) if told & SearchReturn.ALL else (),
            partial=(command.partial.octets, ranges_of(command.partial.of(found))) if command.partial else None,
            relevancy=_scores(command, told, scores),
            modseq=_modseq(told, modseqs) if modseqs else None,
            mailbox=mailbox,
        )
    )


def _scores(command: Search, told: SearchReturn, scores: Sequence[int]) -> Sequence[int] | None:
    """Give the scores of what is told, if they were asked for (RFC 6203 §4)."""
    if not told & SearchReturn.RELEVANCY:
        return None
    return scores if command.partial is None else command.partial.of(scores)


def _modseq(told: SearchReturn, modseqs: Sequence[int]) -> int:
    """Give the highest mod-sequence of the messages that are told of (RFC 4731 §3.2)."""
    if told & (SearchReturn.ALL | SearchReturn.COUNT):
        return max(modseqs)
    ends = [modseqs[0]] if told & SearchReturn.MIN else []
    return max([*ends, modseqs[-1]] if told & SearchReturn.MAX else ends, default=max(modseqs))


def forget(session: Session, body: object) -> None:
    """Empty the saved result when a command that was to set it failed (RFC 9051 §6.4.4.1)."""
    search = body.search if isinstance(body, Sort | Thread | SearchMailboxes) else body
    saves = isinstance(search, Search) and search.returns is not None and bool(search.returns & SearchReturn.SAVE)
    if saves and session.selected is not None:
        session.selected.saved = ()


def save(session: Session, command: Search, uids: Sequence[int]) -> None:
    """Keep the result for `$` if that was asked for (RFC 9051 §6.4.4.4). `uids`: in the order asked for.

    With MIN or MAX, and neither ALL nor COUNT, only those are kept (RFC 5182 §2.4).
    """
    returns = command.returns
    if returns is None or not returns & SearchReturn.SAVE:
        return
    if command.partial is not None:
        kept = command.partial.of(uids)  # RFC 9394 §3.1
    elif returns & (SearchReturn.ALL | SearchReturn.COUNT) or not returns & (SearchReturn.MIN | SearchReturn.MAX):
        kept = uids
    else:
        kept = [*(uids[:1] if returns & SearchReturn.MIN else ()), *(uids[-1:] if returns & SearchReturn.MAX else ())]
    session.open_mailbox.saved = tuple(sorted(set(kept)))
