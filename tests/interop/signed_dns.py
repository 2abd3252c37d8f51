"""A signed zone, and an unbound that serves it and validates it (RFC 4035), on a loopback port of its own."""

import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree

import dns.dnssec
import dns.rdatatype
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec
from tests.interop.tools import PROGRAM_SECONDS, find_program
from tests.running import free_ports

_CONF = """server:
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  logfile: ""
  interface: 127.0.0.1
  port: {port}
  do-daemonize: no
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  module-config: "validator iterator"
  local-zone: "test." nodefault
  val-log-level: 2
  trust-anchor: "{anchor}"
remote-control:
  control-enable: no
auth-zone:
  name: "{zone}"
  zonefile: "{folder}/zone"
  for-downstream: no
  for-upstream: yes
  fallback-enabled: no
"""


class SignedDns:
    """Serves one zone. `records`: as in a zone file. `tamper`: changes the text of the zone after it was signed."""

    def __init__(self, zone: str, records: str, tamper: Callable[[str], str] = str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pp-dns"))
        (self.port,) = free_ports(1)
        text = f"$TTL 60\n@ IN SOA ns.{zone}. admin.{zone}. 1 3600 600 86400 60\n@ IN NS ns.{zone}.\n"
        made = dns.zone.from_text(text + "ns IN A 127.0.0.1\n" + records, origin=f"{zone}.", relativize=False)
        key = ec.generate_private_key(ec.SECP256R1())
        public = dns.dnssec.make_dnskey(key.public_key(), dns.dnssec.Algorithm.ECDSAP256SHA256, 0x0101)
        dns.dnssec.sign_zone(made, keys=[(key, public)], lifetime=3600, inception=int(time.time()) - 60)
        (self.folder / "zone").write_text(tamper(made.to_text(relativize=False)))
        anchor = f"{zone}. IN DNSKEY {public.to_text()}"
        conf = _CONF.format(folder=self.folder, port=self.port, anchor=anchor, zone=zone)
        (self.folder / "unbound.conf").write_text(conf)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "SignedDns":
        program = find_program("unbound")
        assert program is not None
        with (self.folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [program, "-d", "-c", self.folder / "unbound.conf"], stdout=output, stderr=output
            )
        end = time.monotonic() + PROGRAM_SECONDS
        while b"start of service" not in (self.folder / "output").read_bytes():
            assert time.monotonic() < end, (self.folder / "output").read_text()
            assert self._process.poll() is None, (self.folder / "output").read_text()
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PROGRAM_SECONDS)
        rmtree(self.folder)
