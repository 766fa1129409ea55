"""``partition``: items for which a condition holds, and the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.callables import check_callable
from rivulet.core.node import Output, Unary, frozen
from rivulet.core.stage import Test

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class Partition(Unary):
    """Node: items for which a condition holds, and at its port ``no`` the others."""

    predicate: Callable[[Any], Any]

    def stage(self) -> Test:
        return Test(fn=self.predicate)

    def ports(self) -> tuple[str, ...]:
        return ("no",)


def partition(
    source: Stream[T], predicate: Callable[[T], Awaitable[object] | object], /
) -> tuple[Stream[T], Stream[T]]:
    """Split a stream in two: the items for which ``predicate(item)`` is true, and the others.

    For more than two ways, use ``route``.

    Emits:      each item in one of the two. Where both are used in one run, the condition is looked
                at once per item; an output that isn't used is dropped.
    Waits:      for an async predicate before the next item is read; the slower output holds both.
    Completes:  both when the source does.
    State:      none.
    Time:       none; items keep their time.

    Args:
        predicate: the condition.

    Raises:
        GraphError: at build, if ``predicate`` isn't callable.

    Example:
        >>> odd, even = Stream(range(5)).partition(lambda x: x % 2)
        >>> await odd.collect(), await even.collect()
        ([1, 3], [0, 2, 4])

    Source: ``partition`` of ReactiveX.
    """
    check_callable(predicate, "partition", "predicate")
    node = Partition(source.node, predicate)
    return source.via(node), source.via(Output(node, "no"))
