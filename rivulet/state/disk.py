"""The tables of diskcache as an ordered map of byte strings. Nothing else imports diskcache.

diskcache creates and opens them, with eviction, statistics and files beside the database switched
off. Rows are read and written by statements of our own: its listings take quadratic time, and it
unpickles what it finds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast, final

import diskcache  # pyright: ignore[reportMissingTypeStubs]

from rivulet.errors import StorageError
from rivulet.state.store import Operation

__all__ = ["Rows", "Tables"]

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
# SQLite's messages quote what is in the file, which needn't be text.
FAILURES: Final = (sqlite3.Error, UnicodeDecodeError)
RAW: Final = 1
"""How diskcache marks a key or a value that is kept as it is."""
MAPPED: Final = 256 * 2**20
"""So much of the tables is read through memory: nothing is copied that way."""
MOST_AT_ONCE: Final = 256
"""A listing reads so many rows at once at most; the first one by itself."""

_PUT = """
INSERT INTO Cache (key, raw, store_time, access_time, size, mode, value) VALUES {}
ON CONFLICT (key, raw) DO UPDATE SET mode = excluded.mode, value = excluded.value
"""
_ROW = "(?, 1, 0, 0, 0, 1, ?)"
MANY: Final = 64
"""So many rows are put by one statement, during which other threads can run."""
_PUT_ONE = _PUT.format(_ROW)
_PUT_MANY = _PUT.format(", ".join([_ROW] * MANY))
_DELETE = "DELETE FROM Cache WHERE key = ? AND raw = 1"
_HAS = "SELECT 1 FROM Cache WHERE key = ? AND raw = 1"
_GET = "SELECT mode, value FROM Cache WHERE key = ? AND raw = 1"
# Bounds that are byte strings keep to the index and to keys that are.
_LIST = {
    (False, False): """
SELECT key, mode, value FROM Cache WHERE key >= ? AND raw = 1 ORDER BY key
""",
    (False, True): """
SELECT key, mode, value FROM Cache WHERE key >= ? AND key < ? AND raw = 1 ORDER BY key
""",
    (True, False): """
SELECT key, mode, value FROM Cache WHERE key >= ? AND raw = 1 ORDER BY key DESC
""",
    (True, True): """
