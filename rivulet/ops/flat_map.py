"""``flat_map``: any number of items out for each item in."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from rivulet.core.callables import check_callable
from rivulet.core.checks import check_whole
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Channel, Expand, Work
from rivulet.ops.revisions import flat_mapped

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")
U = TypeVar("U")


@frozen
class FlatMap(Unary):
    """Node: the items of what a function gives for each item."""

    fn: Callable[[Any], Any]
    concurrency: int = 1
    ordered: bool = True

    def stage(self) -> Expand | Channel:
        fn = flat_mapped(self.fn) if self.has_revisions else self.fn
        if self.concurrency == 1:
            return Expand(fn=fn)
        work = Work(fn=fn, concurrency=self.concurrency, ordered=self.ordered, expand=True)
        return Channel(size=self.concurrency, work=work)

    def applies(self) -> bool:
        return self.concurrency == 1 or self.ordered


@overload
def flat_map(
    source: Stream[T],
    fn: Callable[[T], Awaitable[Iterable[U] | AsyncIterable[U]]],
    /,
    *,
    concurrency: int = 1,
    ordered: bool = True,
) -> Stream[U]: ...
@overload
def flat_map(
    source: Stream[T],
    fn: Callable[[T], Iterable[U] | AsyncIterable[U]],
    /,
    *,
    concurrency: int = 1,
    ordered: bool = True,
) -> Stream[U]: ...
def flat_map(
    source: Stream[T],
    fn: Callable[[T], Any],
    /,
    *,
    concurrency: int = 1,
    ordered: bool = True,
) -> Stream[Any]:
    """Give the items of ``fn(item)`` for each item.

    The function is a generator or gives a list, an async generator, or another stream. Each of
    its items goes all the way down before the next is asked for.

    Emits:      every item of every result; one result after another, or with ``ordered=False``
                as they come.
    Waits:      a result is read to its end before the next item; with ``concurrency=n``, n are
                read at once, each up to 16 items ahead.
    Completes:  when the source does and all results have ended.
    State:      none; with ``concurrency``, the results being read.
    Time:       none; an item's time passes to all that it gives.

    Args:
        fn: gives an iterable, an async iterable, or an awaitable of one.
        concurrency: how many results are read at once, 1 or more.
        ordered: False gives the items of several results as they come.

    Raises:
        GraphError: at build, if ``fn`` isn't callable or ``concurrency`` is less than 1.
        TypeError: while running, if what it gives can't be iterated.

    Example:
        >>> await Stream.of("ab", "c").flat_map(list).collect()
        ['a', 'b', 'c']
        >>> def countdown(n):
        ...     while n:
        ...         yield n
        ...         n -= 1
        >>> await Stream.of(3, 1).flat_map(countdown).collect()
        [3, 2, 1, 1]

    Source: ``concat_map`` of ReactiveX, and ``flat_map`` with ``ordered=False``.
    """
    check_callable(fn, "flat_map", "fn")
    check_whole(concurrency, "flat_map", "concurrency")
    return source.via(FlatMap(source.node, fn, concurrency, ordered))
