"""POP3 sessions where time, the store or the client goes wrong."""

import asyncio
import contextlib
import dataclasses
import sqlite3
from datetime import timedelta

import pytest
from tests.transcripts.pop3.server import append, pop3_door

from pennypost.model.errors import StorageFull
from pennypost.net.connection import WRITE_HIGH_WATER, Connection, ConnectionEnded
from pennypost.net.memory import MemoryConnection
from pennypost.servers.pop3.door import Pop3Door
from pennypost.servers.pop3.settings import Pop3Settings
from pennypost.store import leases, mailboxes, messages

HEADERS = {
    "account": ["anna secret"],
    "message": [r"Subject: one\r\n\r\n1\r\n", r"Subject: two\r\n\r\n2\r\n"],
    "setting": ["clear_text_login_on_loopback true"],
}


class Impatient(MemoryConnection):
    """Every wait for the client is over at once, however long it was to be."""

    @property
    def timeout(self) -> timedelta:
        return timedelta(milliseconds=5)

    @timeout.setter
    def timeout(self, value: timedelta) -> None:
        self.asked = value


@contextlib.asynccontextmanager
async def session(door: Pop3Door, connection: MemoryConnection | None = None, login: bool = True):
    """Run a session; give its connection, logged in."""
    connection = connection or MemoryConnection()
    task = asyncio.ensure_future(serve(door, connection))
    if login:
        connection.send(b"USER anna@penny.test\r\nPASS secret\r\n")
        assert b"messages" in await heard(connection, b"octets\r\n")
    try:
        yield connection
    finally:
        connection.abort()
        await asyncio.wait_for(task, 5)


async def serve(door: Pop3Door, connection: Connection) -> None:
    try:
        with contextlib.suppress(ConnectionEnded):
            await door.handler(connection)
    finally:
        connection.close()


async def heard(connection: MemoryConnection, end: bytes) -> bytes:
    """Give what the server says up to and with `end`, or all of it."""
    said = b""
    while end not in said:
        octets = await asyncio.wait_for(connection.receive(), 5)
        if not octets:
            break
        said += octets
    return said


async def asked(connection: MemoryConnection, command: bytes) -> bytes:
    connection.send(command + b"\r\n")
    return await heard(connection, b"\r\n")


@pytest.fixture
async def door(tmp_path):
    async with pop3_door(tmp_path, HEADERS) as made:
        yield made


async def inbox_size(door: Pop3Door) -> int:
    row = await door.store.read(lambda tx: tx.fetch_one("SELECT COUNT(*) FROM entry"))
    assert row is not None
    return row[0]


async def lock_holder(door: Pop3Door) -> str | None:
    row = await door.store.read(lambda tx: tx.fetch_one("SELECT id FROM account"))
    assert row is not None
    return await door.store.read(lambda tx: leases.holder_of(tx, f"pop3:{row[0]}"))


async def test_a_silent_client_is_logged_out_and_nothing_is_removed(door):
    """RFC 1939 §3: the autologout timer ends the session without the UPDATE state."""
    connection = Impatient()
    async with session(door, connection):
        connection.send(b"DELE 1\r\n")
        said = await heard(connection, b"idle for too long\r\n")
        assert said.endswith(b"-ERR Autologout, idle for too long\r\n")
        assert await connection.receive() == b""
    assert connection.asked <= timedelta(minutes=1), "the lock is to be renewed while the client is waited for"
    assert await inbox_size(door) == 2
    assert await lock_holder(door) is None


async def test_before_a_login_the_client_has_as_much_time(door):
    connection = Impatient()
    async with session(door, connection, login=False):
        assert b"-ERR Autologout" in await heard(connection, b"too long\r\n")
    assert connection.asked == timedelta(minutes=10)


async def test_without_its_lock_a_session_removes_nothing(door):
    async with session(door) as connection:
        await asked(connection, b"DELE 1")
        await door.store.write(lambda tx: tx.execute("UPDATE lease SET holder = 'another'"))
        said = await asked(connection, b"QUIT")
        assert said == b"-ERR [IN-USE] Mailbox is in use by another session\r\n"
    assert await inbox_size(door) == 2
    assert await lock_holder(door) == "another"


