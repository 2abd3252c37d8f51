"""NOTIFY (RFC 5465)."""

from pennypost.proto.imap.commands.notify import EVENT_NAMES, Notify
from pennypost.proto.imap.responses import codes
from pennypost.proto.imap.responses.status import Tagged, no, ok
from pennypost.servers.imap import news
from pennypost.servers.imap.interest import Interest
from pennypost.servers.imap.news import News
from pennypost.servers.imap.session import Session
from pennypost.servers.imap.watch import Watch


async def notify(session: Session, command: Notify) -> Tagged:
    """Watch what the client asks for from now on, and nothing else. What is new of the open mailbox is told first.

    What was watched before goes on where this is refused.
    """
    if not command.known:
        return no("There are events that we do not know", codes.badevent(EVENT_NAMES))
    watch = Watch(session, Interest(command.groups))
    await watch.start()
    session.stop_watching()
    if command.groups:
        session.tells_uids = True
        await news.tell(session, News.ALL)  # RFC 5465 §3.1
    session.watch = watch
    if command.status:
        await watch.tell_status()
    return ok("NOTIFY completed")
