"""What an administrator can set about limits on strangers, and on our own users."""

from dataclasses import dataclass, fields
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network

from pennypost.model.bounds import bounded, positive_times
from pennypost.model.units import Octets


@dataclass(frozen=True, slots=True)
class DefenceSettings:
    """How much strangers may ask of the doors for incoming mail. 0 is no limit."""

    exempt: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks that are never limited, delayed or banned by themselves. Nobody is without being named, not loopback
    either. `pennypost ban allow` does the same while the server runs."""

    connections_per_minute: int = 0
    """Connections from one address, to all doors together."""

    messages_per_hour: int = 0
    """Messages from one address."""

    recipients_per_hour: int = 0
    """Recipients that one address names."""

    octets_per_hour: Octets = Octets(0)
    """Octets of messages from one address."""

    network_factor: int = 5
    """A network, an IPv4 /24 or an IPv6 /64, may do so many times what one of its addresses may."""

    domain_messages_per_hour: int = 0
    """Messages from senders of one domain, whichever host they come from."""

    recipient_messages_per_hour: int = 0
    """Messages for one recipient, whoever they come from."""

    failures_before_tarpit: int = 300
    """Refused commands and messages of one address after which it waits for each further refusal."""

    tarpit_delay: timedelta = timedelta(seconds=1)
    """How long it waits then."""

    failures_before_ban: int = 3000
    """Refused commands and messages of one address after which it is banned from the door for incoming mail. Doors at
    which one logs in stay open to it: `auth` guards those."""

    failure_time: timedelta = timedelta(hours=1)
    """In which time so many failures are forgotten, little by little."""

    ban_time: timedelta = timedelta(hours=1)
    """How long a ban lasts."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | timedelta):
                bounded(self, field.name, least=type(value)(0))
        bounded(self, "network_factor", least=1)
        positive_times(self, "failure_time", "ban_time")
        bounded(self, "tarpit_delay", most=timedelta(minutes=1))


@dataclass(frozen=True, slots=True)
class SendingSettings:
    """How much one account may send to other hosts, and what makes it look like somebody else's. 0 is no limit. Where
    all are 0 nothing is counted."""

    messages_per_hour: int = 500
    """Messages in one hour of the clock."""

    messages_per_day: int = 2000
    """Messages in 24 hours."""

    recipients_per_hour: int = 2000
    """Recipients in one hour of the clock."""

    recipients_per_day: int = 5000
    """Recipients in 24 hours."""

    new_recipients_per_day: int = 1000
    """Recipients in 24 hours that the account has never written to before."""

    freeze_new_recipients: int = 200
    """First-time recipients in an hour that freeze the account's sending."""

    freeze_new_recipients_elsewhere: int = 50
    """The same when it sends from a network it did not use before."""

    freeze_networks: int = 12
    """Networks (IPv4 /24, IPv6 /64) that send for one account within an hour and freeze its sending."""

    freeze_bounces: int = 100
    """Recipients that bounced within an hour and freeze the account's sending."""

    new_network_time: timedelta = timedelta(days=1)
    """How long a network is new to an account that has sent from others."""

    @property
    def any_limit(self) -> bool:
        """Whether an account is held to anything."""
        return any(isinstance(value := getattr(self, field.name), int) and value for field in fields(self))

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | timedelta):
                bounded(self, field.name, least=type(value)(0))
