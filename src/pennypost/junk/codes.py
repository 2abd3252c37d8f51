"""Messages that answer something a person is doing right now: codes to log in with, links to confirm an address.

They must never wait. Nothing here speaks for a message: who sends junk can write the same words.
"""

import re

from pennypost.junk.content import Content

_MOST_CHARACTERS = 4000
"""Of text: such messages are short."""
_CODE = re.compile(r"(?<![\w.,/\-])(?:\d{4,8}|\d{3}[ \-]\d{3}|(?=[A-Z]*\d)[A-Z0-9]{5,8})(?![\w/]|[.,]\d)")
_WORDS = (
    "one-time", "one time", "verif", "confirm", "security code", "access code", "log in", "login", "log-in", "sign in",
    "sign-in", "signin", "sign up", "sign-up", "passcode", "password", "two-factor", "two factor", "2fa", " otp",
    "activat", "bestätig", "sicherheitscode", "einmal", "anmelde", "aktivier", "passwort", "vérification", "sécurité",
    "código", "contraseña", "codice", "doğrulama", "подтвержд", "парол", "验证码", "驗證碼", "認証コード",
    "確認コード", "인증",
)  # fmt: skip
_LINK_WORDS = re.compile(r"(?:confirm|verify|activate|reset|token|bestaetig|aktivier)", re.IGNORECASE)


def answers_an_action(content: Content) -> bool:
    """Whether a message looks like a one-time code or a link to confirm something with."""
    if content.files or len(content.text) > _MOST_CHARACTERS:
        return False
    subject = content.fields.get("subject", "")
    text = f"{subject}\n{content.text}"
    if not content.links and not _CODE.search(text):
        return False
    small = text.casefold()
    if not any(word in small for word in _WORDS):
        return False
    return _CODE.search(text) is not None or (bool(content.links) and _LINK_WORDS.search(text) is not None)
