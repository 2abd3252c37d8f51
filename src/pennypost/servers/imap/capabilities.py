"""What the server says it can do: by state, TLS and settings (RFC 9051 §6.1.1, §7.2.2)."""

from typing import TYPE_CHECKING

from pennypost.net.connection import Connection
from pennypost.proto import sasl

if TYPE_CHECKING:
    from pennypost.servers.imap.session import Session
    from pennypost.servers.imap.settings import ImapSettings

ENABLED_NAMES: dict[bytes, bytes] = {
    b"IMAP4REV2": b"IMAP4rev2",
    b"CONDSTORE": b"CONDSTORE",
    b"QRESYNC": b"QRESYNC",
    b"UIDONLY": b"UIDONLY",
    b"UTF8=ACCEPT": b"UTF8=ACCEPT",
}
"""What ENABLE can switch on: the name in capitals, and as it is written (RFC 9051 §6.3.1)."""

_ALWAYS = (b"IMAP4rev2", b"IMAP4rev1", b"LITERAL+", b"SASL-IR", b"ID", b"ENABLE", b"LANGUAGE", b"LOGIN-REFERRALS")

_AFTER_LOGIN = (
    b"IDLE",  # RFC 2177
    b"NAMESPACE",  # RFC 2342
    b"CHILDREN",  # RFC 3348
    b"UNSELECT",  # RFC 3691
    b"UIDPLUS",  # RFC 4315
    b"ESEARCH",  # RFC 4731
    b"MULTISEARCH",  # RFC 7377
    b"SEARCHRES",  # RFC 5182
    b"WITHIN",  # RFC 5032
    b"SORT",  # RFC 5256
    b"THREAD=ORDEREDSUBJECT",
    b"THREAD=REFERENCES",
    b"THREAD=REFS",
    b"ESORT",  # RFC 5267
    b"CONTEXT=SEARCH",
    b"CONTEXT=SORT",
    b"SEARCH=FUZZY",  # RFC 6203
    b"SORT=DISPLAY",  # RFC 5957
    b"LIST-EXTENDED",  # RFC 5258
    b"LIST-STATUS",  # RFC 5819
    b"SPECIAL-USE",  # RFC 6154
    b"CREATE-SPECIAL-USE",
    b"MOVE",  # RFC 6851
    b"CONDSTORE",  # RFC 7162
    b"QRESYNC",
    b"BINARY",  # RFC 3516
    b"STATUS=SIZE",  # RFC 8438
    b"ACL",  # RFC 4314
    b"RIGHTS=kxte",
    b"LIST-MYRIGHTS",  # RFC 8440
    b"METADATA",  # RFC 5464
    b"LIST-METADATA",  # RFC 9590
    b"FILTERS",  # RFC 5466
    b"CATENATE",  # RFC 4469
    b"URLAUTH",  # RFC 4467
    b"URL-PARTIAL",  # RFC 5550
    b"MULTIAPPEND",  # RFC 3502
    b"REPLACE",  # RFC 8508
    b"STATUS=DELETED",  # RFC 9051 §6.3.11
    b"UNAUTHENTICATE",  # RFC 8437
    b"OBJECTID",  # RFC 8474
    b"NOTIFY",  # RFC 5465
    b"SAVEDATE",  # RFC 8514
    b"PREVIEW",  # RFC 8970
    b"PARTIAL",  # RFC 9394
    b"INPROGRESS",  # RFC 9585
    b"UIDONLY",  # RFC 9586
    b"UTF8=ACCEPT",  # RFC 9755
    b"UIDBATCHES",  # RFC 10022
    b"I18NLEVEL=1",  # RFC 5255
    b"XLIST",
)

_QUOTA = (  # RFC 9208
    b"QUOTA",
    b"QUOTA=RES-STORAGE",
    b"QUOTA=RES-MESSAGE",
    b"QUOTA=RES-MAILBOX",
    b"QUOTA=RES-ANNOTATION-STORAGE",
)


def offered(session: "Session") -> list[bytes]:
    """List the capabilities of a session as it is now."""
    settings = session.door.settings
    if session.account is not None:
        quota = _QUOTA if settings.quota_visible else ()
        if session.owner.name in settings.administrators:
            quota = (*quota, b"QUOTASET")
        compress = () if session.compression is not None else (b"COMPRESS=DEFLATE",)  # RFC 4978 §3
        limits = [b"APPENDLIMIT=%d" % session.door.max_message_size]
        if settings.message_limit:  # RFC 9738 §3
            limits.append(b"MESSAGELIMIT=%d" % settings.message_limit)
        elif settings.save_limit:
            limits.append(b"SAVELIMIT=%d" % settings.save_limit)
        return [*_ALWAYS, *_AFTER_LOGIN, *compress, *quota, *limits]
    names = list(_ALWAYS)
    if session.connection.tls is None and session.door.offers_starttls:
        names.append(b"STARTTLS")
    if not clear_text_allowed(session.connection, settings):
        names.append(b"LOGINDISABLED")  # RFC 9051 §6.2.3
    names += [b"AUTH=" + name.encode("ascii") for name in mechanisms(session.connection, settings)]
    return names


def clear_text_allowed(connection: Connection, settings: "ImapSettings") -> bool:
    """Whether a password may be shown on this connection (RFC 9051 §11.3)."""
    if connection.tls is not None:
        return True
    ip = connection.peer.ip
    return settings.clear_text_login_on_loopback and (ip is None or ip.is_loopback)


def mechanisms(connection: Connection, settings: "ImapSettings") -> tuple[str, ...]:
    """List the SASL mechanisms that may be used on a connection."""
    tls = connection.tls
    return sasl.mechanisms(
        tls=tls is not None,
        channel_binding=tls is not None and bool(tls.server_end_point),
        allow_cleartext=clear_text_allowed(connection, settings),
    )
