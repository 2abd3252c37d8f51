"""A running server calls a web service at every moment, and does what it says."""

import base64
import hashlib
import hmac
import json
import smtplib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.running import RunningServer, until

MESSAGE = "From: carl@example.net\r\nTo: ann@example.org\r\nSubject: {}\r\n\r\nShall we meet at noon?\r\n"
SECRET = "a secret of ours"


@contextmanager
def service(calls: list[dict[str, Any]]) -> Iterator[int]:
    """Run a service that answers by the subject, and by the recipient. Gives its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            message = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + content
            mac = base64.b64encode(hmac.new(SECRET.encode(), message, hashlib.sha256).digest()).decode()
            facts = json.loads(content)
            calls.append({**facts, "good": self.headers["webhook-signature"] == f"v1,{mac}"})
            answer = self._answer(facts)
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _answer(self, facts: dict[str, Any]) -> bytes:
            if facts["type"] == "rcpt" and facts["recipient"].startswith("bob"):
                return b'{"action": "refuse", "text": "Bob has left", "status": "5.2.1"}'
            subject = dict(facts.get("headers", [])).get("Subject", "")
            return {"junk": b'{"action": "junk"}', "tag": b'{"add_headers": [["X-Ticket", "17"]]}'}.get(subject, b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def test_a_service_is_called_at_every_moment(tmp_path: Path) -> None:
    calls: list[dict[str, Any]] = []
    with service(calls) as port:
        hook = (
            f'{{name="desk", url="http://127.0.0.1:{port}/mail", secret="{SECRET}", '
            'moments=["connect", "mail", "rcpt", "message", "delivered"]}'
        )
        with RunningServer(tmp_path / "data", f"screening.http_hooks=[{hook}]") as server:
            for name in ("ann@example.org", "bob@example.org"):
                server.make_account(name)
            with smtplib.SMTP("127.0.0.1", server.ports["smtp"], "client.example") as client:
                refused = client.sendmail(
                    "carl@example.net", ["ann@example.org", "bob@example.org"], MESSAGE.format("tag")
                )
                client.sendmail("carl@example.net", ["ann@example.org"], MESSAGE.format("junk"))
            assert refused == {"bob@example.org": (550, b"5.2.1 Bob has left")}
            (tagged,) = server.messages("ann@example.org")
            assert b"\r\nX-Ticket: 17\r\n" in tagged
            assert len(server.messages("ann@example.org", "Junk")) == 1
            until(lambda: sum(call["type"] == "delivered" for call in calls) == 2, why="nothing was told")
    assert [call["type"] for call in calls if call["type"] != "delivered"] == [
        "connect", "mail", "rcpt", "rcpt", "message", "connect", "mail", "rcpt", "message",
    ]  # fmt: skip
    assert all(call["good"] for call in calls)
    assert [call["recipients"] for call in calls if call["type"] == "delivered"] == [["ann@example.org"]] * 2


def test_without_the_service_mail_waits(tmp_path: Path) -> None:
    hook = '{name="desk", url="http://127.0.0.1:9/mail"}'
    with RunningServer(tmp_path / "data", f"screening.http_hooks=[{hook}]") as server:
        server.make_account("ann@example.org")
        with smtplib.SMTP("127.0.0.1", server.ports["smtp"], "client.example") as client:
            with pytest.raises(smtplib.SMTPDataError) as deferred:
                client.sendmail("carl@example.net", ["ann@example.org"], MESSAGE.format("x"))
            assert deferred.value.smtp_code == 451
