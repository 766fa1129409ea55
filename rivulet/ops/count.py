"""``count``: how many items there were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Expand
from rivulet.ops.fold import at_end

if TYPE_CHECKING:
    from rivulet.stream import Stream


@frozen
class Count(Unary):
    """Node: how many items there were."""

    def stage(self) -> Expand:
        return Expand(fn=_one_more, fold="fold", make=self.make, stamps="lose")

    def make(self, _: Context) -> Logic:
        """The state of one run."""
        return at_end(0)


def _one_more(count: int, _: object) -> int:
    return count + 1


def count(source: Stream[Any], /) -> Stream[int]:
    """Give the number of items, once, at the end.

    The result is a stream of one item; awaiting it gives the number. For a running number, use
    ``enumerate``.

    Emits:      one number, also for an empty stream: then 0.
    Waits:      never.
    Completes:  after that number, when the source does.
    State:      the number.
    Time:       none; the number has no time.

    Example:
        >>> await Stream.of("a", "b").count()
        2

    Source: ``count`` of ReactiveX.
    """
    return source.via(Count(source.node))
