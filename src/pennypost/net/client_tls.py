"""TLS contexts for connections that we make: opportunistic, and verified against authorities (RFC 7435, RFC 9325)."""

import ssl
from functools import cached_property

from pennypost.net.settings import TlsSettings
from pennypost.net.tls import client_context


class ClientTls:
    """The contexts of outbound connections. They are made when they are first asked for, and kept."""

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings

    @cached_property
    def verified(self) -> ssl.SSLContext:
        """The certificate has to be valid for the name that is asked for (RFC 6125)."""
        return client_context(self._settings)

    @cached_property
    def any(self) -> ssl.SSLContext:
        """Any certificate will do: nobody vouches for the peer, or DANE does, which looks at the chain itself."""
        context = client_context(self._settings)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
