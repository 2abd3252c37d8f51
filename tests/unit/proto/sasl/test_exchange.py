from base64 import b64decode, b64encode

import pytest

from pennypost.mail.scram import scram_keys
from pennypost.model.authentication import Authenticated, PasswordQuestion, ScramHash, ScramProof, ScramQuestion
from pennypost.model.errors import AuthenticationFailed, MailError, MalformedAuthentication
from pennypost.model.ids import AccountId
from pennypost.proto.sasl import Binding, Exchange, begin, decode, decode_initial, encode, mechanisms

ALICE = Authenticated(AccountId(1), "alice@example.org")
BINDING = Binding("3rfcNHYJY1ZVvWVs7j")


def finish(exchange: Exchange, answer: object) -> Authenticated:
    with pytest.raises(StopIteration) as stop:
        exchange.send(answer)  # type: ignore[arg-type]
    verdict = stop.value.value
    assert isinstance(verdict, Authenticated)
    return verdict


class TestOffer:
    def test_under_tls_with_a_channel_binding(self) -> None:
        assert mechanisms(tls=True, channel_binding=True) == (
            "SCRAM-SHA-256-PLUS",
            "SCRAM-SHA-1-PLUS",
            "SCRAM-SHA-256",
            "SCRAM-SHA-1",
            "PLAIN",
            "LOGIN",
        )

    def test_in_clear(self) -> None:
        """RFC 4616 §6: no password in clear."""
        assert mechanisms(tls=False, channel_binding=True) == ("SCRAM-SHA-256", "SCRAM-SHA-1")

    def test_in_clear_where_it_is_allowed(self) -> None:
        offered = mechanisms(tls=False, channel_binding=False, allow_cleartext=True)
        assert offered == ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN")

    def test_an_unknown_mechanism(self) -> None:
        with pytest.raises(KeyError):
            begin("CRAM-MD5", None, BINDING)


class TestPlain:
    def test_initial_response(self) -> None:
        """RFC 4616 §4."""
        exchange = begin("PLAIN", b"Ursel\0Kurt\0xipj3plmq", BINDING)
        assert next(exchange) == PasswordQuestion("Kurt", "Ursel", "xipj3plmq")
        assert finish(exchange, ALICE) == ALICE

    def test_empty_challenge_first(self) -> None:
        """RFC 4422 §3.3: a client-first mechanism without an initial response gets an empty challenge."""
        exchange = begin("PLAIN", None, BINDING)
        assert next(exchange) == b""
        assert exchange.send(b"\0tim\0tanstaaftanstaaf") == PasswordQuestion("tim", "", "tanstaaftanstaaf")

    def test_it_is_prepared(self) -> None:
        exchange = begin("PLAIN", "\0t\u00adim\0\u2168".encode(), BINDING)
        assert next(exchange) == PasswordQuestion("tim", "", "IX")

    @pytest.mark.parametrize(
        ("message", "error"),
        [
            (b"", MalformedAuthentication),
            (b"tim", MalformedAuthentication),
            (b"\0tim", MalformedAuthentication),
            (b"\0tim\0a\0b", MalformedAuthentication),
            (b"\0\xff\0a", MalformedAuthentication),
            (b"\0\0password", AuthenticationFailed),
            (b"\0tim\0", AuthenticationFailed),
            (b"\0tim\0\x07", AuthenticationFailed),
            (b"\0" + b"x" * 321 + b"\0a", AuthenticationFailed),
            (b"\0tim\0" + b"x" * 1025, AuthenticationFailed),
        ],
    )
    def test_what_is_refused(self, message: bytes, error: type[MailError]) -> None:
        with pytest.raises(error):
            next(begin("PLAIN", message, BINDING))


