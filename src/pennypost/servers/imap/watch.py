"""What a session watches between its commands: NOTIFY (RFC 5465).

Theory of operation
-------------------
A `Watch` belongs to one session. Commits to accounts it listens to mark them and wake the session, which tells what is
new when no command is in hand, or in IDLE: nothing is told but what the store says then. So events that come faster
than the client takes them become one, and all there is to remember is a `Survey`. What is new of the open mailbox is
told by `news`, as ever; of others it is the difference of two surveys (`watch_news`).

What the client itself changes it is not told of, as far as that is a name, a subscription, an annotation or a message
that it put into the open mailbox.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pennypost.model.ids import AccountId, Uid, UidValidity
from pennypost.proto.imap.commands.create import Create
from pennypost.proto.imap.commands.delete import Delete
from pennypost.proto.imap.commands.metadata import EntryName, SetMetadata
from pennypost.proto.imap.commands.notify import MESSAGE_EVENTS, NotifyEvent
from pennypost.proto.imap.commands.rename import Rename
from pennypost.proto.imap.commands.subscribe import Subscribe, Unsubscribe
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.status import Condition, no, untagged
from pennypost.servers.imap import news, survey, watch_news
from pennypost.servers.imap.errors import Refused
from pennypost.servers.imap.interest import Interest
from pennypost.servers.imap.list import Name
from pennypost.servers.imap.news import News
from pennypost.servers.imap.survey import Figures, Step, Survey, Watched
from pennypost.servers.imap.unasked import send_unasked
from pennypost.store import acl, names
from pennypost.store.places import is_own

if TYPE_CHECKING:
    from pennypost.servers.imap.session import Session

_TOO_MUCH = "Too many mailboxes to watch"


class Watch:
    """What one session wants to hear of, and what it was told last."""

    __slots__ = (
        "_dirty",
        "_heard",
        "_own_names",
        "_own_notes",
        "_own_uids",
        "_refused",
        "_session",
        "_survey",
        "interest",
    )

    def __init__(self, session: "Session", interest: Interest) -> None:
        self.interest = interest
        self._session = session
        self._dirty: set[AccountId] = set()
        self._heard: dict[AccountId, Callable[[], None]] = {}
        self._survey: Survey | None = None
        self._refused: set[str] = set()
        self._own_names: set[str] = set()
        self._own_notes: set[tuple[str, EntryName]] = set()
        self._own_uids: set[Uid] = set()

    @property
    def tells_messages(self) -> bool:
        """Whether messages that come into the open mailbox, or go, are told."""
        return bool(self.interest.open_events & MESSAGE_EVENTS)

    @property
    def tells_flags(self) -> bool:
        """Whether flags that others change in the open mailbox are told."""
        return bool(self.interest.open_events & NotifyEvent.FLAG_CHANGE)

    async def start(self) -> None:
        """Begin to listen, and look at all that is watched. Raises Refused with NOTIFICATIONOVERFLOW."""
        if not self.interest.asked and not self.interest.open_events:
            return
        # Listen first, look second: what is committed between the two is not missed.
        self._listen(self._session.owner.account)
        if self.interest.asked:
            self._listen(*((acl.SHARING,) if self.interest.others else ()))
            found = await self._look_at_all()
            if found is None:
                self.close()
                raise Refused(no(_TOO_MUCH, codes.NOTIFICATIONOVERFLOW))
            self._survey = found.settle()
            session = self._session
            for name, line in watch_news.no_access(found, session.utf8):
                self._refused.add(name)
                session.write(line)

    def close(self) -> None:
        """Hear of nothing any more."""
        for unsubscribe in self._heard.values():
            unsubscribe()
        self._heard.clear()
        self._dirty.clear()
        self._survey = None

    def _listen(self, *accounts: AccountId) -> None:
        for account in accounts:
            if account not in self._heard:
                self._heard[account] = self._session.door.store.subscribe(account, self._hearer(account))
                self._dirty.add(account)

    def _hearer(self, account: AccountId) -> Callable[[object], None]:
        def hear(_: object) -> None:
            self._dirty.add(account)
            self._session.connection.interrupt()

        return hear

    async def tell_status(self) -> None:
        """Tell where the watched mailboxes are, but for the open one (RFC 5465 §3.1)."""
        session = self._session
        for name, watched in self._survey.watched.items() if self._survey is not None else ():
            if watched.figures is not None and not self._is_open(watched.name):
                session.write(
                    watch_news.first_status(name, watched.figures, watched.events, session.condstore, session.utf8)
                )
                if session.gathered_octets >= session.door.settings.write_chunk:
                    await session.breathe()

    # -- What is new

    async def tell(self) -> None:
        """Tell what is new, while no command is in hand."""
        session = self._session
        if session.selected is not None and self.tells_messages:
            self._listen(session.selected.account)
        if not self._dirty and not self._own_names and not self._own_notes:
            return
        if session.selected is not None and self.tells_messages:
            session.tells_uids = True
            await news.tell(session, News.NO_EXPUNGE if self.interest.delayed else News.ALL)
            news.tell_settled(session)
        await self.tell_others()

    async def tell_others(self) -> None:
        """Tell what is new of mailboxes but the open one."""
        dirty, self._dirty = self._dirty, set()
        if self._survey is None or not (dirty or self._own_names or self._own_notes):
            return
        store, user, known = self._session.door.store, self._session.owner.account, self._survey
        step: Step | None = None
        if not self._own_names and not self._own_notes:
            step = await store.read(lambda tx: survey.follow(tx, user, self.interest, known, dirty))
        if step is not None:
            known.positions.update(step.positions)
            for name, figures in step.figures.items():
                watched = known.watched[name]
                self._tell_figures(watched, watched.figures, figures)
                watched.figures = figures
        else:
            await self._compare(known)
        await self._session.breathe()

    async def _look_at_all(self) -> Survey | None:
        """Survey all that is watched; None if that is too much."""
        session, interest = self._session, self.interest
        user = session.owner.account
        found = await session.door.store.scan(lambda tx: survey.survey(tx, user, interest))
        if len(found.watched) > session.door.settings.watched_mailboxes:
            return None
        self._listen(*found.positions)
        return found

    async def _compare(self, before: Survey) -> None:
        """Survey again, and tell what is not as it was."""
        session = self._session
        after = await self._look_at_all()
        if after is None:
            self.overflow()
            return
        own_names, self._own_names = self._own_names, set()
        own_notes, self._own_notes = self._own_notes, set()
        for line in watch_news.NameNews(before, after, self.interest, own_names, self._refused).lines(session.utf8):
            session.write(line)
        for line in watch_news.metadata_lines(before, after, own_notes, session.utf8):
            session.write(line)
        for name, watched in after.watched.items():
            reached = watched.name.reached
            if watched.figures is not None and reached is not None:
                figures = before.figures((reached.account, reached.id), name)
                self._tell_figures(watched, figures, watched.figures)
        self._survey = after.settle()

    def _tell_figures(self, watched: Watched, before: Figures | None, now: Figures) -> None:
        if not self._is_open(watched.name):
            session, name, events = self._session, watched.name.name, watched.events
            session.write(watch_news.status_line(name, before, now, events, session.condstore, session.utf8))

    def _is_open(self, name: Name) -> bool:
        selected, reached = self._session.selected, name.reached
        return (
            selected is not None
            and reached is not None
            and (selected.account, selected.id)
            == (
                reached.account,
                reached.id,
            )
        )

    def overflow(self) -> None:
        """Give up what is watched, and say so (RFC 5465 §5.8)."""
        self.close()
        self.interest = Interest(())
        self._session.write(untagged(Condition.OK, _TOO_MUCH, codes.NOTIFICATIONOVERFLOW))

    async def tell_new(self, uids: Sequence[Uid]) -> None:
        """Tell of messages that came into the open mailbox, but for its own, what the client asked for (RFC 5465)."""
        own, self._own_uids = self._own_uids, set()
        session = self._session
        numbers = [session.open_mailbox.view.number_of(uid) for uid in uids if uid not in own]
        await send_unasked(session, self.interest.fetch, numbers)

    # -- What the client did itself

    def note(self, command: object) -> None:
        """Take note of a command that succeeded: what it changed is no news to its client (RFC 5465 §5)."""
        if self._survey is None:
            return
        match command:
            case Create(mailbox=name) | Delete(mailbox=name) | Subscribe(mailbox=name) | Unsubscribe(mailbox=name):
                self._note_names(name)
            case Rename(mailbox=old, new_name=new):
                self._note_names(old)
                self._note_names(new)
            case SetMetadata(mailbox=name, values=values):
                self._own_notes |= {(name, entry) for entry, _ in values}

    def _note_names(self, name: str) -> None:
        name = name.removesuffix("/")
        self._own_names |= {name, *names.ancestors(name)}

    def note_arrivals(self, mailbox: str, uid_validity: UidValidity, uids: Sequence[Uid]) -> None:
        """Take note of messages that the client put into a mailbox. Of one account no two have the same UIDVALIDITY."""
        selected = self._session.selected
        if selected is None or not self.interest.fetch:
            return
        if selected.uid_validity == uid_validity and is_own(mailbox) is not selected.foreign:
            self._own_uids |= set(uids)
