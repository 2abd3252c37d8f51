"""What can be set of the HTTP door."""

from dataclasses import dataclass

from pennypost.model.secret import Secret


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Metrics and health over HTTP."""

    metrics_token: Secret | None = None
    """When set, /metrics wants it as a bearer token (RFC 6750 §2.1). "none": whoever reaches the door may read them."""

    max_connections: int = 100
    """Connections of one worker; past it the answer is 503."""
