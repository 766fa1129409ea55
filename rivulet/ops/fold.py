"""``fold``: the value of a function over all items, at the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.callables import check_callable
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Expand
from rivulet.ops.scan import accumulator

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")
A = TypeVar("A")


@frozen
class Fold(Unary):
    """Node: the value of a function over all items."""

    fn: Callable[[Any, Any], Any]
    initial: Any

    def stage(self) -> Expand:
        return Expand(fn=self.fn, fold="fold", make=self.make, stamps="lose")

    def make(self, _: Context) -> Logic:
        """The state of one run."""
        return at_end(self.initial)


def at_end(initial: Any) -> Logic:
    """A cell whose value is given when input ends, if it has one."""
    logic = accumulator(initial)
    logic.on_end = lambda: logic.cell or ()
    return logic


def fold(source: Stream[T], fn: Callable[[A, T], Awaitable[A] | A], /, initial: A) -> Stream[A]:
    """Give the value of ``fn(value, item)`` over all items, once, at the end.

    The result is a stream of one item; awaiting it gives that item. For a value after each item,
    use ``scan``; without an initial value, ``reduce``.

    Emits:      one value, also for an empty stream: then ``initial``.
    Waits:      for an async function before the next item is read.
    Completes:  after that value, when the source does.
    State:      the value. Each run begins with a deep copy of ``initial``.
    Time:       none; the value has no time.

    Args:
        fn: gives the new value from the one before and the item.
        initial: the value before the first item.

    Raises:
        GraphError: at build, if ``fn`` isn't callable.

    Example:
        >>> await Stream.of("a", "b", "c").fold(lambda text, item: text + item, "")
        'abc'

    Source: ``fold`` of Pekko and fs2; ``functools.reduce`` with an initial value.
    """
    check_callable(fn, "fold", "fn")
    return source.via(Fold(source.node, fn, initial))