async def test_a_lock_that_was_lost_ends_the_session_while_it_waits(door):
    connection = Impatient()
    async with session(door, connection):
        await door.store.write(lambda tx: tx.execute("UPDATE lease SET holder = 'another'"))
        assert b"-ERR The maildrop's lock was lost\r\n" in await heard(connection, b"lost\r\n")
        assert await connection.receive() == b""
    assert await lock_holder(door) == "another"


async def test_a_disabled_account_ends_its_session(door):
    connection = Impatient()
    async with session(door, connection):
        await door.store.write(lambda tx: tx.execute("UPDATE account SET enabled = 0"))
        assert b"-ERR The account is disabled\r\n" in await heard(connection, b"disabled\r\n")
        assert await connection.receive() == b""


async def test_the_lock_is_kept_while_the_client_is_silent(door):
    door.settings = dataclasses.replace(door.settings, lock_time=timedelta(seconds=30))
    async with session(door) as connection:
        before = await door.store.read(lambda tx: tx.fetch_one("SELECT expires_at FROM lease"))
        connection.interrupt()
        assert await asked(connection, b"NOOP") == b"+OK\r\n"
        after = await door.store.read(lambda tx: tx.fetch_one("SELECT expires_at FROM lease"))
        assert before == after, "no write for each command"


async def test_removal_that_fails_is_told_and_nothing_is_removed(door, monkeypatch):
    """RFC 1939 §6."""

    async def full(*_):
        raise StorageFull

    monkeypatch.setattr(messages, "remove", full)
    async with session(door) as connection:
        await asked(connection, b"DELE 1")
        assert await asked(connection, b"QUIT") == b"-ERR [SYS/TEMP] Insufficient system storage\r\n"
        assert await connection.receive() == b""
    assert await inbox_size(door) == 2


async def test_a_fault_is_an_incident_without_its_text_and_the_session_goes_on(door, monkeypatch, capsys):
    async def broken(*_):
        raise LookupError("a secret detail")

    monkeypatch.setattr(messages, "fetch_in_order", broken)
    async with session(door) as connection:
        said = await asked(connection, b"RETR 1")
        assert said.startswith(b"-ERR [SYS/TEMP] Internal error, try again later (incident ")
        assert b"secret" not in said
        assert await asked(connection, b"STAT") == b"+OK 2 38\r\n"
    assert "pop3.command" in capsys.readouterr().out


async def test_a_message_that_was_removed_meanwhile_is_told(door):
    async with session(door) as connection:
        account = (await door.store.read(lambda tx: tx.fetch_one("SELECT id FROM account")))[0]
        inbox = await door.store.read(lambda tx: mailboxes.require(tx, account, "INBOX"))
        await door.store.write(lambda tx: messages.remove(tx, account, inbox.id, [1]))
        assert await asked(connection, b"RETR 1") == b"-ERR The message was removed meanwhile\r\n"
        assert await asked(connection, b"STAT") == b"+OK 2 38\r\n"
        await asked(connection, b"DELE 1")
        await asked(connection, b"DELE 2")
        assert await asked(connection, b"QUIT") == b"+OK Bye\r\n"
    assert await inbox_size(door) == 0


ATTACHED = b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n%b\r\n--b--\r\n"


async def test_a_message_and_its_attachment_are_read_as_they_were_at_one_time(door, monkeypatch):
    """Also when both are removed, by another process, while they are read."""
    account = (await door.store.read(lambda tx: tx.fetch_one("SELECT id FROM account")))[0]
    body = ATTACHED % (b"logo" * 5_000)
    await append(door.store, account, b"Subject: three\r\n\r\n" + body)
    gather, removed = door.store.blobs.gather, []

    async def gather_later(*values):
        with contextlib.closing(sqlite3.connect(door.store.settings.data_dir / "pennypost.db")) as other, other:
            removed.append(other.execute("DELETE FROM blob_part").rowcount)
        await gather(*values)

    monkeypatch.setattr(door.store.blobs, "gather", gather_later)
    async with session(door) as connection:
        connection.send(b"RETR 3\r\n")
        assert (await heard(connection, b"\r\n.\r\n")).endswith(b"\r\n\r\n" + body + b".\r\n")
    assert removed == [1]


