"""Every command that the grammar knows is carried, and news come when they may (RFC 9051 §7.5.1)."""

from typing import get_args

import pytest

from pennypost.model.flags import Flags
from pennypost.proto.imap.commands import CommandBody
from pennypost.proto.imap.commands.append import Append
from pennypost.proto.imap.commands.expunge import Expunge
from pennypost.proto.imap.commands.fetch import Fetch
from pennypost.proto.imap.commands.idle import Idle
from pennypost.proto.imap.commands.logout import Logout
from pennypost.proto.imap.commands.noop import Noop
from pennypost.proto.imap.commands.search import Search
from pennypost.proto.imap.commands.select import Select
from pennypost.proto.imap.commands.store import Store, StoreAction
from pennypost.proto.imap.flags import FlagList
from pennypost.proto.imap.search_keys import All
from pennypost.proto.imap.sequence import SequenceSet
from pennypost.servers.imap.dispatch import HANDLERS, goes_by_uid
from pennypost.servers.imap.news import News, allowed

ONE = SequenceSet(((1, 1),))


def store(uid: bool) -> Store:
    return Store(ONE, StoreAction.ADD, FlagList(Flags.SEEN, ()), False, uid)


def test_every_command_has_a_handler() -> None:
    assert set(get_args(CommandBody)) - {Append} == set(HANDLERS)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (Fetch(ONE, (), False), News.NO_EXPUNGE),
        (store(False), News.NO_EXPUNGE),
        (Search(False, All()), News.NO_EXPUNGE),
        (Fetch(ONE, (), True), News.ALL),
        (store(True), News.ALL),
        (Search(True, All()), News.ALL),
        (Noop(), News.ALL),
        (Expunge(), News.ALL),
        (Select("INBOX"), News.NONE),
        (Logout(), News.NONE),
        (Idle(), News.NONE),
    ],
)
def test_which_news_a_command_lets_through(body: CommandBody, expected: News) -> None:
    assert allowed(body) is expected


def test_which_commands_go_by_uid() -> None:
    assert goes_by_uid(store(True))
    assert goes_by_uid(Expunge(ONE))
    assert not goes_by_uid(Expunge())
    assert not goes_by_uid(store(False))
