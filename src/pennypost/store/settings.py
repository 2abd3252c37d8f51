"""What can be set about a store."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pennypost.model.bounds import bounded
from pennypost.model.units import KIB, MIB, Octets

PAGE_SIZES = tuple(2**power for power in range(9, 17))
"""What SQLite knows."""

MAX_THREADS = 256


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where a store lives and how much it may use.

    `data_dir`: holds everything that must survive; `run_dir`: sockets between workers, `data_dir/run` when None.
    """

    data_dir: Path
    run_dir: Path | None = None

    # -- SQLite
    page_size: Octets = Octets(4096)
    """Of a database that is made anew; an existing one keeps its own. Larger pages make deliveries slower."""

    cache_size: Octets = Octets(32 * MIB)
    """Of the writer's connection; each reader has an eighth of it."""

    mmap_size: Octets = Octets(0)
    """How much of the database is mapped, not read. No gain was measured, and a disk error then ends the process."""

    checkpoint_size: Octets = Octets(16 * MIB)
    """How much of the log is moved into the database at one time: `log_limit`, if that is less."""

    log_limit: Octets = Octets(32 * MIB)
    """From this size on of the log, writes are held up for a moment so that it can begin anew. Its file is longer."""

    statement_cache: int = 512
    """Prepared statements kept per connection: more than the store has."""

    readers: int = 4
    """Threads for unbounded reads."""

    lock_timeout: timedelta = timedelta(seconds=20)
    """How long a write waits for other processes before it is ServerBusy."""

    group_limit: int = 256
    """Operations in one commit."""

    # -- Bodies
    inline_limit: Octets = Octets(64 * KIB)
    """Bodies up to this many octets lie in the database, larger ones in files."""

    attachment_from: Octets = Octets(8 * KIB)
    """Attachments of so many octets, in base64, are kept once whatever messages they came in; 0: none is."""

    attachment_cache: Octets = Octets(4 * MIB)
    """How much of those that were read last, and lie in the database, a worker keeps in memory."""

    compression_level: int = 1
    """Of zstd: 1 is fast, 19 is small."""

    dictionary: bool = True
    """Compress small bodies with a dictionary made from them. It keeps pieces of them, also when they are gone."""

    blob_threads: int = 2
    """Large bodies that are hashed and compressed at one time."""

    blob_grace: timedelta = timedelta(hours=1)
    """How long a body that nothing refers to is kept at least. What is older is looked for once an hour."""

    blob_patience: timedelta = timedelta(days=1)
    """How long such a body may wait beyond that, while there are few: looking for them reads all messages."""

    change_memory: timedelta = timedelta(days=90)
    """How long the log of changes reaches back. A client that was away longer reads its mailboxes anew."""

    timeline_memory: timedelta = timedelta(days=30)
    """How long it is kept what happened to each message."""

    timeline_limit: int = 1_000_000
    """Steps that are kept at the most, of all messages together: about 300 octets each."""

    spool_memory_limit: Octets = Octets(1 * MIB)
    """What one message on its way in may take of memory before it goes to a file."""

    spool_memory_total: Octets = Octets(64 * MIB)
    """What all of them in one worker may take together."""

    # -- Searching
    full_text_index: bool = True
    """Keep an index of words: `search.db` of the data folder, which may be removed at any time. Without it a search
    of texts reads all messages."""

    # -- Reading
    derived: bool = True
    """Keep what clients list, sort and search their mailboxes by: `derived.db` of the data folder, which may be removed
    at any time and need not be in a backup. Without it the first to ask after a start reads all messages; what was kept
    before stays in the file, also of messages that are removed later: remove it."""

    derived_limit: Octets = Octets(512 * MIB)
    """How large `derived.db` may grow; then what was kept first goes. Some 250 octets are kept of a message."""

    # -- Meaning
    subaddress_separator: str = "+"
    """What parts `user` from `tag` in `user+tag` (RFC 5233): one character; empty: nothing does."""

    mailbox_limit: int = 10_000
    """Mailboxes of one account."""

    keyword_limit: int = 128
    """Different keywords in one mailbox."""

    @property
    def log_room(self) -> Octets:
        """How long the file of the log is kept: a quarter more than the log may grow before it begins anew."""
        return Octets(self.log_limit + self.log_limit // 4)

    def __post_init__(self) -> None:
        if self.page_size not in PAGE_SIZES:
            raise ValueError("page_size: expected 512 octets, 1, 2, 4, 8, 16, 32 or 64 KiB")
        bounded(self, "readers", "blob_threads", least=1, most=MAX_THREADS)
        bounded(self, "group_limit", "mailbox_limit", least=1)
        bounded(self, "statement_cache", "timeline_limit", "keyword_limit", least=0)
        bounded(self, "compression_level", least=1, most=22)
