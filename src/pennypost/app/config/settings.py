"""Config: everything that can be set, section by section."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from pennypost.app.config.reader import derived
from pennypost.mail.forwarding import ForwardingSettings
from pennypost.mail.judge import JunkSettings
from pennypost.mail.limit_settings import DefenceSettings, SendingSettings
from pennypost.mail.own_policy import StsSettings
from pennypost.mail.queue.settings import QueueSettings
from pennypost.mail.relay_settings import RelaySettings
from pennypost.mail.screening_settings import ScreeningSettings
from pennypost.mail.settings import AuthSettings, DeliverySettings
from pennypost.mail.signing import SigningSettings
from pennypost.mail.tls_reports import TlsReportSettings
from pennypost.mail.verification_settings import VerificationSettings
from pennypost.model.bounds import bounded
from pennypost.model.errors import ConfigProblem
from pennypost.net.endpoint import HOST_NAME, Endpoint, TcpEndpoint
from pennypost.net.settings import ListenerLimits, ResolverSettings, TlsSettings
from pennypost.servers.http.settings import HttpSettings
from pennypost.servers.imap.settings import ImapSettings
from pennypost.servers.pop3.settings import Pop3Settings
from pennypost.servers.smtp.settings import SmtpSettings
from pennypost.store.settings import StoreSettings

DEFAULT_DATA_DIR = Path("/var/lib/pennypost")

SMTP_PORT = 25

MAX_DEFAULT_WORKERS = 4
"""Past this the disk, not the processor, bounds an embedded store."""


SEPARATORS = "!#$%&'*+-/=?^_`{|}~"
"""What may part a subaddress from its user: the atext that is neither letter nor digit (RFC 5322 §3.2.3)."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The machine and the process."""

    hostname: str = ""
    """Our name in greetings, EHLO and Received fields (RFC 5321 §2.3.5). Empty: the machine's own name."""

    data_dir: Path = DEFAULT_DATA_DIR
    """Where all mail is. One folder is one server."""

    run_dir: Path | None = None
    """Sockets between workers, and figures they share; "none" is `run` in the data folder."""

    workers: int | Literal["auto"] = "auto"
    """Processes that serve. "auto": as many as processor cores, at most 4."""

    user: str = ""
    """Whom to become once the ports are bound, when started as root. Empty: stay who we are."""

    group: str = ""
    """The group to become. Empty: the primary group of `user`."""

    busy_poll: bool = True
    """Look for the next command of a lone client for a third of a millisecond before sleeping, while it is as quick as
    that. It waits up to a sixth less; a processor is busy meanwhile. Never where there is only one, or the
    process's control group grants less than two (`cpu.max`); quotas of other kinds are not seen."""

    stop_time: timedelta = timedelta(seconds=10)
    """How long sessions may take to finish when the server stops."""

    @property
    def own_hostname(self) -> str:
        return self.hostname or socket.gethostname()

    @property
    def worker_count(self) -> int:
        if isinstance(self.workers, int):
            return self.workers
        return max(1, min(MAX_DEFAULT_WORKERS, len(os.sched_getaffinity(0))))

    @property
    def run_folder(self) -> Path:
        return self.run_dir if self.run_dir is not None else self.data_dir / "run"

    def __post_init__(self) -> None:
        if self.hostname and HOST_NAME.fullmatch(self.hostname) is None:
            raise ValueError('hostname: expected a name in ASCII, as "mx.example.org"')
        if isinstance(self.workers, int):
            bounded(self, "workers", least=1, most=256)


def _on(port: int) -> tuple[Endpoint, ...]:
    return (TcpEndpoint("*", port),)


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """Where each door listens: an address, a list of them, or "off".

    An address is "host:port", "[IPv6]:port", "*:port" for every address, or "unix:/path" for a Unix socket.
    """

    smtp: tuple[Endpoint, ...] = _on(25)
    """Mail from other servers (RFC 5321)."""

    submission: tuple[Endpoint, ...] = _on(587)
    """Mail from our users, with STARTTLS (RFC 6409)."""

    submissions: tuple[Endpoint, ...] = _on(465)
    """Mail from our users, under TLS from the start (RFC 8314 §3.3)."""

    lmtp: tuple[Endpoint, ...] = ()
    """Mail from programs of this machine that we deliver for (RFC 2033): a Unix socket, or a loopback port."""

    imap: tuple[Endpoint, ...] = _on(143)
    """IMAP with STARTTLS (RFC 9051)."""

    imaps: tuple[Endpoint, ...] = _on(993)
    """IMAP under TLS from the start (RFC 8314 §3.2)."""

    pop3: tuple[Endpoint, ...] = _on(110)
    """POP3 with STLS (RFC 1939, RFC 2595)."""

    pop3s: tuple[Endpoint, ...] = _on(995)
    """POP3 under TLS from the start (RFC 8314 §3.1)."""

    http: tuple[Endpoint, ...] = (TcpEndpoint("127.0.0.1", 8025),)
    """Metrics and health. Whoever reaches it can read the figures: leave it on loopback."""

    def __post_init__(self) -> None:
        if any(isinstance(endpoint, TcpEndpoint) and endpoint.port == SMTP_PORT for endpoint in self.lmtp):
            raise ValueError(f"lmtp: not on port {SMTP_PORT}, which is SMTP's (RFC 2033 §5)")


