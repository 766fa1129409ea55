"""A store whose entries grow old: they end after a while, or give way to newer ones.

An entry carries a stamp, when it was written, and beside the entries there is an index from stamps
to keys. Both are written in one batch, as is the sum of all sizes, so a crash leaves them in step.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from typing import Final, final

from rivulet.errors import StorageError
from rivulet.state.entry import stamp_of, stamped
from rivulet.state.store import Entries, Operation, Store

__all__ = ["FIRST", "Limited"]

FIRST: Final = b"\x10"
"""All keys of users sort from here on."""
_INDEX: Final = b"\x02"
_AFTER_INDEX: Final = b"\x03"
_SIZE: Final = b"\x01size"
_AT_ONCE: Final = 1000
"""So many entries go at once, at most."""
_MOST: Final = 2**63
"""Stamps are nanoseconds since 1970, of before the year 2262."""


@final
class Limited:
    """Implements ``Store`` over another one.

    Args:
        inner: where the entries are kept.
        ttl: for how many seconds an entry is there after it was written; None for ever.
        size_limit: how many bytes the keys and values may take together; when they take more, the
            entries that were written longest ago go. None for any number.

    Attributes:
        expired: how many entries ended because of ``ttl``.
        evicted: how many gave way because of ``size_limit``.
    """

    def __init__(
        self, inner: Store, *, ttl: float | None = None, size_limit: int | None = None
    ) -> None:
        self._inner = inner
        self._lock = threading.RLock()
        self._last = 0
        self.expired = self.evicted = 0
        for key, _ in _closing(inner.list(_INDEX, _AFTER_INDEX, backwards=True)):
            self._last = _stamp_in(key)
            if self._last >= _MOST:
                raise StorageError(f"{key!r} in the cache's index is no time: it was changed")
            break
        size = inner.get(_SIZE)
        self._size = int.from_bytes(size, "big") if size else self._stamp_all()
        self.limit(ttl, size_limit)

    @staticmethod
    def is_used_in(inner: Store) -> bool:
        """Whether a store was limited before: then it has to stay so, for its index."""
        return inner.get(_SIZE) is not None

    def limit(self, ttl: float | None, size_limit: int | None) -> None:
        """Keep to other limits from now on."""
        with self._lock:
            self._ttl = None if ttl is None else round(ttl * 1e9)
            self._size_limit = size_limit
            self._oldest = 0
            self._purge()

    def _stamp_all(self) -> int:
        """Give the entries of a store without limits the stamp of now; gives their size."""
        size = 0
        operations: list[Operation] = [(_SIZE, b"")]  # not known yet, but it is limited from now on
        for key, data in _closing(self._inner.list(FIRST)):
            # A stamp is from an attempt that was interrupted: its index is there.
            if stamp_of(data) is None:
                stamp = self._next_stamp()
                data = stamped(data, stamp)
                operations += [(key, data), (_index(stamp), key)]
            size += len(key) + len(data)
            if len(operations) >= _AT_ONCE:
                self._inner.write(operations)
                operations.clear()
        self._inner.write([*operations, _size_is(size)])
        return size

    def _next_stamp(self) -> int:
        self._last = max(self._last + 1, time.time_ns())
        return self._last

    # Look-ups

    def __len__(self) -> int:
        with self._lock:
            over = 0
            if not self._purge():
                over = sum(1 for _ in _closing(self._inner.list(_INDEX, _index(self._end() + 1))))
            return (len(self._inner) - 1) // 2 - over

    def __contains__(self, key: bytes) -> bool:
        return self.get(key) is not None

    def get(self, key: bytes) -> bytes | None:
        """The value of a key; None if there is none, or if it has ended."""
        data = self._inner.get(key)
        if data is None or (self._ttl is not None and _ended(data, self._end())):
            return None
        return data

    def list(
        self, start: bytes | None = None, stop: bytes | None = None, *, backwards: bool = False
    ) -> Entries:
        """The entries from ``start`` up to before ``stop``, as they are now."""
        with self._lock:
            purged, end = self._purge(), self._end()
            rows = self._inner.list(max(start or FIRST, FIRST), stop, backwards=backwards)
        return rows if purged else _living(rows, end)

    def _end(self) -> int:
        """Entries with this stamp or an earlier one are over; no stamp is 0."""
        return 0 if self._ttl is None else max(0, time.time_ns() - self._ttl)

    # Writes

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value of a key."""
        self.write(((key, value),))

    def delete(self, key: bytes) -> bool:
        """Remove a key; tells whether it was there."""
        with self._lock:
            if self.get(key) is None:
                return False
            self.write(((key, None),))
            return True

    def write(self, operations: Sequence[Operation]) -> None:
        """Do several operations: after a crash all of them are there or none.

        Raises:
            StorageError: one value alone takes more than all may take.
        """
        with self._lock:
            changes: dict[bytes, bytes | None] = {}
            size = self._size
            for key, value in operations:
                before = changes[key] if key in changes else self._inner.get(key)
                if before is not None:
                    size -= len(key) + len(before)
                    stamp = stamp_of(before)
                    if stamp is not None:
                        changes[_index(stamp)] = None
                if value is None:
                    changes[key] = None
                    continue
                stamp = self._next_stamp()
                self._oldest = min(self._oldest, stamp)  # the clock may have been put back
                changes[key] = value = stamped(value, stamp)
                changes[_index(stamp)] = key
                size += len(key) + len(value)
                if self._size_limit is not None and len(key) + len(value) > self._size_limit:
                    raise StorageError(
                        f"an entry of {len(key) + len(value):,} bytes can't be kept where all may "
                        f"take {self._size_limit:,}: give a larger size_limit"
                    )
            self._commit(changes, size)
            self._purge()

    # Ends

    def _purge(self) -> bool:
        """Remove what is over and, from the oldest on, what is too much.

        Tells whether it could: where nothing can be written, what is left can still be read.
        """
        with suppress(StorageError):
            while self._must_go(self._oldest, self._size) and self._commit({}, self._size):
                pass
            return True
        return False

    def _commit(self, changes: dict[bytes, bytes | None], size: int) -> bool:
        """Write changes, and in the same batch the ends of what has to go; tells if any had to."""
        oldest = self._oldest
        expired = evicted = 0
        if self._must_go(oldest, size):
            oldest = max(self._last + 1, time.time_ns())
            for stamp, key, data in self._by_age(changes):
                over = self._is_over(stamp)
                if expired + evicted >= _AT_ONCE or not (over or self._is_too_much(size)):
                    oldest = stamp
                    break
                changes[_index(stamp)] = changes[key] = None
                size -= len(key) + len(data)
                expired += over
                evicted += not over
        if changes:
            self._inner.write([*changes.items(), _size_is(size)])
        self._size, self._oldest = size, oldest
        self.expired += expired
        self.evicted += evicted
        return expired + evicted > 0

    def _by_age(self, changes: dict[bytes, bytes | None]) -> Iterator[tuple[int, bytes, bytes]]:
        """Stamp, key and data of the entries as they are after some changes, the oldest first."""
        for index, key in _closing(self._inner.list(_INDEX, _AFTER_INDEX)):
            if index not in changes:
                yield _stamp_in(index), key, self._inner.get(key) or b""
        # Stamps that are given later are larger.
        for index, key in [*changes.items()]:
            if index < _AFTER_INDEX and key is not None:
                yield _stamp_in(index), key, changes[key] or b""

    def _must_go(self, oldest: int, size: int) -> bool:
        return self._is_over(oldest) or self._is_too_much(size)

    def _is_over(self, stamp: int) -> bool:
        return self._ttl is not None and stamp <= self._end()

    def _is_too_much(self, size: int) -> bool:
        return self._size_limit is not None and size > self._size_limit

    # As the inner store does

    def flush(self, *, sync: bool = False) -> None:
        """Move what is on its way to where it stays; with ``sync``, past a loss of power."""
        self._inner.flush(sync=sync)

    def close(self) -> None:
        """Flush, and give up what is held open."""
        self._inner.close()


def _closing(entries: Entries) -> Iterator[tuple[bytes, bytes]]:
    try:
        yield from entries
    finally:
        entries.close()


def _living(rows: Entries, end: int) -> Generator[tuple[bytes, bytes]]:
    """The rows without those that were over."""
    return ((key, data) for key, data in _closing(rows) if not _ended(data, end))


def _ended(data: bytes, end: int) -> bool:
    stamp = stamp_of(data)
    return stamp is not None and stamp <= end


def _index(stamp: int) -> bytes:
    return _INDEX + stamp.to_bytes(8, "big")


def _stamp_in(index: bytes) -> int:
    return int.from_bytes(index[1:], "big")


def _size_is(size: int) -> Operation:
    return _SIZE, size.to_bytes(8, "big")
