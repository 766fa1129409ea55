"""``flatten``: the items of items."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING, TypeVar

from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Expand

if TYPE_CHECKING:
    from rivulet.stream import Stream

U = TypeVar("U")


@frozen
class Flatten(Unary):
    """Node: the items of each item."""

    def stage(self) -> Expand:
        return Expand(fn=_itself)


def _itself(item: U) -> U:
    return item


_itself.__qualname__ = "the lambda item: item of flatten()"


def flatten(source: Stream[Iterable[U] | AsyncIterable[U]], /) -> Stream[U]:
    """Give the items of each item, one level deep.

    The reverse of ``batch``. To make the inner iterables from items, use ``flat_map``.

    Emits:      every item of every item, in order.
    Waits:      an item is read to its end before the next.
    Completes:  when the source does.
    State:      none.
    Time:       none; an item's time passes to all that it holds.

    Raises:
        TypeError: while running, if an item can't be iterated.
        StrayAwaitableError: while running, if an item needs ``async for`` after others that don't:
            use ``flat_map(maybe_async(lambda item: item))``.

    Example:
        >>> await Stream.of([1, 2], [], [3]).flatten().collect()
        [1, 2, 3]

    Source: ``itertools.chain.from_iterable``.
    """
    return source.via(Flatten(source.node))
