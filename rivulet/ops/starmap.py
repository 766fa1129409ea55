"""``starmap``: one item out for each tuple in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, overload

from rivulet.core.callables import Selector, check_callable, maybe_async, mode_of, selector
from rivulet.core.checks import check_flag, check_whole
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Apply, Channel, Work
from rivulet.ops.revisions import mapped

if TYPE_CHECKING:
    from rivulet.stream import Stream

Ts = TypeVarTuple("Ts")
U = TypeVar("U")


@frozen
class Starmap(Unary):
    """Node: what a function gives for each item, taken as its arguments."""

    fn: Callable[..., Any]
    concurrency: int = 1
    ordered: bool = True
    by: Selector[Any] | None = None

    def stage(self) -> Apply | Channel:
        if self.concurrency == 1 and not self.has_revisions:
            return Apply(fn=self.fn, spread=True)
        fn = _spread(self.fn)
        fn = mapped(fn) if self.has_revisions else fn
        if self.concurrency == 1:
            return Apply(fn=fn)
        by = None if self.by is None else selector(self.by, "starmap", "by")
        work = Work(fn=fn, concurrency=self.concurrency, ordered=self.ordered, by=by)
        return Channel(size=self.concurrency, work=work)

    def applies(self) -> bool:
        return self.concurrency == 1 or (self.ordered and self.by is None)


def _spread(fn: Callable[..., Any]) -> Callable[[Iterable[Any]], Any]:
    async def awaited(item: Iterable[Any]) -> Any:
        return await fn(*item)

    def called(item: Iterable[Any]) -> Any:
        return fn(*item)

    return awaited if mode_of(fn) == "async" else maybe_async(called)


@overload
def starmap(
    source: Stream[tuple[*Ts]],
    fn: Callable[[*Ts], Awaitable[U]],
    /,
    *,
    concurrency: int = 1,
    ordered: bool = True,
    by: Selector[Any] | None = None,
) -> Stream[U]: ...
@overload
def starmap(
    source: Stream[tuple[*Ts]],
    fn: Callable[[*Ts], U],
    /,
    *,
    concurrency: int = 1,
    ordered: bool = True,
    by: Selector[Any] | None = None,
) -> Stream[U]: ...
def starmap(
    source: Stream[Any],
    fn: Callable[..., Any],
    /,
    *,
    concurrency: int = 1,
    ordered: bool = True,
    by: Selector[Any] | None = None,
) -> Stream[Any]:
    """Give ``fn(*item)`` for each item, sync or async.

    For pairs and other tuples; everything else is as with ``map``.

    Emits:      one result per item; in the order of the items, or as they end.
    Waits:      for the result before the next item is read; with ``concurrency=n``, for one of n.
    Completes:  when the source does and all calls have ended.
    State:      none; with ``concurrency``, the calls under way.
    Time:       none; an item's time passes to its result.

    Args:
        fn: gives the result.
        concurrency: how many calls may be under way at once, 1 or more.
        ordered: False gives results as they end.
        by: calls for items of equal key run one after another; a function, a key or an attribute.

    Raises:
        GraphError: at build, if ``fn`` isn't callable or ``concurrency`` is less than 1.

    Example:
        >>> await Stream.of((2, 3), (3, 2)).starmap(pow).collect()
        [8, 9]

    Source: ``itertools.starmap``.
    """
    check_callable(fn, "starmap", "fn")
    check_whole(concurrency, "starmap", "concurrency")
    check_flag(ordered, "starmap", "ordered")
    if by is not None:
        selector(by, "starmap", "by")
    return source.via(Starmap(source.node, fn, concurrency, ordered, by))
