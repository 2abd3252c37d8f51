"""Thunderbird without a screen, told what to do through its Marionette port.

Marionette speaks JSON over TCP, each packet with its length before it: we send `[0, id, name, parameters]` and hear
`[1, id, error, result]`. Scripts run with the rights of the program itself, so they can use what its windows use.
"""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.interop.tools import find_program
from tests.running import HOSTNAME, Account, RunningServer, free_ports, until

START_SECONDS = 90.0
SCRIPT_SECONDS = 60.0

_PREAMBLE = """
const [ ...given ] = arguments, done = given.pop();
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const { MailUtils } = ChromeUtils.importESModule("resource:///modules/MailUtils.sys.mjs");
const inbox = () => MailServices.accounts.accounts.find(a => a.incomingServer.type == "imap")
    .incomingServer.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
const folder = name => [inbox(), ...inbox().rootFolder.descendants].find(f => f.name == name);
const headers = f => [...f.msgDatabase.enumerateMessages()];
const finished = start => new Promise((good, bad) => {
    const stopped = status => status ? bad(new Error("it failed: " + status)) : good();
    start({
        onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() { return ""; }, onStopCopy: stopped,
        OnStartRunningUrl() {}, OnStopRunningUrl(url, status) { stopped(status); },
        QueryInterface: ChromeUtils.generateQI(["nsIMsgCopyServiceListener", "nsIUrlListener"]) });
});
const update = f => finished(listener => f.QueryInterface(Ci.nsIMsgImapMailFolder)
    .updateFolderWithListener(null, listener));
const until = async look => { while (!look()) await new Promise(next => window.setTimeout(next, 50)); };
(async () => {
%s
})().then(value => done({ value: value === undefined ? null : value }), error => done({ error: String(error) }));
"""


