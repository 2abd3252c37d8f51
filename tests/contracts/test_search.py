"""Full-text search over every index there is: what is found, and how the index is kept."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import apsw
import pytest
import pytest_asyncio
from tests.contracts.world import Clock, append, header

from pennypost.message import search_text
from pennypost.message.search_text import Query, Words, folded, index_words, query_words
from pennypost.model.flags import Flags
from pennypost.model.ids import AccountId, MailboxId, MessageId
from pennypost.store import directory, mailboxes, messages, removal, search
from pennypost.store.engine import Transaction
from pennypost.store.search import NOT_INDEXED, Document, IndexState, Search
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite import search_index, side_file
from pennypost.store.sqlite.search_index import SqliteSearchIndex
from pennypost.store.store import Store


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(StoreSettings(tmp_path / "data"), clock=Clock())
    await store.write(lambda tx: directory.add_domain(tx, "example.org"))
    yield store
    await store.close()


async def account(store: Store, name: str = "ann@example.org") -> AccountId:
    return (await store.write(lambda tx: directory.add_account(tx, name, "", "$argon2id$x"))).id


async def inbox(store: Store, owner: AccountId) -> MailboxId:
    return (await store.read(lambda tx: mailboxes.require(tx, owner, "INBOX"))).id


async def deliver(store: Store, owner: AccountId, body: str, subject: str = "Greetings") -> MessageId:
    place = await inbox(store, owner)
    head = header(subject).replace(b"\r\n\r\n", b"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n")
    octets = body.encode()
    return (await store.write(lambda tx: append(tx, owner, place, head, octets))).message


async def expunge(store: Store, owner: AccountId, uid: int) -> None:
    place = await inbox(store, owner)

    async def operation(tx: Transaction) -> None:
        await tx.execute("UPDATE entry SET flags = ? WHERE account = ? AND uid = ?", int(Flags.DELETED), owner, uid)
        await tx.execute("UPDATE mailbox SET deleted = 1 WHERE account = ? AND id = ?", owner, place)
        await messages.expunge(tx, owner, place)

    await store.write(operation)


def query(text: str) -> Query:
    found = query_words(folded(text))
    assert found is not None
    return found


async def found(store: Search, owner: AccountId, text: str, *, header: bool = False, fuzzy: bool = False) -> list[int]:
    await store.catch_up(owner)
    return sorted((await store.find(owner, query(text), header=header, fuzzy=fuzzy)).messages)


async def test_words_and_beginnings_of_words_are_found(store: Store) -> None:
    ann = await account(store)
    one = await deliver(store, ann, "The quick brown fox, naïve as it is", "Straße nach Köln")
    two = await deliver(store, ann, "漢字とかな交じり文 and more", "quick")
    assert await found(store.search, ann, "quick") == [one]
    assert await found(store.search, ann, "QUI") == [one]
    assert await found(store.search, ann, "quick", header=True) == [one, two]
    assert await found(store.search, ann, "strasse", header=True) == [one]
    assert await found(store.search, ann, "ick") == []
    assert await found(store.search, ann, "字") == [two]
    assert await found(store.search, ann, "quick brown f") == [one]
    assert await found(store.search, ann, "naive") == []
    assert await found(store.search, ann, "naive", fuzzy=True) == [one]


async def test_nobody_finds_what_is_anothers(store: Store) -> None:
    ann, bob = await account(store), await account(store, "bob@example.org")
    await deliver(store, ann, "secret words")
    two = await deliver(store, bob, "secret words")
    assert await found(store.search, bob, "secret") == [two]


async def test_a_search_knows_how_far_the_index_is(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await account(store)
    one = await deliver(store, ann, "apple")
    assert await found(store.search, ann, "apple") == [one]
    two = await deliver(store, ann, "apple")
    hits = await store.search.find(ann, query("apple"), header=True)  # so few are not waited for
    assert list(hits.messages) == [one]
    assert one <= hits.upto < two
    monkeypatch.setattr(search, "FEW", 0)
    hits = await store.search.find(ann, query("apple"), header=True)
    assert list(hits.messages) == [one, two]
    assert hits.upto >= two


async def test_a_message_with_very_much_text_is_left_to_be_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_text, "MAX_TEXT", 1000)
    ann = await account(store)
    one = await deliver(store, ann, "apple")
    two = await deliver(store, ann, "pear " * 300)
    await store.search.catch_up(ann)
    hits = await store.search.find(ann, query("apple"), header=True)
    assert (sorted(hits.messages), sorted(hits.unsure)) == ([one], [two])


async def test_batches_are_cut_by_number_and_octets(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await account(store)
    there = [await deliver(store, ann, f"apple number{n} " + "x" * 300) for n in range(7)]
    monkeypatch.setattr(search, "BATCH_MESSAGES", 3)
    monkeypatch.setattr(search, "BATCH_OCTETS", 1200)
    steps = 1
    while await store.search.step(ann):
        steps += 1
    assert steps == 4
    assert await found(store.search, ann, "apple") == there
    assert [(one.indexed, one.pending) for one in await store.search.status()] == [(7, 0)]


async def test_messages_that_are_gone_are_swept(store: Store) -> None:
    ann = await account(store)
    await deliver(store, ann, "apple")
    two = await deliver(store, ann, "apple")
    assert len(await found(store.search, ann, "apple")) == 2
    await expunge(store, ann, 1)
    assert await store.search.sweep(ann) == 1
    assert await found(store.search, ann, "apple") == [two]
    assert await store.search.sweep(ann) == 0


async def test_what_has_too_many_words_is_always_unsure(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pennypost.message.search_text.MAX_WORDS", 30)
    ann = await account(store)
    one = await deliver(store, ann, " ".join(f"word{n}" for n in range(40)))
    two = await deliver(store, ann, "word5")
    await store.search.catch_up(ann)
    hits = await store.search.find(ann, query("word5"), header=True)
    assert (list(hits.messages), list(hits.unsure)) == ([two], [one])
    await expunge(store, ann, 1)
    assert await store.search.sweep(ann) == 1
    assert list((await store.search.find(ann, query("word5"), header=True)).unsure) == []


async def test_an_account_whose_number_is_used_again_starts_anew(store: Store) -> None:
    ann = await account(store)
    await deliver(store, ann, "apple")
    assert len(await found(store.search, ann, "apple")) == 1
    await store.write(lambda tx: directory.remove_account(tx, ann))
    while await store.write(removal.step):
        pass
    clock = store.clock
    assert isinstance(clock, Clock)
    clock.move(timedelta(seconds=1))
    await store.write(lambda tx: tx.execute("UPDATE account_number SET last = ?", ann - 1))  # as an older copy has it
    again = await account(store, "bob@example.org")
    assert again == ann
    one = await deliver(store, again, "pear")
    assert await found(store.search, again, "apple") == []
    assert await found(store.search, again, "pear") == [one]


async def test_a_removed_account_leaves_nothing(store: Store) -> None:
    ann = await account(store)
    await deliver(store, ann, "apple")
    await store.search.catch_up(ann)
    await store.write(lambda tx: directory.remove_account(tx, ann))
    assert await store.search.behind() == []
    assert await store.search.indexed() == []


async def test_an_index_ahead_of_its_store_starts_anew(store: Store, tmp_path: Path) -> None:
    ann = await account(store)
    one = await deliver(store, ann, "apple")
    await store.search.catch_up(ann)
    index = SqliteSearchIndex(store.settings)
    before = await index.state(ann)
    ahead = IndexState(before.created_at, before.upto + 100)
    phantom = Document(MessageId(one + 50), index_words("", ["apple"]))
    assert await index.add(ann, before, ahead, [phantom])
    await index.close()
    assert await found(store.search, ann, "apple") == [one]


async def test_only_accounts_that_changed_are_behind(store: Store) -> None:
    ann, bob = await account(store), await account(store, "bob@example.org")
    assert await store.search.behind() == [ann, bob]
    for one in (ann, bob):
        await store.search.catch_up(one)
    assert await store.search.behind() == []
    await deliver(store, bob, "apple")
    assert await store.search.behind() == [bob]


async def test_two_workers_index_everything_once(store: Store) -> None:
    ann = await account(store)
    there = [await deliver(store, ann, f"apple {n}") for n in range(20)]
    other = Search(store.engine, store.blobs, SqliteSearchIndex(store.settings))
    try:
        await asyncio.gather(store.search.catch_up(ann), other.catch_up(ann))
        assert await found(other, ann, "apple") == there
        assert await found(store.search, ann, "apple") == there
    finally:
        await other.close()


async def test_a_batch_that_comes_too_late_is_dropped(store: Store) -> None:
    index = SqliteSearchIndex(store.settings)
    first = IndexState(5, 1)
    assert await index.add(AccountId(1), NOT_INDEXED, first, [_document(1, "apple")])
    assert not await index.add(AccountId(1), NOT_INDEXED, IndexState(5, 2), [_document(1, "pear")])
    assert await index.state(AccountId(1)) == first
    assert list((await index.find(AccountId(1), query("pear"), True, True, False)).messages) == []
    await index.close()


def _document(message: int, body: str) -> Document:
    return Document(MessageId(message), index_words("", [body]))


@pytest.mark.parametrize("damage", [b"no database at all", b""])
async def test_a_damaged_index_is_made_anew(store: Store, damage: bytes) -> None:
    ann = await account(store)
    one = await deliver(store, ann, "apple")
    (store.settings.data_dir / search_index.FILE).write_bytes(damage * 1000)
    assert await found(store.search, ann, "apple") == [one]


@pytest.mark.parametrize("damage", ["emptied", "scribbled", "removed"])
async def test_an_index_that_is_damaged_while_it_is_open_is_made_anew(store: Store, damage: str) -> None:
    ann = await account(store)
    there = [await deliver(store, ann, f"apple {n} " + "pear " * n) for n in range(200)]
    other = Search(store.engine, store.blobs, SqliteSearchIndex(store.settings))
    assert await found(other, ann, "apple") == there
    assert await found(store.search, ann, "apple") == there
    file = store.settings.data_dir / search_index.FILE
    with closing(apsw.Connection(str(file))) as connection:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    if damage == "removed":
        file.unlink()
    else:
        size = file.stat().st_size
        with file.open("r+b") as stream:
            if damage == "emptied":
                stream.truncate(0)
            else:
                stream.write(b"\xff" * size)
    there.append(await deliver(store, ann, "apple"))
    for search_ in (store.search, other, store.search):
        assert await found(search_, ann, "apple") == there
    with closing(apsw.Connection(str(file))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.execute("INSERT INTO text (text) VALUES ('integrity-check')")
    await other.close()


async def test_an_index_that_cannot_be_used_knows_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await account(store)
    await deliver(store, ann, "apple")
    (store.settings.data_dir / search_index.FILE).mkdir()
    assert await store.search.find(ann, query("apple"), header=True) == search.NOTHING_KNOWN

    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(side_file, "_open", refused)
    assert await store.search.find(ann, query("apple"), header=True) == search.NOTHING_KNOWN


async def test_an_index_that_cannot_be_written_to_is_still_asked(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await account(store)
    one = await deliver(store, ann, "apple")
    await store.search.catch_up(ann)
    two = await deliver(store, ann, "apple")

    def full(*_: object) -> bool:
        raise apsw.FullError

    monkeypatch.setattr(search, "FEW", 0)
    monkeypatch.setattr(search_index, "_add", full)
    hits = await store.search.find(ann, query("apple"), header=True)
    assert (list(hits.messages), hits.upto < two) == ([one], True)


async def test_no_index_is_kept_where_none_is_wanted(tmp_path: Path) -> None:
    store = await Store.open(StoreSettings(tmp_path / "data", full_text_index=False), clock=Clock())
    await store.write(lambda tx: directory.add_domain(tx, "example.org"))
    ann = await account(store)
    await deliver(store, ann, "apple")
    assert await store.search.find(ann, query("apple"), header=True) == search.NOTHING_KNOWN
    await store.close()
    assert not (tmp_path / "data" / search_index.FILE).exists()


async def test_accounts_have_words_of_their_own(store: Store) -> None:
    there = {}
    for number in range(12):  # so that one account's number begins another's
        ann = await account(store, f"a{number}@example.org")
        there[ann] = await deliver(store, ann, "apple", "pear")
    for ann, one in there.items():
        assert await found(store.search, ann, "app") == [one]
        assert await found(store.search, ann, "pear", header=True) == [one]


async def test_an_index_made_by_other_rules_is_made_anew(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await account(store)
    index = SqliteSearchIndex(store.settings)
    many = " ".join(f"word{number}" for number in range(10_000))
    assert await index.add(ann, NOT_INDEXED, IndexState(1, 2), [_document(1, "apple"), _document(2, many)])
    await index.close()
    file = store.settings.data_dir / search_index.FILE
    before = file.stat().st_size
    monkeypatch.setattr(search_index, "VERSION", "another")
    again = SqliteSearchIndex(store.settings)
    assert await again.state(ann) == NOT_INDEXED
    assert list((await again.find(ann, query("apple"), True, True, False)).messages) == []
    await again.close()
    assert file.stat().st_size < before / 2


async def test_clearing_makes_everything_pending(store: Store) -> None:
    ann = await account(store)
    one = await deliver(store, ann, "apple")
    await store.search.catch_up(ann)
    await store.search.clear()
    assert [(each.indexed, each.pending) for each in await store.search.status()] == [(0, 1)]
    assert await store.search.behind() == [ann]
    assert await found(store.search, ann, "apple") == [one]


def words_of(words: Words) -> Sequence[set[str]]:
    return [set(text.split()) for text in (words.header, words.body, words.plain_header, words.plain_body)]


def test_words_are_kept_once_for_each_field() -> None:
    words = index_words("subject: école", ["école École ecole Ⅷ"])
    assert words_of(words) == [{"subject", "école"}, {"école", "ecole", "ⅷ"}, {"ecole"}, {"viii"}]
