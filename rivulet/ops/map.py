"""``map``: one item out for each item in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from rivulet.core.callables import Selector, check_callable, selector
from rivulet.core.checks import check_flag, check_whole
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Apply, Channel, Work
from rivulet.ops.revisions import mapped

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")
U = TypeVar("U")


@frozen
class Map(Unary):
    """Node: what a function gives for each item."""

    fn: Callable[[Any], Any]
    concurrency: int = 1
    ordered: bool = True
    by: Selector[Any] | None = None

    def stage(self) -> Apply | Channel:
        fn = mapped(self.fn) if self.has_revisions else self.fn
        if self.concurrency == 1:
            return Apply(fn=fn)
        by = None if self.by is None else selector(self.by, "map", "by")
        work = Work(fn=fn, concurrency=self.concurrency, ordered=self.ordered, by=by)
        return Channel(size=self.concurrency, work=work)

    def applies(self) -> bool:
        return self.concurrency == 1 or (self.ordered and self.by is None)


@overload
def map(
    source: Stream[T],
    fn: Callable[[T], Awaitable[U]],
    /,
    *,
    concurrency: int = 1,
    ordered: bool = True,
    by: Selector[T] | None = None,
) -> Stream[U]: ...
@overload
def map(
    source: Stream[T],
    fn: Callable[[T], U],
    /,
    *,
    concurrency: int = 1,
    ordered: bool = True,
    by: Selector[T] | None = None,
) -> Stream[U]: ...
def map(
    source: Stream[T],
    fn: Callable[[T], Any],
    /,
    *,
    concurrency: int = 1,
    ordered: bool = True,
    by: Selector[T] | None = None,
) -> Stream[Any]:
    """Give ``fn(item)`` for each item, sync or async.

    With ``concurrency``, up to so many calls are under way at once, each in a task of its own: for
    calls that wait for something outside. For calls that give several items, use ``flat_map``.

    Emits:      one result per item; in the order of the items, or as they end.
    Waits:      for the result before the next item is read; with ``concurrency=n``, for one of n.
    Completes:  when the source does and all calls have ended.
    State:      none; with ``concurrency``, the calls under way.
    Time:       none; an item's time passes to its result.

    Args:
        fn: gives the result. An ``async def`` is awaited; of another function, the first result
            that isn't falsy decides whether to await (see ``maybe_async``).
        concurrency: how many calls may be under way at once, 1 or more.
        ordered: False gives results as they end.
        by: calls for items of equal key run one after another; a function, a key or an attribute.

    Raises:
        GraphError: at build, if ``fn`` isn't callable or ``concurrency`` is less than 1.

    Example:
        >>> await Stream.of(1, 2, 3).map(lambda x: x * x).collect()
        [1, 4, 9]
        >>> async def fetch(name):
        ...     await asyncio.sleep(len(name))
        ...     return name.upper()
        >>> await Stream.of("slow", "ok").map(fetch, concurrency=2).collect()
        ['SLOW', 'OK']
        >>> await Stream.of("slow", "ok").map(fetch, concurrency=2, ordered=False).collect()
        ['OK', 'SLOW']

    Source: ``map`` of ReactiveX; ``concurrency`` and ``ordered`` as aiostream's ``map``, ``by`` as
        Pekko's ``mapAsyncPartitioned``.
    """
    check_callable(fn, "map", "fn")
    check_whole(concurrency, "map", "concurrency")
    check_flag(ordered, "map", "ordered")
    if by is not None:
        selector(by, "map", "by")
    return source.via(Map(source.node, fn, concurrency, ordered, by))
