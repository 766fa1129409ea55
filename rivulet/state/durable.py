"""A store in a folder: a journal, what it holds in memory, and tables that take it over.

A write goes into the journal and into memory, and has then outlived the process. A thread moves
what is in memory into the tables from time to time, in one transaction, and the journal up to there
is dropped. Look-ups and listings see memory in front of the tables.

What was moved last and what was looked up since is kept in memory for further look-ups. So there
are at most three times ``most_bytes`` in memory: what is new, what is being moved, what was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from heapq import merge
from pathlib import Path
from typing import Any, Final, final

from rivulet.errors import StorageError
from rivulet.state.disk import Rows, Tables
from rivulet.state.journal import Journal
from rivulet.state.ordered import Listing, OrderedMap
from rivulet.state.store import Entries, Operation

__all__ = ["DurableStore"]

MOST_BYTES: Final = 32 * 2**20
"""So many bytes are written into memory before they are moved."""
OVERHEAD: Final = 200
"""What an entry takes beside its bytes, roughly."""
RUN: Final = 4096
"""So many keys are sorted at once."""


@final
class _Gone:
    """In memory, in place of the value of a key that was removed."""


_GONE: Final = _Gone()
_Layer = OrderedMap["bytes | _Gone"]


@final
class DurableStore:
    """Implements ``Store`` in a folder.

    Args:
        folder: where to keep it; it has to be there, and nobody else may use it.
        most_bytes: how much to keep in memory before it is moved into the tables.

    Raises:
        StorageError: what is there can't be read.
    """

    def __init__(self, folder: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._tables = Tables(folder)
        try:
            self._journal = Journal(folder / "journal")
            found = [operation for batch in self._journal.replay() for operation in batch]
        except BaseException:
            self._tables.close()
            raise
        self._most_bytes = most_bytes
        self._new: _Layer = OrderedMap()
        self._gone: set[bytes] = set()
        self._moving: _Layer | None = None
        self._recent: dict[bytes, bytes | _Gone] = {}
        self._recent_bytes = 0
        self._sealed = 0
        self._bytes = 0
        self._compared = self._in_both = 0
        self._closed = False
        self._lock = threading.RLock()
        self._moved = threading.Condition(self._lock)
        self._mover = threading.Thread(target=self._move_on, name="rivulet-state", daemon=True)
        self._failure: StorageError | None = None
        self.waits = 0
        """How often a write had to wait until memory was moved."""
        self._remember(found)
        self._mover.start()

    # Look-ups

    def __len__(self) -> int:
        with self._lock:
            self._check_open()
            if self._moving is not None:
                memory = dict(self._moving.list()) | dict(self._new.list())
                count, found = self._tables.count(memory)
                return count - found + sum(value is not _GONE for value in memory.values())
            # Each key is looked for in the tables once.
            count, found = self._tables.count(self._new.since(self._compared))
            self._in_both += found
            self._compared = len(self._new)
            return count - self._in_both + len(self._new) - len(self._gone)

    def __contains__(self, key: bytes) -> bool:
        return self.get(key) is not None

    def get(self, key: bytes) -> bytes | None:
        """The value of a key; None if there is none."""
        # In this order: what is moved is in the tables before it leaves memory.
        value = self._new.get(key)
        if value is None:
            moving = self._moving
            if moving is not None:
                value = moving.get(key)
            if value is None:
                recent = self._recent
                value = recent.get(key)
                if value is None:
                    return self._look_up(key, recent)
        return value if type(value) is bytes else None

    def _look_up(self, key: bytes, recent: dict[bytes, bytes | _Gone]) -> bytes | None:
        """The value in the tables, to be kept where no move has come between."""
        value = self._tables.get(key)
        if self._recent_bytes > self._most_bytes:
            self._recent, self._recent_bytes = {}, 0
        elif recent is self._recent:
            self._recent_bytes += len(key) + len(value or b"") + OVERHEAD
        recent[key] = _GONE if value is None else value
        return value

    def list(
        self, start: bytes | None = None, stop: bytes | None = None, *, backwards: bool = False
    ) -> Entries:
        """The entries from ``start`` up to before ``stop``, as they are now."""
        with self._lock:
            self._check_open()
            layers = [
                layer.list(start, stop, backwards=backwards)
                for layer in (self._new, self._moving)
                if layer is not None and len(layer)
            ]
            rows = self._tables.list(start, stop, backwards=backwards)
        return _Merged(layers, rows, backwards=backwards) if layers else rows

    # Writes

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value of a key."""
        with self._lock:
            if self._bytes >= self._most_bytes:
                self._make_room()
            self._journal.append(key, value)
            self._new.put(key, value)
            if self._gone:
                self._gone.discard(key)
            self._bytes += len(key) + len(value) + OVERHEAD

    def delete(self, key: bytes) -> bool:
        """Remove a key; tells whether it was there."""
        with self._lock:
            self._make_room()
            if key not in self:
                return False
            self._journal.append(key, None)
            self._remember(((key, None),))
            return True

    def write(self, operations: Sequence[Operation]) -> None:
        """Do several operations: after a crash all of them are there or none."""
        with self._lock:
            self._make_room()
            self._journal.append_batch(operations)
            self._remember(operations)

    def _remember(self, operations: Sequence[Operation]) -> None:
        self._new.write((key, _GONE if value is None else value) for key, value in operations)
        for key, value in operations:
            if value is None:
                self._gone.add(key)
            else:
                self._gone.discard(key)
        self._bytes += sum(len(k) + len(v or b"") + OVERHEAD for k, v in operations)

    def _make_room(self) -> None:
        """Have memory moved when there is much in it; wait where the thread doesn't keep up."""
        self._check_open()
        if self._bytes < self._most_bytes:
            return
        if self._moving is None:
            self._seal()
            return
        self.waits += 1
        self._wait_until_moved()
        if self._bytes >= self._most_bytes:
            self._seal()

    # Moving

    def flush(self, *, sync: bool = False) -> None:
        """Move everything into the tables; with ``sync``, past a loss of power.

        Raises:
            StorageError: it can't be moved. Nothing is lost, and the next flush tries again.
        """
        with self._lock:
            self._check_open()
            self._wait_until_moved()
            if len(self._new):
                self._seal()
                self._wait_until_moved()
            if sync:
                self._journal.sync()

    def _wait_until_moved(self) -> None:
        """Wait for the thread; after a failure it tries once more."""
        self._failure = None
        self._moved.notify_all()
        self._moved.wait_for(lambda: self._moving is None or self._failure is not None)
        if self._failure is not None:
            raise StorageError(str(self._failure)) from self._failure

    def _seal(self) -> None:
        self._sealed = self._journal.rotate()
        self._moving, self._new, self._gone = self._new, OrderedMap(), set()
        self._bytes = self._compared = self._in_both = 0
        self._moved.notify_all()

    def _move_on(self) -> None:
        """The thread: move what was sealed, until the store is closed."""
        while True:
            with self._lock:
                self._moved.wait_for(
                    lambda: self._closed or (self._moving is not None and self._failure is None)
                )
                layer, sealed = self._moving, self._sealed
                if self._closed or layer is None:
                    return
            failure: StorageError | None = None
            try:
                self._tables.write(_in_order(layer.values))
            except StorageError as error:
                failure = error
            with self._lock:
                self._failure = failure
                if failure is None:
                    self._recent, self._recent_bytes = layer.values, self._most_bytes // 2
                    self._moving = None
                self._moved.notify_all()
            if failure is None:
                # What can't be dropped now is dropped with the next; replaying it changes nothing.
                with suppress(StorageError):
                    self._journal.drop(sealed)

    # Closing

    def close(self) -> None:
        """Flush, and end the thread. A second time does nothing."""
        failure: StorageError | None = None
        with self._lock:
            if self._closed:
                return
            try:
                self.flush()
            except StorageError as error:
                failure = error
            finally:
                self._closed = True
                self._bytes = self._most_bytes  # so that a write looks whether it is open
                self._moved.notify_all()
        self._mover.join()
        self._journal.close()
        self._tables.close()
        if failure is not None:
            raise failure

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError("the store is closed: open it again")


