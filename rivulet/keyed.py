"""``KeyedStream``: a stream whose operators keep their state per key."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rivulet.core.node import Node
from rivulet.ops import keyed as ops

if TYPE_CHECKING:
    from rivulet.stream import Stream

__all__ = ["KeyedStream"]

K_co = TypeVar("K_co", covariant=True)
T_co = TypeVar("T_co", covariant=True)


class KeyedStream(Generic[K_co, T_co]):
    """Items by key, as ``Stream.group_by`` gives them; each operator keeps its state per key.

    ``items()`` gives ``(key, item)`` and ``values()`` the items, as a ``Stream`` again.
    """

    __slots__ = ("_stream", "node")

    def __init__(self, node: Node, stream: Callable[[Node], Stream[Any]]) -> None:
        self.node = node
        self._stream = stream

    def via(self, node: Node, /) -> KeyedStream[Any, Any]:
        """A keyed stream of another node."""
        return KeyedStream(node, self._stream)

    def ungrouped(self, node: Node, /) -> Stream[Any]:
        """A stream of another node."""
        return self._stream(node)

    items = ops.items
    values = ops.values

    map = ops.keyed_map
    filter = ops.keyed_filter
    flat_map = ops.keyed_flat_map
    tap = ops.keyed_tap
    scan = ops.keyed_scan
    stateful_map = ops.keyed_stateful_map
    agg = ops.keyed_agg
    fold = ops.keyed_fold
    reduce = ops.keyed_reduce
    count = ops.keyed_count
    pairwise = ops.keyed_pairwise
    enumerate = ops.keyed_enumerate
    changes = ops.keyed_changes
    distinct = ops.keyed_distinct
    take = ops.keyed_take
    take_last = ops.keyed_take_last
    skip = ops.keyed_skip
    batch = ops.keyed_batch
    window = ops.keyed_window

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(
                f"a KeyedStream has no {name!r}, which isn't kept per key: leave the group first, "
                f"with .items() for (key, item) or .values() for items"
            )

    def __repr__(self) -> str:
        return f"<KeyedStream {self.node.label}: leave the group with .items() or .values()>"
