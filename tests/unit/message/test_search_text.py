"""Words of texts in any script, and what is looked for by them."""

import pytest

from pennypost.message.search_text import MAX_WORD, Query, Words, folded, index_words, plain, query_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, World! 3.14 x_y", {"hello", "world", "3", "14", "x", "y"}),
        ("Straße nach KÖLN", {"strasse", "nach", "köln"}),
        ("Привет-мир", {"привет", "мир"}),
        ("東京都に行く", {"東", "京", "都", "に", "行", "く"}),
        ("mail漢字mail2", {"mail", "漢", "字", "mail2"}),
        ("한국어 메일", {"한", "국", "어", "메", "일"}),
        ("שלום עולם", {"שלום", "עולם"}),
        ("e\u0301cole", {"école"}),
        ("𠀋𠀌", {"𠀋", "𠀌"}),
        ("…—!", set()),
    ],
)
def test_words(text: str, words: set[str]) -> None:
    assert set(index_words("", [text]).body.split()) == words


@pytest.mark.parametrize(
    ("needle", "expected"),
    [
        ("appl", Query(("appl",), last_is_whole=False, exact=True)),
        ("apple pi", Query(("apple", "pi"), last_is_whole=False, exact=False)),
        ("apple ", Query(("apple",), last_is_whole=True, exact=False)),
        ("-apple", Query(("apple",), last_is_whole=False, exact=False)),
        ("漢", Query(("漢",), last_is_whole=False, exact=True)),
        ("漢字", Query(("漢", "字"), last_is_whole=False, exact=False)),
        ("...", None),
        ("", None),
    ],
)
def test_what_is_looked_for(needle: str, expected: Query | None) -> None:
    assert query_words(needle) == expected


def test_long_words_are_cut_on_both_sides() -> None:
    long = "x" * (MAX_WORD + 5)
    assert index_words("", [long]).body == long[:MAX_WORD]
    assert query_words(long) == Query((long[:MAX_WORD],), last_is_whole=True, exact=False)
    assert query_words(long[:MAX_WORD]) == Query((long[:MAX_WORD],), last_is_whole=False, exact=True)


def test_accents_are_taken_away_for_fuzzy_searches() -> None:
    assert plain(folded("École ﬁne Ⅷ Привёт")) == "ecole fine viii привет"
    words = index_words("école", ["ecole"])
    assert (words.plain_header, words.plain_body) == ("ecole", "")


def test_large_texts_are_cut_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join(f"wörd{n}" for n in range(300)) + "漢字" * 50 + "e\u0301cole " * 20 + "x" * 500
    whole = index_words(folded(text), [text])
    for piece in (60, 100, 1000):
        monkeypatch.setattr("pennypost.message.search_text.PIECE", piece)
        cut = index_words(folded(text), [text])
        assert set(cut.body.split()) >= set(whole.body.split())
        assert set(cut.header.split()) == set(cut.body.split())


def test_what_has_too_many_words_is_not_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pennypost.message.search_text.MAX_WORDS", 10)
    assert index_words("", ["a b c"]).whole
    assert index_words("", ["a b c", " ".join(map(str, range(20)))]) == Words("", "", "", "", False)
