"""The store against a model of dictionaries: after any sequence of operations both hold the same.

After each step the store must be consistent (`check`), and hold what the model holds: names, UIDs, flags, counters,
quota. Followers that look in at any time must arrive at the same: one that replays the log of changes, and sessions
with views of open mailboxes, which must also be told exactly the difference.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.contracts.world import Clock, World, append, header

from pennypost.model.errors import (
    MailboxExists,
    MailboxHasChildren,
    MailboxNotPermitted,
    MailError,
    NoSuchMailbox,
    OverQuota,
)
from pennypost.model.flags import Flags
from pennypost.store import changes, check, directory, flag_notes, flags, mailboxes, messages, quota, sets
from pennypost.store.changes import ChangeKind
from pennypost.store.flag_change import StoreMode
from pennypost.store.settings import StoreSettings
from pennypost.store.sqlite.engine import SqliteEngine
from pennypost.store.view import MailboxView, Views

NAMES = ("INBOX", "INBOX/i", "a", "a/b", "a/b/c", "ab", "b", "b/x", "Sent")
QUOTA = 40_000

names = st.sampled_from(NAMES)
busy = st.sampled_from(("INBOX", "a", "INBOX", "a", "INBOX", "a", *NAMES))
accounts = st.sampled_from((0, 0, 0, 1))
uid_sets = st.lists(st.integers(1, 12), unique=True, min_size=1, max_size=8)
modes = st.sampled_from(StoreMode)
some_flags = st.integers(0, 31).map(Flags)
some_keywords = st.lists(st.sampled_from(["a", "B", "$c"]), unique=True, max_size=2).map(tuple)


@dataclass
class Message:
    size: int
    flags: Flags
    keywords: frozenset[str]


@dataclass
class Box:
    id: int
    uid_validity: int
    selectable: bool = True
    uid_next: int = 1
    entries: dict[int, int] = field(default_factory=dict)  # UID -> message


@dataclass
class Model:
    """One account."""

    id: int
    boxes: dict[str, Box]
    messages: dict[int, Message] = field(default_factory=dict)
    ids: set[int] = field(default_factory=set)
    validities: set[int] = field(default_factory=set)

    @property
    def used(self) -> int:
        return sum(message.size for message in self.messages.values())

    def below(self, name: str) -> list[str]:
        return [other for other in self.boxes if other.startswith(name + "/")]

    def drop_orphans(self) -> None:
        held = {message for box in self.boxes.values() for message in box.entries.values()}
        self.messages = {id: message for id, message in self.messages.items() if id in held}

    def drop_empty_names(self, name: str) -> None:
        while "/" in name:
            name = name.rpartition("/")[0]
            if name not in self.boxes or self.boxes[name].selectable or self.below(name):
                return
            del self.boxes[name]


class StoreMachine(RuleBasedStateMachine):
    @initialize(noted_from=st.sampled_from([1, 2, 256]), apart=st.booleans())
    def begin(self, noted_from: int, apart: bool) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(flag_notes, "NOTED_FROM", noted_from)
        self.patch.setattr(flag_notes, "MOST_NOTES", 2)
        self.apart = apart  # no message lies in two mailboxes
        self.folder = Path(tempfile.mkdtemp(prefix="pennypost-model-"))
        self.runner = asyncio.Runner()
        self.clock = Clock()
        opening = SqliteEngine.open(StoreSettings(self.folder), clock=self.clock, committed=lambda notices: None)
        self.engine = self.runner.run(opening)
        self.world = World(self.engine, self.clock)
        self.views = Views(self.engine)
        self.sessions: list[tuple[Model, MailboxView, list[int]]] = []
        self.models: list[Model] = []
        self.replicas: list[tuple[int, dict[int, dict[int, Any]]]] = []
        for name in ("ann@example.org", "bob@example.org"):
            account = self.runner.run(self.world.account(name, quota_octets=QUOTA))
            self.models.append(Model(account, {}))
            self.adopt(self.models[-1])
            self.replicas.append((0, {}))
        self.create(0, "a")
        for body, flag in ((10, Flags.NONE), (10, Flags.DELETED), (300, Flags.SEEN), (300, Flags.DELETED)):
            self.append(0, "INBOX", body, flag, ("k",))
        self.copy(0, "INBOX", "a", [1, 4])
        for uid in (2, 3) if not apart else ():
            self.place(0, "INBOX", "a", uid)
        for name in ("INBOX", "INBOX", "a"):
            self.open(0, name)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.patch.undo()
            self.runner.run(self.engine.close())
            self.runner.close()
            shutil.rmtree(self.folder)

    # -- Talking to the store

    def write(self, function: Callable[..., Any], *values: Any) -> Any:
        """Run an operation. What it refuses is given, not raised."""
        try:
            return self.runner.run(self.world.write(function, *values))
        except MailError as error:
            return type(error)

    def read(self, function: Callable[..., Any], *values: Any) -> Any:
        return self.runner.run(self.world.read(function, *values))

    def adopt(self, model: Model) -> None:
        """Take ids and UIDVALIDITYs of mailboxes that are new from the store: they must be new indeed."""
        for mailbox in self.read(mailboxes.list_all, model.id):
            box = model.boxes.get(mailbox.name)
            if box is None or box.id < 0:
                assert mailbox.id not in model.ids
                model.boxes[mailbox.name] = Box(mailbox.id, mailbox.uid_validity, mailbox.selectable)
            elif box.uid_validity < 0:
                box.uid_validity = mailbox.uid_validity
            else:
                continue
            assert mailbox.uid_validity not in model.validities
            model.ids.add(mailbox.id)
            model.validities.add(mailbox.uid_validity)

    # -- Mailboxes

    @rule(which=accounts, name=names)
    def create(self, which: int, name: str) -> None:
        model = self.models[which]
        made = self.write(mailboxes.create, model.id, name)
        box = model.boxes.get(name)
        if box is not None and box.selectable:
            assert made is MailboxExists
            return
        if box is not None:
            box.selectable, box.uid_validity = True, -1
        parts = name.split("/")
        for depth in range(1, len(parts) + 1):
            model.boxes.setdefault("/".join(parts[:depth]), Box(-1, -1))
        self.adopt(model)

    @rule(which=accounts, old=names, new=names)
    def rename(self, which: int, old: str, new: str) -> None:
        model = self.models[which]
        result = self.write(mailboxes.rename, model.id, old, new)
        if old not in model.boxes:
            assert result is NoSuchMailbox
        elif new in model.boxes:
            assert result is MailboxExists
        elif old == "INBOX":
            assert result is None
            inbox, moved = model.boxes["INBOX"], list(model.boxes["INBOX"].entries.values())
            for depth in range(1, new.count("/") + 2):
                model.boxes.setdefault("/".join(new.split("/")[:depth]), Box(-1, -1))
            self.adopt(model)
            target = model.boxes[new]
            target.entries = dict(enumerate(moved, 1))
            target.uid_next = len(moved) + 1
            inbox.entries = {}
        elif new.startswith(old + "/"):
            assert result is MailboxNotPermitted
        else:
            assert result is None
            for depth in range(1, new.count("/") + 1):
                model.boxes.setdefault("/".join(new.split("/")[:depth]), Box(-1, -1))
            for name in [old, *model.below(old)]:
                model.boxes[new + name[len(old) :]] = model.boxes.pop(name)
            model.drop_empty_names(old)
            self.adopt(model)

    @rule(which=accounts, name=names)
    def remove(self, which: int, name: str) -> None:
        model = self.models[which]
        result = self.write(mailboxes.remove, model.id, name)
        if name not in model.boxes:
            assert result is NoSuchMailbox
        elif name == "INBOX":
            assert result is MailboxNotPermitted
        elif model.below(name) and not model.boxes[name].selectable:
            assert result is MailboxHasChildren
        else:
            assert result is None
            del model.boxes[name]
            if model.below(name):
                self.adopt(model)
                assert not model.boxes[name].selectable
            else:
                model.drop_empty_names(name)
            model.drop_orphans()

    # -- Messages

    def selectable(self, model: Model, name: str, result: Any) -> Box | None:
        """Give a box that takes messages; or see that the store refused it."""
        box = model.boxes.get(name)
        if box is None:
            assert result is NoSuchMailbox
        elif not box.selectable:
            assert result is MailboxNotPermitted
        else:
            return box
        return None

    def id_of(self, model: Model, name: str) -> int:
        return model.boxes[name].id if name in model.boxes else 999_999

    @rule(which=accounts, name=busy, body=st.sampled_from([10, 300, 9000]), flag=some_flags, keywords=some_keywords)
    def append(self, which: int, name: str, body: int, flag: Flags, keywords: tuple[str, ...]) -> None:
        model = self.models[which]
        head = header(f"Subject {body}", f"{len(model.messages)}@model", ["0@model"])
        octets = b"x" * body
        result = self.write(append, model.id, self.id_of(model, name), head, octets, flag, keywords)
        size = len(head) + body
        if model.used + size > QUOTA:
            assert result is OverQuota
            return
        box = self.selectable(model, name, result)
        if box is None:
            return
        assert (result.uid, result.uid_validity) == (box.uid_next, box.uid_validity)
        assert result.message not in model.ids
        model.ids.add(result.message)
        model.messages[result.message] = Message(size, flag, frozenset(keywords))
        box.entries[box.uid_next] = result.message
        box.uid_next += 1

    @rule(which=accounts, source=busy, into=busy, uids=uid_sets)
    def copy(self, which: int, source: str, into: str, uids: list[int]) -> None:
        model = self.models[which]
        source_id, target_id = self.id_of(model, source), self.id_of(model, into)
        result = self.write(messages.copy, model.id, source_id, uids, target_id)
        entries = model.boxes[source].entries if source in model.boxes else {}
        chosen = [uid for uid in sorted(uids) if uid in entries]
        if model.used + sum(model.messages[entries[uid]].size for uid in chosen) > QUOTA and chosen:
            assert result is OverQuota
            return
        box = self.selectable(model, into, result)
        if box is None:
            return
        assert [pair[0] for pair in result.pairs] == chosen
        assert [pair[1] for pair in result.pairs] == list(range(box.uid_next, box.uid_next + len(chosen)))
        originals = [entries[uid] for uid in chosen]
        for behind, (original, (_, uid)) in enumerate(zip(originals, result.pairs, strict=True)):
            made = result.modseq - len(chosen) + 1 + behind
            assert made not in model.ids
            model.ids.add(made)
            like = model.messages[original]
            model.messages[made] = Message(like.size, like.flags, like.keywords)
            box.entries[uid] = made
        box.uid_next += len(chosen)

    @rule(which=accounts, source=busy, into=busy, uids=uid_sets)
    def move(self, which: int, source: str, into: str, uids: list[int]) -> None:
        model = self.models[which]
        result = self.write(messages.move, model.id, self.id_of(model, source), uids, self.id_of(model, into))
        box = self.selectable(model, into, result)
        if box is None:
            return
        entries = model.boxes[source].entries if source in model.boxes else {}
        chosen = [uid for uid in sorted(uids) if uid in entries]
        assert [pair[0] for pair in result.pairs] == chosen
        moved = [entries.pop(uid) for uid in chosen]
        for uid in [uid for uid, message in box.entries.items() if message in moved]:
            del box.entries[uid]
        for message in moved:
            box.entries[box.uid_next] = message
            box.uid_next += 1

    @rule(which=accounts, source=busy, into=busy, uid=st.integers(1, 10))
    @precondition(lambda self: not self.apart)
    def place(self, which: int, source: str, into: str, uid: int) -> None:
        model = self.models[which]
        message = model.boxes[source].entries.get(uid) if source in model.boxes else None
        box = model.boxes.get(into)
        if message is None or box is None or not box.selectable:
            return
        result = self.write(messages.place, model.id, message, box.id)
        if message in box.entries.values():
            assert result is MailboxExists
            return
        assert result == box.uid_next
        box.entries[box.uid_next] = message
        box.uid_next += 1

    @rule(
        which=accounts, name=busy, uids=uid_sets, mode=st.sampled_from(StoreMode), flag=some_flags, more=some_keywords
    )
    def store(
        self, which: int, name: str, uids: list[int], mode: StoreMode, flag: Flags, more: tuple[str, ...]
    ) -> None:
        model = self.models[which]
        result = self.write(flags.store, model.id, self.id_of(model, name), uids, mode, flag, more)
        box = self.selectable(model, name, result)
        if box is None:
            return
        changed = []
        for uid in sorted(uids):
            if uid not in box.entries:
                continue
            message = model.messages[box.entries[uid]]
            before = (message.flags, message.keywords)
            match mode:
                case StoreMode.SET:
                    message.flags, message.keywords = flag, frozenset(more)
                case StoreMode.ADD:
                    message.flags, message.keywords = message.flags | flag, message.keywords | set(more)
                case StoreMode.REMOVE:
                    message.flags, message.keywords = message.flags & ~flag, message.keywords - set(more)
            if before != (message.flags, message.keywords):
                changed.append(uid)
        assert [one.uid for one in result.changed] == changed
        assert not result.refused

    @rule(limit=st.integers(1, 5))
    def fold(self, limit: int) -> None:
        """Write notes into the entries: nobody sees a difference."""
        before = self.all_entries()
        self.write(flag_notes.fold, limit)
        assert self.all_entries() == before

    def all_entries(self) -> list[Any]:
        boxes = [(model.id, box.id) for model in self.models for box in model.boxes.values()]
        return [self.runner.run(self.world.entries(account, box)) for account, box in boxes]

    @rule(which=accounts, name=busy, uids=st.none() | uid_sets)
    def expunge(self, which: int, name: str, uids: list[int] | None) -> None:
        model = self.models[which]
        result = self.write(messages.expunge, model.id, self.id_of(model, name), uids)
        box = self.selectable(model, name, result)
        if box is None:
            return
        gone = [
            uid
            for uid in sorted(box.entries)
            if (uids is None or uid in uids) and Flags.DELETED in model.messages[box.entries[uid]].flags
        ]
        assert result[0] == gone
        for uid in gone:
            del box.entries[uid]
        model.drop_orphans()

    # -- Followers

    @rule(which=accounts)
    def follow(self, which: int) -> None:
        """Replay the log from wherever this follower was."""
        model = self.models[which]
        state, replica = self.replicas[which]
        for change in self.read(changes.since, model.id, state):
            box = replica.setdefault(change.mailbox, {})
            match change.kind:
                case ChangeKind.EXPUNGED:
                    for uid in sets.numbers(change.uids):
                        box.pop(uid, None)
                case ChangeKind.APPENDED | ChangeKind.UPDATED:
                    box.update(dict.fromkeys(sets.numbers(change.uids)))
                case ChangeKind.MAILBOX_REMOVED:
                    del replica[change.mailbox]
                case _:
                    pass
        self.replicas[which] = (self.read(changes.state, model.id)[0], replica)
        held = {box.id: set(box.entries) for box in model.boxes.values()}
        assert {id: set(box) for id, box in replica.items()} == held

    @rule(which=accounts, name=busy)
    @precondition(lambda self: len(self.sessions) < 5)
    def open(self, which: int, name: str) -> None:
        model = self.models[which]
        box = model.boxes.get(name)
        if box is not None and box.selectable:
            view = self.runner.run(self.views.open(model.id, box.id))
            self.sessions.append((model, view, sorted(box.entries)))
            assert list(view.uids) == sorted(box.entries)

    @rule(plan=st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=3, max_size=6))
    def look(self, plan: list[tuple[int, bool]]) -> None:
        for number, expunge in plan:
            self.refresh(number, expunge)

    @rule(name=busy, uids=uid_sets, mode=modes, flag=some_flags, more=some_keywords, number=st.integers(0, 2))
    def store_and_look(
        self, name: str, uids: list[int], mode: StoreMode, flag: Flags, more: tuple[str, ...], number: int
    ) -> None:
        self.store(0, name, uids, mode, flag, more)
        self.refresh(number, True)

    @rule(name=busy, uids=uid_sets, number=st.integers(0, 2))
    def expunge_and_look(self, name: str, uids: list[int], number: int) -> None:
        self.store(0, name, uids, StoreMode.ADD, Flags.DELETED, ())
        self.expunge(0, name, uids)
        self.refresh(number, False)

    def refresh(self, number: int, expunge: bool) -> None:
        if number >= len(self.sessions):
            return
        model, view, told = self.sessions[number]
        box = next((box for box in model.boxes.values() if box.id == view.mailbox), None)
        if box is None:
            try:
                self.runner.run(view.refresh())
            except NoSuchMailbox:
                self.sessions.pop(number)[1].close()
                return
            raise AssertionError("a mailbox that is gone was refreshed")
        change = self.runner.run(view.refresh(expunge=expunge))
        assert [told[n - 1] for n in change.expunged_numbers] == list(change.expunged)
        left = [uid for uid in told if uid not in change.expunged] + list(change.appended)
        assert list(view.uids) == left
        assert expunge or not change.expunged
        shown = {state.uid: (state.message, state.flags, frozenset(state.keywords)) for state in view.states()}
        assert shown == {
            uid: (message, model.messages[message].flags, model.messages[message].keywords)
            for uid, message in box.entries.items()
        }
        entries = self.runner.run(self.world.entries(model.id, box.id))
        assert {state.uid: state.modseq for state in view.states()} == {entry.uid: entry.modseq for entry in entries}
        if expunge:
            assert left == sorted(box.entries)
        self.sessions[number] = (model, view, left)

    # -- What must hold

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "models"):
            return
        for model in self.models:
            listed = self.read(mailboxes.list_all, model.id)
            assert {m.name: (m.id, m.uid_validity, m.selectable, m.uid_next) for m in listed} == {
                name: (box.id, box.uid_validity, box.selectable, box.uid_next) for name, box in model.boxes.items()
            }
            for mailbox in listed:
                self.agrees_in(model, mailbox.id, model.boxes[mailbox.name])
            usage = self.read(quota.usage, model.id)
            assert (usage.used_octets, usage.message_count) == (model.used, len(model.messages))
            assert self.read(directory.account, model.id).used_octets == model.used
        assert self.runner.run(self.problems()) == []

    def agrees_in(self, model: Model, mailbox: int, box: Box) -> None:
        entries = self.runner.run(self.world.entries(model.id, mailbox))
        assert {e.uid: e.message for e in entries} == box.entries
        for entry in entries:
            message = model.messages[entry.message]
            assert (entry.flags, entry.size) == (message.flags, message.size)
            assert frozenset((entry.keywords or "").split()) == message.keywords

    async def problems(self) -> list[Any]:
        return [found async for found in check.check_rows(self.engine)]


TestStoreModel = StoreMachine.TestCase
TestStoreModel.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
