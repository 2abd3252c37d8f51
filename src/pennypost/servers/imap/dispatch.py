"""Which handler carries which command, and what comes after it."""

from collections.abc import Awaitable, Callable
from typing import Any

from pennypost.model.errors import MailError
from pennypost.proto.imap.commands import CommandBody
from pennypost.proto.imap.commands.acl import DeleteAcl, GetAcl, ListRights, MyRights, SetAcl
from pennypost.proto.imap.commands.authenticate import Authenticate
from pennypost.proto.imap.commands.cancelupdate import CancelUpdate
from pennypost.proto.imap.commands.capability import Capability
from pennypost.proto.imap.commands.catenate import Catenate
from pennypost.proto.imap.commands.check import Check
from pennypost.proto.imap.commands.close import Close, Unselect
from pennypost.proto.imap.commands.compress import Compress
from pennypost.proto.imap.commands.copy import Copy
from pennypost.proto.imap.commands.create import Create
from pennypost.proto.imap.commands.delete import Delete
from pennypost.proto.imap.commands.enable import Enable
from pennypost.proto.imap.commands.esearch import SearchMailboxes
from pennypost.proto.imap.commands.expunge import Expunge
from pennypost.proto.imap.commands.fetch import Fetch
from pennypost.proto.imap.commands.id import Id
from pennypost.proto.imap.commands.idle import Idle
from pennypost.proto.imap.commands.language import Language
from pennypost.proto.imap.commands.list import List, Lsub
from pennypost.proto.imap.commands.login import Login
from pennypost.proto.imap.commands.logout import Logout
from pennypost.proto.imap.commands.metadata import GetMetadata, SetMetadata
from pennypost.proto.imap.commands.move import Move
from pennypost.proto.imap.commands.namespace import Namespace
from pennypost.proto.imap.commands.noop import Noop
from pennypost.proto.imap.commands.notify import Notify
from pennypost.proto.imap.commands.quota import GetQuota, GetQuotaRoot, SetQuota
from pennypost.proto.imap.commands.rename import Rename
from pennypost.proto.imap.commands.search import Search
from pennypost.proto.imap.commands.select import Examine, Select
from pennypost.proto.imap.commands.sort import Sort
from pennypost.proto.imap.commands.starttls import StartTls
from pennypost.proto.imap.commands.status import Status
from pennypost.proto.imap.commands.store import Store
from pennypost.proto.imap.commands.subscribe import Subscribe, Unsubscribe
from pennypost.proto.imap.commands.thread import Thread
from pennypost.proto.imap.commands.uidbatches import UidBatches
from pennypost.proto.imap.commands.unauthenticate import Unauthenticate
from pennypost.proto.imap.commands.urlauth import GenUrlAuth, ResetKey, UrlFetch
from pennypost.proto.imap.responses.status import Condition, Tagged
from pennypost.servers.imap import message_limit, news, progress, search_result
from pennypost.servers.imap.acl import deleteacl, getacl, listrights, myrights, setacl
from pennypost.servers.imap.append import catenate
from pennypost.servers.imap.authenticate import authenticate
from pennypost.servers.imap.capability import capability
from pennypost.servers.imap.check import check
from pennypost.servers.imap.close import close, unselect
from pennypost.servers.imap.compress import compress
from pennypost.servers.imap.contexts import cancelupdate
from pennypost.servers.imap.copy import copy
from pennypost.servers.imap.create import create
from pennypost.servers.imap.delete import delete
from pennypost.servers.imap.enable import enable
from pennypost.servers.imap.errors import Refused
from pennypost.servers.imap.esearch import esearch
from pennypost.servers.imap.expunge import expunge
from pennypost.servers.imap.fetch import fetch
from pennypost.servers.imap.id import identify
from pennypost.servers.imap.idle import idle
from pennypost.servers.imap.language import language
from pennypost.servers.imap.list import list_mailboxes
from pennypost.servers.imap.login import login
from pennypost.servers.imap.logout import logout
from pennypost.servers.imap.lsub import lsub
from pennypost.servers.imap.metadata import getmetadata, setmetadata
from pennypost.servers.imap.move import move
from pennypost.servers.imap.namespace import namespace
from pennypost.servers.imap.news import News
from pennypost.servers.imap.noop import noop
from pennypost.servers.imap.notify import notify
from pennypost.servers.imap.quota import getquota, getquotaroot, setquota
from pennypost.servers.imap.rename import rename
from pennypost.servers.imap.search import search
from pennypost.servers.imap.select import examine, select
from pennypost.servers.imap.session import Session
from pennypost.servers.imap.sort import sort
from pennypost.servers.imap.starttls import starttls
from pennypost.servers.imap.status import status
from pennypost.servers.imap.store import store
from pennypost.servers.imap.subscribe import subscribe, unsubscribe
from pennypost.servers.imap.thread import thread
from pennypost.servers.imap.uid_only import refuse_numbers
from pennypost.servers.imap.uidbatches import uidbatches
from pennypost.servers.imap.unauthenticate import unauthenticate
from pennypost.servers.imap.urlauth import genurlauth, resetkey, urlfetch

