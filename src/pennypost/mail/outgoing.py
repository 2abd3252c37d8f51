"""Fit a message to what the next host can take: eight bits, binary, UTF-8 addresses, size."""

from dataclasses import dataclass, replace
from functools import cached_property

import idna

from pennypost.message.convert import (
    NotConvertible,
    has_bare_line_ends,
    headers_are_ascii,
    is_binary,
    to_seven_bit,
)
from pennypost.model.address import Address
from pennypost.model.envelope import BodyType, DeliverByMode, Envelope, Recipient
from pennypost.model.errors import (
    BareLineEnding,
    ConversionImpossible,
    DeliverByUnsupported,
    MessageTooLarge,
    NonAsciiAddress,
    RequireTlsUnsupported,
)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What of the next host matters here."""

    eight_bit_mime: bool
    binary_mime: bool
    smtputf8: bool
    require_tls: bool
    max_size: int | None
    deliver_by: bool = False


@dataclass(frozen=True, slots=True)
class Fitted:
    """What to send to whom. `refused`: the places, in what was asked for, of the recipients that this host cannot be
    told of; the envelope is without them."""

    envelope: Envelope
    octets: bytes
    refused: frozenset[int] = frozenset()


class Outgoing:
    """A message that is fitted to host after host; what is found out about it is found out once."""

    def __init__(self, envelope: Envelope, octets: bytes) -> None:
        self._envelope = envelope
        self._octets = octets
        self._is_plain = (
            envelope.body is BodyType.SEVEN_BIT
            and not (envelope.require_tls or envelope.smtputf8)
            and envelope.deliver_by is None
            and (envelope.reverse_path is None or envelope.reverse_path.is_ascii)
            and octets.isascii()
            and not _needs_binary(octets)
        )

    def fit(self, recipients: tuple[Recipient, ...], host: Abilities) -> Fitted:
        """Fit it. Raises MessageTooLarge, NonAsciiAddress, ConversionImpossible, RequireTlsUnsupported, BareLineEnding,
        DeliverByUnsupported: what would not be different later."""
        envelope = self._envelope
        if (
            self._is_plain
            and recipients is envelope.recipients
            and (host.max_size is None or len(self._octets) <= host.max_size)
            and all(recipient.address.is_ascii for recipient in recipients)
        ):
            return Fitted(envelope, self._octets)
        if envelope.require_tls and not host.require_tls:
            if envelope.reverse_path is not None:
                raise RequireTlsUnsupported
            envelope = replace(envelope, require_tls=False)  # RFC 8689 §5: a report is not to be lost for it
        wish = envelope.deliver_by
        if wish is not None and wish.mode is DeliverByMode.RETURN and not host.deliver_by:
            raise DeliverByUnsupported
        octets, body = self._body(host)
        if host.max_size is not None and len(octets) > host.max_size:
            raise MessageTooLarge(f"The next host takes {host.max_size} octets, the message has {len(octets)}")
        sender = envelope.reverse_path
        # An alias may lead to an address that needs the extension, whatever the message came with.
        needed = envelope.smtputf8 or not all(a.is_ascii for a in (sender, *(r.address for r in recipients)) if a)
        smtputf8 = needed and host.smtputf8
        refused: frozenset[int] = frozenset()
        if needed and not host.smtputf8:
            # RFC 6531 §3.2, §4.2: only a message that does not need the extension may go on without it.
            if envelope.smtputf8 and not self._headers_are_ascii:
                raise NonAsciiAddress("The next host does not take UTF-8 in header fields")
            sender = _in_ascii(sender) if sender is not None else None
            if sender is not None and not sender.is_ascii:
                raise NonAsciiAddress("The next host does not take the sender's address, which is not ASCII")
            recipients = tuple(replace(one, address=_in_ascii(one.address)) for one in recipients)
            refused = frozenset(n for n, one in enumerate(recipients) if not one.address.is_ascii)
            recipients = tuple(one for one in recipients if one.address.is_ascii)
        same = body is envelope.body and smtputf8 is envelope.smtputf8 and sender is envelope.reverse_path
        if not same or recipients is not envelope.recipients:
            envelope = replace(envelope, reverse_path=sender, recipients=recipients, body=body, smtputf8=smtputf8)
        return Fitted(envelope, octets, refused)

    def _body(self, host: Abilities) -> tuple[bytes, BodyType]:
        """Give the octets to send and what BODY says of them (RFC 6152 §3, RFC 3030 §3)."""
        octets = self._octets
        if self._needs_binary:
            if host.binary_mime:
                return octets, BodyType.BINARY_MIME
        elif octets.isascii():
            return octets, BodyType.SEVEN_BIT
        elif host.eight_bit_mime:
            return octets, BodyType.EIGHT_BIT_MIME
        return self._seven_bit, BodyType.SEVEN_BIT

    @cached_property
    def _needs_binary(self) -> bool:
        octets = self._octets
        if self._envelope.body is BodyType.BINARY_MIME:
            return is_binary(octets)
        return not self._is_plain and _needs_binary(octets)

    @cached_property
    def _headers_are_ascii(self) -> bool:
        return headers_are_ascii(self._octets)

    @cached_property
    def _seven_bit(self) -> bytes:
        try:
            octets = to_seven_bit(self._octets)
        except NotConvertible:
            raise ConversionImpossible from None
        if has_bare_line_ends(octets) or b"\0" in octets:  # in a header, where no encoding helps
            raise BareLineEnding
        return octets


def _needs_binary(octets: bytes) -> bool:
    """Whether octets are more than lines (RFC 3030 §3)."""
    return b"\0" in octets or has_bare_line_ends(octets)


def _in_ascii(address: Address) -> Address:
    """Write a domain of U-labels in A-labels (RFC 5890 §2.3.2.1)."""
    if address.domain.isascii():
        return address
    try:
        return Address(address.local_part, idna.encode(address.domain, uts46=True).decode("ascii"))
    except idna.IDNAError:
        return address
