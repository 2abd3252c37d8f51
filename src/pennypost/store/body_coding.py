"""How bodies that lie in the database are coded: compressed by zstd, with a dictionary where there is one.

A body of a few kilobytes is too short to be compressed well by itself: a dictionary holds what many bodies have in
common, words and markup, and the tables that zstd would have to write, and read, with each body. `dictionaries` makes
it from the bodies that there are.

What a row's `codec` says: `COMPRESSED`, `UNDOTTED`, `ENCODED`, `DIVIDED`, and between them, from `_NUMBER` on, the
number of the dictionary. The numbers are stored: never change what they mean.
"""

import threading
from collections.abc import Callable, Mapping

from zstandard import (
    MAX_COMPRESSION_LEVEL,
    STRATEGY_DFAST,
    STRATEGY_FAST,
    ZstdCompressionDict,
    ZstdCompressionParameters,
    ZstdCompressor,
    ZstdDecompressor,
    ZstdError,
)
from zstandard import frame_content_size as content_size

from pennypost.message.base64_lines import undone, written
from pennypost.message.dots import has_dotted_line
from pennypost.store.blob_files import DamagedFile

COMPRESSED = 1
"""By zstd. Without it the body is kept as it is."""

UNDOTTED = 2
"""No line of the body begins with ".": POP3 sends it as it is, and need not look. Without it nobody has looked."""

DIVIDED = 1 << 30
"""The body has parts that are bodies of their own (`blob_parts`): this is coded of what lies between them."""

ENCODED = 1 << 29
"""The body is base64: this is coded of the octets that it stands for, behind one that tells how long its lines are."""

_NUMBER = 2
"""By how many bits the dictionary's number is shifted; 0 is none."""

COMPRESS_FROM = 256
"""Octets below which a body is kept as it is."""

DICTIONARY_LIMIT = 16 * 1024
"""Octets of a body up to which a dictionary is used. Longer ones have what they need in themselves."""

_WORTHWHILE = 0.94
"""A body that does not get smaller than this is kept as it is: it is read without a step."""

_LEVELS = 2
"""By how much the level is raised with a dictionary: compressing takes as long then as without both."""

_MIN_MATCH = 6
"""Octets from which on the quick levels point to a text that came before: a body is an eighth quicker to read then, and
a hundredth larger, than with the 5 they have by themselves."""

_QUICK = (STRATEGY_FAST, STRATEGY_DFAST)


