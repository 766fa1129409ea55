"""``merge``: the items of several streams as they come."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING, TypeVar

from rivulet.core.node import Nary, frozen
from rivulet.core.stage import Combine
from rivulet.ops.source import node_of

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")
U = TypeVar("U")


@frozen
class Merge(Nary):
    """Node: the items of several streams as they come."""

    def stage(self) -> Combine:
        return Combine()


def merge(source: Stream[T], /, *others: AsyncIterable[U] | Iterable[U]) -> Stream[T | U]:
    """Give the items of several streams as they come.

    To keep an order by time or another key, use ``merge_sorted``; to read one after the other,
    ``concat``.

    Emits:      every item of every stream, at once; the order of each stream is kept.
    Waits:      streams run side by side, each up to 256 items ahead, or one where a source can be
                read only once.
    Completes:  when all of them have.
    State:      the items that wait.
    Time:       none; items keep their time, and the clock is the slowest of the streams'.

    Args:
        others: streams, or anything that a stream can be made of.

    Raises:
        GraphError: at build, if something can't be made a stream.

    Example:
        >>> fast = Stream.timer(1).take(3).map(lambda n: f"fast {n}")
        >>> slow = Stream.timer(2.5).take(1).map(lambda n: f"slow {n}")
        >>> await fast.merge(slow).collect()
        ['fast 0', 'fast 1', 'slow 0', 'fast 2']

    Source: ``merge`` of ReactiveX.
    """
    if not others:
        return source.via(source.node)
    return source.via(Merge((source.node, *(node_of(other) for other in others))))
