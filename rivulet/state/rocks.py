"""A store in RocksDB, in raw mode: bytes in, bytes out. Nothing else imports it."""

from __future__ import annotations

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
    """Implements ``Store`` in a folder, by RocksDB.

    RocksDB doesn't know how many keys it has: the first ``len`` counts them, and from then on each
    write looks whether its key is there.

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
        self._path.mkdir(mode=0o700, exist_ok=True)
        self._count: int | None = None
        self._closed = False
        self._lock = threading.RLock()
        self._listings: WeakSet[_Listing] = WeakSet()
        with self._telling("open"):
            self._db = self._rocks.Rdict(str(self._path), self._rocks.Options(raw_mode=True))

    @contextmanager
    def _telling(self, doing: str) -> Generator[None]:
        """Its errors, which have no class of their own, as ours."""
        self._check_open()
        try:
            yield
        except Exception as error:
            raise StorageError(f"can't {doing} {self._path}: {error}") from error

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError("the store is closed: open it again")

    def __len__(self) -> int:
        with self._lock:
            if self._count is None:
                self._count = sum(1 for _ in self.list())
            self._check_open()
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

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value of a key."""
        with self._lock:
            self._check_open()
            if self._count is not None and key not in self:
                self._count += 1
            try:
                self._db[key] = value
            except Exception as error:
                self._count = None
                raise StorageError(f"can't write to {self._path}: {error}") from error

    def delete(self, key: bytes) -> bool:
        """Remove a key; tells whether it was there."""
        with self._lock:
            if key not in self:
                return False
            self.write(((key, None),))
            return True

    def write(self, operations: Sequence[Operation]) -> None:
        """Do several operations: after a crash all of them are there or none."""
        with self._lock, self._telling("write to"):
            batch = self._rocks.WriteBatch(raw_mode=True)
            there: dict[bytes, bool] = {}
            for key, value in operations:
                if value is None:
                    batch.delete(key)
                else:
                    batch.put(key, value)
                there[key] = value is not None
            if self._count is not None:
                self._count += sum(now - (key in self) for key, now in there.items())
            try:
                self._db.write(batch)
            except BaseException:
                self._count = None
                raise

    def list(
        self, start: bytes | None = None, stop: bytes | None = None, *, backwards: bool = False
    ) -> _Listing:
        """The entries from ``start`` up to before ``stop``, as they are now."""
        with self._lock, self._telling("read"):
            listing = _Listing(self._db.iter(), start, stop, backwards=backwards)
            self._listings.add(listing)
            return listing

    def flush(self, *, sync: bool = False) -> None:
        """RocksDB writes by itself; with ``sync``, see what was written past a loss of power."""
        with self._lock, self._telling("flush"):
            self._db.flush_wal(sync)

    def close(self) -> None:
        """Close it, and all listings. A second time does nothing."""
        with self._lock:
            if self._closed:
                return
            for listing in list(self._listings):
                listing.close()
            with self._telling("close"):
                self._db.close()
            self._closed = True


@final
class _Listing(Iterator[tuple[bytes, bytes]]):
    """Entries of one moment: an iterator of RocksDB sees what was there when it was made."""

    def __init__(
        self, rows: Any, start: bytes | None, stop: bytes | None, *, backwards: bool
    ) -> None:
        self._rows = rows
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
        self._backwards = backwards

    def __next__(self) -> tuple[bytes, bytes]:
        rows = self._rows
        if rows is None or not rows.valid():
            self.close()
            raise StopIteration
        key: bytes = rows.key()
        if self._end is not None and (key < self._end if self._backwards else key >= self._end):
            self.close()
            raise StopIteration
        entry = key, rows.value()
        if self._backwards:
            rows.prev()
        else:
            rows.next()
        return entry

    def close(self) -> None:
        """See no more."""
        self._rows = None
