"""A small DNS server on loopback for tests: it says what it is told to say, and fails as it is told to fail.

It runs in a thread, so that tests with and without an event loop, and other processes, may ask it.
"""

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

MAX_CNAMES = 8


class Fault(Enum):
    """What to do in place of an answer."""

    SILENCE = "says nothing"
    SERVFAIL = "server failure"
    REFUSED = "refuses"
    NXDOMAIN = "says that the name does not exist"
    TRUNCATED = "truncated over UDP, good over TCP"
    TRUNCATED_ALWAYS = "truncated over UDP, nothing over TCP"
    WRONG_ID = "an answer to another question's identifier"
    WRONG_QUESTION = "an answer to another question"
    GARBAGE = "octets that are no message"
    OTHER_NAME = "records of another name in the answer"
    NO_EDNS = "format error where there is EDNS"


Zone = Mapping[tuple[str, str], Iterable[str]]
"""(name, type) to the records' data as in a zone file: {("example.org", "MX"): ["10 mx.example.org."]}."""


@dataclass
class FakeDns:
    """`records`: see Zone; names of other records exist without the type, all others do not exist. CNAMEs are followed.

    `faults`: by (name, type) or by name. `secure`: domains, with all below them, whose answers have the AD bit, when
    the question has DO or AD. `asked`: the questions so far, in order, one for each packet. All may be changed while
    it runs.
    """

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    faults: dict[tuple[str, str] | str, Fault] = field(default_factory=dict)
    secure: set[str] = field(default_factory=set)
    ttl: int = 300
    address: str = "127.0.0.1"
    asked: list[tuple[str, str]] = field(default_factory=list)
    tcp_count: int = 0
    port: int = 0

    def __enter__(self) -> "FakeDns":
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._tcp = socket.socket()
        for _ in range(20):
            self._udp.bind((self.address, 0))
            self.port = self._udp.getsockname()[1]
            try:
                self._tcp.bind((self.address, self.port))
                break
            except OSError:
                self._udp.close()
                self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._tcp.listen(16)
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="fake-dns", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.send(b"x")
        self._thread.join(10)
        for sock in (self._udp, self._tcp, self._wake, self._woken):
            sock.close()

    @property
    def server(self) -> tuple[str, int]:
        return (self.address, self.port)

    @property
    def setting(self) -> str:
        """For `--set`."""
        return f"dns.resolvers={self.address}:{self.port}"

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            for sock in (self._udp, self._tcp, self._woken):
                selector.register(sock, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._woken:
                        return
                    if key.fileobj is self._udp:
                        octets, peer = self._udp.recvfrom(65535)
                        for answer in self._answers(octets, tcp=False):
                            self._udp.sendto(answer, peer)
                    elif key.fileobj is self._tcp:
                        connection, _ = self._tcp.accept()
                        self.tcp_count += 1
                        threading.Thread(
                            target=self._serve_tcp, args=[connection], name="fake-dns-tcp", daemon=True
                        ).start()  # some connect ahead of time, and ask much later or not at all

    def _serve_tcp(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
            length = int.from_bytes(connection.recv(2, socket.MSG_WAITALL))
            octets = connection.recv(length, socket.MSG_WAITALL)
            for answer in self._answers(octets, tcp=True) if octets else ():
                connection.sendall(len(answer).to_bytes(2) + answer)

    def _answers(self, octets: bytes, *, tcp: bool) -> list[bytes]:
        """Give the packets to send."""
        query = dns.message.from_wire(octets)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower() if question.name != dns.name.root else ""
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        fault = self.faults.get((name, kind), self.faults.get(name))
        response = self._answer(query, name, kind)
        match fault:
            case Fault.SILENCE:
                return []
            case Fault.SERVFAIL | Fault.REFUSED | Fault.NXDOMAIN:
                response = dns.message.make_response(query)
                response.set_rcode(dns.rcode.from_text(fault.name))
            case Fault.TRUNCATED | Fault.TRUNCATED_ALWAYS if not tcp:
                response.answer.clear()
                response.flags |= dns.flags.TC
            case Fault.TRUNCATED_ALWAYS:
                return []
            case Fault.WRONG_ID:
                response.id ^= 0x5555
            case Fault.WRONG_QUESTION:
                response.question[0] = dns.rrset.RRset(dns.name.from_text("other.test"), 1, question.rdtype)
            case Fault.GARBAGE:
                return [b"\xff" * 40]
            case Fault.OTHER_NAME:
                for rrset in response.answer:
                    rrset.name = dns.name.from_text("other.test")
            case Fault.NO_EDNS if query.edns >= 0:
                response = dns.message.make_response(query)
                response.use_edns(False)
                response.set_rcode(dns.rcode.FORMERR)
        return [response.to_wire(max_size=65535)]

    def _answer(self, query: dns.message.Message, name: str, kind: str) -> dns.message.Message:
        response = dns.message.make_response(query, recursion_available=True)
        names = {owner for owner, _ in self.records}
        for _ in range(MAX_CNAMES):
            if (name, kind) in self.records:
                response.answer.append(
                    dns.rrset.from_text_list(name + ".", self.ttl, "IN", kind, self.records[name, kind])
                )
                break
            if (name, "CNAME") not in self.records:
                if not any(owner == name or owner.endswith("." + name) for owner in names):
                    response.set_rcode(dns.rcode.NXDOMAIN)
                soa = f"ns.test. hostmaster.test. 1 3600 600 86400 {self.ttl}"
                top = name.rpartition(".")[2] + "."
                response.authority.append(dns.rrset.from_text(top, self.ttl, "IN", "SOA", soa))
                break
            target = self.records[name, "CNAME"]
            response.answer.append(dns.rrset.from_text_list(name + ".", self.ttl, "IN", "CNAME", target))
            name = target[0].removesuffix(".").lower()
        asked_for_it = query.flags & dns.flags.AD or query.ednsflags & dns.flags.DO
        if asked_for_it and any(name == domain or name.endswith("." + domain) for domain in self.secure):
            response.flags |= dns.flags.AD
        return response
