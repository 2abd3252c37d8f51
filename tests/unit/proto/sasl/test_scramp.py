"""Another's SCRAM client against our server (RFC 5802, RFC 7677)."""

import pytest
from scramp import ScramClient, ScramException

from pennypost.mail.scram import scram_keys
from pennypost.model.authentication import Authenticated, ScramProof, ScramQuestion
from pennypost.model.ids import AccountId
from pennypost.proto.sasl import Binding, begin

ALICE = Authenticated(AccountId(1), "alice@example.org")
END_POINT = b"hash of the certificate"


def client_for(mechanism: str, name: str, password: str, end_point: bytes) -> ScramClient:
    binding = ("tls-server-end-point", end_point) if mechanism.endswith("-PLUS") else None
    return ScramClient([mechanism], name, password, channel_binding=binding)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"])
@pytest.mark.parametrize(("name", "password"), [("alice", "pencil"), ("al,i=ce", "pen,cil="), ("käse", "ｐｅｎ cil")])
def test_both_sides_prove_themselves(mechanism: str, name: str, password: str) -> None:
    client = client_for(mechanism, name, password, END_POINT)
    binding = Binding("ours", END_POINT if mechanism.endswith("-PLUS") else b"")
    exchange = begin(mechanism, client.get_client_first().encode(), binding)
    question = next(exchange)
    assert isinstance(question, ScramQuestion)
    assert question.authentication_identity == name
    challenge = exchange.send(scram_keys(password, b"some longer salt", 4096, question.hash))
    assert isinstance(challenge, bytes)
    client.set_server_first(challenge.decode())
    assert exchange.send(client.get_client_final().encode()) == ScramProof(name, "", True)
    final = exchange.send(ALICE)
    assert isinstance(final, bytes)
    client.set_server_final(final.decode())
    with pytest.raises(StopIteration):
        exchange.send(b"")


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"])
def test_a_server_that_does_not_know_the_password_is_found_out(mechanism: str) -> None:
    client = client_for(mechanism, "alice", "pencil", END_POINT)
    exchange = begin(
        mechanism,
        client.get_client_first().encode(),
        Binding("ours", END_POINT if mechanism.endswith("-PLUS") else b""),
    )
    question = next(exchange)
    assert isinstance(question, ScramQuestion)
    challenge = exchange.send(scram_keys("another", b"some longer salt", 4096, question.hash))
    assert isinstance(challenge, bytes)
    client.set_server_first(challenge.decode())
    assert exchange.send(client.get_client_final().encode()) == ScramProof("alice", "", False)
    with pytest.raises(ScramException):
        client.set_server_final("v=AAAA")
