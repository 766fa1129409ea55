"""The tables of diskcache as an ordered map of byte strings. Nothing else imports diskcache.

diskcache creates and opens them, with eviction, statistics and files beside the database switched
off. Rows are read and written by statements of our own: its listings take quadratic time, and it
unpickles what it finds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final, cast, final

import diskcache  # pyright: ignore[reportMissingTypeStubs]

from rivulet.errors import StorageError
from rivulet.state.store import Operation

__all__ = ["Snapshot", "Tables"]

COLUMNS: Final = (
    "rowid key raw store_time expire_time access_time access_count tag size mode filename value"
)
SETTINGS: Final = {
    "eviction_policy": "none",
    "cull_limit": 0,
    "size_limit": 2**62,
    "statistics": 0,
    "tag_index": 0,
    "disk_min_file_size": 2**62,
}
RAW: Final = 1
"""How diskcache marks a key or a value that is kept as it is."""
MOST_AT_ONCE: Final = 256
"""A listing reads so many rows at once at most; the first one by itself."""

_PUT = """
INSERT INTO Cache (key, raw, store_time, access_time, size, mode, value)
VALUES (?, 1, 0, 0, 0, 1, ?)
ON CONFLICT (key, raw) DO UPDATE SET mode = excluded.mode, value = excluded.value
"""
_DELETE = "DELETE FROM Cache WHERE key = ? AND raw = 1"
_GET = "SELECT mode, value FROM Cache WHERE key = ? AND raw = 1"
# A bound that is a byte string keeps to the index and to keys that are.
_FORWARDS = """
SELECT key, mode, value FROM Cache WHERE key >= ? AND (? IS NULL OR key < ?) AND raw = 1
ORDER BY key LIMIT ?
"""
_BACKWARDS = """
SELECT key, mode, value FROM Cache WHERE key >= ? AND key < ? AND raw = 1
ORDER BY key DESC LIMIT ?
"""
_BACKWARDS_FROM_LAST = """
SELECT key, mode, value FROM Cache WHERE key >= ? AND raw = 1 ORDER BY key DESC LIMIT ?
"""


@final
class Tables:
    """Keys and values in a folder.

    Args:
        folder: where the database is; it has to be there.

    Raises:
        StorageError: the tables aren't those of the diskcache that we know.
    """

    def __init__(self, folder: Path) -> None:
        # It is only to make them: its connections are one for each thread, and stay open.
        cast("Any", diskcache).Cache(str(folder), **SETTINGS).close()
        self._path = folder / "cache.db"
        self._idle: list[sqlite3.Connection] = []
        self._lock = Lock()
        with self._connection() as connection:
            found = [row[1] for row in connection.execute("PRAGMA table_info(Cache)")]
        if found != COLUMNS.split():
            self.close()
            raise StorageError(
                f"{self._path} has the columns {' '.join(found)}, not {COLUMNS}: it needs "
                f"diskcache 5.6"
            )

    @contextmanager
    def _connection(self) -> Generator[sqlite3.Connection]:
        """A connection for a while."""
        connection = self._take()
        try:
            yield connection
        finally:
            self._give_back(connection)

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=60
        )
        # What is committed outlives a loss of power.
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def __len__(self) -> int:
        snapshot = self.snapshot()
        try:
            return snapshot.count()
        finally:
            snapshot.close()

    def get(self, key: bytes) -> bytes | None:
        """The value of a key; None if there is none."""
        connection = self._take()
        row = connection.execute(_GET, (key,)).fetchone()
        self._give_back(connection)
        return None if row is None else _value(key, *row)

    def write(self, operations: Iterable[Operation]) -> None:
        """Do operations on different keys in one transaction; cheapest in the order of keys."""
        puts: list[tuple[bytes, bytes]] = []
        deletes: list[tuple[bytes]] = []
        for key, value in operations:
            if value is None:
                deletes.append((key,))
            else:
                puts.append((key, value))
        try:
            with self._connection() as connection:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    connection.executemany(_PUT, puts)
                    connection.executemany(_DELETE, deletes)
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
        except sqlite3.Error as error:
            raise StorageError(f"can't write to {self._path}: {error}") from error

    def snapshot(self) -> Snapshot:
        """The rows as they are now."""
        return Snapshot(self._take(), self._give_back)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            self._idle.append(connection)

    def close(self) -> None:
        """Close all connections. Snapshots have to be closed before."""
        with self._lock:
            for connection in self._idle:
                connection.close()
            self._idle.clear()


def _value(key: bytes, mode: object, value: object) -> bytes:
    if mode != RAW or not isinstance(value, bytes):
        raise StorageError(
            f"the value of {key!r:.100} wasn't written by rivulet (mode {mode}), so it isn't read"
        )
    return value


@final
class Snapshot:
    """The rows at one moment, whatever is written later. To be closed soon: it holds up the log."""

    def __init__(self, connection: sqlite3.Connection, give_back: Any) -> None:
        self._connection: sqlite3.Connection | None = connection
        self._give_back = give_back
        connection.execute("BEGIN")
        # Only a read fixes what is seen.
        connection.execute("SELECT 1 FROM Settings LIMIT 1").fetchone()

    def list(
        self, start: bytes | None, stop: bytes | None, *, backwards: bool
    ) -> Iterator[tuple[bytes, bytes]]:
        """The rows from ``start`` up to before ``stop``."""
        size = 1
        while self._connection is not None:
            rows = self._page(self._connection, start, stop, size, backwards=backwards)
            for key, mode, value in rows:
                yield key, _value(key, mode, value)
            if len(rows) < size:
                return
            last = rows[-1][0]
            if backwards:
                stop = last
            else:
                start = last + b"\0"
            size = min(MOST_AT_ONCE, size * 2)

    def count(self, others: Iterable[bytes] = ()) -> int:
        """How many keys there are beside some others."""
        assert self._connection is not None
        execute = self._connection.execute
        (all_,) = execute("SELECT value FROM Settings WHERE key = 'count'").fetchone()
        return all_ - sum(execute(_GET, (key,)).fetchone() is not None for key in others)

    def _page(
        self,
        connection: sqlite3.Connection,
        start: bytes | None,
        stop: bytes | None,
        size: int,
        *,
        backwards: bool,
    ) -> Sequence[tuple[bytes, int, bytes]]:
        first = start or b""
        if not backwards:
            rows = connection.execute(_FORWARDS, (first, stop, stop, size))
        elif stop is not None:
            rows = connection.execute(_BACKWARDS, (first, stop, size))
        else:
            rows = connection.execute(_BACKWARDS_FROM_LAST, (first, size))
        return rows.fetchall()

    def close(self) -> None:
        """Let the rows go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.execute("ROLLBACK")
            self._give_back(connection)
