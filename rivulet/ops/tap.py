"""``tap``: look at items as they pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.callables import check_callable
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Effect

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class Tap(Unary):
    """Node: items, each shown to a function."""

    fn: Callable[[Any], Any]

    def stage(self) -> Effect:
        return Effect(fn=self.fn)


def tap(source: Stream[T], fn: Callable[[T], object], /) -> Stream[T]:
    """Call ``fn(item)`` for each item, sync or async, and give the item.

    To look into a chain: ``.tap(print)``. What a stream is for goes to a sink, with ``to``.

    Emits:      each item, after the call.
    Waits:      for an async function before the item goes on.
    Completes:  when the source does.
    State:      none.
    Time:       none; items keep their time.

    Args:
        fn: what to call; what it gives is dropped.

    Raises:
        GraphError: at build, if ``fn`` isn't callable.

    Example:
        >>> seen = []
        >>> await Stream.of(1, 2).tap(seen.append).map(str).collect(), seen
        (['1', '2'], [1, 2])

    Source: ``tap`` of RxJS.
    """
    check_callable(fn, "tap", "fn")
    return source.via(Tap(source.node, fn))
