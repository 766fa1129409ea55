"""``repeat``: a stream again and again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.checks import check_whole
from rivulet.core.logic import Context
from rivulet.core.node import Leaf, Node, frozen
from rivulet.core.stage import Produce

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class Repeat(Leaf):
    """Node: a stream again and again."""

    part: Node
    times: int | None = None

    def stage(self) -> Produce:
        return Produce(open=self.open, nested=(self.part,), guards=True)

    async def open(self, context: Context) -> AsyncGenerator[Any, None]:
        """The items, as often as asked for."""
        for _ in count() if self.times is None else range(self.times):
            empty = True
            async with aclosing(context.subscribe(self.part)) as items:
                async for item in items:
                    empty = False
                    yield item
            if empty:
                return

    def endless(self, inputs: Sequence[bool]) -> bool:
        return self.times is None or any(inputs)


def repeat(source: Stream[T], times: int | None = None, /) -> Stream[T]:
    """Give the items of the whole stream again and again, each time reading it anew.

    Emits:      every item, each time.
    Waits:      never.
    Completes:  after the last time, or after a time that gave nothing; without ``times``, never
                else.
    State:      none.
    Time:       none; items keep their time.

    Args:
        times: how often in all, 0 or more; None for ever.

    Raises:
        GraphError: at build, if ``times`` is negative or no whole number.
        SourceError: while running, if the source can be read only once.

    Example:
        >>> await Stream.of(1, 2).repeat(2).collect()
        [1, 2, 1, 2]

    Source: ``repeat`` of ReactiveX; unlike ``itertools.cycle`` nothing is kept in memory.
    """
    if times is not None:
        check_whole(times, "repeat", "times", least=0)
    return source.via(Repeat(source.node, times))
