"""What is refused: each text says what was expected, and which argument or file it is about."""

import json
from pathlib import Path

import pytest
from tests.unit.cli.shell import Shell

ADDRESS = 'expected an address, as "user@example.org", not'
DOMAIN = 'expected a domain, as "example.org", not'
SIZE = 'expected a size with its unit, as "25 MiB", or none, not'
GRANTEE = 'expected the address of an account, "anyone" or "authenticated"'
SUBJECT = (
    'expected an address, a network, as "192.0.2.0/24", or the domain of senders, as "example.net", not "nonsense"'
)
SERVER_URL = (
    'expected the URL of an IMAP server, as "imap://user@imap.example.net/", without a mailbox, not "imap://a/INBOX"'
)
RESOLVER = 'expected the IP address and the port of a resolver, as "127.0.0.1:53" or "[::1]:53", not'


@pytest.fixture
def ann(shell: Shell) -> Shell:
    shell("account", "add", "ann@example.org", "--generate-password")
    return shell


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("account add x@elsewhere.example --generate-password", "no such domain here: elsewhere.example"),
        ("account add ann@example.org --generate-password", "the address is taken already: ann@example.org"),
        ("account disable nobody@example.org", "no such account: nobody@example.org"),
        ("account disable ann", 'no such account: ann, expected its address, as "user@example.org"'),
        ("account passwd nobody@example.org --generate-password", "no such account: nobody@example.org"),
        ("account remove nobody@example.org --yes", "no such account: nobody@example.org"),
        ("account refer ann@example.org imap://a/INBOX", SERVER_URL),
        ("mailbox list nobody@example.org", "no such account: nobody@example.org"),
        ("app-password list nobody@example.org", "no such account: nobody@example.org"),
        (
            "app-password revoke ann@example.org x",
            "ann@example.org has no app password x: pennypost app-password list ann@example.org shows those there are",
        ),
        ("alias remove nobody@example.org", "no such alias: nobody@example.org"),
        ("alias add a@elsewhere.example b@example.org", "no such domain here: elsewhere.example"),
        ("alias list --domain elsewhere.example", "no such domain here: elsewhere.example"),
        ("account list --domain elsewhere.example", "no such domain here: elsewhere.example"),
        (
            "domain remove example.org",
            "the domain still has accounts: pennypost account list --domain example.org",
        ),
        ("ban add nonsense", SUBJECT),
        ("ban remove 192.0.2.0/24", "192.0.2.0/24 is not on the list: pennypost ban list shows it"),
        (
            "dkim remove example.org s1",
            "example.org has no key with the selector s1: pennypost dkim list example.org shows those there are",
        ),
        (
            "mailbox acl list ann@example.org Nope",
            "ann@example.org has no mailbox Nope: pennypost mailbox list ann@example.org shows those there are",
        ),
        ("mailbox acl set ann@example.org INBOX nobody lr", f"no such identifier: nobody, {GRANTEE}"),
        ("mailbox acl remove ann@example.org INBOX nobody", f"no such identifier: nobody, {GRANTEE}"),
        ("shared add team@example.org --member x@example.org", f"no such identifier: x@example.org, {GRANTEE}"),
        (
            "shared join ann@example.org anyone",
            "not a shared account: ann@example.org; pennypost shared list shows those there are",
        ),
        (
            "junk explain 17 --account ann@example.org",
            "ann@example.org has no message 17: expected its number, or its Message-ID",
        ),
        (
            "trace nonsense",
            'nothing is known of nonsense, expected a Message-ID, a number in the queue, as "q17", a trace id of 16 '
            "hexadecimal digits, or an address",
        ),
        ("trace q17", "nothing is known of q17"),
        (
            "relay forget-tls a.example",
            "nothing is remembered of a.example: pennypost relay tls lists of whom something is",
        ),
    ],
)
def test_a_failure_is_one_line(ann: Shell, arguments: str, reason: str) -> None:
    assert ann.run(*arguments.split()) == (1, "", f"pennypost: {reason}\n")


