import pytest

from pennypost.mail.scram import scram_keys
from pennypost.model.authentication import Authenticated, PasswordQuestion, ScramHash, ScramProof, ScramQuestion
from pennypost.model.credentials import Login, PasswordLogin, TokenLogin
from pennypost.model.errors import AuthenticationFailed, MalformedAuthentication
from pennypost.model.ids import AccountId
from pennypost.model.secret import Secret
from pennypost.proto.sasl import Binding, begin, client

PASSWORD = PasswordLogin("a,b=c@example.org", Secret("pencil ü"))
TOKEN = TokenLogin("me@example.org", Secret("t0ken"))
END_POINT = b"\x07" * 32
CLIENT, SERVER = Binding("fyko+d2lbbFgONRv9qkxdawL", END_POINT), Binding("3rfcNHYJY1ZVvWVs7j", END_POINT)


def converse(mechanism: str, login: PasswordLogin, known: str = "pencil ü") -> tuple[bool, bool]:
    """Let our client speak to our server. Gives whether each was content."""
    ours = client.begin_as_client(mechanism, login, CLIENT, (mechanism,))
    response = next(ours)
    theirs = begin(mechanism, response, SERVER)
    content = False
    try:
        step = next(theirs)
        while True:
            match step:
                case bytes():
                    response = ours.send(step)
                    assert response is not None
                    step = theirs.send(response)
                case PasswordQuestion(_, _, password):
                    if password != known:
                        return content, False
                    step = theirs.send(Authenticated(AccountId(1), login.user))
                case ScramQuestion(_, _, hash_):
                    step = theirs.send(scram_keys(known, b"salt", 4096, hash_))
                case ScramProof():
                    step = theirs.send(Authenticated(AccountId(1), login.user))
    except StopIteration:  # the server is content: is the client?
        with pytest.raises(StopIteration):
            ours.send(None)
        return True, True
    except AuthenticationFailed:
        return content, False


@pytest.mark.parametrize(
    "mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"]
)
def test_against_our_own_server(mechanism: str) -> None:
    login = PasswordLogin("user@example.org", Secret("pencil ü"))
    if mechanism in ("SCRAM-SHA-1", "SCRAM-SHA-256"):  # "y" while the server binds, too: it must notice (RFC 5802 §6)
        assert converse(mechanism, login) == (False, False)
        return
    assert converse(mechanism, login) == (True, True)
    assert converse(mechanism, PasswordLogin("user@example.org", Secret("wrong"))) == (False, False)


