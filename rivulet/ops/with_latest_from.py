"""``with_latest_from``: items with the newest of other streams."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Sequence
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
class WithLatestFrom(Nary):
    """Node: items with the newest of other streams."""

    def stage(self) -> Combine:
        return Combine(make=self.make)

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        newest: list[Any] = [UNSET] * (len(self.ups) - 1)

        def call(index: int, item: Any, t: int | None) -> Iterable[tuple[Any, int | None]]:
            if item is CLOSED:
                if index == 0:
                    context.end()
                return ()
            if index:
                newest[index - 1] = item
                return ()
            return () if UNSET in newest else (((item, *newest), t),)

        def snapshot() -> Any:
            return [() if item is UNSET else (item,) for item in newest]

        def restore(state: Any) -> None:
            newest[:] = [item[0] if item else UNSET for item in state]

        return Logic(call=call, snapshot=snapshot, restore=restore)

    def endless(self, inputs: Sequence[bool]) -> bool:
        return inputs[0]


@overload
def with_latest_from(source: Stream[A], other: StreamLike[B], /) -> Stream[tuple[A, B]]: ...
@overload
def with_latest_from(
    source: Stream[A], other: StreamLike[B], third: StreamLike[C], /
) -> Stream[tuple[A, B, C]]: ...
@overload
def with_latest_from(
    source: Stream[Any], /, *others: StreamLike[Any]
) -> Stream[tuple[Any, ...]]: ...
def with_latest_from(source: Stream[Any], /, *others: StreamLike[Any]) -> Stream[Any]:
    """Give each item with the newest item of each other stream.

    "Newest" is by arrival. To go by the time at which things happened, use a join.

    Emits:      one tuple per item of this stream; none before each other stream has given one.
    Waits:      never for the others.
    Completes:  when this stream does; the others are then closed.
    State:      one item of each other stream.
    Time:       none; an item's time passes to its tuple.

    Args:
        others: streams, or anything that a stream can be made of.

    Raises:
        GraphError: at build, if something can't be made a stream.

    Example:
        >>> orders = Stream.timer(2).take(3).map(lambda n: f"order {n}")
        >>> prices = Stream.timer(2.5).map(lambda n: 10 + n)
        >>> await orders.with_latest_from(prices).collect()
        [('order 1', 10), ('order 2', 11)]

    Source: ``with_latest_from`` of ReactiveX.
    """
    return source.via(WithLatestFrom((source.node, *(node_of(other) for other in others))))