class LogFormat(Enum):
    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


class LogLevel(Enum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is written to standard error."""

    level: LogLevel = LogLevel.INFO
    """The least severity that is written."""

    format: LogFormat = LogFormat.AUTO
    """"console": key=value. "json": one object a line. "auto": console on a terminal, else json."""


@dataclass(frozen=True, slots=True)
class DnsSettings(ResolverSettings):
    """Whom we ask for names."""

    resolvers: tuple[TcpEndpoint, ...] = ()
    """"host:port" of resolvers, tried in turn, best one on this machine that validates DNSSEC; "off": those of
    /etc/resolv.conf. The host is an IP address."""

    @property
    def servers(self) -> tuple[tuple[str, int], ...]:
        return tuple((endpoint.host, endpoint.port) for endpoint in self.resolvers)

    def __post_init__(self) -> None:
        ResolverSettings.__post_init__(self)
        for endpoint in self.resolvers:
            try:
                ip_address(endpoint.host)
            except ValueError:
                raise ValueError('resolvers: expected IP addresses and ports, as "127.0.0.1:53"') from None


class CleartextLogin(Enum):
    NEVER = "never"
    LOOPBACK = "loopback"


@dataclass(frozen=True, slots=True)
class AuthenticationSettings(AuthSettings):
    """How passwords are kept and guessed at."""

    allow_cleartext_login: CleartextLogin = CleartextLogin.NEVER
    """Who may send a password without TLS: nobody, or clients on a loopback address."""

    @property
    def in_clear_on_loopback(self) -> bool:
        return self.allow_cleartext_login is CleartextLogin.LOOPBACK


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be set."""

    server: ServerSettings = field(default_factory=ServerSettings)
    listeners: ListenerSettings = field(default_factory=ListenerSettings)
    tls: TlsSettings = field(default_factory=TlsSettings)
    limits: ListenerLimits = field(default_factory=ListenerLimits)
    auth: AuthenticationSettings = field(default_factory=AuthenticationSettings)
    store: StoreSettings = field(
        default_factory=lambda: StoreSettings(DEFAULT_DATA_DIR), metadata=derived("data_dir", "run_dir")
    )
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    forwarding: ForwardingSettings = field(default_factory=ForwardingSettings)
    dkim: SigningSettings = field(default_factory=SigningSettings)
    junk: JunkSettings = field(default_factory=JunkSettings)
    relay: RelaySettings = field(default_factory=RelaySettings)
    sts: StsSettings = field(default_factory=StsSettings)
    tls_reports: TlsReportSettings = field(default_factory=TlsReportSettings)
    queue: QueueSettings = field(default_factory=QueueSettings)
    verification: VerificationSettings = field(default_factory=VerificationSettings)
    screening: ScreeningSettings = field(default_factory=ScreeningSettings)
    defence: DefenceSettings = field(default_factory=DefenceSettings)
    sending: SendingSettings = field(default_factory=SendingSettings)
    smtp: SmtpSettings = field(default_factory=SmtpSettings, metadata=derived("clear_text_login_on_loopback"))
    imap: ImapSettings = field(default_factory=ImapSettings, metadata=derived("clear_text_login_on_loopback"))
    pop3: Pop3Settings = field(default_factory=Pop3Settings, metadata=derived("clear_text_login_on_loopback"))
    http: HttpSettings = field(default_factory=HttpSettings)

    @property
    def pop3_settings(self) -> Pop3Settings:
        """The settings of the POP3 door."""
        return replace(self.pop3, clear_text_login_on_loopback=self.auth.in_clear_on_loopback)

    @property
    def smtp_settings(self) -> SmtpSettings:
        """The settings of the doors for incoming mail."""
        return replace(self.smtp, clear_text_login_on_loopback=self.auth.in_clear_on_loopback)

    @property
    def imap_settings(self) -> ImapSettings:
        """The settings of the IMAP door."""
        return replace(self.imap, clear_text_login_on_loopback=self.auth.in_clear_on_loopback)

    @property
    def store_settings(self) -> StoreSettings:
        """The store's settings, with its folders, which are the server's."""
        return replace(self.store, data_dir=self.server.data_dir, run_dir=self.server.run_folder)

    log: LogSettings = field(default_factory=LogSettings)
    dns: DnsSettings = field(default_factory=DnsSettings)


def check_together(config: Config) -> Iterator[ConfigProblem]:
    """Find what no section can see alone."""
    seen: dict[Endpoint, str] = {}
    for name in ListenerSettings.__dataclass_fields__:
        for endpoint in getattr(config.listeners, name):
            if isinstance(endpoint, TcpEndpoint) and endpoint.port == 0:
                continue
            if endpoint in seen:
                yield ConfigProblem(f"listeners.{name}", f"{endpoint} is taken by listeners.{seen[endpoint]}")
            seen[endpoint] = name
    separator = config.store.subaddress_separator
    if len(separator) > 1 or separator not in SEPARATORS:
        yield ConfigProblem(
            "store.subaddress_separator", f"expected one of {SEPARATORS} or an empty text, not {separator!r}"
        )
