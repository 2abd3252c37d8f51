"""Messages on their way in.

A spool takes a message's octets as they come: in memory up to a limit, then in a file without a name in
`data_dir/spool`, which the kernel removes with the process, however that ends. All spools of a worker share a budget of
memory: when it is used up, even small messages go to files.
"""

import mmap
import tempfile
from typing import IO

from pennypost.store.blob_files import storage_errors, write_all
from pennypost.store.settings import StoreSettings

_FOLDER = "spool"
_END_OF_HEADER = b"\r\n\r\n"


class Spools:
    """Makes the spools of one worker, and counts the memory that they hold together."""

    def __init__(self, settings: StoreSettings) -> None:
        self.memory_limit = settings.spool_memory_limit
        self.memory_total = settings.spool_memory_total
        self.memory_used = 0
        self.folder = settings.data_dir / _FOLDER

    def new(self) -> "Spool":
        """Begin a message."""
        return Spool(self)


class Spool:
    """One message on its way in. `write` its octets, then look at them, then `close`. Use on one thread at a time.

    `size`: octets written so far.
    """

    __slots__ = ("_chunks", "_file", "_held", "_joined", "_mapped", "_spools", "size")

    def __init__(self, spools: Spools) -> None:
        self._spools = spools
        self._held = 0  # octets of the budget that are ours
        self._chunks: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._joined: bytes | None = None
        self._mapped: mmap.mmap | None = None
        self.size = 0

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def in_memory(self) -> bool:
        """Whether the message fits into memory: `octets` is then `bytes`."""
        return self._file is None

    def write(self, chunk: bytes) -> None:
        """Add octets. Raises StorageFull; the spool can only be closed then.

        Beyond the limits this writes to a file, without syncing: the page cache takes it, and no thread is needed.
        """
        assert self._joined is None
        assert self._mapped is None
        length = len(chunk)
        self.size += length
        spools = self._spools
        if self._file is None:
            if self.size <= spools.memory_limit and spools.memory_used + length <= spools.memory_total:
                spools.memory_used += length
                self._held += length
                self._chunks.append(chunk)
                return
            self._to_file()
        assert self._file is not None
        with storage_errors():
            write_all(self._file.fileno(), chunk)

    def octets(self) -> bytes | mmap.mmap:
        """Give the whole message. No more may be written.

        A message in memory is joined once; one in a file is mapped, read-only: slices of it are copies, `memoryview` is
        not, and it is valid until `close`.
        """
        if self._file is None:
            if self._joined is None:
                self._joined = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
                self._chunks.clear()
            return self._joined
        if self._mapped is None:
            self._mapped = mmap.mmap(self._file.fileno(), self.size, access=mmap.ACCESS_READ)
        return self._mapped

    def become(self, other: "Spool") -> None:
        """Take over what `other` holds, which is empty then, and let go of what was here; views of `octets` must be
        gone."""
        self.close()
        self._spools, self._held = other._spools, other._held
        other._held = 0
        self._chunks, self._joined = other._chunks, other._joined
        self._file, self._mapped, self.size = other._file, other._mapped, other.size
        other._chunks, other._joined, other._file, other._mapped, other.size = [], None, None, None, 0

    def fileno(self) -> int | None:
        """Give the file's descriptor, which `close` closes; None for a message in memory."""
        return None if self._file is None else self._file.fileno()

    def header_size(self) -> int:
        """Give the octets of the header block: up to and including the first empty line; all if there is none."""
        octets = self.octets()
        if octets[:2] == b"\r\n":
            return 2
        end = octets.find(_END_OF_HEADER)
        return self.size if end < 0 else end + len(_END_OF_HEADER)

    def split(self) -> tuple[bytes, bytes]:
        """Give header block and body of a message. For one in a file this is what a file was to avoid: use
        `octets` and `Blobs.draft_any`."""
        end = self.header_size()
        octets = self.octets()
        return octets[:end], octets[end:]

    def close(self) -> None:
        """Let go of memory and file. Idempotent; views of `octets` must be gone."""
        self._give_back()
        if self._file is not None:
            if self._mapped is not None:
                self._mapped.close()
                self._mapped = None
            self._file.close()
        self._file = None
        self._chunks.clear()
        self._joined = None
        self.size = 0

    def _give_back(self) -> None:
        self._spools.memory_used -= self._held
        self._held = 0

    def _to_file(self) -> None:
        """Move what is in memory to a file."""
        folder = self._spools.folder
        with storage_errors():
            folder.mkdir(mode=0o700, exist_ok=True)
            # Buffering is ours: chunks are large. Unnamed: nothing is left to be cleaned up after a crash.
            file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 -- closed by `close`
        self._file = file
        self._give_back()
        with storage_errors():
            for chunk in self._chunks:
                write_all(file.fileno(), chunk)
        self._chunks.clear()