def _in_order(values: Mapping[bytes, bytes | _Gone]) -> Iterator[Operation]:
    """What is in memory, in the order of keys. Sorted in runs: others can't run beside a sort."""
    keys = list(values)
    runs = [sorted(keys[start : start + RUN]) for start in range(0, len(keys), RUN)]
    for key in merge(*runs):
        value = values[key]
        yield key, None if isinstance(value, _Gone) else value


@final
class _Merged(Iterator[tuple[bytes, bytes]]):
    """Entries of several layers in one order; the first layer that has a key counts."""

    __slots__ = ("_entries", "_layers")

    def __init__(
        self, layers: list[Listing[bytes | _Gone]], rows: Rows, *, backwards: bool
    ) -> None:
        self._layers: list[Listing[bytes | _Gone] | Rows] = [*layers, rows]
        self._entries = _merge([*self._layers], max if backwards else min)

    def __next__(self) -> tuple[bytes, bytes]:
        try:
            return next(self._entries)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """See no more."""
        for layer in self._layers:
            layer.close()

    def __del__(self) -> None:
        self.close()


def _merge(
    layers: list[Iterator[tuple[bytes, Any]]], pick: Callable[[list[bytes]], bytes]
) -> Iterator[tuple[bytes, bytes]]:
    """The entries of all layers in order, each key as the first layer that has it says.

    Not a method: the listing would be a part of a cycle, and be kept until that is collected.
    """
    heads = [next(layer, None) for layer in layers]
    while keys := [head[0] for head in heads if head is not None]:
        key = pick(keys)
        found: Any = None
        taken: list[int] = []
        for index, head in enumerate(heads):
            if head is not None and head[0] == key:
                found = head[1] if found is None else found
                taken.append(index)
        if found is not _GONE:
            yield key, found
        for index in taken:
            heads[index] = next(layers[index], None)
