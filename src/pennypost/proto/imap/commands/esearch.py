"""ESEARCH: one search of several mailboxes (RFC 7377)."""

from dataclasses import dataclass
from enum import Enum

from pennypost.proto.imap.commands.notify import read_names
from pennypost.proto.imap.commands.search import Search, SearchReturn, read_options, read_program
from pennypost.proto.imap.limits import MAX_LIST_ITEMS
from pennypost.proto.imap.reader import BadSyntax, Reader, one_of


class SearchScope(Enum):
    """Which mailboxes (RFC 7377 §2.2, RFC 5465 §6); the value is what stands on the wire."""

    SELECTED = b"SELECTED"
    INBOXES = b"INBOXES"
    PERSONAL = b"PERSONAL"
    SUBSCRIBED = b"SUBSCRIBED"
    SUBTREE = b"SUBTREE"
    SUBTREE_ONE = b"SUBTREE-ONE"
    MAILBOXES = b"MAILBOXES"


@dataclass(frozen=True, slots=True)
class SearchSource:
    """Some mailboxes. `names`: of SUBTREE, SUBTREE_ONE and MAILBOXES."""

    scope: SearchScope
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchMailboxes:
    """Look for messages in mailboxes, open or not. `search`: what to look for and what to tell, always in UIDs."""

    search: Search
    sources: tuple[SearchSource, ...]

    @property
    def selected(self) -> bool:
        """Whether the open mailbox is named as such."""
        return any(source.scope is SearchScope.SELECTED for source in self.sources)


_SCOPES = {scope.value: scope for scope in SearchScope}
_NAMED = frozenset({SearchScope.SUBTREE, SearchScope.SUBTREE_ONE, SearchScope.MAILBOXES})
_DEFAULT = (SearchSource(SearchScope.SELECTED),)


def parse_esearch(reader: Reader) -> SearchMailboxes:
    reader.space("a search key")
    sources: tuple[SearchSource, ...] = _DEFAULT
    if reader.peek_word() == b"IN":
        reader.word("IN")
        reader.space("mailboxes")
        sources = _read_sources(reader)
        reader.space("a search key")
    options = read_options(reader)
    search = read_program(reader, uid=True, options=options)
    if search.returns is not None and search.returns & SearchReturn.SAVE and sources != _DEFAULT:
        raise BadSyntax("only what is found in the open mailbox can be saved")  # RFC 7377 §2.2
    return SearchMailboxes(search, sources)


def _read_sources(reader: Reader) -> tuple[SearchSource, ...]:
    reader.expect(b"(", "mailboxes")
    sources = [_read_source(reader)]
    while reader.skip(b" "):
        if reader.opens():
            raise BadSyntax("expected no scope option: none is known")  # none are defined yet
        sources.append(_read_source(reader))
        if len(sources) > MAX_LIST_ITEMS:
            raise BadSyntax("too many choices of mailboxes")
    reader.expect(b")", "a choice of mailboxes or a closing parenthesis")
    return tuple(dict.fromkeys(sources))


def _read_source(reader: Reader) -> SearchSource:
    scope = _SCOPES.get(reader.word("which mailboxes"))
    if scope is None:
        raise BadSyntax(f"expected a choice of mailboxes: {one_of(_SCOPES)}")
    if scope not in _NAMED:
        return SearchSource(scope)
    reader.space("mailboxes")
    return SearchSource(scope, read_names(reader))