class TestLogin:
    def test_two_prompts(self) -> None:
        exchange = begin("LOGIN", None, BINDING)
        assert next(exchange) == b"Username:"
        assert exchange.send(b"tim") == b"Password:"
        assert exchange.send(b"secret") == PasswordQuestion("tim", "", "secret")
        assert finish(exchange, ALICE) == ALICE

    def test_initial_response_is_the_name(self) -> None:
        exchange = begin("LOGIN", b"tim", BINDING)
        assert next(exchange) == b"Password:"

    def test_nul(self) -> None:
        exchange = begin("LOGIN", b"t\0im", BINDING)
        next(exchange)
        with pytest.raises(MalformedAuthentication):
            exchange.send(b"x")


class TestScram:
    def test_the_example_of_rfc_5802(self) -> None:
        """RFC 5802 §5."""
        keys = scram_keys("pencil", b64decode("QSXCR+Q6sek8bf92"), 4096, ScramHash.SHA_1)
        exchange = begin("SCRAM-SHA-1", b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", BINDING)
        assert next(exchange) == ScramQuestion("user", "", ScramHash.SHA_1)
        challenge = exchange.send(keys)
        assert challenge == b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"
        final = b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
        assert exchange.send(final) == ScramProof("user", "", True)
        assert exchange.send(ALICE) == b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="
        assert finish(exchange, b"") == ALICE

    def test_the_example_of_rfc_7677(self) -> None:
        """RFC 7677 §3."""
        keys = scram_keys("pencil", b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096, ScramHash.SHA_256)
        exchange = begin("SCRAM-SHA-256", None, Binding("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"))
        assert next(exchange) == b""
        assert exchange.send(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO") == ScramQuestion("user", "", ScramHash.SHA_256)
        exchange.send(keys)
        final = (
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        )
        assert exchange.send(final) == ScramProof("user", "", True)
        assert exchange.send(ALICE) == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

    def test_a_wrong_password_is_asked_about_and_fails(self) -> None:
        keys = scram_keys("pen", b64decode("QSXCR+Q6sek8bf92"), 4096, ScramHash.SHA_1)
        exchange = begin("SCRAM-SHA-1", b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", BINDING)
        next(exchange)
        exchange.send(keys)
        final = b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
        assert exchange.send(final) == ScramProof("user", "", False)
        with pytest.raises(AuthenticationFailed):
            exchange.send(ALICE)

    def test_names_are_unescaped(self) -> None:
        """RFC 5802 §5.1."""
        exchange = begin("SCRAM-SHA-1", b"n,a=bo=3Db,n=al=2Cice,r=abc,x=ignored", BINDING)
        assert next(exchange) == ScramQuestion("al,ice", "bo=b", ScramHash.SHA_1)

    @pytest.mark.parametrize(
        ("message", "error"),
        [
            (b"", MalformedAuthentication),
            (b"n,,", MalformedAuthentication),
            (b"x,,n=user,r=abc", MalformedAuthentication),
            (b"n,user,n=user,r=abc", MalformedAuthentication),
            (b"n,,m=ext,n=user,r=abc", MalformedAuthentication),
            (b"n,,n=us=er,r=abc", MalformedAuthentication),
            (b"n,,n=user,r=", MalformedAuthentication),
            (b"n,,n=user,r=a b", MalformedAuthentication),
            (b"n,,n=\xff,r=abc", MalformedAuthentication),
            (b"n,,n=user,r=" + b"a" * 513, MalformedAuthentication),
            (b"n,,n=user,r=abc,x=" + b"a" * 4096, MalformedAuthentication),
            (b"p=tls-unique,,n=user,r=abc", AuthenticationFailed),
            (b"p=tls-server-end-point,,n=user,r=abc", AuthenticationFailed),
        ],
    )
    def test_bad_first_messages(self, message: bytes, error: type[MailError]) -> None:
        with pytest.raises(error):
            next(begin("SCRAM-SHA-1", message, BINDING))

    @pytest.mark.parametrize(
        "final",
        [
            b"",
            b"c=biws,r=abc3rfcNHYJY1ZVvWVs7j",
            b"c=biws,p=AAAA",
            b"r=abc3rfcNHYJY1ZVvWVs7j,c=biws,p=AAAA",
            b"c=biws,r=abc3rfcNHYJY1ZVvWVs7j,p=AAAA,x=1",
        ],
    )
    def test_bad_final_messages(self, final: bytes) -> None:
        exchange = begin("SCRAM-SHA-1", b"n,,n=user,r=abc", BINDING)
        next(exchange)
        exchange.send(scram_keys("pencil", b"salt", 4096, ScramHash.SHA_1))
        with pytest.raises(MalformedAuthentication):
            exchange.send(final)


def prove(password: str, first: bytes, challenge: bytes, bound: bytes, hash_: str = "sha256") -> bytes:
    """The client's half, from RFC 5802 §3, over none of the server's code."""
    import hashlib
    import hmac

    fields = dict(field.split(b"=", 1) for field in challenge.split(b","))
    salted = hashlib.pbkdf2_hmac(hash_, password.encode(), b64decode(fields[b"s"]), int(fields[b"i"]))
    client_key = hmac.digest(salted, b"Client Key", hash_)
    without_proof = b"c=" + b64encode(bound) + b",r=" + fields[b"r"]
    bare = first.split(b",", 2)[2]
    signature = hmac.digest(hashlib.new(hash_, client_key).digest(), b",".join([bare, challenge, without_proof]), hash_)
    return without_proof + b",p=" + b64encode(bytes(a ^ b for a, b in zip(client_key, signature, strict=True)))


class TestChannelBinding:
    """RFC 5802 §6, RFC 5929 §4."""

    TLS = Binding("ours", b"hash of the certificate")

    @pytest.mark.parametrize(
        ("password", "end_point", "valid"),
        [
            ("pencil", b"hash of the certificate", True),
            ("pencil", b"hash of another", False),
            ("pen", b"hash of the certificate", False),
        ],
    )
    def test_it_binds(self, password: str, end_point: bytes, valid: bool) -> None:
        header = b"p=tls-server-end-point,,"
        first = header + b"n=user,r=theirs"
        exchange = begin("SCRAM-SHA-256-PLUS", first, self.TLS)
        next(exchange)
        challenge = exchange.send(scram_keys("pencil", b"salt", 4096, ScramHash.SHA_256))
        assert isinstance(challenge, bytes)
        assert exchange.send(prove(password, first, challenge, header + end_point)) == ScramProof("user", "", valid)

    @pytest.mark.parametrize("flag", [b"n", b"y"])
    def test_plus_needs_the_binding(self, flag: bytes) -> None:
        with pytest.raises(AuthenticationFailed):
            next(begin("SCRAM-SHA-256-PLUS", flag + b",,n=user,r=theirs", self.TLS))

    def test_a_client_that_did_not_see_our_offer(self) -> None:
        with pytest.raises(AuthenticationFailed):
            next(begin("SCRAM-SHA-256", b"y,,n=user,r=theirs", self.TLS))

    def test_a_client_that_rightly_saw_none(self) -> None:
        exchange = begin("SCRAM-SHA-256", b"y,,n=user,r=theirs", BINDING)
        assert isinstance(next(exchange), ScramQuestion)

    def test_a_client_that_cannot(self) -> None:
        exchange = begin("SCRAM-SHA-256", b"n,,n=user,r=theirs", self.TLS)
        assert isinstance(next(exchange), ScramQuestion)


def test_base64() -> None:
    """RFC 4954 §4."""
    assert encode(b"\0a\0b") == b"AGEAYg=="
    assert decode(b"AGEAYg==") == b"\0a\0b"
    assert decode(b"") == b""
    for bad in (b"AGEAYg=", b"AGEAYg", b"AG EAYg==", b"!", b"AGEAYg==AGEA", b"=", b"\xff\xfe\xfd\xfc"):
        assert decode(bad) is None
    assert decode_initial(b"=") == b""
    assert decode_initial(b"") is None
    assert decode_initial(b"AGEAYg==") == b"\0a\0b"
