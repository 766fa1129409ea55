"""``stateful_map``: a result and a new state for each item."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.callables import Selector, check_callable, selector
from rivulet.core.durations import Duration, seconds
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Apply
from rivulet.errors import GraphError
from rivulet.ops.scan import accumulator

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")
U = TypeVar("U")
A = TypeVar("A")


@frozen
class StatefulMap(Unary):
    """Node: a result and a new state for each item."""

    fn: Callable[[Any, Any], Any]
    initial: Any

    def stage(self) -> Apply:
        return Apply(fn=self.fn, fold="map", make=self.make)

    def make(self, _: Context) -> Logic:
        """The state of one run."""
        return accumulator(self.initial)


def stateful_map(
    source: Stream[T],
    fn: Callable[[A, T], Awaitable[tuple[A, U]] | tuple[A, U]],
    /,
    initial: A,
    *,
    by: Selector[T] | None = None,
    ttl: Duration | None = None,
) -> Stream[U]:
    """Call ``fn(state, item)``, which gives ``(new state, result)``, and give the result.

    Where the state itself is the result, use ``scan``.

    Emits:      one result per item.
    Waits:      for an async function before the next item is read.
    Completes:  when the source does.
    State:      one state, or one for each key. Each begins with a deep copy of ``initial``.
    Time:       processing time for ``ttl``; an item's time passes to its result.

    Args:
        fn: gives the new state and the result, from the state and the item.
        initial: the state before the first item.
        by: keep a state per key: a function, a key or an attribute.
        ttl: forget the state of a key that had no item for this long.

    Raises:
        GraphError: at build, if ``fn`` isn't callable, ``ttl`` is given without ``by``, or one of
            them is wrong.
        TypeError: while running, if ``fn`` gives no pair.

    Example:
        >>> def smooth(mean, x):
        ...     mean = x if mean is None else (mean + x) / 2
        ...     return mean, round(x - mean, 2)
        >>> await Stream.of(8, 10, 6).stateful_map(smooth, None).collect()
        [0, 1.0, -1.5]

    Source: ``stateful_map`` of Bytewax; ``mapAccumulate`` of fs2.
    """
    check_callable(fn, "stateful_map", "fn")
    if by is not None:
        selector(by, "stateful_map", "by")
        if ttl is not None:
            seconds(ttl, "stateful_map(ttl)")
        return source.group_by(by, idle=ttl).stateful_map(fn, initial).values()
    if ttl is not None:
        raise GraphError("stateful_map(ttl=) needs by=: it is the state of a key that is forgotten")
    return source.via(StatefulMap(source.node, fn, initial))
