"""A log in a folder: SQLite keeps the records, and one process at a time has it."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final, final

from rivulet.errors import StorageError, TopicError
from rivulet.io.embedded import Commit, Entry, Log, sizes
from rivulet.io.records import Headers, OffsetAndTimestamp, Record
from rivulet.state.folder import Folder

__all__ = ["FileStorage", "close_log", "open_log"]

_msgpack: Any = import_module("msgpack")

FILE: Final = "topics.db"
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS topics (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS records (
    topic INTEGER, part INTEGER, place INTEGER,
    time INTEGER NOT NULL, key BLOB, value BLOB, headers BLOB,
    PRIMARY KEY (topic, part, place)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reached (
    name TEXT, topic INTEGER, part INTEGER, place INTEGER NOT NULL,
    PRIMARY KEY (name, topic, part)
) WITHOUT ROWID;
"""


@final
class FileStorage:
    """Records in a table of SQLite.

    What was written has outlived the process; a loss of power may cost the last moments, and
    records and offsets lose the same.

    Raises:
        StorageError: another process has the folder, or it holds something else.
    """

    gathers = True

    def __init__(self, path: Path) -> None:
        self._folder = Folder(path, codec="records", store="topics")
        with ExitStack() as otherwise:
            otherwise.callback(self._folder.close)
            try:
                self._db = sqlite3.connect(
                    path / FILE, isolation_level=None, check_same_thread=False, cached_statements=64
                )
                otherwise.callback(self._db.close)
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=NORMAL")
                self._db.executescript(_TABLES)
                self._topics: dict[str, tuple[int, int]] = {
                    name: (number, partitions)
                    for number, name, partitions in self._db.execute("SELECT * FROM topics")
                }
            except sqlite3.Error as error:
                raise StorageError(f"{path} can't be opened: {error}") from error
            otherwise.pop_all()
        self._ends: dict[tuple[int, int], int] = {}

    def partitions(self, topic: str, /) -> int:
        """How many partitions a topic has."""
        return self._topics.get(topic, (0, 0))[1]

    def create(self, topic: str, partitions: int, /) -> None:
        """Make a topic, or give it more partitions."""
        with _known_errors(self._folder.path):
            self._db.execute(
                "INSERT INTO topics (name, partitions) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET partitions = excluded.partitions",
                (topic, partitions),
            )
            row = self._db.execute("SELECT id FROM topics WHERE name = ?", (topic,)).fetchone()
        self._topics[topic] = (row[0], partitions)

    def write(self, entries: Sequence[Entry], commit: Commit | None = None, /) -> list[int]:
        """Write records and a group's offsets in one transaction."""
        offsets: list[int] = []
        rows: list[tuple[Any, ...]] = []
        ends: dict[tuple[int, int], int] = {}
        for topic, partition, timestamp, key, value, headers in entries:
            part = (self._topics[topic][0], partition)
            offset = ends.get(part)
            if offset is None:
                offset = self._end(part)
            ends[part] = offset + 1
            offsets.append(offset)
            packed = _msgpack.packb(headers) if headers else None
            rows.append((*part, offset, timestamp, key, value, packed))
        with _known_errors(self._folder.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                if rows:
                    self._db.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
                if commit is not None:
                    group, topic, reached = commit
                    number = self._topics[topic][0]
                    self._db.executemany(
                        "INSERT OR REPLACE INTO reached VALUES (?, ?, ?, ?)",
                        [(group, number, part, place) for part, place in reached.items()],
                    )
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # the first error says what was wrong
                    self._db.execute("ROLLBACK")
                raise
        self._ends.update(ends)
        return offsets

    def read(self, topic: str, partition: int, offset: int, limit: int, /) -> list[Record]:
        """Rows from an offset on."""
        with _known_errors(self._folder.path):
            rows = self._db.execute(
                "SELECT place, time, key, value, headers FROM records "
                "WHERE topic = ? AND part = ? AND place >= ? ORDER BY place LIMIT ?",
                (self._topics[topic][0], partition, offset, limit),
            ).fetchall()
        return [
            Record(
                *(topic, partition, place, time, 0, key, value, None),
                *sizes(key, value),
                _headers(headers) if headers else (),
            )
            for place, time, key, value, headers in rows
        ]

    def bounds(self, topic: str, partition: int, /) -> tuple[int, int]:
        """Nothing is ever dropped."""
        return 0, self._end((self._topics[topic][0], partition))

    def _end(self, part: tuple[int, int]) -> int:
        if part not in self._ends:
            with _known_errors(self._folder.path):
                row = self._db.execute(
                    "SELECT MAX(place) FROM records WHERE topic = ? AND part = ?", part
                ).fetchone()
            self._ends[part] = 0 if row[0] is None else row[0] + 1
        return self._ends[part]

    def at_time(self, topic: str, partition: int, time: int, /) -> OffsetAndTimestamp | None:
        """The first record at or after a time, of whichever order they are."""
        with _known_errors(self._folder.path):
            row = self._db.execute(
                "SELECT place, time FROM records "
                "WHERE topic = ? AND part = ? AND time >= ? ORDER BY place LIMIT 1",
                (self._topics[topic][0], partition, time),
            ).fetchone()
        return None if row is None else OffsetAndTimestamp(*row)

    def committed(self, group: str, topic: str, /) -> dict[int, int]:
        """The offsets of a group."""
        with _known_errors(self._folder.path):
            return dict(
                self._db.execute(
                    "SELECT part, place FROM reached WHERE name = ? AND topic = ?",
                    (group, self._topics[topic][0]),
                ).fetchall()
            )

    def close(self) -> None:
        """Let another process have the folder."""
        try:
            self._db.close()
        finally:
            self._folder.close()

    def leave(self) -> None:
        """Leave it to the process that this one was forked from."""
        self._folder.leave()


@contextmanager
def _known_errors(path: Path) -> Generator[None]:
    """Errors of SQLite as our own."""
    try:
        yield
    except sqlite3.Error as error:
        raise TopicError(f"the log in {path} can't be used: {error}") from error


def _headers(packed: bytes) -> Headers:
    return tuple((name, value) for name, value in _msgpack.unpackb(packed))


class _Open:
    """A log that is open, and by how many."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.users = 0


_opened: Final[dict[Path, _Open]] = {}
_left: Final[list[_Open]] = []
"""Those of the process that this one was forked from: they must not even be closed here."""
_lock: Final = threading.RLock()


def open_log(path: Path) -> Log:
    """The log of a folder, to be given back by ``close_log``.

    Raises:
        StorageError: another process has it, or the folder holds something else.
    """
    with _lock:
        if path not in _opened:
            _opened[path] = _Open(Log(f"file:{path}", FileStorage(path)))
        _opened[path].users += 1
        return _opened[path].log


def close_log(path: Path) -> None:
    """Give a log back. When nobody uses it any more, another process can have it."""
    with _lock:
        opened = _opened.get(path)
        if opened is None:
            return
        opened.users -= 1
        if not opened.users:
            del _opened[path]
            opened.log.storage.close()


def _after_fork() -> None:
    """Leave the logs to the process that has them open."""
    for opened in _opened.values():
        storage = opened.log.storage
        if isinstance(storage, FileStorage):
            storage.leave()
    _left.extend(_opened.values())
    _opened.clear()
    _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_after_fork
    )
