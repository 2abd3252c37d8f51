"""Messages that answer something a person is doing right now: codes to log in with, links to confirm an address.

They must never wait. Nothing here speaks for a message: who sends junk can write the same words.
"""

import re

from pennypost.junk.content import Content

_MOST_CHARACTERS = 4000
"""Of text: such messages are short."""
_CODE = re.compile(r"(?<![\w.,/\-])(?:\d{4,8}|\d{3}[ \-]\d{3}|(?=[A-Z]*\d)[A-Z0-9]{5,8})(?![\w/]|[.,]\d)")
_WORDS = re.compile(
    r"\b(?:one[- ]time|verif(?:y|ication)|confirm(?:ation)?|security code|access code|log[- ]?in|"
    r"sign[- ]?in|sign[- ]?up|passcode|password reset|reset your password|two[- ]factor|2fa|otp|activat(?:e|ion)|"
    r"bestätig\w*|sicherheitscode|einmal\w*|anmelde\w*|aktivier\w*|passwort zurücksetzen|"
    r"code de (?:vérification|sécurité)|confirm(?:er|ez)|código|verificación|codice|verifica|kod|doğrulama|"
    r"код|подтвержд\w*|пароль)\b|验证码|驗證碼|認証コード|確認コード|인증",
    re.IGNORECASE,
)
_LINK_WORDS = re.compile(r"(?:confirm|verify|activate|reset|token|bestaetig|aktivier)", re.IGNORECASE)


def answers_an_action(content: Content) -> bool:
    """Whether a message looks like a one-time code or a link to confirm something with."""
    if content.files or len(content.text) > _MOST_CHARACTERS:
        return False
    subject = content.fields.get("subject", "")
    text = f"{subject}\n{content.text}"
    if not _WORDS.search(text):
        return False
    return _CODE.search(text) is not None or (bool(content.links) and _LINK_WORDS.search(text) is not None)
