"""Real messages, with their attachments kept apart: every octet comes back, whole and in ranges, of rows and files."""

import re
from pathlib import Path
from random import Random

import pytest
from tests.vectors.mime import files, root

from pennypost.message.dots import has_dotted_line
from pennypost.message.headers import split
from pennypost.model.units import Octets
from pennypost.store import check
from pennypost.store.blobs import put
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store

SMALLEST = Octets(64)
MESSAGES = {str(path.relative_to(root())): path.read_bytes() for path in files()}
FIELDS = (
    b"Content-Transfer-Encoding: base64\r\n\r\n",
    b"\r\ncontent-transfer-encoding:BASE64\r\nX: y\r\n\r\n",
    b"base64",
    b"\r\n.\r\n",
    b"\r\n\r\n",
    b"-",
    b"\n",
    b"=",
)


def mutated(octets: bytes, chance: Random) -> bytes:
    changed = bytearray(octets)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(4):
            case 0:
                del changed[at : at + chance.randrange(200)]
            case 1:
                changed[at:at] = chance.choice(FIELDS)
            case 2:
                changed[at:at] = changed[max(0, at - chance.randrange(3_000)) : at]
            case _:
                changed[at : at + 1] = chance.randbytes(1)
    return bytes(changed)


def bodies(chance: Random) -> list[bytes]:
    """Give the body of each message, as it is, with CRLF, and with something else in it."""
    found = []
    for octets in MESSAGES.values():
        lines = re.sub(rb"\r?\n", b"\r\n", octets)
        found += [split(one)[1] for one in (octets, lines, mutated(lines, chance))]
    return found


@pytest.mark.parametrize("inline_limit", [300, 4_096, 64 * 1024])
async def test_each_body_comes_back(tmp_path: Path, inline_limit: int) -> None:
    chance, divided = Random(inline_limit), 0
    settings = StoreSettings(tmp_path / "data", inline_limit=Octets(inline_limit), attachment_from=SMALLEST)
    store = await Store.open(settings)
    for body in bodies(chance):
        small = len(body) <= inline_limit
        draft = store.blobs.draft(body) if small else await store.blobs.draft_large(body)
        divided += bool(draft.parts)
        blob = await store.write(lambda tx, draft=draft: put(tx, draft))  # type: ignore[misc]
        reader = await store.read(lambda tx, blob=blob: store.blobs.open(tx, blob))  # type: ignore[misc]
        assert reader.size == len(body)
        assert not (reader.undotted and has_dotted_line(body))
        assert b"".join([piece async for piece in reader.chunks()]) == body
        for _ in range(4):
            start, length = chance.randrange(len(body) + 2), chance.randrange(len(body) + 2)
            assert await reader.read_at(start, length) == body[start : start + length]
        reader.close()
    assert divided > 10
    assert [one async for one in check.check_blobs(store.engine, store.blobs)] == []
    await store.close()
