"""TLS between octets in memory: any cut, any size, and what a broken peer costs."""

import contextlib
import ssl

import pytest

from pennypost.net.self_signed import ensure_self_signed
from pennypost.net.settings import TlsSettings
from pennypost.net.tls import ServerTls
from pennypost.net.tls_stream import TlsStream


class Client:
    """The other end, in memory too."""

    def __init__(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def shake_hands(self, server: TlsStream) -> None:
        for _ in range(4):
            with contextlib.suppress(ssl.SSLWantReadError):
                self.ssl.do_handshake()
            for octet in self.outgoing.read():
                server.receive(bytes([octet]))
            self.incoming.write(server.output())

    def sent(self, data: bytes) -> bytes:
        self.ssl.write(data)
        return self.outgoing.read()

    def read(self, records: bytes) -> bytes:
        self.incoming.write(records)
        clear = b""
        with contextlib.suppress(ssl.SSLWantReadError):
            while octets := self.ssl.read(65536):
                clear += octets
        return clear


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    return ServerTls(TlsSettings(), (ensure_self_signed(tmp_path_factory.mktemp("tls"), "localhost"),))


@pytest.fixture
def ends(tls):
    server, client = TlsStream(tls.context()), Client()
    client.shake_hands(server)
    assert server.established
    return server, client


@pytest.mark.parametrize("size", [1, 16384, 16385, 100_000])
@pytest.mark.parametrize("cut", [1000, 16384, 10**9])
def test_what_one_end_says_the_other_reads(ends, size, cut):
    server, client = ends
    data = bytes(range(251)) * (size // 251 + 1)
    records = client.sent(data)
    heard = b""
    for start in range(0, len(records), cut):
        clear, ended = server.receive(records[start : start + cut])
        heard += clear
        assert not ended
    assert heard == data
    assert client.read(server.encrypt(data)) == data


def test_the_end_of_the_stream_is_told_with_what_came_before_it(ends):
    server, client = ends
    records = client.sent(b"last words")
    with contextlib.suppress(ssl.SSLError):
        client.ssl.unwrap()
    assert server.receive(records + client.outgoing.read()) == (b"last words", True)


def test_our_end_is_a_close_notify_alert(ends):
    """RFC 8446 §6.1."""
    server, client = ends
    with pytest.raises(ssl.SSLWantReadError):
        client.ssl.read(1)
    client.incoming.write(server.end())
    assert client.ssl.read(1) == b"", "the end, where more octets were awaited before"


def test_octets_that_were_changed_on_the_way_are_an_error(ends):
    server, client = ends
    records = bytearray(client.sent(b"do not touch"))
    records[-1] ^= 1
    with pytest.raises(ssl.SSLError):
        server.receive(bytes(records))


def test_what_is_no_handshake_is_an_error_and_leaves_an_alert_to_be_sent(tls):
    server = TlsStream(tls.context())
    with pytest.raises(ssl.SSLError):
        server.receive(b"\x16\x03\x01\x00\x05" + b"hello")
    assert server.output().startswith(b"\x15"), "an alert"
    assert not server.established
