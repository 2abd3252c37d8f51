"""Every command: its verb, its dataclass, where it may come and where it leads. One file each, named as the command.

A command file holds a frozen dataclass and the function that reads its arguments, with the cursor on what follows the
verb (a space, or the end). `COMMANDS` is the state table of RFC 9051 §3 and §6: a verb it does not list is unknown,
one that comes in a state it does not list is BAD.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pennypost.proto.imap.commands.acl import (
    DeleteAcl,
    GetAcl,
    ListRights,
    MyRights,
    SetAcl,
    parse_deleteacl,
    parse_getacl,
    parse_listrights,
    parse_myrights,
    parse_setacl,
)
from pennypost.proto.imap.commands.append import Append, begin_append, end_append, parse_append
from pennypost.proto.imap.commands.authenticate import Authenticate, parse_authenticate
from pennypost.proto.imap.commands.cancelupdate import CancelUpdate, parse_cancelupdate
from pennypost.proto.imap.commands.capability import Capability, parse_capability
from pennypost.proto.imap.commands.catenate import AppendRest, Catenate, CatenateText
from pennypost.proto.imap.commands.check import Check, parse_check
from pennypost.proto.imap.commands.close import Close, Unselect, parse_close, parse_unselect
from pennypost.proto.imap.commands.compress import Compress, parse_compress
from pennypost.proto.imap.commands.copy import Copy, parse_copy, parse_uid_copy
from pennypost.proto.imap.commands.create import Create, parse_create
from pennypost.proto.imap.commands.delete import Delete, parse_delete
from pennypost.proto.imap.commands.enable import Enable, parse_enable
from pennypost.proto.imap.commands.esearch import SearchMailboxes, parse_esearch
from pennypost.proto.imap.commands.expunge import Expunge, parse_expunge, parse_uid_expunge
from pennypost.proto.imap.commands.fetch import Fetch, parse_fetch, parse_uid_fetch
from pennypost.proto.imap.commands.id import Id, parse_id
from pennypost.proto.imap.commands.idle import Idle, parse_idle
from pennypost.proto.imap.commands.language import Language, parse_language
from pennypost.proto.imap.commands.list import List, Lsub, parse_list, parse_lsub, parse_xlist
from pennypost.proto.imap.commands.login import Login, parse_login
from pennypost.proto.imap.commands.logout import Logout, parse_logout
from pennypost.proto.imap.commands.metadata import GetMetadata, SetMetadata, parse_getmetadata, parse_setmetadata
from pennypost.proto.imap.commands.move import Move, parse_move, parse_uid_move
from pennypost.proto.imap.commands.namespace import Namespace, parse_namespace
from pennypost.proto.imap.commands.noop import Noop, parse_noop
from pennypost.proto.imap.commands.notify import Notify, parse_notify
from pennypost.proto.imap.commands.quota import (
    GetQuota,
    GetQuotaRoot,
    SetQuota,
    parse_getquota,
    parse_getquotaroot,
    parse_setquota,
)
from pennypost.proto.imap.commands.rename import Rename, parse_rename
from pennypost.proto.imap.commands.replace import (
    begin_replace,
    begin_uid_replace,
    end_replace,
    parse_replace,
    parse_uid_replace,
)
from pennypost.proto.imap.commands.search import Search, parse_search, parse_uid_search
from pennypost.proto.imap.commands.select import Examine, Select, parse_examine, parse_select
from pennypost.proto.imap.commands.sort import Sort, parse_sort, parse_uid_sort
from pennypost.proto.imap.commands.starttls import StartTls, parse_starttls
from pennypost.proto.imap.commands.status import Status, parse_status
from pennypost.proto.imap.commands.store import Store, parse_store, parse_uid_store
from pennypost.proto.imap.commands.subscribe import Subscribe, Unsubscribe, parse_subscribe, parse_unsubscribe
from pennypost.proto.imap.commands.thread import Thread, parse_thread, parse_uid_thread
from pennypost.proto.imap.commands.uidbatches import UidBatches, parse_uidbatches
from pennypost.proto.imap.commands.unauthenticate import Unauthenticate, parse_unauthenticate
from pennypost.proto.imap.commands.urlauth import (
    GenUrlAuth,
    ResetKey,
    UrlFetch,
    parse_genurlauth,
    parse_resetkey,
    parse_urlfetch,
)
from pennypost.proto.imap.reader import Reader
from pennypost.proto.imap.states import ANY_STATE, AUTHENTICATED, NOT_AUTHENTICATED, SELECTED, State

CommandBody = (
    Append
    | Authenticate
    | CancelUpdate
    | Capability
    | Catenate
    | Check
    | Close
    | Compress
    | Copy
    | Create
    | Delete
    | DeleteAcl
    | Enable
    | Examine
    | Expunge
    | Fetch
    | GenUrlAuth
    | GetAcl
    | GetMetadata
    | GetQuota
    | GetQuotaRoot
    | Id
    | Idle
    | Language
    | List
    | ListRights
    | Login
    | Logout
    | Lsub
    | Move
    | MyRights
    | Namespace
    | Noop
    | Notify
    | Rename
    | ResetKey
    | Search
    | SearchMailboxes
    | Select
    | SetAcl
    | SetMetadata
    | SetQuota
    | Sort
    | StartTls
    | Status
    | Store
    | Subscribe
    | Thread
    | UidBatches
    | Unauthenticate
    | Unselect
    | Unsubscribe
    | UrlFetch
)


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """One command. `states`: where it may come. `on_ok`, `on_no`: the state after a tagged OK or NO; None keeps it.
    `literal8`: its arguments may be literals that hold NUL.

    A command that carries a message has two more. `begin` reads it up to the literal at its end, or gives None when
    that literal is an ordinary argument; `end` reads what is left of the line after a message,
    given what was read before it: nothing, the beginning of one more message, or parts of this one (CATENATE).
    """

    parse: Callable[[Reader], CommandBody]
    states: tuple[State, ...]
    on_ok: State | None = None
    on_no: State | None = None
    begin: Callable[[Reader], Append | None] | None = None
    end: Callable[[Reader, Append], Append | CatenateText | AppendRest] | None = None
    literal8: bool = False


COMMANDS: dict[bytes, CommandSpec] = {
    # RFC 9051 §6.1, any state
    b"CAPABILITY": CommandSpec(parse_capability, ANY_STATE),
    b"NOOP": CommandSpec(parse_noop, ANY_STATE),
    b"LOGOUT": CommandSpec(parse_logout, ANY_STATE, on_ok=State.LOGOUT),
    b"ID": CommandSpec(parse_id, ANY_STATE),
    b"LANGUAGE": CommandSpec(parse_language, ANY_STATE),
    # RFC 9051 §6.2, not authenticated
    b"STARTTLS": CommandSpec(parse_starttls, NOT_AUTHENTICATED),
    b"AUTHENTICATE": CommandSpec(parse_authenticate, NOT_AUTHENTICATED, on_ok=State.AUTHENTICATED),
    b"LOGIN": CommandSpec(parse_login, NOT_AUTHENTICATED, on_ok=State.AUTHENTICATED),
    # RFC 9051 §6.3, authenticated or selected
    b"COMPRESS": CommandSpec(parse_compress, AUTHENTICATED),
    b"ENABLE": CommandSpec(parse_enable, AUTHENTICATED),
    b"SELECT": CommandSpec(parse_select, AUTHENTICATED, on_ok=State.SELECTED, on_no=State.AUTHENTICATED),
    b"EXAMINE": CommandSpec(parse_examine, AUTHENTICATED, on_ok=State.SELECTED, on_no=State.AUTHENTICATED),
    b"CREATE": CommandSpec(parse_create, AUTHENTICATED),
    b"DELETE": CommandSpec(parse_delete, AUTHENTICATED),
    b"RENAME": CommandSpec(parse_rename, AUTHENTICATED),
    b"SUBSCRIBE": CommandSpec(parse_subscribe, AUTHENTICATED),
    b"UNSUBSCRIBE": CommandSpec(parse_unsubscribe, AUTHENTICATED),
    b"LIST": CommandSpec(parse_list, AUTHENTICATED),
    b"XLIST": CommandSpec(parse_xlist, AUTHENTICATED),
    b"LSUB": CommandSpec(parse_lsub, AUTHENTICATED),
    b"UNAUTHENTICATE": CommandSpec(parse_unauthenticate, AUTHENTICATED, on_ok=State.NOT_AUTHENTICATED),
    b"NAMESPACE": CommandSpec(parse_namespace, AUTHENTICATED),
    b"STATUS": CommandSpec(parse_status, AUTHENTICATED),
    b"APPEND": CommandSpec(parse_append, AUTHENTICATED, begin=begin_append, end=end_append),
    b"IDLE": CommandSpec(parse_idle, AUTHENTICATED),
    b"ESEARCH": CommandSpec(parse_esearch, AUTHENTICATED),  # RFC 7377
    b"NOTIFY": CommandSpec(parse_notify, AUTHENTICATED),
    b"GETQUOTA": CommandSpec(parse_getquota, AUTHENTICATED),
    b"GETQUOTAROOT": CommandSpec(parse_getquotaroot, AUTHENTICATED),
    b"SETQUOTA": CommandSpec(parse_setquota, AUTHENTICATED),
    # RFC 4314 §3
    b"SETACL": CommandSpec(parse_setacl, AUTHENTICATED),
    b"DELETEACL": CommandSpec(parse_deleteacl, AUTHENTICATED),
    b"GETACL": CommandSpec(parse_getacl, AUTHENTICATED),
    b"LISTRIGHTS": CommandSpec(parse_listrights, AUTHENTICATED),
    b"MYRIGHTS": CommandSpec(parse_myrights, AUTHENTICATED),
    # RFC 5464 §4
    b"GETMETADATA": CommandSpec(parse_getmetadata, AUTHENTICATED),
    b"SETMETADATA": CommandSpec(parse_setmetadata, AUTHENTICATED, literal8=True),
    # RFC 4467 §7
    b"GENURLAUTH": CommandSpec(parse_genurlauth, AUTHENTICATED),
    b"URLFETCH": CommandSpec(parse_urlfetch, AUTHENTICATED),
    b"RESETKEY": CommandSpec(parse_resetkey, AUTHENTICATED),
    # RFC 9051 §6.4, selected
    b"CHECK": CommandSpec(parse_check, SELECTED),
    b"CLOSE": CommandSpec(parse_close, SELECTED, on_ok=State.AUTHENTICATED),
    b"UNSELECT": CommandSpec(parse_unselect, SELECTED, on_ok=State.AUTHENTICATED),
    b"EXPUNGE": CommandSpec(parse_expunge, SELECTED),
    b"SEARCH": CommandSpec(parse_search, SELECTED),
    b"SORT": CommandSpec(parse_sort, SELECTED),
    b"CANCELUPDATE": CommandSpec(parse_cancelupdate, SELECTED),  # RFC 5267 §4.3.5
    b"THREAD": CommandSpec(parse_thread, SELECTED),
    b"FETCH": CommandSpec(parse_fetch, SELECTED),
    b"STORE": CommandSpec(parse_store, SELECTED),
    b"COPY": CommandSpec(parse_copy, SELECTED),
    b"MOVE": CommandSpec(parse_move, SELECTED),
    b"UIDBATCHES": CommandSpec(parse_uidbatches, SELECTED),
    b"REPLACE": CommandSpec(parse_replace, SELECTED, begin=begin_replace, end=end_replace),
    # RFC 9051 §6.4.9
    b"UID REPLACE": CommandSpec(parse_uid_replace, SELECTED, begin=begin_uid_replace, end=end_replace),
    b"UID EXPUNGE": CommandSpec(parse_uid_expunge, SELECTED),
    b"UID SEARCH": CommandSpec(parse_uid_search, SELECTED),
    b"UID SORT": CommandSpec(parse_uid_sort, SELECTED),
    b"UID THREAD": CommandSpec(parse_uid_thread, SELECTED),
    b"UID FETCH": CommandSpec(parse_uid_fetch, SELECTED),
    b"UID STORE": CommandSpec(parse_uid_store, SELECTED),
    b"UID COPY": CommandSpec(parse_uid_copy, SELECTED),
    b"UID MOVE": CommandSpec(parse_uid_move, SELECTED),
}
"""By verb, in capitals; UID and the verb after it are one."""
