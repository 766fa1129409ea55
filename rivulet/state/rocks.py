"""A store in RocksDB, in raw mode: bytes in, bytes out. Nothing else imports rocksdict."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, final
from weakref import WeakSet

from rivulet.errors import MissingExtraError, StorageError
from rivulet.state.store import Operation

__all__ = ["RocksStore"]


@final
class RocksStore:
    """Implements ``Store`` in a folder, by RocksDB. It is open until ``close``.

    RocksDB doesn't know how many keys it has: the first ``len`` counts them, and from then on each
    write looks whether its key is there. After a write that failed they are counted again; where
    the disk was full, writes go on failing until it is opened again.

    Args:
        folder: where to keep it; it has to be there, and nobody else may use it.

    Raises:
        MissingExtraError: rocksdict is not installed.
        StorageError: it can't be opened.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._rocks: Any = import_module("rocksdict")
        except ImportError as error:
            raise MissingExtraError("rocksdict", "rocksdb") from error
        self._path = folder / "rocks"
        self._count: int | None = None
        self._closed = False
        self._lock = threading.RLock()
        self._listings: WeakSet[_Listing] = WeakSet()
        with self._telling("open"):
            self._path.mkdir(mode=0o700, exist_ok=True)
            options = self._rocks.Options(raw_mode=True)
            # Each opening begins a log of what RocksDB does, and it would keep a thousand.
            options.set_keep_log_file_num(1)
            self._db: Any = self._rocks.Rdict(str(self._path), options)
        # When the last reference goes, rocksdict flushes. In a process that was forked from this
        # one that would write into our files, and wait for threads that aren't there.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._db))

    @contextmanager
    def _telling(self, doing: str) -> Generator[None]:
        """Its errors, which have no class of their own, as ours."""
        try:
            yield
        except StorageError:
            raise
        except Exception as error:
            raise StorageError(f"can't {doing} {self._path}: {error}") from error

    def _check_open(self) -> None:
        if self._closed:
            raise _closed()

    # Look-ups

    def __len__(self) -> int:
        with self._lock:
            self._check_open()
            if self._count is None:
                self._count = sum(1 for _ in self.list())
            return self._count

    def __contains__(self, key: bytes) -> bool:
        return self.get(key) is not None

    def get(self, key: bytes) -> bytes | None:
        """The value of a key; None if there is none."""
        try:
            return self._db.get(key)
        except Exception as error:
            self._check_open()
            raise StorageError(f"can't read {self._path}: {error}") from error

    def list(
        self, start: bytes | None = None, stop: bytes | None = None, *, backwards: bool = False
    ) -> _Listing:
        """The entries from ``start`` up to before ``stop``, as they are now."""
        with self._lock, self._telling("read"):
            self._check_open()
            listing = _Listing(self._db.iter(), self._path, start, stop, backwards=backwards)
            self._listings.add(listing)
            return listing

    # Writes. The count is unknown while one is under way, so that none that is broken off spoils it

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value of a key."""
        with self._lock:
            self._check_open()
            count = self._count
            if count is not None:
                count += key not in self
                self._count = None
            try:
                self._db[key] = value
            except Exception as error:
                raise StorageError(f"can't write to {self._path}: {error}") from error
            self._count = count

    def delete(self, key: bytes) -> bool:
        """Remove a key; tells whether it was there."""
        with self._lock, self._telling("write to"):
            self._check_open()
            if key not in self:
                return False
            count, self._count = self._count, None
            del self._db[key]
            self._count = None if count is None else count - 1
            return True

    def write(self, operations: Sequence[Operation]) -> None:
        """Do several operations: after a crash all of them are there or none."""
        with self._lock, self._telling("write to"):
            self._check_open()
            batch = self._rocks.WriteBatch(raw_mode=True)
            for key, value in operations:
                if value is None:
                    batch.delete(key)
                else:
                    batch.put(key, value)
            count = self._count
            if count is not None:
                there = {key: value is not None for key, value in operations}
                count += sum(now - (key in self) for key, now in there.items())
                self._count = None
            self._db.write(batch)
            self._count = count

    def flush(self, *, sync: bool = False) -> None:
        """RocksDB writes by itself; with ``sync``, see what was written past a loss of power."""
        with self._lock, self._telling("flush"):
            self._check_open()
            self._db.flush_wal(sync)

    def close(self) -> None:
        """Flush and close it; listings that are not at their end fail. A second time does nothing.

        Raises:
            StorageError: it can't be flushed. It is closed, and what was written is in its log.
        """
        with self._lock:
            if self._closed:
                return
            # Before anything else: look-ups that come meanwhile fail, and have to know why.
            self._closed = True
            for listing in list(self._listings):
                listing.cut_off()
            try:
                with self._telling("close"):
                    self._db.close()
            finally:
                ctypes.pythonapi.Py_DecRef(ctypes.py_object(self._db))


def _closed() -> StorageError:
    return StorageError("the store is closed: open it again")


@final
class _Listing(Iterator[tuple[bytes, bytes]]):
    """Entries of one moment: an iterator of RocksDB sees what was there when it was made."""

    def __init__(
        self, rows: Any, path: Path, start: bytes | None, stop: bytes | None, *, backwards: bool
    ) -> None:
        self._rows = rows
        self._path = path
        self._backwards = backwards
        self._is_cut_off = False
        # It has to be let go before the store is closed, also by a thread that reads it.
        self._lock = threading.Lock()
        if not backwards:
            rows.seek(start or b"")
            self._end = stop
        else:
            self._end = start
            if stop is None:
                rows.seek_to_last()
            else:
                rows.seek_for_prev(stop)
                if rows.valid() and rows.key() == stop:
                    rows.prev()

    def __next__(self) -> tuple[bytes, bytes]:
        with self._lock:
            if self._is_cut_off:
                raise _closed()
            try:
                entry = self._read()
            except Exception as error:
                self._rows = None
                raise StorageError(f"can't read {self._path}: {error}") from error
            if entry is None:
                self._rows = None
                raise StopIteration
            return entry

    def _read(self) -> tuple[bytes, bytes] | None:
        rows = self._rows
        if rows is None:
            return None
        if not rows.valid():
            rows.status()  # raises unless this is the end
            return None
        key: bytes = rows.key()
        if self._end is not None and (key < self._end if self._backwards else key >= self._end):
            return None
        entry = key, rows.value()
        if self._backwards:
            rows.prev()
        else:
            rows.next()
        return entry

    def close(self) -> None:
        """See no more."""
        with self._lock:
            self._rows = None

    def cut_off(self) -> None:
        """The store is closed: what is missing must not look like the end."""
        with self._lock:
            self._is_cut_off = self._rows is not None
            self._rows = None
