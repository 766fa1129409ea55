"""``combine_latest``: the newest items of several streams."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from rivulet.core.entries import CLOSED, UNSET
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Nary, frozen
from rivulet.core.stage import Combine
from rivulet.ops.source import node_of

if TYPE_CHECKING:
    from rivulet.stream import Stream

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

StreamLike = AsyncIterable[B] | Iterable[B]


@frozen
class CombineLatest(Nary):
    """Node: the newest items of several streams."""

    def stage(self) -> Combine:
        return Combine(make=self.make)

    def make(self, _: Context) -> Logic:
        """The state of one run."""
        newest: list[Any] = [UNSET] * len(self.ups)
        stamps: list[int] = []

        def call(index: int, item: Any, t: int | None) -> Iterable[tuple[Any, int | None]]:
            if item is CLOSED:
                return ()
            newest[index] = item
            if t is not None:
                stamps[:] = [max([t, *stamps])]
            if UNSET in newest:
                return ()
            return ((tuple(newest), stamps[0] if stamps else None),)

        def snapshot() -> Any:
            return [() if item is UNSET else (item,) for item in newest], list(stamps)

        def restore(state: Any) -> None:
            newest[:] = [item[0] if item else UNSET for item in state[0]]
            stamps[:] = state[1]

        return Logic(call=call, snapshot=snapshot, restore=restore)


@overload
def combine_latest(source: Stream[A], other: StreamLike[B], /) -> Stream[tuple[A, B]]: ...
@overload
def combine_latest(
    source: Stream[A], other: StreamLike[B], third: StreamLike[C], /
) -> Stream[tuple[A, B, C]]: ...
@overload
def combine_latest(source: Stream[Any], /, *others: StreamLike[Any]) -> Stream[tuple[Any, ...]]: ...
def combine_latest(source: Stream[Any], /, *others: StreamLike[Any]) -> Stream[Any]:
    """Give a tuple of the newest items of all streams whenever one of them gives an item.

    To give one only when this stream has an item, use ``with_latest_from``; to go by position,
    ``zip``.

    Emits:      one tuple per item, once each stream has given one.
    Waits:      streams run side by side, each up to 256 items ahead, or one where a source can be
                read only once.
    Completes:  when all of them have.
    State:      one item of each.
    Time:       none; a tuple has the latest time seen so far.

    Args:
        others: streams, or anything that a stream can be made of.

    Raises:
        GraphError: at build, if something can't be made a stream.

    Example:
        >>> letters = Stream.timer(2).take(2).map("ab".__getitem__)
        >>> numbers = Stream.timer(3).take(2)
        >>> await letters.combine_latest(numbers).collect()
        [('a', 0), ('b', 0), ('b', 1)]

    Source: ``combine_latest`` of ReactiveX.
    """
    return source.via(CombineLatest((source.node, *(node_of(other) for other in others))))
