"""Which doors are open to mail programs from elsewhere, by the names that the DNS has for them."""

from ipaddress import ip_address

from pennypost.app.config.settings import Config
from pennypost.mail.client_settings import ClientSettings, MailDoor
from pennypost.mail.dns_plan import Service
from pennypost.net.endpoint import Endpoint, TcpEndpoint

_SERVICES = (
    ("submissions", "smtp", 0),
    ("submission", "smtp", 1),
    ("imaps", "imap", 0),
    ("imap", "imap", 1),
    ("pop3s", "pop3", 10),
    ("pop3", "pop3", 11),
)
"""Names of services, which are those of the doors that serve them, too; the protocol; and which is liked better (RFC
8314 §5.1: TLS from the start)."""


def services(config: Config) -> list[Service]:
    """Give the services that clients look for (RFC 6186, RFC 8314 §5.1), with port 0 for what is closed."""
    return [Service(name, _port(config, name), priority) for name, _, priority in _SERVICES]


def client_settings(config: Config) -> ClientSettings:
    """Give what mail programs have to know."""
    doors = [
        MailDoor(protocol, port, name.endswith("s")) for name, protocol, _ in _SERVICES if (port := _port(config, name))
    ]
    return ClientSettings(config.server.own_hostname, doors)


def _port(config: Config, door: str) -> int:
    endpoints: tuple[Endpoint, ...] = getattr(config.listeners, door)
    ports = [e.port for e in endpoints if isinstance(e, TcpEndpoint) and e.port and not _is_loopback(e.host)]
    return ports[0] if ports else 0


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
