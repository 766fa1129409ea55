"""``Store``: what keeps the entries of a cache, as byte strings in the order of their keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

__all__ = ["Entries", "Operation", "Store"]

Operation = tuple[bytes, bytes | None]
"""A key and its new value; None removes the key."""


class Entries(Iterator[tuple[bytes, bytes]], Protocol):
    """Keys and values in order, as they were when the listing was made."""

    def close(self) -> None:
        """See no more, so that nothing has to be kept for this listing."""
        ...


class Store(Protocol):
    """Keys and values in order. Several threads may use it at once."""

    def __len__(self) -> int:
        """How many keys there are."""
        ...

    def __contains__(self, key: bytes) -> bool:
        """Whether a key is there."""
        ...

    def get(self, key: bytes) -> bytes | None:
        """The value of a key; None if there is none."""
        ...

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value of a key. When this has returned, the entry outlives the process."""
        ...

    def delete(self, key: bytes) -> bool:
        """Remove a key; tells whether it was there."""
        ...

    def write(self, operations: Sequence[Operation]) -> None:
        """Do several operations in their order: after a crash all of them are there or none."""
        ...

    def list(
        self, start: bytes | None = None, stop: bytes | None = None, *, backwards: bool = False
    ) -> Entries:
        """The entries from ``start`` up to before ``stop``, as they are now."""
        ...

    def flush(self, *, sync: bool = False) -> None:
        """Move what is on its way to where it stays; with ``sync``, past a loss of power."""
        ...

    def close(self) -> None:
        """Flush, and give up what is held open."""
        ...
