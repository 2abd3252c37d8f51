"""FETCH of header fields of many messages tells the same, whether they were asked for before or not."""

from pathlib import Path

from tests.transcripts.imap.server import world
from tests.unit.servers.imap.test_session import logged_in

COUNT = 40
FIELDS = b"BODY.PEEK[HEADER.FIELDS (Subject X-Absent to)]"
LABEL = b"BODY[HEADER.FIELDS (Subject X-Absent to)]"


def line(number: int, subject: int, before: bytes = b"") -> bytes:
    fields = b"Subject: number %d\r\nTo: ann@example.org\r\n\r\n" % subject
    return b"* %d FETCH (%b%b {%d}\r\n%b)\r\n" % (number, before, LABEL, len(fields), fields)


async def test_fields_of_many(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        for number in range(1, COUNT + 1):
            await made.deliver(
                b"From: a@example.net\r\nSubject: number %d\r\nTo: ann@example.org\r\n\r\nx\r\n" % number
            )
        talk, other = await logged_in(made, "INBOX"), await logged_in(made, "INBOX")
        done = b"f OK FETCH completed\r\n"
        for _ in range(2):
            every = range(1, COUNT + 1)
            assert await talk.say(b"f FETCH 1:* (%b)" % FIELDS) == b"".join([line(n, n) for n in every]) + done
            answer = await talk.say(b"f FETCH 1:* (UID %b)" % FIELDS)
            assert answer == b"".join([line(n, n, b"UID %d " % n) for n in every]) + done
            answer = await talk.say(b"f FETCH 1:* (%b RFC822.SIZE)" % FIELDS)
            assert answer.count(b"\r\n\r\n RFC822.SIZE ") == COUNT
            both = await talk.say(b"f FETCH 1:* (BODY.PEEK[HEADER.FIELDS (From)] %b)" % FIELDS)
            assert both.count(b"* ") == both.count(LABEL) == both.count(b"From: a@example.net\r\n\r\n") == COUNT
            with_envelope = await talk.say(b"f FETCH 1:* (ENVELOPE %b)" % FIELDS)
            assert with_envelope.count(b"ENVELOPE (NIL") == with_envelope.count(LABEL) == COUNT
        assert b"o OK" in await other.say(b"o STORE 1:5 +FLAGS.SILENT (\\Deleted)")
        assert b"o OK" in await other.say(b"o EXPUNGE")
        await talk.say(b"f NOOP")
        answer = await talk.say(b"f FETCH 1:* (UID %b)" % FIELDS)
        assert answer == b"".join([line(n - 5, n, b"UID %d " % n) for n in range(6, COUNT + 1)]) + done
        await talk.finish()
        await other.finish()
