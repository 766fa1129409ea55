"""``filter``: the items for which a predicate holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar, overload

from rivulet.core.callables import check_callable
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Expand, Test
from rivulet.ops.revisions import filtered

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")
U = TypeVar("U")


@frozen
class Filter(Unary):
    """Node: the items for which a predicate holds."""

    predicate: Callable[[Any], Any]

    def stage(self) -> Test | Expand:
        if self.has_revisions:
            return Expand(fn=filtered(self.predicate))
        return Test(fn=self.predicate)

    def applies(self) -> bool:
        return True


@overload
def filter(source: Stream[T], predicate: Callable[[T], TypeGuard[U]], /) -> Stream[U]: ...
@overload
def filter(
    source: Stream[T], predicate: Callable[[T], Awaitable[object] | object], /
) -> Stream[T]: ...
def filter(source: Stream[Any], predicate: Callable[[Any], Any], /) -> Stream[Any]:
    """Keep the items for which ``predicate(item)`` is true, sync or async.

    To go on with the others as well, use ``partition``.

    Emits:      each item that is kept, at once.
    Waits:      for an async predicate before the next item is read.
    Completes:  when the source does.
    State:      none.
    Time:       none; an item keeps its time, and items that are dropped still move the clock.

    Args:
        predicate: gives something true for the items to keep. ``bool`` keeps what is true itself; a
            ``TypeGuard`` also tells type checkers what is left.

    Raises:
        GraphError: at build, if ``predicate`` isn't callable.

    Example:
        >>> await Stream.of(1, 2, 3, 4).filter(lambda x: x % 2).collect()
        [1, 3]

    Source: the builtin ``filter``.
    """
    check_callable(predicate, "filter", "predicate")
    return source.via(Filter(source.node, predicate))
