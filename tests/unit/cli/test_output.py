"""What commands write."""

import json

import pytest

from pennypost.cli.output import JsonArray, show_records

RECORDS = [{"kind": "counter", "where": "ü"}, {"kind": "blob", "where": "[\n"}]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_an_array_is_the_same_bit_by_bit(capsys: pytest.CaptureFixture[str], count: int) -> None:
    show_records(RECORDS[:count], as_json=True)
    whole, written = capsys.readouterr().out, ""
    with JsonArray() as array:
        for record in RECORDS[:count]:
            array.add(record)
            part = capsys.readouterr().out
            assert part.count("{") == 1, "written when it is known"
            written += part
    written += capsys.readouterr().out
    assert written == whole
    assert json.loads(whole) == RECORDS[:count]


def test_what_broke_off_is_no_array(capsys: pytest.CaptureFixture[str]) -> None:
    def break_off() -> None:
        with JsonArray() as array:
            array.add(RECORDS[0])
            raise LookupError

    with pytest.raises(LookupError):
        break_off()
    with pytest.raises(json.JSONDecodeError):
        json.loads(capsys.readouterr().out)
