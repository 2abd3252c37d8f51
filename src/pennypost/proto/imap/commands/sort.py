"""SORT and UID SORT (RFC 5256 §3), with RETURN (RFC 5267 §3)."""

from dataclasses import dataclass

from pennypost.proto.imap.commands.search import Search, read_criteria, read_options
from pennypost.proto.imap.reader import BadSyntax, Reader
from pennypost.proto.imap.sort_keys import SortCriterion, SortKey, read_sort_keys


@dataclass(frozen=True, slots=True)
class Sort:
    """Look for messages, and give them in an order. `keys`: the first counts most.

    `search`: what to look for and what to tell; without RETURN the answer is SORT, also in IMAP4rev2.
    """

    search: Search
    keys: tuple[SortKey, ...]


def parse_sort(reader: Reader) -> Sort:
    return _parse(reader, uid=False)


def parse_uid_sort(reader: Reader) -> Sort:
    return _parse(reader, uid=True)


def _parse(reader: Reader, uid: bool) -> Sort:
    reader.space("sort criteria")
    options = read_options(reader)
    keys = read_sort_keys(reader)
    reader.space("a charset")
    search = read_criteria(reader, uid, options)
    if not search.fuzzy and any(key.criterion is SortCriterion.RELEVANCY for key in keys):
        raise BadSyntax("RELEVANCY goes with FUZZY only")  # RFC 6203 §6
    return Sort(search, keys)
