"""OpenDKIM accepts our signatures, of both algorithms, and refuses what was changed; we accept and refuse its own."""

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.interop.tools import need, run
from tests.unit.verify.dkim.keys import verdicts

from pennypost.model.verification import DkimResult
from pennypost.verify.dkim import SigningKey, public_record, sign

pytestmark = need("opendkim")

NOW = 1_760_000_000
RSA = SigningKey("author.test", "r", generate_private_key(65537, 2048))
ED25519 = SigningKey("author.test", "e", Ed25519PrivateKey.generate())
KEYS = {"rsa": RSA, "ed25519": ED25519}

PLAIN = b"From: Carl <carl@author.test>\r\nTo: dora@far.test\r\nSubject: hello\r\n"
MESSAGES = {
    "plain": PLAIN + b"\r\nA body.\r\n",
    "no body": PLAIN + b"\r\n",
    "blanks": PLAIN + b"\r\n x \t y  \r\n\t\r\n\r\n z\r\n\r\n\r\n",
    "folded": b"From: Carl\r\n <carl@author.test>\r\nSubject:\r\n\t a   long \r\n\tone  \r\nTo: a@b.test,\r\n c@d.e"
    b"\r\n\r\nx\r\n",
    "eight bits": PLAIN + "\r\nGrüße, und mehr.\r\n".encode(),
    "twice": PLAIN + b"Comments: one\r\nComments: two\r\nList-Id: <a.test>\r\n\r\nx\r\n",
    "empty fields": b"From: carl@author.test\r\nCc:\r\nSubject: \r\nReply-To:  \r\n\r\nx\r\n",
    "dots": PLAIN + b"\r\n.\r\n..\r\n.x\r\n",
    "long lines": PLAIN + b"\r\n" + b"word " * 180 + b"\r\n" + b"x" * 990 + b"\r\n",
    "large": PLAIN + b"\r\n" + b"A line of a large body.\r\n" * 20_000,
}

CHANGED_BY_TEST_MODE = ("folded", "empty fields")


def opendkim(folder: Path, octets: bytes, *settings: str) -> str:
    """Run it over a message in its test mode. Gives what it says."""
    (folder / "conf").write_text("\n".join(("Syslog no", "RequireSafeKeys no", *settings, "")))
    (folder / "message").write_bytes(octets)
    return run("opendkim", "-x", folder / "conf", "-t", folder / "message", "-vv", status=None)


def verified(folder: Path, octets: bytes, *keys: SigningKey) -> list[str]:
    """Give "algorithm=result" of each signature it speaks of."""
    (folder / "dns").write_text(
        "".join(f"{key.selector}._domainkey.{key.domain} {public_record(key.key.public_key())}\n" for key in keys)
    )
    said = opendkim(folder, octets, "Mode v", f"TestDNSData {folder / 'dns'}")
    return re.findall(r"dkim=(\w+)", said)


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("algorithm", KEYS)
def test_it_accepts_our_signatures(tmp_path: Path, algorithm: str, name: str) -> None:
    octets, key = MESSAGES[name], KEYS[algorithm]
    header, _, body = octets.partition(b"\r\n\r\n")
    signed = sign(header + b"\r\n\r\n", body, [key], NOW) + octets
    assert verified(tmp_path, signed, key) == ["pass"]
    assert verified(tmp_path, signed + b"more\r\n", key) == ["fail"]
    assert verified(tmp_path, signed.replace(b"carl@", b"karl@"), key) == ["fail"]


def test_both_signatures_of_a_message_hold(tmp_path: Path) -> None:
    header, _, body = MESSAGES["plain"].partition(b"\r\n\r\n")
    signed = sign(header + b"\r\n\r\n", body, [RSA, ED25519], NOW) + MESSAGES["plain"]
    assert set(verified(tmp_path, signed, RSA, ED25519)) == {"pass"}


@pytest.mark.parametrize("form", ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"])
@pytest.mark.parametrize("name", MESSAGES)
def test_we_accept_its_signatures(tmp_path: Path, form: str, name: str) -> None:
    octets = MESSAGES[name]
    if name in CHANGED_BY_TEST_MODE and form.startswith("simple"):
        pytest.skip("its test mode drops blanks at the beginning of values")
    (tmp_path / "key.pem").write_bytes(
        RSA.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    said = opendkim(
        tmp_path, octets, "Mode s", "Domain author.test", "Selector r", f"KeyFile {tmp_path / 'key.pem'}",
        f"Canonicalization {form}", "InternalHosts 0.0.0.0/0",
    )  # fmt: skip
    found = re.search(r"hname='DKIM-Signature' hvalue='(.*?)'$", said, re.DOTALL | re.MULTILINE)
    assert found is not None, said
    field = b"DKIM-Signature: " + found[1].replace("\n", "\r\n").encode() + b"\r\n"
    records = {"r._domainkey.author.test": [public_record(RSA.key.public_key()).encode()]}
    assert [verdict.result for verdict in verdicts(field + octets, records, now=2_000_000_000)] == [DkimResult.PASS]
    (changed,) = verdicts(field + octets + b"more\r\n", records, now=2_000_000_000)
    assert changed.result is DkimResult.FAIL
