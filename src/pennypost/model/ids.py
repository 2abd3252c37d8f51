"""Numbers that must not be mixed up.

Every id below an account (mailbox, message, thread) is drawn from the account's one modification sequence: it is the
`ModSeq` at which the thing was made. So ids are unique in the account, never reused, and need no counter of their own.
"""

from typing import NewType

AccountId = NewType("AccountId", int)
DomainId = NewType("DomainId", int)
CredentialId = NewType("CredentialId", int)

ModSeq = NewType("ModSeq", int)
"""Per account, 63 bits, starts at 1, rises with every change (RFC 7162 §3.1: mod-sequences are 63-bit)."""

MailboxId = NewType("MailboxId", int)
"""Unique in its account; never reused, also not after a rename (RFC 8474 MAILBOXID)."""

MessageId = NewType("MessageId", int)
"""Unique in its account (RFC 8474 EMAILID). Not the Message-ID header field, which we call `message_id_field`."""

ThreadId = NewType("ThreadId", int)
"""Unique in its account (RFC 8474 THREADID): the MessageId of the thread's first message."""

BlobId = NewType("BlobId", int)
"""A stored body. Many messages, of many accounts, may share one."""

QueuedId = NewType("QueuedId", int)
"""A message that waits in the queue, for all of its recipients."""

DeliveryId = NewType("DeliveryId", int)
"""One recipient of one message that waits in the queue."""

Uid = NewType("Uid", int)
"""1 … 2^32-1, ascending in its mailbox, never reused under one UidValidity (RFC 9051 §2.3.1.1)."""

UidValidity = NewType("UidValidity", int)
"""1 … 2^32-1 (RFC 9051 §2.3.1.1)."""

SequenceNumber = NewType("SequenceNumber", int)
"""1-based position of a message in one session's view of a mailbox (RFC 9051 §2.3.1.2)."""

MAX_UID = 2**32 - 1
