"""``reduce``: items combined into one, at the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.callables import check_callable
from rivulet.core.entries import UNSET
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Expand
from rivulet.ops.fold import at_end

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class Reduce(Unary):
    """Node: items combined into one."""

    fn: Callable[[Any, Any], Any]

    def stage(self) -> Expand:
        return Expand(fn=self.fn, fold="fold", make=self.make, stamps="lose")

    def make(self, _: Context) -> Logic:
        """The state of one run."""
        return at_end(UNSET)


def reduce(source: Stream[T], fn: Callable[[T, T], Awaitable[T] | T], /) -> Stream[T]:
    """Combine the items into one with ``fn(value, item)``, and give that at the end.

    The result is a stream of one item; awaiting it gives that item. To begin with a value of
    another kind, use ``fold``.

    Emits:      one value; none for an empty stream.
    Waits:      for an async function before the next item is read.
    Completes:  after that value, when the source does.
    State:      the value.
    Time:       none; the value has no time.

    Args:
        fn: gives the new value from the one before and the item. The first item is the first value.

    Raises:
        GraphError: at build, if ``fn`` isn't callable.

    Example:
        >>> await Stream.of(3, 1, 2).reduce(max)
        3

    Source: ``functools.reduce``; unlike it, an empty stream is no error until it is awaited.
    """
    check_callable(fn, "reduce", "fn")
    return source.via(Reduce(source.node, fn))
