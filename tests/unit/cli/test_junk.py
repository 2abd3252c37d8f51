"""`pennypost junk`, on a store of its own."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from tests.contracts.world import append
from tests.unit.cli.shell import Shell

from pennypost.cli.running import find_account
from pennypost.store import mailboxes
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path / "data")
    shell("domain", "add", "example.org")
    return shell


def test_junk(shell: Shell, tmp_path: Path) -> None:
    wanted, unwanted = tmp_path / "wanted", tmp_path / "unwanted.mbox"
    wanted.mkdir()
    head = "From: ann@example.org\nSubject: x\nDate: Tue, 3 Feb 2026 10:00:00 +0000\nMessage-ID: <{}@x>\n\n"
    for number in range(25):
        (wanted / f"{number}.eml").write_text(head.format(number) + "Minutes of the board meeting.\n")
    unwanted.write_text(
        "".join(f"From eve@x Tue Feb  3 10:00:00 2026\n{head.format(n)}Cheap watches, buy now.\n\n" for n in range(25))
    )
    assert shell("junk", "status") == "nothing was learnt yet\n"
    assert shell("junk", "train", "--wanted", str(wanted)) == "25 messages learnt as wanted\n"
    assert shell("junk", "train", "--junk", str(unwanted)) == "25 messages learnt as junk\n"
    assert shell.records("junk", "status") == [{"account": "everybody", "wanted": 25, "junk": 25}]
    offer = tmp_path / "offer.eml"
    offer.write_text(head.format("o") + "Watches, buy them cheap.\nhttp://192.0.2.1/\n")
    told = shell("junk", "explain", str(offer))
    assert "A link leads to a bare number instead of a name." in told
    assert re.search(r"\+\d\.\d  [\w ]+ words are those of messages that were junk\. \(words\)", told)
    shell("account", "add", "ann@example.org", "--generate-password")
    found = json.loads(shell("junk", "explain", str(offer), "--account", "ann@example.org", "--json"))
    assert {one["name"] for one in found["evidence"]} >= {"words", "link-to-a-number"}
    assert shell.run("junk", "train", str(offer))[0] == 2
    assert shell.run("junk", "explain", str(offer), "--account", "nobody@example.org")[0] == 1
    assert shell.run("junk", "explain", "no-such-file")[0] == 2


def test_thresholds_of_junk(shell: Shell, tmp_path: Path) -> None:
    shell("account", "add", "ann@example.org", "--generate-password")
    assert shell("junk", "threshold").startswith("none is set")
    assert shell.run("junk", "threshold", "ann@example.org")[0] == 2
    assert shell.run("junk", "threshold", "ann@example.org", "--junk", "20")[0] == 2, "above where it is refused"
    shell("junk", "threshold", "example.org", "--junk", "4", "--refuse", "9")
    shell("junk", "threshold", "ann@example.org", "--junk", "3")
    assert {(one["name"], one["junk"], one["refuse"]) for one in shell.records("junk", "threshold")} == {
        ("example.org", 4.0, 9.0),
        ("ann@example.org", 3.0, None),
    }
    file = tmp_path / "one.eml"
    file.write_text("From: ann@example.org\nSubject: x\n\nHello.\n")

    def threshold(*options: str) -> float:
        return float(json.loads(shell("junk", "explain", str(file), "--json", *options))["threshold"])

    assert (threshold(), threshold("--account", "ann@example.org")) == (5.0, 3.0)
    shell("junk", "threshold", "ann@example.org", "--reset")
    assert threshold("--account", "ann@example.org") == 4.0, "that of the domain"
    assert shell.run("junk", "threshold", "ann@example.org", "--junk", "9.5")[0] == 2, "the domain refuses at 9"
    shell("junk", "threshold", "example.org", "--junk", "20", "--refuse", "30")
    shell("junk", "threshold", "ann@example.org", "--junk", "25")  # above what the server refuses, not the domain


async def test_a_stored_message_is_explained_by_number_and_message_id(shell: Shell) -> None:
    await asyncio.to_thread(shell, "account", "add", "ann@example.org", "--generate-password")
    store = await Store.open(StoreSettings(shell.folder))
    ann = (await store.read(lambda tx: find_account(tx, "ann@example.org"))).id
    inbox = await store.read(lambda tx: mailboxes.require(tx, ann, "INBOX"))
    head = b"From: eve@example.com\r\nSubject: x\r\nMessage-ID: <one@example.com>\r\n\r\n"
    body = b"http://192.0.2.1/\r\n"
    stored = await store.write(lambda tx: append(tx, ann, inbox.id, head, body))
    await store.close()
    for name in (str(stored.message), "<one@example.com>"):
        told = await asyncio.to_thread(shell, "junk", "explain", name, "--account", "ann@example.org")
        assert "A link leads to a bare number instead of a name." in told
    code, _, _ = await asyncio.to_thread(shell.run, "junk", "explain", "999", "--account", "ann@example.org")
    assert code == 1