@pytest.mark.parametrize(
    ("arguments", "argument", "expected"),
    [
        ("account add nonsense", "NAME", f'{ADDRESS} "nonsense"'),
        (f"account add {'a' * 65}@example.org", "NAME", "expected at most 64 octets before the @"),
        ("account add a@example.org --quota 7", "--quota", f'{SIZE} "7"'),
        ("alias add nonsense a@example.org", "ADDRESS", f'{ADDRESS} "nonsense"'),
        ("alias add a@example.org a@b nonsense", "TARGETS...", f'{ADDRESS} "nonsense"'),
        ("domain set example.org --catch-all nonsense", "--catch-all", f'{ADDRESS} "nonsense"'),
        ("shared add nonsense", "ADDRESS", f'{ADDRESS} "nonsense"'),
        (
            "shared join team@example.org anyone --rights lrq",
            "--rights",
            'expected letters of lrswipkxteacd, as "lrs" for reading, not "lrq"',
        ),
        ("ban add 192.0.2.1 --for 5", "--for", 'expected a duration with its unit, as "5 min", not "5"'),
        ("dns records example.org --authority a/b", "--authority", "expected the name of a host, as"),
        ("dns records example.org --autoconfig a/b", "--autoconfig", "expected the name of a host, as"),
        ("doctor example.org --probe -", "--probe", 'expected the name of a host, as "mx.example.org", not "-"'),
        ("doctor example.org --resolver ns.example:53", "--resolver", f'{RESOLVER} "ns.example:53"'),
        ("doctor example.org --resolver 127.0.0.1", "--resolver", f'{RESOLVER} "127.0.0.1"'),
        ("junk threshold example.org --junk nan", "--junk", 'expected a number, as "5" or "2.5", not "nan"'),
        ("junk threshold example.org --junk x", "--junk", 'expected a number, as "5" or "2.5", not "x"'),
        ("queue show nonsense", "ID", 'expected the number of a queued message, as "q17", not "nonsense"'),
        ("queue list --limit 0", "--limit", 'expected a whole number, 1 to 2147483648, not "0"'),
        ("queue list --sender nonsense", "--sender", f'{ADDRESS} "nonsense"'),
        ("queue list --domain a@b", "--domain", f'{DOMAIN} "a@b"'),
        ("trace a@example.org --limit many", "--limit", 'expected a whole number, 1 to 10000, not "many"'),
        ("suppression remove nonsense", "ADDRESS", f'{ADDRESS} "nonsense"'),
        ("suppression list --domain @", "--domain", f'{DOMAIN} "@"'),
        ("relay forget-tls @", "DOMAIN", f'{DOMAIN} "@"'),
        ("reports dmarc --domain @", "--domain", f'{DOMAIN} "@"'),
        ("verify - --ip x --helo a --mail-from <>", "--ip", 'expected an IP address, as "192.0.2.1", not "x"'),
        (
            "verify - --ip ::1 --helo a --mail-from x",
            "--mail-from",
            'expected an address, as "user@example.org", or <>',
        ),
    ],
)
def test_what_is_called_wrongly_is_named(shell: Shell, arguments: str, argument: str, expected: str) -> None:
    status, output, errors = shell.run(*arguments.split())
    assert (status, output) == (2, "")
    assert f"Invalid value for '{argument}': {expected}" in errors


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("account", "set", "ann@example.org"), "say what to change: --display-name or --quota"),
        (("domain", "set", "example.org"), "say what to change: --quota or --catch-all"),
        (
            ("junk", "threshold", "example.org", "--refuse", "1"),
            "--refuse: expected a number above the other thresholds, or 0; together they would be --junk 5, --defer 0, "
            "--refuse 1",
        ),
        (
            ("app-password", "add", "ann@example.org", " "),
            'expected a label, as "phone": it is what the password is revoked by',
        ),
        (("mailbx", "list"), "No such command 'mailbx'. Did you mean 'mailbox'?"),
    ],
)
def test_what_is_called_wrongly_is_said(shell: Shell, arguments: tuple[str, ...], reason: str) -> None:
    status, output, errors = shell.run(*arguments)
    assert (status, output, errors.splitlines()[-1]) == (2, "", f"Error: {reason}")


DAYS = {"start-datetime": "2026-01-31", "end-datetime": "2026-02-01"}


@pytest.mark.parametrize(
    ("kind", "content", "reason"),
    [
        ("tls", "hello", "not JSON"),
        ("tls", "[]", "its parts are not as they have to be"),
        ("tls", json.dumps({"date-range": DAYS}), "it has no organization-name"),
        ("tls", json.dumps({"date-range": DAYS, "organization-name": 5}), "expected a text, not another value"),
        (
            "tls",
            json.dumps({"date-range": {"start-datetime": "x"}, "organization-name": "x", "report-id": "1"}),
            "bad dates",
        ),
        ("dmarc", "hello", "not well-formed XML (syntax error: line 1, column 0)"),
        ("dmarc", "<html></html>", "its outermost element is not feedback"),
        ("dmarc", "<feedback></feedback>", "it has no policy_published with a domain"),
    ],
)
def test_files_that_are_no_reports(shell: Shell, tmp_path: Path, kind: str, content: str, reason: str) -> None:
    file = tmp_path / "report"
    file.write_text(content)
    what = {
        "tls": "a TLS report (RFC 8460 §4), JSON or gzip of it",
        "dmarc": "a DMARC aggregate report (RFC 9990), XML, or gzip or zip of it",
    }[kind]
    status, _, errors = shell.run("reports", kind, "--import", str(file))
    assert (status, errors) == (1, f"pennypost: {file}: expected {what}: {reason}\n")
