"""Thunderbird, without a screen: it reads, keeps offline copies, hears of what others do, and changes things itself.

It is not among what `make test-deps` installs, for its size: `apt-get install thunderbird`, and this runs too.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop.thunderbird import Thunderbird, thunderbird
from tests.interop.tools import imap, need, stored
from tests.running import Account, RunningServer

pytestmark = need("thunderbird")

SETTINGS = ("auth.allow_cleartext_login=loopback",)
SUBJECTS = "return headers(inbox()).map(header => header.mime2DecodedSubject)"


def message(number: int) -> bytes:
    return (
        f"From: Somebody <a@example.net>\r\nTo: me@example.org\r\nSubject: Message {number}\r\n"
        f"Date: Thu, 0{number} Feb 2024 10:00:00 +0000\r\nMessage-ID: <m{number}@example.net>\r\n\r\n"
        f"The text of {number}\r\n"
    ).encode()


@pytest.fixture
def client(server: RunningServer, account: Account, tmp_path: Path) -> Iterator[Thunderbird]:
    """Give one that has read an INBOX of three messages."""
    with imap(server, account) as other:
        for number in (1, 2, 3):
            other.append("INBOX", "", "", message(number))
    with thunderbird(server, account, tmp_path / "thunderbird") as running:
        running.run("await update(inbox()); await until(() => headers(inbox()).length == 3)")
        assert running.run(SUBJECTS) == ["Message 1", "Message 2", "Message 3"]
        yield running


def test_it_knows_what_mailboxes_are_for(client: Thunderbird) -> None:
    told = client.run(
        """
        const flags = ["Inbox", "Drafts", "SentMail", "Trash", "Junk", "Archive"];
        return flags.map(flag => inbox().rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags[flag])?.name);
        """
    )
    assert told == ["INBOX", "Drafts", "Sent", "Trash", "Junk", "Archive"]


def test_it_keeps_copies_that_are_the_messages(client: Thunderbird) -> None:
    client.run(
        """
        const all = () => headers(inbox()).every(header => header.flags & Ci.nsMsgMessageFlags.Offline);
        await finished(listener => inbox().downloadAllForOffline(listener, null));
        await until(all);
        """
    )
    texts = client.run(
        """
        return headers(inbox()).map(header => {
            const stream = Cc["@mozilla.org/scriptableinputstream;1"].createInstance(Ci.nsIScriptableInputStream);
            stream.init(inbox().getMsgInputStream(header));
            let octets = "";
            for (let count; (count = stream.available()) > 0; ) octets += stream.read(count);
            return octets.replace(/^X-Mozilla-.*\\n/gm, "");
        });
        """
    )
    assert [text.encode() for text in texts] == [message(1), message(2), message(3)]


def test_it_hears_of_new_messages(client: Thunderbird, server: RunningServer, account: Account) -> None:
    """By IDLE: nobody asks it to look."""
    client.wait_for_idle()
    with imap(server, account) as other:
        other.append("INBOX", "", "", message(4))
    client.run("await until(() => headers(inbox()).length == 4)")
    assert client.run(SUBJECTS) == ["Message 1", "Message 2", "Message 3", "Message 4"]


def test_it_sees_what_others_changed(client: Thunderbird, server: RunningServer, account: Account) -> None:
    with imap(server, account) as other:
        other.select("INBOX")
        other.store("1", "+FLAGS", "(\\Deleted)")
        other.store("3", "+FLAGS", "(\\Seen \\Answered $label2)")
        other.expunge()
    told = client.run(
        """
        await update(inbox());
        await until(() => headers(inbox()).length == 2);
        return headers(inbox()).map(header => [
            header.mime2DecodedSubject, header.isRead, header.flags & Ci.nsMsgMessageFlags.Replied,
            header.getStringProperty("keywords")]);
        """
    )
    assert told == [["Message 2", False, 0, ""], ["Message 3", True, 2, "$label2"]]


def test_it_sets_flags_and_keywords(client: Thunderbird, server: RunningServer, account: Account) -> None:
    client.run(
        """
        const [one, two, three] = headers(inbox());
        inbox().markMessagesRead([one], true);
        inbox().markMessagesFlagged([two], true);
        inbox().addKeywordsToMessages([three], "$label1");
        await update(inbox());
        """
    )
    client.wait_for_idle()
    with imap(server, account) as other:
        other.select("INBOX", readonly=True)
        told = other.fetch("1:*", "(FLAGS)")[1]
    assert told == [b"1 (FLAGS (\\Seen))", b"2 (FLAGS (\\Flagged))", b"3 (FLAGS ($label1))"]


def test_it_moves_copies_and_deletes(client: Thunderbird, server: RunningServer, account: Account) -> None:
    client.run(
        """
        const [one, two, three] = headers(inbox()), archive = folder("Archive");
        const copy = (which, move) => finished(listener =>
            MailServices.copy.copyMessages(inbox(), [which], archive, move, listener, null, false));
        await copy(one, true);
        await copy(two, false);
        await finished(listener => inbox().deleteMessages([three], null, false, true, listener, false));
        await until(() => headers(inbox()).length == 1);
        """
    )
    assert client.run(SUBJECTS) == ["Message 2"]
    assert stored(server, account, "Archive", 2) == [message(1), message(2)]
    assert stored(server, account, "Trash") == [message(3)]
    assert stored(server, account) == [message(2)]


def test_it_stores_a_draft_in_utf8(
    client: Thunderbird, server: RunningServer, account: Account, tmp_path: Path
) -> None:
    """It wraps the message as RFC 6855 §4 says, since UTF8=ACCEPT is enabled."""
    draft = "From: Jü <a@example.net>\r\nSubject: Grüße\r\nMessage-ID: <d@example.net>\r\n\r\nHallo\r\n".encode()
    (tmp_path / "draft.eml").write_bytes(draft)
    client.run(
        """
        const file = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile), drafts = folder("Drafts");
        file.initWithPath(given[0]);
        await finished(l => MailServices.copy.copyFileMessage(file, drafts, null, true, 0, "", l, null));
        """,
        str(tmp_path / "draft.eml"),
    )
    assert stored(server, account, "Drafts") == [draft]


def test_it_makes_and_renames_mailboxes(client: Thunderbird, server: RunningServer, account: Account) -> None:
    client.run(
        """
        inbox().rootFolder.createSubfolder("Bücher", null);
        await until(() => folder("Bücher"));
        folder("Bücher").rename("Livres & 本", null);
        await until(() => folder("Livres & 本"));
        """
    )
    with imap(server, account) as other:
        listed = b"\n".join(line for line in other.list()[1] if isinstance(line, bytes))
    assert b'"Livres &- &Zyw-"' in listed
    assert b"B&APw-cher" not in listed


def test_it_searches_on_the_server(client: Thunderbird) -> None:
    found = client.run(
        """
        const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
        const term = session.createTerm(), value = term.value, found = [];
        value.attrib = term.attrib = Ci.nsMsgSearchAttrib.Body;
        value.str = given[0];
        term.value = value;
        term.op = Ci.nsMsgSearchOp.Contains;
        session.appendTerm(term);
        session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, inbox());
        await new Promise(good => {
            session.registerListener({
                onSearchHit(header) { found.push(header.mime2DecodedSubject); },
                onSearchDone: good,
                onNewSearch() {} });
            session.search(null);
        });
        return found;
        """,
        "text of 2",
    )
    assert found == ["Message 2"]
