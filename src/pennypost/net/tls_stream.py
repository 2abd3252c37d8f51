"""TLS between octets in memory: what is received goes in, what is to be sent comes out, no socket anywhere.

Theory of operation. asyncio's own TLS replaces a connection's transport under way, and the octets that are in flight
meanwhile are where servers lose data or take clear text for encrypted. Here the transport never changes: a connection
that becomes encrypted passes its octets through this object from then on, in one synchronous step. It also costs less
memory: no read buffer for each connection, and OpenSSL gives its own back while it is idle.
"""

import ssl
from contextlib import suppress

_RECORD_OCTETS = 16 * 1024
"""The most one TLS record carries (RFC 8446 §5.1). Feeding by records keeps OpenSSL's memory buffers that small."""


class NamedSSLObject(ssl.SSLObject):
    """An SSLObject that remembers the server name the client asked for (RFC 6066 §3)."""

    asked_name: str | None = None


class TlsStream:
    """One end of a TLS connection: the server's, or a client's, which calls `begin` first.

    `server_name`: whom the client asks for (RFC 6066 §3), and what the certificate is held against where the context
    says so; None asks for nobody. `established`: the handshake is over.
    """

    __slots__ = ("_incoming", "_outgoing", "_ssl", "established")

    def __init__(self, context: ssl.SSLContext, *, server_side: bool = True, server_name: str | None = None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side, server_name)
        self.established = False

    @property
    def ssl_object(self) -> ssl.SSLObject:
        return self._ssl

    def begin(self) -> bytes:
        """Give a client's first octets."""
        with suppress(ssl.SSLWantReadError):
            self._ssl.do_handshake()
        return self.output()

    def receive(self, data: bytes) -> tuple[bytes, bool]:
        """Take octets from the peer; give the clear text they complete, and whether the peer ended the stream.

        Look at `output` afterwards, also after ssl.SSLError, which is raised for whatever is wrong.
        """
        clear: list[bytes] = []
        ended = False
        if len(data) <= _RECORD_OCTETS:
            ended = self._receive_piece(data, clear)
        else:
            view = memoryview(data)
            for start in range(0, len(data), _RECORD_OCTETS):
                if self._receive_piece(view[start : start + _RECORD_OCTETS], clear):
                    ended = True
                    break
        return (clear[0] if len(clear) == 1 else b"".join(clear)), ended

    def _receive_piece(self, piece: bytes | memoryview, clear: list[bytes]) -> bool:
        incoming, stream = self._incoming, self._ssl
        incoming.write(piece)
        try:
            if not self.established:
                stream.do_handshake()
                self.established = True
            while incoming.pending or stream.pending():
                octets = stream.read(_RECORD_OCTETS)
                if not octets:
                    return True
                clear.append(octets)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            return True
        return False

    def encrypt(self, data: bytes) -> bytes:
        """Turn clear text into records to be sent."""
        stream, outgoing = self._ssl, self._outgoing
        if len(data) <= _RECORD_OCTETS:
            stream.write(data)
            return outgoing.read()
        view = memoryview(data)
        records: list[bytes] = []
        for start in range(0, len(data), _RECORD_OCTETS):
            stream.write(view[start : start + _RECORD_OCTETS])
            records.append(outgoing.read())
        return b"".join(records)

    def output(self) -> bytes:
        """Take what OpenSSL itself has to say: handshake, alerts, key updates."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def end(self) -> bytes:
        """Give the close_notify alert that ends our side (RFC 8446 §6.1)."""
        if self.established:
            with suppress(ssl.SSLError):  # it waits for the peer's own close_notify, which we do not need
                self._ssl.unwrap()
        return self.output()