class Thunderbird:
    """A running Thunderbird with one IMAP account."""

    def __init__(self, port: int, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        self._process, self._written, self._log = process, folder / "written", folder / "spoken.moz_log"
        self._stream = self._connect(port)
        self._number = 0
        self._hear()  # its greeting
        self._tell("WebDriver:NewSession", {"capabilities": {}})
        self._tell("WebDriver:SetTimeouts", {"script": int(SCRIPT_SECONDS * 1000)})
        self._tell("Marionette:SetContext", {"value": "chrome"})

    def _connect(self, port: int) -> Any:
        end = time.monotonic() + START_SECONDS
        while True:
            assert self._process.poll() is None, self._written.read_text("utf-8", "replace")
            try:
                connection = socket.create_connection(("127.0.0.1", port), 1)
                break
            except OSError:
                assert time.monotonic() < end, "Thunderbird does not start"
                time.sleep(0.2)
        connection.settimeout(SCRIPT_SECONDS + 30)
        with connection:
            return connection.makefile("rwb")

    def _hear(self) -> Any:
        length = b""
        while (octet := self._stream.read(1)) != b":":
            assert octet, self._written.read_text("utf-8", "replace")
            length += octet
        return json.loads(self._stream.read(int(length)))

    def _tell(self, name: str, parameters: dict[str, Any]) -> Any:
        self._number += 1
        octets = json.dumps([0, self._number, name, parameters]).encode()
        self._stream.write(b"%d:%b" % (len(octets), octets))
        self._stream.flush()
        _, number, error, result = self._hear()
        assert number == self._number
        assert error is None, error
        return result

    def run(self, script: str, *given: Any) -> Any:
        """Run the body of an asynchronous function, and give what it returns. It has `given`, and what stands above."""
        parameters = {"script": _PREAMBLE % script, "args": list(given), "sandbox": "system", "newSandbox": False}
        answer = self._tell("WebDriver:ExecuteAsyncScript", parameters)["value"]
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def wait_for_idle(self) -> None:
        """Wait until it waits for news of its INBOX: it does so two seconds after it was last asked for something."""
        spoken = b":S-INBOX:SendData: "

        def idles() -> bool:
            log = self._log.read_bytes() if self._log.exists() else b""
            return log.rpartition(spoken)[2].partition(b"\n")[0].strip().endswith(b"IDLE")

        until(idles, SCRIPT_SECONDS, "Thunderbird does not wait for news")

    def close(self) -> None:
        self._stream.close()


def _preferences(server: RunningServer, account: Account, port: int) -> dict[str, Any]:
    return {
        "marionette.port": port,
        "mail.provider.suppress_dialog_on_startup": True,
        "mail.rights.version": 1,
        "mailnews.start_page.enabled": False,
        "app.donation.eoy.version.viewed": 999,
        "app.update.enabled": False,
        "datareporting.policy.dataSubmissionEnabled": False,
        "datareporting.healthreport.uploadEnabled": False,
        "toolkit.telemetry.enabled": False,
        "extensions.update.enabled": False,
        "services.settings.server": "data:,#remote-settings-dummy/v1",
        "network.captive-portal-service.enabled": False,
        "network.connectivity-service.enabled": False,
        "mail.accountmanager.accounts": "account1,account2",
        "mail.accountmanager.defaultaccount": "account1",
        "mail.accountmanager.localfoldersserver": "server2",
        "mail.account.account1.identities": "id1",
        "mail.account.account1.server": "server1",
        "mail.account.account2.server": "server2",
        "mail.identity.id1.fullName": "Somebody",
        "mail.identity.id1.useremail": account.name,
        "mail.identity.id1.valid": True,
        "mail.identity.id1.smtpServer": "smtp1",
        "mail.server.server1.type": "imap",
        "mail.server.server1.hostname": "127.0.0.1",
        "mail.server.server1.port": server.ports["imap"],
        "mail.server.server1.socketType": 0,
        "mail.server.server1.authMethod": 3,
        "mail.server.server1.userName": account.name,
        "mail.server.server1.name": account.name,
        "mail.server.server1.allow_utf8_accept": True,
        "mail.server.server1.check_new_mail": True,
        "mail.server.server1.login_at_startup": False,
        "mail.server.server1.offline_download": True,
        "mail.server.server2.type": "none",
        "mail.server.server2.hostname": "Local Folders",
        "mail.server.server2.userName": "nobody",
        "mail.smtpservers": "smtp1",
        "mail.smtpserver.smtp1.hostname": "127.0.0.1",
        "mail.smtpserver.smtp1.port": server.ports["submission"],
        "mail.smtpserver.smtp1.try_ssl": 0,
        "mail.smtpserver.smtp1.authMethod": 3,
        "mail.smtpserver.smtp1.username": account.name,
        "mail.smtpserver.smtp1.hello_argument": HOSTNAME,
    }


def _environment(folder: Path) -> dict[str, str]:
    return {
        "HOME": str(folder),
        "MOZ_HEADLESS": "1",
        "MOZ_LOG": "IMAP:4",
        "MOZ_LOG_FILE": str(folder / "spoken"),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }


@contextmanager
def thunderbird(server: RunningServer, account: Account, folder: Path) -> Iterator[Thunderbird]:
    """Start it on a profile of its own, logged in nowhere yet, and end it."""
    port = free_ports(1)[0]
    profile = folder / "profile"
    profile.mkdir(parents=True)
    lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in _preferences(server, account, port).items()]
    (profile / "user.js").write_text("\n".join(lines) + "\n")
    program = find_program("thunderbird")
    assert program is not None
    with (folder / "written").open("wb") as output:
        process = subprocess.Popen(
            [
                program,
                "--headless",
                "--no-remote",
                "--marionette",
                "--remote-allow-system-access",
                "--profile",
                profile,
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **_environment(folder)},
            process_group=0,
        )
    try:
        client = Thunderbird(port, process, folder)
        client.run(
            """
            for (const [kind, host] of [["imap", "imap://127.0.0.1"], ["smtp", "smtp://127.0.0.1"]]) {
                const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
                login.init(host, null, host, given[0], given[1], "", "");
                await Services.logins.addLoginAsync(login);
            }
            """,
            account.name,
            account.password,
        )
        yield client
        client.close()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