async def test_a_large_attachment_is_not_read_before_its_turn_comes(door):
    account = (await door.store.read(lambda tx: tx.fetch_one("SELECT id FROM account")))[0]
    body = ATTACHED % (b"photo" * 20_000)
    await append(door.store, account, b"Subject: three\r\n\r\n" + body)
    await append(door.store, account, b"Subject: four\r\n\r\n" + body)
    (file,) = [path for path in (door.store.settings.data_dir / "blobs").rglob("*") if path.is_file()]
    async with session(door) as connection:
        for number in (1, 2, 3):
            connection.send(b"RETR %d\r\n" % number)
            assert (await heard(connection, b"\r\n.\r\n")).startswith(b"+OK")
        file.unlink()
        assert (await asked(connection, b"RETR 4")).startswith(b"-ERR")
        assert await asked(connection, b"STAT") == b"+OK 4 200175\r\n"


async def test_mail_that_arrives_meanwhile_is_for_the_next_session(door):
    """RFC 1939 §4: the maildrop does not change while it is locked."""
    async with session(door) as connection:
        account = (await door.store.read(lambda tx: tx.fetch_one("SELECT id FROM account")))[0]
        await append(door.store, account, b"Subject: three\r\n\r\n3\r\n")
        assert await asked(connection, b"STAT") == b"+OK 2 38\r\n"
        assert await asked(connection, b"RETR 3") == b"-ERR No such message\r\n"
        await asked(connection, b"QUIT")
    async with session(door) as connection:
        assert await asked(connection, b"STAT") == b"+OK 3 59\r\n"


async def test_a_slow_reader_of_a_large_message_costs_bounded_memory(door):
    account = (await door.store.read(lambda tx: tx.fetch_one("SELECT id FROM account")))[0]
    body = b"0123456789abcdef\r\n" * 300_000
    await append(door.store, account, b"Subject: large\r\n\r\n" + body)
    async with session(door) as connection:
        connection.send(b"RETR 3\r\n")
        received, most = bytearray(), 0
        while not received.endswith(b"\r\n.\r\n"):
            await asyncio.sleep(0.002)
            most = max(most, len(connection._out))
            received += await connection.receive()
        assert bytes(received).partition(b"\r\n\r\n")[2] == body + b".\r\n"
        assert most <= WRITE_HIGH_WATER + 600 * 1024, "a piece is a quarter of a MiB"


async def test_pipelined_answers_to_a_slow_reader_are_bounded(door):
    account = (await door.store.read(lambda tx: tx.fetch_one("SELECT id FROM account")))[0]
    await append(door.store, account, b"Subject: 50 KiB\r\n\r\n" + b"x" * 60_000 + b"\r\n")
    async with session(door) as connection:
        connection.send(b"RETR 3\r\n" * 200)
        await asyncio.sleep(0.05)
        assert len(connection._out) <= WRITE_HIGH_WATER + 2 * door.settings.write_chunk + 60_100


async def test_a_text_that_breaks_off_cuts_the_connection(door, monkeypatch, capsys):
    from pennypost.store.blobs import BlobReader

    account = (await door.store.read(lambda tx: tx.fetch_one("SELECT id FROM account")))[0]
    await append(door.store, account, b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 100_000)

    async def broken(*_):
        raise OSError("disk")

    monkeypatch.setattr(BlobReader, "read_at", broken)
    async with session(door) as connection:
        connection.send(b"RETR 3\r\n")
        said = await heard(connection, b"never")
        assert not said.endswith(b".\r\n")
    assert "pop3.text" in capsys.readouterr().out


async def test_a_shutdown_ends_the_session_and_gives_the_lock_back(door):
    async with session(door) as connection:
        await asked(connection, b"DELE 1")
        connection.shutting_down = True
        connection.interrupt()
        assert await connection.receive() == b""
    assert await inbox_size(door) == 2
    assert await lock_holder(door) is None


async def test_an_interrupt_alone_changes_nothing(door):
    async with session(door) as connection:
        connection.interrupt()
        await asyncio.sleep(0)
        assert await asked(connection, b"NOOP") == b"+OK\r\n"


@pytest.mark.parametrize(
    "wrong",
    [
        {"idle_timeout": timedelta(minutes=9)},
        {"lock_time": timedelta(seconds=1)},
        {"max_login_failures": 0},
        {"login_delay": timedelta(seconds=-1)},
    ],
)
def test_settings_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Pop3Settings(**wrong)
