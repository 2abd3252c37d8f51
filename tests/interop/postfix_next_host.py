"""A Postfix that takes mail for a few domains on several ports, each with other abilities, and files it."""

import os
import pwd
import subprocess
import tempfile
import time
from pathlib import Path

import trustme
from tests.interop.postfix import SERVICES, USER, Postfix
from tests.interop.tools import PROGRAM_SECONDS
from tests.running import free_ports

DOMAINS = ("plain.test", "tls.test", "implicit.test", "old.test", "secure.test")

_MAIN = """compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
mail_owner = {user}
myhostname = next.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = {domains}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
virtual_mailbox_limit = 0
smtpd_tls_chain_files = {folder}/tls.pem
smtpd_tls_received_header = yes
smtpd_relay_restrictions = permit_mynetworks, reject
smtputf8_enable = yes
message_size_limit = 60000000
"""

_MASTER = """127.0.0.1:{plain} inet n - n - - smtpd
127.0.0.1:{tls} inet n - n - - smtpd -o smtpd_tls_security_level=may
127.0.0.1:{implicit} inet n - n - - smtpd -o smtpd_tls_security_level=encrypt -o smtpd_tls_wrappermode=yes
127.0.0.1:{old} inet n - n - - smtpd -o smtpd_discard_ehlo_keywords=8bitmime,smtputf8,chunking,dsn
anvil     unix - - n - 1 anvil
virtual   unix - n n - - virtual
"""


class PostfixNextHost(Postfix):
    """`ports`: "plain", "tls" (STARTTLS), "implicit", "old" (neither 8BITMIME nor SMTPUTF8 nor CHUNKING).

    Its certificate, from `authority`, is for `names`.
    """

    def __init__(self, authority: trustme.CA, *names: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pp-next"))
        kinds = ("plain", "tls", "implicit", "old")
        self.ports = dict(zip(kinds, free_ports(len(kinds)), strict=True))
        owner = pwd.getpwnam(USER)
        self.folder.chmod(0o755)
        for name in ("queue", "data", "etc", "mail"):
            (self.folder / name).mkdir(mode=0o755)
        for name in ("data", "mail"):
            os.chown(self.folder / name, owner.pw_uid, owner.pw_gid)
        certificate = authority.issue_cert(*names)
        (self.folder / "tls.pem").write_bytes(certificate.private_key_and_cert_chain_pem.bytes())
        self.certificate = certificate.cert_chain_pems[0].bytes()
        main = _MAIN.format(
            folder=self.folder, user=USER, domains=" ".join(DOMAINS), uid=owner.pw_uid, gid=owner.pw_gid
        )
        (self.folder / "etc" / "main.cf").write_text(main)
        (self.folder / "etc" / "master.cf").write_text(_MASTER.format(**self.ports) + SERVICES)
        self._process: subprocess.Popen[bytes] | None = None

    def take(self) -> bytes:
        """Wait for one message in the Maildir, give it, and remove it."""
        new = self.folder / "mail" / "box" / "new"
        end = time.monotonic() + PROGRAM_SECONDS
        while not (new.is_dir() and (found := sorted(new.iterdir()))):
            assert time.monotonic() < end, self.log()
            time.sleep(0.02)
        octets = found[0].read_bytes()
        found[0].unlink()
        return octets
