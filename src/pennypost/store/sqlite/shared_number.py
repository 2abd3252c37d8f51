"""A number that processes share: read as one reads memory, without a statement."""

import mmap
import os
from pathlib import Path

_OCTETS = 8


class SharedNumber:
    """A counter in a file that all processes of a store map. Who raises it holds the writers' lock."""

    def __init__(self, file: Path) -> None:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size < _OCTETS:
                os.ftruncate(descriptor, _OCTETS)
            self._map = mmap.mmap(descriptor, _OCTETS)
        finally:
            os.close(descriptor)
        self._numbers = memoryview(self._map).cast("Q")

    @property
    def value(self) -> int:
        """What it is now."""
        return self._numbers[0]

    def increase(self) -> None:
        """Make it another one than it was."""
        self._numbers[0] = (self._numbers[0] + 1) % 2**64

    def close(self) -> None:
        """Let go of the file. It cannot be read after that."""
        self._numbers.release()
        self._map.close()
