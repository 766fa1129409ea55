"""``distinct``: items that did not come before."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.callables import Selector, selector
from rivulet.core.checks import check_whole
from rivulet.core.durations import Duration, seconds
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Test

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class Distinct(Unary):
    """Node: items that did not come before."""

    key: Selector[Any] | None = None
    last: int | None = None
    within: Duration | None = None

    def stage(self) -> Test:
        if self.key is None:
            return Test(make=self.make)
        return Test(select=(selector(self.key, "distinct"),), make=self.make)

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        if self.last is None and self.within is None:
            return _unbounded()
        within = None if self.within is None else seconds(self.within, "within")
        return _bounded(self.last, within, context.now)


def _unbounded() -> Logic:
    seen: set[Any] = set()
    add = seen.add

    def call(item: Any, *key: Any) -> bool:
        value = key[0] if key else item
        if value in seen:
            return False
        add(value)
        return True

    def restore(state: set[Any]) -> None:
        seen.clear()
        seen.update(state)

    return Logic(call=call, snapshot=seen.copy, restore=restore)


def _bounded(last: int | None, within: float | None, now: Callable[[], float]) -> Logic:
    seen: OrderedDict[Any, float] = OrderedDict()

    def call(item: Any, *key: Any) -> bool:
        value = key[0] if key else item
        time = now()
        if within is not None:
            while seen and time - next(iter(seen.values())) >= within:
                seen.popitem(last=False)
        known = value in seen
        if not known or within is None:
            seen[value] = time
            seen.move_to_end(value)
        if last is not None and len(seen) > last:
            seen.popitem(last=False)
        return not known

    def snapshot() -> list[tuple[Any, float]]:
        """The keys and how long ago they were seen: another run has another clock."""
        return [(value, now() - time) for value, time in seen.items()]

    def restore(state: list[tuple[Any, float]]) -> None:
        seen.clear()
        seen.update((value, now() - age) for value, age in state)

    return Logic(call=call, snapshot=snapshot, restore=restore)


def distinct(
    source: Stream[T],
    /,
    key: Selector[T] | None = None,
    *,
    last: int | None = None,
    within: Duration | None = None,
) -> Stream[T]:
    """Drop an item when one with an equal key came before.

    To compare with the item right before only, use ``changes``.

    Emits:      the first item of each key, at once.
    Waits:      for an async key function before the next item is read.
    Completes:  when the source does.
    State:      every key seen, without bound; or the ``last`` so many; or those of the time
                ``within``. Give one of them for a stream that goes on for long.
    Time:       processing time for ``within``; items keep their own time.

    Args:
        key: what to compare, hashable: a function, a key or an attribute; default the item itself.
        last: how many keys to remember; the one seen longest ago is forgotten first.
        within: how long to remember a key after it let an item pass.

    Raises:
        GraphError: at build, if ``last`` is less than 1 or ``within`` is no duration.
        TypeError: while running, if a key isn't hashable.

    Example:
        >>> await Stream.of(1, 2, 1, 3).distinct().collect()
        [1, 2, 3]
        >>> await Stream.of("a", "B", "b").distinct(str.lower).collect()
        ['a', 'B']

    Source: ``distinct`` of ReactiveX, there always without bound.
    """
    if key is not None:
        selector(key, "distinct")
    if last is not None:
        check_whole(last, "distinct", "last")
    if within is not None:
        seconds(within, "distinct(within)")
    return source.via(Distinct(source.node, key, last, within))
