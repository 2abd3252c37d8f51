"""Every command that changes or lists what is in the store, on a store of its own."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import click
import pytest
import structlog
from click.testing import CliRunner
from tests.unit.cli.shell import Shell

from pennypost.cli.options import configured


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path / "data")
    shell("domain", "add", "Example.ORG")
    return shell


def test_the_log_is_no_part_of_what_a_command_writes() -> None:
    """Programs read it."""

    @click.command()
    @configured
    def noisy(loaded: object) -> None:
        log = structlog.stdlib.get_logger("pennypost.test")
        log.info("nothing to worry about")
        log.warning("something is odd", what="this")
        click.echo("[]")

    result = CliRunner().invoke(noisy, ["--config", os.devnull])
    assert result.stdout == "[]\n"
    assert "something is odd" in result.stderr
    assert "nothing" not in result.stderr


def test_domains(shell: Shell) -> None:
    assert shell("domain", "add", "bücher.example", "--quota", "1 GiB", "--catch-all", "all@example.org")
    assert shell.records("domain", "list") == [
        {"name": "example.org", "quota_octets": None, "catch_all": None},
        {"name": "xn--bcher-kva.example", "quota_octets": 2**30, "catch_all": "all@example.org"},
    ]
    shell("domain", "set", "bücher.example", "--quota", "none", "--catch-all", "none")
    assert shell.records("domain", "list")[1] == {
        "name": "xn--bcher-kva.example", "quota_octets": None, "catch_all": None,
    }  # fmt: skip
    assert shell.run("domain", "add", "example.org") == (1, "", "pennypost: the domain exists already: example.org\n")
    assert shell.run("domain", "add", "x.example", "--quota", "7")[0] == 2
    for name in ("bad_domain!", "a..example", "a-.example", "[192.0.2.1]", "a" * 64 + ".example", "a b", ""):
        status, _, errors = shell.run("domain", "add", name)
        assert (status, 'as "example.org"' in errors) == (1, True), name
    shell("domain", "remove", "bücher.example")
    assert [record["name"] for record in shell.records("domain", "list")] == ["example.org"]
    assert shell.run("domain", "remove", "bücher.example")[0] == 1


def test_accounts(shell: Shell) -> None:
    password = shell("account", "add", "Alice@example.org", "--display-name", "Alice", "--generate-password").strip()
    assert len(password) > 20
    shell("account", "add", "bob@example.org", "--quota", "1 MiB", "--password-stdin", typed="secret\n")
    alice, bob = shell.records("account", "list")
    assert (alice["name"], alice["display_name"], alice["enabled"]) == ("alice@example.org", "Alice", True)
    assert (bob["name"], bob["quota_octets"], bob["messages"]) == ("bob@example.org", 2**20, 0)

    assert shell("account", "passwd", "bob@example.org", "--generate-password").strip() != password
    shell("account", "disable", "bob@example.org")
    assert [a["enabled"] for a in shell.records("account", "list", "--domain", "example.org")] == [True, False]
    shell("account", "enable", "bob@example.org")
    shell("account", "set", "bob@example.org", "--quota", "none", "--display-name", "Bob")
    bob = shell.records("account", "list")[1]
    assert (bob["enabled"], bob["quota_octets"], bob["display_name"]) == (True, None, "Bob")

    said = shell("account", "refer", "bob@example.org", "imap://IMAP.example.net")
    assert said == "bob@example.org is sent to imap://bob%40example.org;AUTH=*@imap.example.net/\n"
    assert shell.records("account", "list")[1]["referral"] == "imap://bob%40example.org;AUTH=*@imap.example.net/"
    assert shell.run("account", "refer", "bob@example.org", "https://imap.example.net/")[0] == 1
    status, _, problem = shell.run(
        "account", "refer", "bob@example.org", "imap://a@mx.example.org/", "--set", "server.hostname=mx.example.org"
    )
    assert (status, problem) == (1, "pennypost: mx.example.org is this server: clients would be sent in a circle\n")
    shell("account", "unrefer", "bob@example.org")
    assert shell.records("account", "list")[1]["referral"] is None

    shell("account", "remove", "bob@example.org", "--yes")
    assert len(shell.records("account", "list")) == 1


def test_passwords_that_cannot_be(shell: Shell) -> None:
    add = ("account", "add", "a@example.org", "--password-stdin")
    assert shell.run(*add, typed="bell\x07\n")[0] == 1
    assert shell.run(*add, "--generate-password")[0] == 2
    assert shell("account", "list") == "no accounts\n"


def test_a_password_is_asked_for_twice(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pennypost.cli.asking.on_terminal", lambda: True)
    status, output, _ = shell.run("account", "add", "a@example.org", typed="one\none\n")
    assert (status, output) == (0, "a@example.org added\n")
    assert shell.run("account", "add", "b@example.org", typed="one\ntwo\n")[0] == 1


def test_aliases(shell: Shell) -> None:
    shell("alias", "add", "Team@example.org", "a@example.org", "b@elsewhere.example")
    assert shell.records("alias", "list") == [
        {"address": "team@example.org", "targets": ["a@example.org", "b@elsewhere.example"]}
    ]
    assert "team@example.org  a@example.org, b@elsewhere.example" in shell("alias", "list")
    shell("alias", "remove", "team@example.org")
    assert shell("alias", "list") == "no aliases\n"


def test_app_passwords(shell: Shell) -> None:
    shell("account", "add", "a@example.org", "--generate-password")
    password = shell("app-password", "add", "a@example.org", "telephone").strip()
    assert len(password) > 20
    (record,) = shell.records("app-password", "list", "a@example.org")
    assert (record["label"], record["last_used_at"]) == ("telephone", None)
    assert password not in shell("app-password", "list", "a@example.org")
    assert shell.run("app-password", "add", "a@example.org", "telephone")[0] == 1
    shell("app-password", "revoke", "a@example.org", "telephone")
    assert shell.records("app-password", "list", "a@example.org") == []
    assert shell.run("app-password", "revoke", "a@example.org", "telephone")[0] == 1


def test_mailboxes(shell: Shell) -> None:
    shell("account", "add", "a@example.org", "--generate-password")
    roles = {record["name"]: record["role"] for record in shell.records("mailbox", "list", "a@example.org")}
    assert roles["INBOX"] == "inbox"
    assert {"sent", "drafts", "junk", "trash", "archive"} <= set(roles.values())


def test_what_is_remembered_of_other_domains(shell: Shell) -> None:
    assert shell("relay", "policies") == "no policies\n"
    assert shell("relay", "tls") == "no domains\n"
    assert shell.run("relay", "forget-tls", "a.example")[0] == 1
    with closing(sqlite3.connect(shell.folder / "pennypost.db")) as database, database:
        database.execute("INSERT INTO tls_memory VALUES ('a.example', 0, NULL)")
        text = "version: STSv1\r\nmode: enforce\r\nmx: mx.a.example\r\nmax_age: 5\r\n"
        database.execute("INSERT INTO sts_policy VALUES ('a.example', '1', ?, 0, ?)", (text.encode(), 2**53))
    (policy,) = shell.records("relay", "policies")
    assert (policy["domain"], policy["mode"], policy["mx"]) == ("a.example", "enforce", ["mx.a.example"])
    assert shell.records("relay", "tls") == [
        {"domain": "a.example", "seen": "1970-01-01T00:00:00+00:00", "missed_since": None}
    ]
    shell("relay", "forget-tls", "A.example")
    assert shell("relay", "tls") == "no domains\n"


def test_reports_on_tls(shell: Shell, tmp_path: Path) -> None:
    """RFC 8460."""
    assert shell("reports", "tls") == "no reports\n"
    file = tmp_path / "report.json"
    policy = {
        "policy": {"policy-type": "sts", "policy-domain": "example.org"},
        "summary": {"total-successful-session-count": 5, "total-failure-session-count": 1},
        "failure-details": [{"result-type": "certificate-expired", "failed-session-count": 1}],
    }
    dates = {"start-datetime": "2026-01-31T00:00:00Z", "end-datetime": "2026-01-31T23:59:59Z"}
    report = {"organization-name": "Other", "report-id": "1", "date-range": dates, "policies": [policy]}
    file.write_text(json.dumps(report))
    assert "2026-01-31" in shell("reports", "tls", "--import", str(file))
    (found,) = shell.records("reports", "tls", "--domain", "EXAMPLE.org")
    assert (found["from"], found["successful"], found["failed"]) == ("Other", 5, 1)
    (failure,) = shell.records("reports", "tls", "--failures")
    assert (failure["result"], failure["sessions"]) == ("certificate-expired", 1)
    file.write_text("{}")
    status, _, errors = shell.run("reports", "tls", "--import", str(file))
    assert status == 1
    assert errors.endswith("JSON or gzip of it: it has no date-range\n")


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    status, _, errors = Shell(tmp_path / "file").run("domain", "list")
    assert status == 1
    assert "is not a folder" in errors


def test_the_store_is_checked_and_counted(shell: Shell) -> None:
    shell("account", "add", "a@example.org", "--generate-password")
    assert shell("store", "check") == "the store is consistent\n"
    assert shell("store", "check", "--json") == "[]\n"
    figures = json.loads(shell("store", "stats", "--json"))
    assert (figures["domains"], figures["accounts"], figures["messages"], figures["queue_waiting"]) == (1, 1, 0, 0)
    (account,) = shell.records("store", "stats", "--accounts")
    assert (account["name"], account["messages"]) == ("a@example.org", 0)


def test_an_inconsistency_is_told(shell: Shell) -> None:
    shell("account", "add", "a@example.org", "--generate-password")
    with closing(sqlite3.connect(shell.folder / "pennypost.db")) as database, database:
        database.execute("UPDATE mailbox SET total = 7 WHERE name = 'INBOX'")
    status, output, _ = shell.run("store", "check")
    assert status == 1
    assert "counter:" in output
    assert output.endswith("\n1 inconsistency\n")
    status, output, _ = shell.run("store", "check", "--json")
    assert (status, [found["kind"] for found in json.loads(output)]) == (1, ["counter"])


def test_shared_accounts_and_rights(shell: Shell) -> None:
    for name in ("ann", "bob"):
        shell("account", "add", f"{name}@example.org", "--password-stdin", typed="secret\n")
    assert shell("shared", "add", "support@example.org", "--member", "ann@example.org") == "support@example.org added\n"
    shell("shared", "join", "support@example.org", "bob@example.org", "--rights", "lrs")
    assert shell.records("shared", "list") == [
        {"name": "support@example.org", "display_name": "", "members": ["ann@example.org", "bob@example.org"]}
    ]
    assert shell.records("mailbox", "acl", "list", "support@example.org", "Archive") == [
        {"identifier": "ann@example.org", "rights": "lrswipkxtecd", "denied": ""},
        {"identifier": "bob@example.org", "rights": "lrs", "denied": ""},
    ]
    shell("shared", "leave", "support@example.org", "bob@example.org")
    shell("mailbox", "acl", "set", "support@example.org", "INBOX", "anyone", "lr")
    shell("mailbox", "acl", "set", "support@example.org", "INBOX", "bob@example.org", "r", "--deny")
    assert shell.records("mailbox", "acl", "list", "support@example.org", "INBOX") == [
        {"identifier": "ann@example.org", "rights": "lrswipkxtecd", "denied": ""},
        {"identifier": "anyone", "rights": "lr", "denied": ""},
        {"identifier": "bob@example.org", "rights": "", "denied": "r"},
    ]
    shell("mailbox", "acl", "remove", "support@example.org", "INBOX", "anyone")
    assert shell.run("mailbox", "acl", "set", "ann@example.org", "INBOX", "bob@example.org", "q")[0] == 2
    assert shell.run("mailbox", "acl", "list", "ann@example.org", "Nowhere")[0] == 1
    assert shell.run("shared", "join", "ann@example.org", "bob@example.org")[0] == 1
    shell("shared", "remove", "support@example.org", "--yes")
    assert shell.records("shared", "list") == []


def test_bans(shell: Shell) -> None:
    assert shell("ban", "list") == "nobody is banned\n"
    assert shell("ban", "add", "192.0.2.7/24", "--for", "2 h", "--reason", "noise") == "192.0.2.0/24 banned\n"
    assert shell("ban", "allow", "2001:db8::1") == "2001:db8::1/128 allowed\n"
    assert shell("ban", "add", "Spam.Example") == "spam.example banned\n"
    listed = {record["subject"]: record for record in shell.records("ban", "list")}
    assert {name: record["verdict"] for name, record in listed.items()} == {
        "192.0.2.0/24": "ban",
        "2001:db8::1/128": "allow",
        "spam.example": "ban",
    }
    assert listed["192.0.2.0/24"]["reason"] == "noise"
    assert listed["192.0.2.0/24"]["until"] is not None
    assert listed["spam.example"]["until"] is None
    assert shell("ban", "remove", "192.0.2.0/24") == "192.0.2.0/24 removed\n"
    assert shell.run("ban", "add", "what")[0] == 1
    assert shell.run("ban", "add", "192.0.2.1", "--for", "soon")[0] == 2


def test_freezing(shell: Shell) -> None:
    shell("account", "add", "anna@example.org", "--generate-password")
    assert shell("account", "frozen") == "no account is frozen\n"
    assert shell("account", "freeze", "anna@example.org", "--reason", "strange") == "anna@example.org frozen\n"
    (record,) = shell.records("account", "frozen")
    assert (record["name"], record["reason"]) == ("anna@example.org", "strange")
    assert shell("account", "unfreeze", "anna@example.org") == "anna@example.org may send again\n"
    assert shell("account", "unfreeze", "anna@example.org") == "anna@example.org was not frozen\n"


def test_signing_keys(shell: Shell) -> None:
    first = shell.records("dkim", "list")
    assert [(key["domain"], key["algorithm"], key["state"]) for key in first] == [
        ("example.org", "ed25519-sha256", "active"),
        ("example.org", "rsa-sha256", "active"),
    ]
    assert first[1]["record"].startswith("v=DKIM1; k=rsa; p=")
    assert first[1]["name"] == f"{first[1]['selector']}._domainkey.example.org"
    assert "already" in shell.run("dkim", "generate", "example.org")[2]
    shell("domain", "add", "other.example", "--no-dkim")
    assert shell.records("dkim", "list", "other.example") == []
    assert "k=ed25519" in shell("dkim", "generate", "other.example", "--algorithm", "ed25519")
    assert [key["algorithm"] for key in shell.records("dkim", "list", "other.example")] == ["ed25519-sha256"]
    assert "Publish" in shell("dkim", "rotate", "example.org")
    assert sorted(key["state"] for key in shell.records("dkim", "list", "example.org")) == [
        "active", "active", "waiting", "waiting",
    ]  # fmt: skip
    shell("dkim", "remove", "example.org", first[0]["selector"])
    assert len(shell.records("dkim", "list", "example.org")) == 3
    assert shell.run("dkim", "remove", "example.org", "none")[0] == 1
    assert shell.run("dkim", "list", "stranger.example")[0] == 1
    assert "record" not in shell("dkim", "list")


def test_the_full_text_index(shell: Shell) -> None:
    assert shell("search", "status") == "no accounts\n"
    shell("account", "add", "alice@example.org", "--generate-password")
    assert shell.records("search", "status") == [{"account": "alice@example.org", "indexed": 0, "pending": 0}]
    assert shell.records("search", "rebuild") == [{"account": "alice@example.org", "indexed": 0, "pending": 0}]
    assert shell.run("search", "rebuild", "--set", "store.full_text_index=false") == (
        1,
        "",
        "pennypost: no full-text index is kept: store.full_text_index is false\n",
    )
    shell("search", "rebuild")
    (shell.folder / "search.db").write_bytes(b"no database" * 1000)
    assert shell.records("search", "rebuild") == [{"account": "alice@example.org", "indexed": 0, "pending": 0}]
