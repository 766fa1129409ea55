"""Slipstream's ``interfaces``: what caches and codecs of one's own are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Any, cast

from rivulet.codecs import AvroCodec, JsonCodec, MsgpackCodec, PickleCodec
from rivulet.core.text import shortened
from rivulet.errors import SinkError
from rivulet.state.cache import WAITING, Cache
from rivulet.state.updates import Publisher

__all__ = ["ICache", "ICodec", "Key", "PairError"]

Key = str | int | float | bytes | bool
"""What can be a key in Slipstream; a ``Cache`` takes more."""

_PUBLISHER = "_rivulet_publisher"


class PairError(SinkError, TypeError):
    """A sink that takes a key and a value was given something else."""


class ICache(ABC):
    """A cache of one's own: four methods, and it is a sink, and a source of its updates.

    Calling it stores a pair and publishes it to all that read the updates; setting a key only
    stores. Where a reader is 1,024 updates behind, its oldest ones are dropped.

    Example:
        >>> from rivulet.compat import ICache
        >>> class Shelf(ICache):
        ...     def __init__(self):
        ...         self.rows = {}
        ...     def __contains__(self, key):
        ...         return key in self.rows
        ...     def __delitem__(self, key):
        ...         del self.rows[key]
        ...     def __getitem__(self, key):
        ...         return self.rows.get(key)
        ...     def __setitem__(self, key, val):
        ...         self.rows[key] = val
        >>> shelf = Shelf()
        >>> await Stream.of(("a", 1), ("b", 2)).to(shelf).run()
        >>> shelf.rows
        {'a': 1, 'b': 2}
    """

    @abstractmethod
    def __contains__(self, key: Any) -> bool:
        """Whether a key is there."""

    @abstractmethod
    def __delitem__(self, key: Any) -> None:
        """Remove a key."""

    @abstractmethod
    def __getitem__(self, key: Any) -> Any:
        """The value of a key; None if there is none."""

    @abstractmethod
    def __setitem__(self, key: Any, val: Any) -> None:
        """Set the value of a key."""

    async def __call__(self, key: Any, val: Any) -> None:
        """Set the value of a key, and publish it to all that read the updates."""
        self[key] = val
        self._publisher().publish((key, val))

    def take_item(self, item: Any) -> Any:
        """Take a pair, as a sink.

        Raises:
            PairError: it is no pair.
        """
        pair = cast("tuple[Any, ...]", item)
        if not isinstance(item, tuple) or len(pair) != 2:
            name = type(self).__name__
            raise PairError(f"{name} takes pairs (key, value), not {shortened(pair)}")
        return self(*pair)

    def __aiter__(self) -> AsyncIterator[tuple[Any, Any]]:
        """The pairs that are published from now on."""
        return self._publisher().subscribe(WAITING, "drop_oldest")

    def _publisher(self) -> Publisher:
        """Made when it is needed, as a class of the user's may not call ``__init__`` of this."""
        return vars(self).setdefault(_PUBLISHER, Publisher())


class ICodec(ABC):
    """A codec of one's own: how values become bytes, and come back."""

    @abstractmethod
    def encode(self, obj: Any) -> bytes:
        """The bytes of a value."""

    @abstractmethod
    def decode(self, s: bytes) -> Any:
        """The value of some bytes."""


ICache.register(Cache)
for _codec in (AvroCodec, JsonCodec, MsgpackCodec, PickleCodec):
    ICodec.register(_codec)
