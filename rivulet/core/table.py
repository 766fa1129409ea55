"""What a join needs of a place where things are kept under keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

__all__ = ["Table"]


@runtime_checkable
class Table(Protocol):
    """Keys and values in the order of keys, such as a ``Cache``."""

    def get(self, key: Any, default: Any = None, /) -> Any:
        """The value of a key, or ``default``."""
        ...

    def put(self, key: Any, value: Any, /) -> None:
        """Set the value of a key."""
        ...

    def items(
        self, backwards: bool = False, from_key: Any = None, *, prefix: Any = None
    ) -> Iterable[tuple[Any, Any]]:
        """Keys and values in order, from a key on, of keys that begin with something."""
        ...

    def delete_range(self, start: Any, stop: Any, /) -> None:
        """Remove the keys from ``start`` up to before ``stop``."""
        ...