class BodyCoding:
    """Codes and decodes bodies, on any thread.

    `level`: of zstd, without a dictionary. `look_up`: gives a dictionary by its number, at once, on any thread; None
    when it is not there.
    """

    def __init__(self, level: int, look_up: Callable[[int], bytes | None]) -> None:
        self.level = level
        self._look_up = look_up
        self._compress: Callable[[bytes], bytes] = ZstdCompressor(level=level).compress
        self._compress_small: Callable[[bytes], bytes] = self._compress
        self._number = 0
        self._known: dict[int, ZstdCompressionDict] = {}
        self._of_thread = threading.local()
        self._compressing = threading.Lock()
        """A compressor serves one thread at a time; large operations, which may draft a body, have their own."""

    @property
    def dictionary(self) -> int:
        """The number of the dictionary that small bodies are compressed with; 0: none."""
        return self._number

    def use(self, number: int) -> None:
        """Compress small bodies with a dictionary from now on. Raises DamagedFile when it is not there."""
        compress = self._compressor(self._dictionary(number).as_bytes())
        with self._compressing:
            self._compress_small, self._number = compress, number

    def compressor(self, dictionary: bytes | None) -> Callable[[bytes], bytes]:
        """Give what compresses small bodies on another thread: with a dictionary, or as they are compressed now."""
        if dictionary is not None:
            return self._compressor(dictionary)
        if self._number:
            return self._compressor(self._dictionary(self._number).as_bytes())
        return ZstdCompressor(level=self.level).compress

    def _compressor(self, data: bytes) -> Callable[[bytes], bytes]:
        # A dictionary of its own: what is prepared in it for one compressor is freed when it is prepared for another.
        dictionary = ZstdCompressionDict(data)
        level = min(self.level + _LEVELS, MAX_COMPRESSION_LEVEL)
        given = {"source_size": DICTIONARY_LIMIT // 2, "dict_size": len(dictionary), "write_dict_id": True}
        parameters = ZstdCompressionParameters.from_level(level, **given)
        if parameters.strategy in _QUICK:
            parameters = ZstdCompressionParameters.from_level(level, **given, min_match=_MIN_MATCH)
        dictionary.precompute_compress(compression_params=parameters)
        return ZstdCompressor(compression_params=parameters, dict_data=dictionary).compress

    def encode(self, body: bytes) -> tuple[int, bytes]:
        """Give the codec, and the octets to be kept."""
        size = len(body)
        codec = 0 if has_dotted_line(body) else UNDOTTED
        if size < COMPRESS_FROM:
            return codec, body
        with self._compressing:
            if size <= DICTIONARY_LIMIT:
                data, number = self._compress_small(body), self._number
            else:
                data, number = self._compress(body), 0
        if len(data) >= size * _WORTHWHILE:
            return codec, body
        return codec | COMPRESSED | number << _NUMBER, data

    def encode_part(self, part: bytes) -> tuple[int, bytes]:
        """Give the codec, and the octets to be kept, of an attachment in base64: those that it stands for.

        They are a quarter fewer, and base64 is written thrice as fast as decompressed. What cannot be written again as
        it was, to the last octet, is coded like other bodies.
        """
        found = undone(part)
        if found is None:
            return self.encode(part)
        length, octets = found
        plain = bytes([length // 4]) + octets
        with self._compressing:
            data = self._compress(plain)
        if len(data) >= len(plain) * _WORTHWHILE:
            return ENCODED | UNDOTTED, plain
        return ENCODED | UNDOTTED | COMPRESSED, data

    def decode(self, codec: int, data: bytes, size: int) -> bytes:
        """Give the body of `size` octets. Raises DamagedFile, also when its dictionary is not there."""
        if not codec & COMPRESSED:
            body = data
        else:
            try:
                if content_size(data) > size:
                    raise DamagedFile("the frame is larger than its body")
                body = self._decompressor(codec & ~ENCODED)(data)
            except ZstdError as error:
                raise DamagedFile(str(error)) from error
        if codec & ENCODED:
            body = written(memoryview(body)[1:], 4 * body[0]) if body else b""
        if len(body) != size:
            raise DamagedFile("the body has not the size it had")
        return body

    def decompressors(self) -> Mapping[int, Callable[[bytes], bytes]]:
        """Give, by codec, what makes bodies of what is kept, of those that this thread has come upon.

        Each thread keeps what it decompresses with: making it anew costs more than a small body.
        """
        try:
            return self._of_thread.made  # type: ignore[no-any-return]
        except AttributeError:
            self._of_thread.made = {0: bytes, UNDOTTED: bytes}
            return self._of_thread.made  # type: ignore[no-any-return]

    def _decompressor(self, codec: int) -> Callable[[bytes], bytes]:
        found = self.decompressors().get(codec)
        if found is None:
            number = dictionary_of(codec)
            dictionary = self._dictionary(number) if number else None
            found = self._of_thread.made[codec] = ZstdDecompressor(dict_data=dictionary).decompress
        return found

    def _dictionary(self, number: int) -> ZstdCompressionDict:
        if number not in self._known:
            data = self._look_up(number)
            if data is None:
                raise DamagedFile(f"dictionary {number}, which the body needs, is not there or damaged")
            self._known[number] = ZstdCompressionDict(data)
        return self._known[number]


def dictionary_of(codec: int) -> int:
    """Give the number of the dictionary that a codec names; 0: none."""
    return (codec & (ENCODED - 1)) >> _NUMBER