def test_the_example_of_rfc_7677() -> None:
    """RFC 7677 §3."""
    login = PasswordLogin("user", Secret("pencil"))
    ours = client.begin_as_client("SCRAM-SHA-256", login, Binding("rOprNGfwEbeRWgbNEkqO"), ())
    assert next(ours) == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    final = ours.send(b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
    assert final == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert ours.send(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=") == b""


@pytest.mark.parametrize(
    ("challenges", "error"),
    [
        ([b"r=other,s=c2FsdA==,i=4096"], AuthenticationFailed),
        ([b"r=fyko+d2lbbFgONRv9qkxdawL,s=c2FsdA==,i=4096"], AuthenticationFailed),
        ([b"r=fyko+d2lbbFgONRv9qkxdawLx,s=c2FsdA==,i=1"], AuthenticationFailed),
        ([b"r=fyko+d2lbbFgONRv9qkxdawLx,s=c2FsdA==,i=99999999"], AuthenticationFailed),
        ([b"r=fyko+d2lbbFgONRv9qkxdawLx,s=!,i=4096"], MalformedAuthentication),
        ([b"m=must,r=fyko+d2lbbFgONRv9qkxdawLx,s=c2FsdA==,i=4096"], MalformedAuthentication),
        ([b"x" * 100_000], MalformedAuthentication),
        ([b"r=fyko+d2lbbFgONRv9qkxdawLx,s=c2FsdA==,i=4096", b"v=AAAA"], AuthenticationFailed),
        ([b"r=fyko+d2lbbFgONRv9qkxdawLx,s=c2FsdA==,i=4096", b"e=other-error"], AuthenticationFailed),
    ],
)
def test_a_server_that_is_none(challenges: list[bytes], error: type[Exception]) -> None:
    ours = client.begin_as_client("SCRAM-SHA-256", PASSWORD, CLIENT, ())
    assert next(ours) == b"y,,n=a=2Cb=3Dc@example.org,r=fyko+d2lbbFgONRv9qkxdawL"
    for challenge in challenges[:-1]:
        ours.send(challenge)
    with pytest.raises(error):
        ours.send(challenges[-1])


def test_tokens() -> None:
    """RFC 7628 §3.1, §3.2.3."""
    ours = client.begin_as_client("OAUTHBEARER", TOKEN, CLIENT, (), "mx.example.org", 587)
    assert next(ours) == b"n,a=me@example.org,\x01host=mx.example.org\x01port=587\x01auth=Bearer t0ken\x01\x01"
    assert ours.send(b'{"status":"invalid_token"}') == b"\x01"
    refused = client.begin_as_client("OAUTHBEARER", TOKEN, CLIENT, ())
    next(refused)
    with pytest.raises(MalformedAuthentication):
        refused.send(b"what")
    older = client.begin_as_client("XOAUTH2", TOKEN, CLIENT, ())
    assert next(older) == b"user=me@example.org\x01auth=Bearer t0ken\x01\x01"
    assert older.send(b"{}") == b""


@pytest.mark.parametrize(
    ("offered", "login", "tls", "binding", "chosen"),
    [
        ("LOGIN PLAIN SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-256-PLUS", PASSWORD, True, CLIENT, "SCRAM-SHA-256-PLUS"),
        ("LOGIN PLAIN SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-256-PLUS", PASSWORD, True, Binding("n"), "SCRAM-SHA-256"),
        ("LOGIN PLAIN", PASSWORD, True, CLIENT, "PLAIN"),
        ("LOGIN", PASSWORD, True, CLIENT, "LOGIN"),
        ("LOGIN PLAIN", PASSWORD, False, CLIENT, None),
        ("LOGIN PLAIN SCRAM-SHA-1", PASSWORD, False, Binding("n"), "SCRAM-SHA-1"),
        ("PLAIN XOAUTH2 OAUTHBEARER", TOKEN, True, CLIENT, "OAUTHBEARER"),
        ("PLAIN XOAUTH2", TOKEN, True, CLIENT, "XOAUTH2"),
        ("PLAIN XOAUTH2", TOKEN, False, CLIENT, None),
        ("PLAIN", TOKEN, True, CLIENT, None),
    ],
)
def test_the_strongest_is_chosen(offered: str, login: Login, tls: bool, binding: Binding, chosen: str | None) -> None:
    assert client.choose(offered.split(), login, tls=tls, binding=binding) == chosen


@pytest.mark.parametrize("challenges", [(), (b"r=fyko+d2lbbFgONRv9qkxdawLx,s=c2FsdA==,i=4096",)])
def test_a_server_that_skips_its_proof_is_not_believed(challenges: tuple[bytes, ...]) -> None:
    """RFC 5802 §9."""
    ours = client.begin_as_client("SCRAM-SHA-256", PASSWORD, CLIENT, ())
    next(ours)
    for challenge in challenges:
        ours.send(challenge)
    with pytest.raises(AuthenticationFailed):
        ours.send(None)


def test_what_saslprep_prohibits() -> None:
    with pytest.raises(AuthenticationFailed):
        next(client.begin_as_client("SCRAM-SHA-256", PasswordLogin("a\u0000", Secret("x")), CLIENT, ()))
    assert ScramHash.SHA_256.value == "sha256"
