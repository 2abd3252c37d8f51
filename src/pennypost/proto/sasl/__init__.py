"""SASL mechanisms (RFC 4422), server side: generators that yield challenges and questions and are sent the answers.

exchange    Exchange, what it yields and is sent; begin; mechanisms: which may be offered
plain       PLAIN (RFC 4616) and LOGIN
scram       SCRAM-SHA-1, SCRAM-SHA-256 and their -PLUS forms (RFC 5802, RFC 7677)
client      the other side: mechanisms as a client uses them
encoding    the base64 in which SMTP, IMAP and POP3 carry an exchange
"""

from pennypost.proto.sasl.encoding import MAX_LINE, decode, decode_initial, encode
from pennypost.proto.sasl.exchange import Binding, Exchange, Step, begin, mechanisms

__all__ = ["MAX_LINE", "Binding", "Exchange", "Step", "begin", "decode", "decode_initial", "encode", "mechanisms"]
