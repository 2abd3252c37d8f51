"""In which language a text is, guessed cheaply: by its letters, or else by the words that each language needs most.

A guess, of the beginning of a text only. Letters tell scripts apart, not the languages that are written in them; words
tell languages apart whose letters are Latin. A text that is short, or in two languages at once, is in none.
"""

LOOKED_AT = 600
"""Characters of a text."""

_LEAST_OF_SCRIPT = 0.3
"""Share of the characters, spaces and all, that must be of a script."""
_LEAST_LETTERS = 20
_LEAST_WORDS = 5
"""Different words of a language that must be there, and half as many again as of any other."""
_FIRST_OF_KANA, _MARKS_OF_KANA = 0x30, "\u3000、。〈〉《》「」『』【】"
"""The first octet of kana, and of marks that all who write ideographs use."""
_KANA_SHARE = 0.1
"""Of what is written with ideographs, from which on it is Japanese."""

_SCRIPTS = {
    "greek": b"\x03",
    "cyrillic": b"\x04",
    "hebrew": b"\x05",
    "arabic": b"\x06",
    "indic": bytes(range(0x09, 0x0E)),
    "thai": b"\x0e",
    "chinese": bytes(range(0x4E, 0xA0)),
    "korean": bytes(range(0xAC, 0xD8)),
}
"""The first octets, in UTF-16, of the letters of a script."""
_BEYOND_LATIN = bytes(range(0x03, 0x0F)) + bytes(range(0x30, 0xD8))

_WORDS = {
    language: frozenset(words.split())
    for language, words in {
        "english": "the and of to is that for it you with this are be have not from your we will can was our has if",
        "german": "der die und das ist nicht ein eine zu den mit sich auf für von dem im sie wir auch werden bei wenn",
        "dutch": "het een en van ik niet dat zijn op te voor met aan maar om ook bij naar uw wij wordt deze kunt als",
        "french": "le la les et des est une un du dans que pour vous pas qui sur avec nous au votre ce sont par je",
        "spanish": "el la los las y es una un del en que para por con no su se lo más como pero al sus usted muy",
        "portuguese": "o os as e é uma um do da em que para por com não se dos na no mais como você ao seu sua",
        "italian": "il la gli e è una un del della che per con non di in sono si anche come ma alla dei nel più le",
        "romanian": "și este un o la de cu pe în nu pentru care din să mai sunt ce prin sau după dar această",
        "swedish": "och är att det som en ett på av för med inte jag den vi kan till har om du från eller ska",
        "danish or norwegian": "og er det at en et på af for med ikke jeg den vi kan til har som du fra eller av der",
        "polish": "i w nie na się do to jest że z od dla przez są jak ale po oraz co tym lub za może",
        "czech": "a je se v na že s do to jsem ale by jako pro jsou jsme si po nebo které který má při",
        "turkish": "ve bir bu için ile da de çok daha olarak gibi ne ama var değil kadar sonra olan veya en her",
        "indonesian": "yang dan di untuk dengan ini dari pada tidak itu ke akan adalah dalam anda kami juga bisa saya",
    }.items()
}
_LANGUAGES_OF = {
    word: tuple(name for name, words in _WORDS.items() if word in words) for word in frozenset().union(*_WORDS.values())
}
_ALL_WORDS = frozenset(_LANGUAGES_OF)


def language(text: str) -> str:
    """Guess: the name of a script, or of a language, in lower case; "" for a text that does not say."""
    text = text[:LOOKED_AT]
    return ("" if text.isascii() else _script(text)) or _by_words(text)


def _script(text: str) -> str:
    least = max(_LEAST_LETTERS, _LEAST_OF_SCRIPT * len(text))
    firsts = text.encode("utf-16-be", "surrogatepass")[::2]
    if _how_many(firsts, _BEYOND_LATIN) < least:
        return ""
    count, script = max((_how_many(firsts, theirs), name) for name, theirs in _SCRIPTS.items())
    kana = firsts.count(_FIRST_OF_KANA) - sum(map(text.count, _MARKS_OF_KANA))
    if script == "chinese" and kana >= _KANA_SHARE * count:
        count, script = count + kana, "japanese"
    return script if count >= least else ""


def _how_many(octets: bytes, kinds: bytes) -> int:
    return len(octets) - len(octets.translate(None, kinds))


def _by_words(text: str) -> str:
    counts: dict[str, int] = {}
    for word in _ALL_WORDS.intersection(text.lower().split()):
        for name in _LANGUAGES_OF[word]:
            counts[name] = counts.get(name, 0) + 1
    if not counts:
        return ""
    name = max(counts, key=counts.__getitem__)
    most = counts.pop(name)
    return name if most >= max(_LEAST_WORDS, 1.5 * max(counts.values(), default=0)) else ""


def described(name: str) -> str:
    """Say of what `language` found, in a sentence, that a text is "in German" or "in Cyrillic letters"."""
    letters = " letters" if name in _SCRIPTS and name not in {"greek", "hebrew", "chinese", "korean", "thai"} else ""
    return f"in {' '.join(word if word == 'or' else word.capitalize() for word in name.split())}{letters}"
