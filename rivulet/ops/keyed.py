"""The operators of a ``KeyedStream``: those of a ``Stream``, with state per key."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from datetime import datetime, tzinfo
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from rivulet.aggregators import Aggregating, fused
from rivulet.core.callables import Selector, check_callable, selector
from rivulet.core.checks import check_whole
from rivulet.core.durations import Duration, seconds
from rivulet.core.entries import UNSET
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Group
from rivulet.ops.batch import Batch
from rivulet.ops.changes import Changes
from rivulet.ops.count import Count
from rivulet.ops.distinct import Distinct
from rivulet.ops.enumerate import Enumerate
from rivulet.ops.filter import Filter
from rivulet.ops.flat_map import FlatMap
from rivulet.ops.fold import Fold
from rivulet.ops.map import Map
from rivulet.ops.pairwise import Pairwise
from rivulet.ops.reduce import Reduce
from rivulet.ops.scan import scanning
from rivulet.ops.skip import Skip
from rivulet.ops.stateful_map import StatefulMap
from rivulet.ops.take import Take
from rivulet.ops.take_last import TakeLast
from rivulet.ops.tap import Tap
from rivulet.ops.window import Windowed

if TYPE_CHECKING:
    from rivulet.keyed import KeyedStream
    from rivulet.stream import Stream

K = TypeVar("K")
T = TypeVar("T")
U = TypeVar("U")
A = TypeVar("A")


@frozen
class Items(Unary):
    """Node: the group ends here; items go on with their key."""

    def stage(self) -> Group:
        return Group(leave="pairs")


@frozen
class Values(Unary):
    """Node: the group ends here; items go on as they are."""

    def stage(self) -> Group:
        return Group(leave="values")


def items(source: KeyedStream[K, T], /) -> Stream[tuple[K, T]]:
    """Leave the group: give each result with its key."""
    return source.ungrouped(Items(source.node))


def values(source: KeyedStream[Any, T], /) -> Stream[T]:
    """Leave the group: give each result without its key."""
    return source.ungrouped(Values(source.node))


@overload
def keyed_map(
    source: KeyedStream[K, T], fn: Callable[[T], Awaitable[U]], /
) -> KeyedStream[K, U]: ...
@overload
def keyed_map(source: KeyedStream[K, T], fn: Callable[[T], U], /) -> KeyedStream[K, U]: ...
def keyed_map(source: KeyedStream[K, Any], fn: Callable[[Any], Any], /) -> KeyedStream[K, Any]:
    """Give ``fn(item)`` for each item, as ``Stream.map``."""
    check_callable(fn, "map", "fn")
    return source.via(Map(source.node, fn))


def keyed_filter(
    source: KeyedStream[K, T], predicate: Callable[[T], Awaitable[object] | object], /
) -> KeyedStream[K, T]:
    """Keep the items for which ``predicate(item)`` is true, as ``Stream.filter``."""
    check_callable(predicate, "filter", "predicate")
    return source.via(Filter(source.node, predicate))


@overload
def keyed_flat_map(
    source: KeyedStream[K, T],
    fn: Callable[[T], Awaitable[Iterable[U] | AsyncIterable[U]]],
    /,
) -> KeyedStream[K, U]: ...
@overload
def keyed_flat_map(
    source: KeyedStream[K, T], fn: Callable[[T], Iterable[U] | AsyncIterable[U]], /
) -> KeyedStream[K, U]: ...
def keyed_flat_map(source: KeyedStream[K, Any], fn: Callable[[Any], Any], /) -> KeyedStream[K, Any]:
    """Give the items of ``fn(item)`` for each item, as ``Stream.flat_map``."""
    check_callable(fn, "flat_map", "fn")
    return source.via(FlatMap(source.node, fn))


def keyed_tap(source: KeyedStream[K, T], fn: Callable[[T], object], /) -> KeyedStream[K, T]:
    """Call ``fn(item)`` for each item and give the item, as ``Stream.tap``."""
    check_callable(fn, "tap", "fn")
    return source.via(Tap(source.node, fn))


@overload
def keyed_scan(
    source: KeyedStream[K, T], fn: Callable[[T, T], Awaitable[T] | T], /
) -> KeyedStream[K, T]: ...
@overload
def keyed_scan(
    source: KeyedStream[K, T], fn: Callable[[A, T], Awaitable[A] | A], /, initial: A
) -> KeyedStream[K, A]: ...
@overload
def keyed_scan(source: KeyedStream[K, Any], fn: Aggregating, /) -> KeyedStream[K, Any]: ...
def keyed_scan(
    source: KeyedStream[K, Any],
    fn: Callable[[Any, Any], Any] | Aggregating,
    /,
    initial: Any = UNSET,
) -> KeyedStream[K, Any]:
    """Give the running value of each key, as ``Stream.scan``."""
    return source.via(scanning(source.node, fn, initial))


def keyed_agg(
    source: KeyedStream[K, Any], /, **aggregators: Aggregating
) -> KeyedStream[K, dict[str, Any]]:
    """Give a dict of what aggregators make of all items of each key, at the end.

    For results while the stream goes on, use ``window``, or ``scan(aggregator)``.

    Args:
        aggregators: names of results, and how each comes about. Those that look at time take items
            in the order in which they come.

    Raises:
        GraphError: none is given, or one is no aggregator.

    Example:
        >>> from rivulet.aggregators import Count, Max
        >>> words = Stream(["ox", "cow", "bee", "ant"])
        >>> await words.group_by(len).agg(n=Count(), last=Max()).items().collect()
        [(2, {'n': 1, 'last': 'ox'}), (3, {'n': 3, 'last': 'cow'})]
    """
    how = fused(aggregators)

    def fn(state: tuple[int, Any], item: Any) -> tuple[int, Any]:
        number, kept = state
        how.add(kept, item, number)
        return number + 1, kept

    folded = source.via(Fold(source.node, fn, (0, how.init())))
    return folded.via(Map(folded.node, lambda state: how.result(state[1])))


def keyed_fold(
    source: KeyedStream[K, T], fn: Callable[[A, T], Awaitable[A] | A], /, initial: A
) -> KeyedStream[K, A]:
    """Give the value of ``fn`` over all items of each key, at the end, as ``Stream.fold``."""
    check_callable(fn, "fold", "fn")
    return source.via(Fold(source.node, fn, initial))


def keyed_reduce(
    source: KeyedStream[K, T], fn: Callable[[T, T], Awaitable[T] | T], /
) -> KeyedStream[K, T]:
    """Combine the items of each key into one, at the end, as ``Stream.reduce``."""
    check_callable(fn, "reduce", "fn")
    return source.via(Reduce(source.node, fn))


def keyed_count(source: KeyedStream[K, Any], /) -> KeyedStream[K, int]:
    """Give the number of items of each key, at the end, as ``Stream.count``."""
    return source.via(Count(source.node))


def keyed_stateful_map(
    source: KeyedStream[K, T],
    fn: Callable[[A, T], Awaitable[tuple[A, U]] | tuple[A, U]],
    /,
    initial: A,
) -> KeyedStream[K, U]:
    """Give what ``fn(state, item)`` gives beside the new state of the key."""
    check_callable(fn, "stateful_map", "fn")
    return source.via(StatefulMap(source.node, fn, initial))


def keyed_pairwise(source: KeyedStream[K, T], /) -> KeyedStream[K, tuple[T, T]]:
    """Give ``(item before, item)`` of the same key, as ``Stream.pairwise``."""
    return source.via(Pairwise(source.node))


def keyed_enumerate(source: KeyedStream[K, T], /, start: int = 0) -> KeyedStream[K, tuple[int, T]]:
    """Give ``(number, item)``, counting per key, as ``Stream.enumerate``."""
    check_whole(start, "enumerate", "start", least=-(2**63))
    return source.via(Enumerate(source.node, start))


def keyed_changes(
    source: KeyedStream[K, T], /, key: Selector[T] | None = None
) -> KeyedStream[K, T]:
    """Drop an item that equals the one before it of the same key, as ``Stream.changes``."""
    if key is not None:
        selector(key, "changes")
    return source.via(Changes(source.node, key))


def keyed_distinct(
    source: KeyedStream[K, T],
    /,
    key: Selector[T] | None = None,
    *,
    last: int | None = None,
    within: Duration | None = None,
) -> KeyedStream[K, T]:
    """Drop an item that came before with the same key, as ``Stream.distinct``."""
    if key is not None:
        selector(key, "distinct")
    if last is not None:
        check_whole(last, "distinct", "last")
    if within is not None:
        seconds(within, "distinct(within)")
    return source.via(Distinct(source.node, key, last, within))


def keyed_take(source: KeyedStream[K, T], n: int, /) -> KeyedStream[K, T]:
    """Give the first ``n`` items of each key; the stream goes on for keys that come later."""
    check_whole(n, "take", "n", least=0)
    return source.via(Take(source.node, n))


def keyed_take_last(source: KeyedStream[K, T], n: int, /) -> KeyedStream[K, T]:
    """Give the last ``n`` items of each key, at the end, as ``Stream.take_last``."""
    check_whole(n, "take_last", "n", least=0)
    return source.via(TakeLast(source.node, n))


def keyed_skip(source: KeyedStream[K, T], n: int, /) -> KeyedStream[K, T]:
    """Drop the first ``n`` items of each key, as ``Stream.skip``."""
    check_whole(n, "skip", "n", least=0)
    return source.via(Skip(source.node, n))


def keyed_batch(source: KeyedStream[K, T], n: int, /) -> KeyedStream[K, list[T]]:
    """Give the items of each key in lists of ``n``; the last list may be shorter."""
    check_whole(n, "batch", "n")
    return source.via(Batch(source.node, n))


def keyed_window(
    source: KeyedStream[K, T],
    /,
    *,
    tumbling: Duration | None = None,
    hopping: Duration | None = None,
    every: Duration | int | None = None,
    sliding: Duration | None = None,
    session: Duration | Callable[[T, T], object] | None = None,
    count: int | None = None,
    calendar: Literal["hour", "day", "week", "month", "quarter", "year"] | None = None,
    origin: datetime | float | None = None,
    tz: str | tzinfo = "UTC",
    grace: Duration = 0,
    emit: Literal["close", "update", "arrival"] | Duration | None = None,
    late: Literal["stream", "drop", "reassign"] = "stream",
    time: Literal["event", "processing"] = "event",
    name: str | None = None,
) -> Windowed[K, T]:
    """Put the items of each key into windows, as ``Stream.window(by=...)``; the group is left."""
    pairs = source.ungrouped(Items(source.node))
    return pairs.window(
        tumbling=tumbling,
        hopping=hopping,
        every=every,
        sliding=sliding,
        session=_of_values(session) if callable(session) else session,
        count=count,
        calendar=calendar,
        by=0,
        origin=origin,
        tz=tz,
        grace=grace,
        emit=emit,
        late=late,
        time=time,
        name=name,
    ).of(itemgetter(1))


def _of_values(predicate: Callable[[Any, Any], object]) -> Callable[[Any, Any], object]:
    return lambda before, item: predicate(before[1], item[1])
