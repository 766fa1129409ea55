"""A store in a folder: a journal, what it holds in memory, and tables that take it over.

A write goes into the journal and into memory, and has then outlived the process. A thread moves
what is in memory into the tables from time to time, in one transaction, and the journal up to there
is dropped. Look-ups and listings see memory in front of the tables.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, final

from rivulet.errors import StorageError
from rivulet.state.disk import Snapshot, Tables
from rivulet.state.journal import Journal
from rivulet.state.ordered import Listing, OrderedMap
from rivulet.state.store import Operation

__all__ = ["DurableStore"]

MOST_BYTES: Final = 8 * 2**20
"""So many bytes of keys and values are kept in memory before they are moved."""
OVERHEAD: Final = 200
"""What an entry takes beside its bytes, roughly."""


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
        self._journal = Journal(folder / "journal")
        self._most_bytes = most_bytes
        self._new: _Layer = OrderedMap()
        self._moving: _Layer | None = None
        self._sealed = 0
        self._bytes = 0
        self._closed = False
        self._lock = threading.RLock()
        self._moved = threading.Condition(self._lock)
        self._mover = threading.Thread(target=self._move_on, name="rivulet-state", daemon=True)
        self._failure: StorageError | None = None
        self.inline = 0
        """How often a write had to wait until memory was moved."""
        for operations in self._journal.replay():
            self._remember(operations)
        self._mover.start()

    # Look-ups

    def __len__(self) -> int:
        with self._lock:
            memory = dict[bytes, Any]()
            for layer in (self._moving, self._new):
                memory.update(() if layer is None else layer.list())
            snapshot = self._tables.snapshot()
            try:
                beside = snapshot.count(memory)
            finally:
                snapshot.close()
            return beside + sum(value is not _GONE for value in memory.values())

    def __contains__(self, key: bytes) -> bool:
        return self.get(key) is not None

    def get(self, key: bytes) -> bytes | None:
        """The value of a key; None if there is none."""
        # In this order: what is moved is in the tables before it leaves memory.
        for layer in (self._new, self._moving):
            if layer is not None and (value := layer.get(key)) is not None:
                return None if isinstance(value, _Gone) else value
        return self._tables.get(key)

    def list(
        self, start: bytes | None = None, stop: bytes | None = None, *, backwards: bool = False
    ) -> _Merged:
        """The entries from ``start`` up to before ``stop``, as they are now."""
        with self._lock:
            self._check_open()
            layers = [
                layer.list(start, stop, backwards=backwards)
                for layer in (self._new, self._moving)
                if layer is not None
            ]
            return _Merged(layers, self._tables.snapshot(), start, stop, backwards=backwards)

    # Writes

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value of a key."""
        with self._lock:
            self._make_room()
            self._journal.append(key, value)
            self._new.put(key, value)
            self._bytes += len(key) + len(value) + OVERHEAD

    def delete(self, key: bytes) -> bool:
        """Remove a key; tells whether it was there."""
        with self._lock:
            self._make_room()
            if key not in self:
                return False
            self._journal.append(key, None)
            self._new.put(key, _GONE)
            self._bytes += len(key) + OVERHEAD
            return True

    def write(self, operations: Sequence[Operation]) -> None:
        """Do several operations: after a crash all of them are there or none."""
        with self._lock:
            self._make_room()
            self._journal.append_batch(operations)
            self._remember(operations)

    def _remember(self, operations: Sequence[Operation]) -> None:
        self._new.write((key, _GONE if value is None else value) for key, value in operations)
        self._bytes += sum(len(k) + len(v or b"") + OVERHEAD for k, v in operations)

    def _make_room(self) -> None:
        """Have memory moved when there is much in it; wait where the thread doesn't keep up."""
        self._check_open()
        if self._bytes < self._most_bytes:
            return
        if self._moving is None:
            self._seal()
            return
        self.inline += 1
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
        self._moving, self._new, self._bytes = self._new, OrderedMap(), 0
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
                self._tables.write(
                    (key, None if isinstance(value, _Gone) else value)
                    for key, value in layer.list()
                )
            except StorageError as error:
                failure = error
            with self._lock:
                self._failure = failure
                if failure is None:
                    self._moving = None
                self._moved.notify_all()
            if failure is None:
                # What can't be dropped now is dropped with the next; replaying it changes nothing.
                with suppress(StorageError):
                    self._journal.drop(sealed)

    # Closing

    def close(self) -> None:
        """Flush, and end the thread. A second time does nothing."""
        with self._lock:
            if self._closed:
                return
            try:
                self.flush()
            finally:
                self._closed = True
                self._moved.notify_all()
        self._mover.join()
        self._journal.close()
        self._tables.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError("the store is closed: open it again")


@final
class _Merged(Iterator[tuple[bytes, bytes]]):
    """Entries of several layers in one order; the first layer that has a key counts."""

    def __init__(
        self,
        layers: list[Listing[bytes | _Gone]],
        snapshot: Snapshot,
        start: bytes | None,
        stop: bytes | None,
        *,
        backwards: bool,
    ) -> None:
        self._layers = layers
        self._snapshot = snapshot
        self._backwards = backwards
        self._rows = self._merge([*layers, snapshot.list(start, stop, backwards=backwards)])

    def __next__(self) -> tuple[bytes, bytes]:
        try:
            return next(self._rows)
        except BaseException:
            self.close()
            raise

    def _merge(self, layers: list[Iterator[tuple[bytes, Any]]]) -> Iterator[tuple[bytes, bytes]]:
        heads = [next(layer, None) for layer in layers]
        pick = max if self._backwards else min
        while keys := [head[0] for head in heads if head is not None]:
            key = pick(keys)
            found: Any = None
            for index, head in enumerate(heads):
                if head is not None and head[0] == key:
                    found = head[1] if found is None else found
                    heads[index] = next(layers[index], None)
            if found is not _GONE:
                yield key, found

    def close(self) -> None:
        """See no more."""
        for layer in self._layers:
            layer.close()
        self._snapshot.close()

    def __del__(self) -> None:
        self.close()
