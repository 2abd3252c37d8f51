"""Every file of the MIME vectors is read to the end, whatever it is, and nothing of it is lost."""

from pathlib import Path

import pytest
from tests.vectors import mime

from pennypost.message import text
from pennypost.message.decode import content
from pennypost.message.digest import digest
from pennypost.message.headers import field_list, remove, select_fields, select_other_fields, split
from pennypost.message.imap_form import imap_body, imap_bodystructure, sent_envelope
from pennypost.message.structure import Part, Section, decode, encode, find_part, locate
from pennypost.message.words import decode_words


def check_offsets(part: Part, start: int, end: int) -> None:
    """Parts lie inside their parents, in order, and do not overlap."""
    assert start <= part.header_start <= part.body_start <= part.body_end <= end
    at = part.body_start
    for child in part.children:
        check_offsets(child, at, part.body_end)
        at = child.body_end


@pytest.mark.parametrize("path", mime.files(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_survives(path: Path) -> None:
    octets = path.read_bytes()
    header_block, body = split(octets)
    assert header_block + body == octets

    made = digest(header_block, body)
    check_offsets(made.index, 0, len(body))
    assert decode(encode(made.index)) == made.index
    mime.read_imap(sent_envelope(made.envelope))
    mime.read_imap(imap_body(made.index))
    assert imap_bodystructure(decode(encode(made.index))) == made.bodystructure
    mime.read_imap(made.bodystructure)

    for numbers, part in text.walk(made.index):
        assert find_part(made.index, numbers) == part
        span = locate(made.index, numbers, Section.CONTENT)
        assert span is not None
        assert (span.start, span.end) == (part.body_start, part.body_end)
        content(part, body)
    assert len(text.preview(made.index, body)) <= 256
    text.plain_text(made.index, body)
    text.html(made.index, body)
    assert all(attachment.file_name for attachment in text.attachments(made.index))
    for name, value in field_list(header_block):
        decode_words(value)
        assert name in select_fields(header_block, [name]).lower()
    assert remove(header_block, []) == header_block
    assert select_other_fields(header_block, []).endswith(b"\r\n")
