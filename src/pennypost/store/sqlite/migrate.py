"""Bringing the schema of a database up to what the program knows.

A migration is a file `NNNN_name.sql` with statements, numbered from 0001 without a gap. The database keeps the number
of the last one it has seen as its `user_version`.
"""

import re
from functools import cache
from importlib import resources

import apsw

from pennypost.store.engine import UnknownSchema
from pennypost.store.sqlite.lock import FairLock

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


@cache
def known_migrations() -> list[str]:
    """Give the text of all migrations the program brings, in order: the first takes version 0 to 1.

    Read once: a process that gives up root may not be able to read the program's own files after that.
    """
    found: dict[int, str] = {}
    for file in resources.files("pennypost.store.migrations").iterdir():
        if match := _NAME.fullmatch(file.name):
            assert int(match[1]) not in found, f"two migrations have the number {match[1]}"
            found[int(match[1])] = file.read_text("utf-8")
    return [found[number] for number in range(1, len(found) + 1)]


def migrate(connection: apsw.Connection, lock: FairLock, migrations: list[str]) -> int:
    """Run what the database has not seen yet, in one transaction, and give the version it then has.

    `lock` is held meanwhile, so that of processes that start together one migrates and the others find it done. Raises
    UnknownSchema if the database is newer than the program; what a migration raises rolls all of them back.
    """
    with lock:
        found = connection.pragma("user_version")
        if found > len(migrations):
            raise UnknownSchema(found, len(migrations))
        if found < len(migrations):
            connection.execute("BEGIN IMMEDIATE")
            try:
                for text in migrations[found:]:
                    connection.execute(text)
                connection.execute(f"PRAGMA user_version={len(migrations)}")
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
    return len(migrations)