Handler = Callable[[Session, Any], Awaitable[Tagged]]
"""Carries one command: writes untagged responses and gives the tagged one, or raises MailError or Refused."""

HANDLERS: dict[type, Handler] = {
    Authenticate: authenticate,
    CancelUpdate: cancelupdate,
    Capability: capability,
    Catenate: catenate,
    Check: check,
    Close: close,
    Compress: compress,
    Copy: copy,
    Create: create,
    Delete: delete,
    DeleteAcl: deleteacl,
    Enable: enable,
    Examine: examine,
    Expunge: expunge,
    Fetch: fetch,
    GenUrlAuth: genurlauth,
    GetAcl: getacl,
    GetMetadata: getmetadata,
    GetQuota: getquota,
    GetQuotaRoot: getquotaroot,
    Id: identify,
    Idle: idle,
    Language: language,
    List: list_mailboxes,
    ListRights: listrights,
    Login: login,
    Logout: logout,
    Lsub: lsub,
    Move: move,
    MyRights: myrights,
    Namespace: namespace,
    Noop: noop,
    Notify: notify,
    Rename: rename,
    ResetKey: resetkey,
    Search: search,
    SearchMailboxes: esearch,
    Select: select,
    SetAcl: setacl,
    SetMetadata: setmetadata,
    SetQuota: setquota,
    Sort: sort,
    StartTls: starttls,
    Status: status,
    Store: store,
    Subscribe: subscribe,
    Thread: thread,
    UidBatches: uidbatches,
    Unauthenticate: unauthenticate,
    Unselect: unselect,
    Unsubscribe: unsubscribe,
    UrlFetch: urlfetch,
}
"""Every command but APPEND with a literal, which begins before it is whole: `append.append`."""


_READING = (Check, Fetch, Noop, Search, Sort, Thread)
"""Commands that change nothing that they do not tell themselves: what the look before them found is told after them, as
far as it was not allowed before; what came while they ran, with the next command."""


async def handle(session: Session, body: CommandBody) -> Tagged:
    """Carry a whole command. Before and after it, tell what others changed in the open mailbox, as far as it allows.

    STORE does the first itself: what it tells of flags has to be true after it.
    """
    if session.uid_only:
        refuse_numbers(body)
    which = news.allowed(body)
    session.tells_uids = session.rev2 or session.condstore or goes_by_uid(body)
    if session.selected is not None and which is not News.NONE and not isinstance(body, Store):
        await news.tell(session, News.NO_EXPUNGE)
    try:
        message_limit.refuse(session, body)
        with progress.told(session, body):
            tagged = await HANDLERS[type(body)](session, body)
    except (MailError, Refused):
        search_result.forget(session, body)
        raise
    await news.tell(session, which, answers=isinstance(body, Expunge | Move), looked=isinstance(body, _READING))
    news.tell_settled(session)
    if session.watch is not None and tagged.condition is Condition.OK:
        session.watch.note(body)
    return message_limit.told(session, tagged) if session.limited_to else tagged


def goes_by_uid(body: CommandBody) -> bool:
    """Whether a command is one of the UID commands (RFC 9051 §6.4.9: FETCH responses to it have the UID)."""
    match body:
        case Fetch(uid=True) | Store(uid=True) | Search(uid=True) | Copy(uid=True) | Move(uid=True):
            return True
        case Sort(search=search) | Thread(search=search) | SearchMailboxes(search=search):
            return search.uid
        case Expunge(uids=uids):
            return uids is not None
        case Catenate(uid=uid):
            return uid
    return False
