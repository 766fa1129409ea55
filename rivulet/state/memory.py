"""A store in memory: for notebooks and tests, gone with the process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from rivulet.state.ordered import Listing, OrderedMap
from rivulet.state.store import Operation

__all__ = ["MemoryStore"]


@final
class MemoryStore:
    """Implements ``Store`` without a folder."""

    def __init__(self) -> None:
        self._entries: OrderedMap[bytes] = OrderedMap()
        self.put = self._entries.put
        self.get = self._entries.get
        self.delete = self._entries.delete

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: bytes) -> bool:
        return key in self._entries

    def write(self, operations: Sequence[Operation]) -> None:
        """Do several operations at once."""
        self._entries.write(operations)

    def list(
        self, start: bytes | None = None, stop: bytes | None = None, *, backwards: bool = False
    ) -> Listing[bytes]:
        """The entries from ``start`` up to before ``stop``, as they are now."""
        return self._entries.list(start, stop, backwards=backwards)

    def flush(self, *, sync: bool = False) -> None:
        """Nothing is on its way anywhere."""

    def close(self) -> None:
        """Forget everything."""
        self._entries.clear()
