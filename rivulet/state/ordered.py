"""A map in the order of its keys, whose listings see it as it was when they began."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final, Generic, TypeVar, final

__all__ = ["Listing", "OrderedMap"]

V = TypeVar("V")

FEW: Final = 8
"""So many new keys at least are put into their places one by one; many are sorted in together."""
MOST_AT_ONCE: Final = 256
"""A listing looks up so many entries at once at most; the first is looked up by itself."""

_ABSENT: Final[Any] = object()


@final
class OrderedMap(Generic[V]):
    """Byte strings to values, listed in order.

    Keys are sorted when a listing asks for them, so that writes cost no more than those of a dict.
    A write keeps for each open listing what was there before, and only the first time. Several
    threads may use it.
    """

    __slots__ = ("_fresh", "_gone", "_keys", "_lock", "_seen", "_values", "_version")

    def __init__(self) -> None:
        self._values: dict[bytes, V] = {}
        self._keys: list[bytes] = []
        self._fresh: list[bytes] = []
        self._gone: set[bytes] = set()
        self._seen: list[dict[bytes, Any]] = []
        self._version = 0
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: bytes) -> bool:
        return key in self._values

    def get(self, key: bytes) -> V | None:
        """The value of a key; None if there is none."""
        return self._values.get(key)

    @property
    def values(self) -> dict[bytes, V]:
        """What it holds, in no order; not a copy."""
        return self._values

    def since(self, count: int) -> Iterator[bytes]:
        """The keys that were put in after so many others, while none was removed."""
        return islice(self._values, count, None)

    def put(self, key: bytes, value: V) -> None:
        """Set the value of a key."""
        with self._lock:
            values = self._values
            if self._seen:
                self._keep(key, values.get(key, _ABSENT))
            if key not in values:
                if key in self._gone:
                    self._gone.discard(key)
                else:
                    self._fresh.append(key)
            values[key] = value

    def delete(self, key: bytes) -> bool:
        """Remove a key; tells whether it was there."""
        with self._lock:
            before = self._values.pop(key, _ABSENT)
            if before is _ABSENT:
                return False
            if self._seen:
                self._keep(key, before)
            self._gone.add(key)
            return True

    def write(self, operations: Iterable[tuple[bytes, V | None]]) -> None:
        """Set and remove several keys; a listing sees all of it or nothing."""
        with self._lock:
            for key, value in operations:
                if value is None:
                    self.delete(key)
                else:
                    self.put(key, value)

    def clear(self) -> None:
        """Remove all keys."""
        with self._lock:
            for key in list(self._values):
                self.delete(key)

    def list(
        self, start: bytes | None = None, stop: bytes | None = None, *, backwards: bool = False
    ) -> Listing[V]:
        """The entries as they are now, in order, whatever is written while they are read.

        Args:
            start: the smallest key; None for the first.
            stop: the key before which it ends; None for all.
            backwards: from the largest to the smallest.
        """
        with self._lock:
            self._settle()
            listing = Listing(self, start, stop, backwards=backwards)
            self._seen.append(listing.before)
        return listing

    def _keep(self, key: bytes, value: Any) -> None:
        for before in self._seen:
            before.setdefault(key, value)

    def _settle(self) -> None:
        """Put new keys into their places, and take out those that no listing can see any more."""
        keys, fresh, gone = self._keys, self._fresh, self._gone
        if fresh:
            fresh.sort()
            if not keys or fresh[0] > keys[-1]:
                keys += fresh
            elif len(fresh) <= max(FEW, len(keys) >> 11):
                for key in fresh:
                    insort(keys, key)
            else:
                keys += fresh
                keys.sort()
            fresh.clear()
            self._version += 1
        if gone and not self._seen:
            if len(gone) <= FEW:
                for key in gone:
                    del keys[bisect_left(keys, key)]
            else:
                keys[:] = [key for key in keys if key not in gone]
            gone.clear()
            self._version += 1

    def _close(self, listing: Listing[V]) -> None:
        with self._lock:
            self._seen = [before for before in self._seen if before is not listing.before]

    def _read(self, listing: Listing[V], count: int) -> list[tuple[bytes, V]]:
        """The next entries that a listing sees."""
        found: list[tuple[bytes, V]] = []
        with self._lock:
            keys, values, before = self._keys, self._values, listing.before
            index = listing.find(keys, self._version)
            step = -1 if listing.backwards else 1
            while len(found) < count and 0 <= index < len(keys):
                key = keys[index]
                if not listing.reaches(key):
                    break
                value: Any = before[key] if key in before else values.get(key, _ABSENT)
                if value is not _ABSENT:
                    found.append((key, value))
                listing.last = key
                index += step
            listing.index = index
        return found


@final
class Listing(Iterator[tuple[bytes, V]]):
    """The entries of a map as they were when the listing was made.

    Attributes:
        before: what was there when it was made, of keys that were written since.
        last: the key that it looked at last.
        index: where the next one is, while no key is put in or taken out.
    """

    __slots__ = (
        "_entries",
        "_map",
        "_size",
        "_start",
        "_stop",
        "_version",
        "backwards",
        "before",
        "index",
        "last",
    )

    def __init__(
        self, map_: OrderedMap[V], start: bytes | None, stop: bytes | None, *, backwards: bool
    ) -> None:
        self._map: OrderedMap[V] | None = map_
        self._start = start
        self._stop = stop
        self.backwards = backwards
        self.before: dict[bytes, Any] = {}
        self.last: bytes | None = None
        self.index = 0
        self._version = -1
        self._size = 1
        self._entries: Iterator[tuple[bytes, V]] = iter(())

    def __next__(self) -> tuple[bytes, V]:
        for entry in self._entries:
            return entry
        if self._map is None:
            raise StopIteration
        entries = self._map._read(self, self._size)
        if len(entries) < self._size:
            self.close()
        self._size = min(MOST_AT_ONCE, 2 * self._size)
        self._entries = iter(entries)
        return next(self._entries)

    def find(self, keys: list[bytes], version: int) -> int:
        """Where to go on; keys that were put in since then have moved the place."""
        if version == self._version:
            return self.index
        self._version = version
        if self.backwards:
            end = self._stop if self.last is None else self.last
            return len(keys) - 1 if end is None else bisect_left(keys, end) - 1
        if self.last is not None:
            return bisect_right(keys, self.last)
        return 0 if self._start is None else bisect_left(keys, self._start)

    def reaches(self, key: bytes) -> bool:
        """Whether a key is not beyond the end."""
        if self.backwards:
            return self._start is None or key >= self._start
        return self._stop is None or key < self._stop

    def close(self) -> None:
        """See no more; nothing has to be kept for it from now on."""
        if self._map is not None:
            self._map._close(self)
            self._map = None

    def __del__(self) -> None:
        self.close()