SELECT key, mode, value FROM Cache WHERE key >= ? AND key < ? AND raw = 1 ORDER BY key DESC
""",
}
_COUNT = "SELECT value FROM Settings WHERE key = 'count'"


def _make(folder: Path) -> None:
    """Have diskcache make the tables. Its own connections are one for each thread."""
    cache = object.__new__(cast("Any", diskcache).Cache)
    try:
        cache.__init__(str(folder), **SETTINGS)
    finally:
        cache.close()


@final
class Tables:
    """Keys and values in a folder.

    Args:
        folder: where the database is; it has to be there.

    Raises:
        StorageError: the tables aren't those of the diskcache that we know.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "cache.db"
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        try:
            found = self._columns()
            if not found:
                _make(folder)
                found = self._columns()
        except FAILURES as error:
            self.close()
            raise StorageError(f"can't read {self._path}: {error}") from error
        except StorageError:
            self.close()
            raise
        if found != COLUMNS.split():
            self.close()
            raise StorageError(
                f"{self._path} has the columns {' '.join(found)}, not {COLUMNS}: it needs "
                f"diskcache 5.6"
            )

    def _columns(self) -> list[str]:
        with self._connection() as connection:
            return [row[1] for row in connection.execute("PRAGMA table_info(Cache)")]

    @contextmanager
    def _connection(self) -> Generator[sqlite3.Connection]:
        """A connection for a while."""
        connection = self._take()
        try:
            yield connection
        finally:
            self._give_back(connection)

    def _take(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            pass
        try:
            connection = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False, timeout=60
            )
        except FAILURES as error:
            raise StorageError(f"can't open {self._path}: {error}") from error
        try:
            # What is committed outlives a loss of power.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA mmap_size = {MAPPED}")
        except FAILURES as error:
            connection.close()
            raise StorageError(f"can't open {self._path}: {error}") from error
        return connection

    def count(self, others: Iterable[bytes] = ()) -> tuple[int, int]:
        """How many keys there are, and how many of some others are among them."""
        try:
            with self._connection() as connection:
                connection.execute("BEGIN")
                try:
                    row = connection.execute(_COUNT).fetchone()
                    found = sum(
                        connection.execute(_HAS, (key,)).fetchone() is not None for key in others
                    )
                finally:
                    connection.execute("ROLLBACK")
        except FAILURES as error:
            raise StorageError(f"can't read {self._path}: {error}") from error
        if row is None or type(row[0]) is not int:
            raise StorageError(f"{self._path} doesn't say how many rows it has: it was changed")
        return row[0], found

    def get(self, key: bytes) -> bytes | None:
        """The value of a key; None if there is none."""
        connection = self._take()
        try:
            row = connection.execute(_GET, (key,)).fetchone()
        except FAILURES as error:
            raise StorageError(f"can't read {self._path}: {error}") from error
        finally:
            self._give_back(connection)
        if row is None:
            return None
        mode, value = row
        if mode != RAW or type(value) is not bytes:
            raise _foreign(key, mode)
        return value

    def write(self, operations: Iterable[Operation]) -> None:
        """Do operations on different keys in one transaction; cheapest in the order of keys."""
        try:
            with self._connection() as connection:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    _write(connection, operations)
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
        except FAILURES as error:
            raise StorageError(f"can't write to {self._path}: {error}") from error

    def list(self, start: bytes | None, stop: bytes | None, *, backwards: bool) -> Rows:
        """The rows from ``start`` up to before ``stop``, as they are now."""
        connection = self._take()
        try:
            return Rows(connection, self._give_back, start, stop, backwards=backwards)
        except FAILURES as error:
            connection.close()
            raise StorageError(f"can't read {self._path}: {error}") from error

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if self._closed:
            connection.close()
        else:
            self._idle.append(connection)

    def close(self) -> None:
        """Close all connections. Listings have to be closed before."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()


def _write(connection: sqlite3.Connection, operations: Iterable[Operation]) -> None:
    puts: list[bytes] = []
    for key, value in operations:
        if value is None:
            connection.execute(_DELETE, (key,))
        else:
            puts += (key, value)
            if len(puts) == 2 * MANY:
                connection.execute(_PUT_MANY, puts)
                puts.clear()
    connection.executemany(_PUT_ONE, zip(puts[::2], puts[1::2], strict=True))


def _foreign(key: bytes, mode: object) -> StorageError:
    return StorageError(
        f"the value of {key!r:.100} wasn't written by rivulet (mode {mode}), so it isn't read"
    )


@final
class Rows(Iterator[tuple[bytes, bytes]]):
    """The rows of one moment, whatever is written later. To be closed soon: it holds up the log."""

    __slots__ = ("_connection", "_cursor", "_give_back", "_rows", "_size")

    def __init__(
        self,
        connection: sqlite3.Connection,
        give_back: Callable[[sqlite3.Connection], None],
        start: bytes | None,
        stop: bytes | None,
        *,
        backwards: bool,
    ) -> None:
        self._connection: sqlite3.Connection | None = None
        self._give_back = give_back
        bounds = (start or b"",) if stop is None else (start or b"", stop)
        # A statement that isn't at its end sees what was there when it began.
        self._cursor = connection.execute(_LIST[backwards, stop is not None], bounds)
        self._connection = connection
        self._size = 1
        self._rows: Iterator[tuple[bytes, int, bytes]] = iter(())

    def __next__(self) -> tuple[bytes, bytes]:
        while True:
            for key, mode, value in self._rows:
                if mode != RAW or type(value) is not bytes:
                    raise _foreign(key, mode)
                return key, value
            if self._connection is None:
                raise StopIteration
            try:
                rows = self._cursor.fetchmany(self._size)
            except FAILURES as error:
                self.close()
                raise StorageError(f"can't read the tables: {error}") from error
            if len(rows) < self._size:
                self.close()
            self._size = min(MOST_AT_ONCE, 2 * self._size)
            self._rows = iter(rows)

    def close(self) -> None:
        """Let the rows go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._cursor.close()
            self._give_back(connection)

    def __del__(self) -> None:
        self.close()
