"""What we log in with at other hosts."""

from dataclasses import dataclass

from pennypost.model.secret import Secret


@dataclass(frozen=True, slots=True)
class PasswordLogin:
    """A user name and a password."""

    user: str
    password: Secret


@dataclass(frozen=True, slots=True)
class TokenLogin:
    """A user name and an OAuth 2.0 access token (RFC 6749 §1.4)."""

    user: str
    token: Secret


Login = PasswordLogin | TokenLogin
