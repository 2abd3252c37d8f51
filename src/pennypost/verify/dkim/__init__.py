"""DomainKeys Identified Mail (RFC 6376, with RFC 8301, RFC 8463 and RFC 8616): verify and sign.

tags         lists of tags, as signatures and key records are written
canonical    the forms of header fields and bodies that are hashed
record       public keys as the DNS has them
signature    a DKIM-Signature field, taken apart
verify       which signatures of a message hold
sign         make DKIM-Signature fields
"""

from pennypost.verify.dkim.sign import SigningAlgorithm, SigningKey, public_record, sign
from pennypost.verify.dkim.verify import MAX_SIGNATURES, Policy, verify

__all__ = ["MAX_SIGNATURES", "Policy", "SigningAlgorithm", "SigningKey", "public_record", "sign", "verify"]
