"""What can be set of the HTTP door."""

from dataclasses import dataclass

from pennypost.model.bounds import bounded
from pennypost.model.secret import Secret


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Metrics, health, MTA-STS policies and settings of mail programs, over HTTP. A web server before it leads HTTPS of
    the names mta-sts, autoconfig and autodiscover of each domain here: metrics are nobody's business there."""

    metrics_token: Secret | None = None
    """When set, /metrics wants it as a bearer token (RFC 6750 §2.1). "none": whoever reaches the door may read them."""

    max_connections: int = 100
    """Connections of one worker; past it the answer is 503, past twice as many there is none."""

    def __post_init__(self) -> None:
        bounded(self, "max_connections", least=1)
