"""A stream of octets compressed both ways (RFC 1951), as COMPRESS=DEFLATE uses it (RFC 4978 §4).

What is received is expanded a piece at a time, so that a few octets that stand for gigabytes cost no memory: whoever
takes a piece asks for the next one when it has used it up.
"""

import zlib

from pennypost.model.errors import PeerError

PIECE_OCTETS = 32 * 1024
"""Octets that are expanded at a time."""

_RAW = -15
"""Raw DEFLATE, no header, with the greatest window a peer may use (RFC 4978 §4)."""

_OWN_WINDOW = -13
_OWN_MEMORY = 6
"""What we compress with: 64 KiB for each connection, a quarter of what zlib takes by default, at little loss."""


class DeflateStream:
    """Both directions of one connection."""

    __slots__ = ("_compressor", "_expander", "_waiting")

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, _OWN_WINDOW, _OWN_MEMORY)
        self._expander = zlib.decompressobj(_RAW)
        self._waiting = b""

    def compress(self, octets: bytes) -> bytes:
        """Give what to send for these octets: all of it, so that the peer can read them at once."""
        return self._compressor.compress(octets) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def receive(self, octets: bytes) -> None:
        """Take octets from the peer; get what they stand for with `next_piece`."""
        self._waiting += octets

    def next_piece(self) -> bytes:
        """Give some of what was received, expanded; empty when more must come first.

        Raises PeerError: it is no DEFLATE stream, or the stream has ended.
        """
        if self._expander.eof:
            raise PeerError("compressed stream ended")
        try:
            piece = self._expander.decompress(self._waiting, PIECE_OCTETS)
        except zlib.error:
            raise PeerError("bad compressed data") from None
        self._waiting = self._expander.unconsumed_tail
        return piece
