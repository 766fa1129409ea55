"""``batch``: items in lists."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.callables import check_callable
from rivulet.core.checks import check_whole
from rivulet.core.durations import Duration, seconds
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Expand
from rivulet.errors import GraphError

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


_Batch = tuple[list[Any], int | None]


@frozen
class Batch(Unary):
    """Node: items in lists."""

    n: int | None = None
    within: Duration | None = None
    weight: Callable[[Any], Any] | None = None
    until: Callable[[Any], Any] | None = None

    def stage(self) -> Expand:
        return Expand(
            select=tuple(fn for fn in (self.weight, self.until) if fn is not None),
            make=self.make,
            stamps="own",
            holds=True,
            timed=self.within is not None,
        )

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        limit = self.n
        count = limit if self.weight is None else None
        within = None if self.within is None else seconds(self.within, "within")
        items: list[Any] = []
        newest: int | None = None
        total: Any = 0
        due = 0.0

        def call(item: Any, t: int | None) -> Iterable[_Batch]:
            nonlocal newest
            items.append(item)
            if t is not None and (newest is None or t > newest):
                newest = t
            if len(items) == count:
                return flush()
            if len(items) == 1 and within is not None:
                begin()
            return ()

        def call_selected(item: Any, *selected: Any) -> Iterable[_Batch]:
            nonlocal total
            *values, t = selected
            size = values[0] if self.weight is not None else 1
            gone = flush() if limit is not None and items and total + size > limit else ()
            total += size
            full = limit is not None and total >= limit
            ended = self.until is not None and values[-1]
            out = call(item, t)
            return (*gone, *(out or (flush() if full or ended else ())))

        def begin() -> None:
            nonlocal due
            due = context.now() + (within or 0.0)
            context.wake_at(due)

        def flush() -> tuple[_Batch, ...]:
            nonlocal newest, total
            if not items:
                return ()
            result = (items.copy(), newest)
            items.clear()
            newest, total = None, 0
            return (result,)

        def on_timer(now: float) -> Iterable[_Batch]:
            if items and now < due - 1e-6:
                context.wake_at(due)
                return ()
            return flush()

        def passes(watermark: int) -> int:
            return watermark if newest is None else min(watermark, newest)

        def snapshot() -> Any:
            return list(items), newest, total

        def restore(state: Any) -> None:
            nonlocal newest, total
            items[:], newest, total = state
            if within is not None and items:
                begin()

        return Logic(
            call=call if self.weight is None and self.until is None else call_selected,
            on_timer=on_timer if within is not None else None,
            on_end=flush,
            passes=passes,
            snapshot=snapshot,
            restore=restore,
        )


def batch(
    source: Stream[T],
    n: int | None = None,
    /,
    *,
    within: Duration | None = None,
    weight: Callable[[T], Awaitable[float] | float] | None = None,
    until: Callable[[T], Awaitable[object] | object] | None = None,
) -> Stream[list[T]]:
    """Give items in lists: by count, by time, by weight, or up to a boundary.

    For writing in bulk. Lists by event time are windows; ``flatten`` takes lists apart again.

    Emits:      a list when it is full, when its time is up, or after an item that ends it.
    Waits:      never.
    Completes:  when the source does, after the last list.
    State:      one list.
    Time:       processing time for ``within``; a list has the latest of its items' times.

    Args:
        n: items in a full list, 1 or more; with ``weight``, the largest sum of weights (an item
            that weighs more comes alone).
        within: how long after its first item a list is given at the latest. It fires while the
            source is silent, and also while a stage above waits.
        weight: gives the weight of an item.
        until: a condition; the item for which it holds is the last of its list.

    Raises:
        GraphError: at build, if neither ``n``, ``within`` nor ``until`` is given, or one is wrong.

    Example:
        >>> await Stream(range(5)).batch(2).collect()
        [[0, 1], [2, 3], [4]]
        >>> await Stream.timer(1).take(5).batch(10, within=2.5).collect()
        [[0, 1, 2], [3, 4]]
        >>> await Stream("ab.c.").batch(until=lambda c: c == ".").collect()
        [['a', 'b', '.'], ['c', '.']]

    Source: ``groupedWithin`` and ``groupedWeighted`` of Pekko; ``partition`` of streamz.
    """
    if n is None and within is None and until is None:
        raise GraphError("batch needs n, within= or until=: without one a list would never end")
    if n is not None:
        check_whole(n, "batch", "n")
    if within is not None:
        seconds(within, "batch(within)")
    if weight is not None:
        check_callable(weight, "batch", "weight")
        if n is None:
            raise GraphError("batch(weight=) needs n, the largest sum of weights of a list")
    if until is not None:
        check_callable(until, "batch", "until")
    return source.via(Batch(source.node, n, within, weight, until))
