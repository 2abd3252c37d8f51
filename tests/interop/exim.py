"""An Exim of our own, in a folder of its own, that sends everything it gets to one port."""

import os
from collections.abc import Sequence

import trustme
from tests.interop.unpacked import FIRST_ID, FOLDER, UnpackedProgram
from tests.running import HOSTNAME, RunningServer

PROGRAM = "usr/sbin/exim4"

_CONFIGURATION = """exim_path = {program}
never_users =
primary_hostname = exim.test
spool_directory = {folder}/spool
log_file_path = {folder}/spool/%slog
pid_file_path = {folder}/spool/pid
daemon_smtp_ports = {plain} : {tls}
local_interfaces = 127.0.0.1
keep_environment =
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts = ${{if eq{{$received_port}}{{{tls}}}{{*}}{{}}}}
tls_certificate = {folder}/tls.pem
tls_privatekey = {folder}/tls.pem
smtputf8_advertise_hosts = {utf8}
accept_8bitmime = {eight_bit}
message_size_limit = 60M
acl_smtp_rcpt = anybody
begin acl
anybody:
  accept
begin routers
onward:
  driver = manualroute
  route_list = * 127.0.0.1::{port} byname
  self = send
  transport = onward
begin transports
onward:
  driver = smtp
  allow_localhost
  hosts_require_tls = *
  tls_sni = {hostname}
  tls_verify_certificates = {folder}/authority.pem
  tls_verify_hosts = *
  tls_verify_cert_hostnames =
begin retry
* * F,1h,1s
"""


class Exim(UnpackedProgram):
    """It offers STARTTLS at one of its ports, for `localhost`, by `authority`. What it gets goes to port 25 of
    `server`, under TLS it verifies. `modern`: offers 8BITMIME and SMTPUTF8."""

    users = ("Debian-exim",)

    def __init__(self, server: RunningServer, authority: trustme.CA, *, modern: bool) -> None:
        super().__init__()
        (self.folder / "spool").mkdir()
        certificate = authority.issue_cert("localhost")
        (self.folder / "tls.pem").write_bytes(certificate.private_key_and_cert_chain_pem.bytes())
        (self.folder / "authority.pem").write_bytes(server.authority_file.read_bytes())
        for name in ("spool", "tls.pem"):
            os.chown(self.folder / name, FIRST_ID, FIRST_ID)
        text = _CONFIGURATION.format(
            program=FOLDER / PROGRAM,
            folder=self.folder,
            port=server.ports["smtp"],
            hostname=HOSTNAME,
            utf8="*" if modern else "",
            eight_bit="true" if modern else "false",
            **self.ports,
        )
        (self.folder / "configuration").write_text(text)

    def command(self) -> Sequence[str]:
        return [str(FOLDER / PROGRAM), "-C", str(self.folder / "configuration"), "-bdf", "-q5s"]

    def is_ready(self) -> bool:
        return (self.folder / "spool" / "pid").exists()

    def log(self) -> str:
        found = sorted((self.folder / "spool").glob("*log"))
        return super().log() + "".join(each.read_text("utf-8", "replace") for each in found)
