"""The state of an interval join: pairs of items that happened near each other."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, Final, final

from rivulet.core.checks import unhashable
from rivulet.core.entries import Revision
from rivulet.core.logic import Context, Logic
from rivulet.core.time import NEVER
from rivulet.joins.rows import check_key
from rivulet.joins.sides import Sides

__all__ = ["Interval"]

Result = tuple[Any, int]
"""What is given, and its time."""

Kept = tuple[list[int], list[tuple[int, Any]]]
"""The items of one side and key in the order of their times; each with its number."""

_SOME: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An interval join, checked. Times are in microseconds.

    Attributes:
        before: how long before a left item a right one may have happened.
        after: how long after it.
        by: takes the key of a left item and of a right one.
        outer: for each side whether items without a partner are given.
        revise: they are given at once and corrected, rather than when it is certain.
    """

    before: int
    after: int
    by: tuple[Callable[[Any], Any], Callable[[Any], Any]] | None = None
    outer: tuple[bool, bool] = (False, False)
    revise: bool = False

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        return _Interval(self, context).logic()


@final
class _Interval:
    """What may still find a partner.

    Args:
        join: what is joined how.
        context: the run.
    """

    def __init__(self, join: Interval, context: Context) -> None:
        self._join = join
        self._context = context
        self._sides = Sides()
        self._reach = ((join.before, join.after), (join.after, join.before))
        """For each side how far back and how far on its partners may be."""
        self._kept: tuple[dict[Any, Kept], dict[Any, Kept]] = ({}, {})
        self._last = [NEVER, NEVER]
        self._number = 0
        self._added = 0
        self._most = _SOME
        self._alone: tuple[dict[int, Any], dict[int, Any]] = ({}, {})
        """Of each side those that are to be given without a partner if none comes."""
        self._times: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
        """When they happened, the earliest first: time, number."""

    def logic(self) -> Logic:
        """What the run calls."""
        return Logic(
            call=self.call,
            on_mark=self.on_mark,
            passes=self.passes,
            snapshot=self.snapshot,
            restore=self.restore,
        )

    def call(self, side: int, item: Any, t: int) -> list[Result]:
        """An item of one side: with each partner that has come before it."""
        by = self._join.by
        key = None if by is None else by[side](item)
        try:
            partners = self._kept[1 - side].get(key)
        except TypeError:
            raise unhashable(key) from None
        self._number = number = self._number + 1
        results: list[Result] = []
        if partners is not None:
            back, on = self._reach[side]
            times, items = partners
            first, last = bisect_left(times, t - back), bisect_right(times, t + on)
            for time, partner in zip(times[first:last], items[first:last], strict=True):
                results.append(self._pair(side, item, partner, max(t, time)))
        self._keep(side, key, t, number, item)
        if not results and self._join.outer[side]:
            return self._keep_alone(side, t, number, item)
        return results

    def _pair(self, side: int, item: Any, partner: tuple[int, Any], t: int) -> Result:
        number, other = partner
        pair = (other, item) if side else (item, other)
        alone = self._alone[1 - side]
        if number not in alone:
            return pair, t
        del alone[number]
        if not self._join.revise:
            return pair, t
        return Revision((other, None) if side else (None, other), pair), t

    def _keep(self, side: int, key: Any, t: int, number: int, item: Any) -> None:
        """Keep an item for partners that are still to come."""
        self._last[side] = max(self._last[side], t)
        if self._until(side, t) < self._clock(1 - side):
            return
        kept = self._kept[side].get(key)
        if kept is None:
            check_key(key)
            kept = self._kept[side][key] = ([], [])
        times, items = kept
        self._added += 1
        if not times or t >= times[-1]:
            times.append(t)
            items.append((number, item))
            return
        place = bisect_right(times, t)
        times.insert(place, t)
        items.insert(place, (number, item))

    def _keep_alone(self, side: int, t: int, number: int, item: Any) -> list[Result]:
        row = (None, item) if side else (item, None)
        if self._until(side, t) < self._clock(1 - side):
            return [(row, t)]
        self._alone[side][number] = item
        heappush(self._times[side], (t, number))
        return [(row, t)] if self._join.revise else []

    def _until(self, side: int, t: int) -> int:
        """When the last partner of an item may happen."""
        return t + self._reach[side][1]

    def _clock(self, side: int) -> int:
        return self._sides.right if side else self._sides.left

    def on_mark(self, side: int, watermark: int) -> list[Result]:
        """A clock goes on: give what stays alone, drop what finds no partner any more."""
        self._sides.told(side, watermark)
        results: list[Result] = []
        for one in 0, 1:
            times, alone = self._times[one], self._alone[one]
            while times and self._until(one, times[0][0]) < self._clock(1 - one):
                t, number = heappop(times)
                if number in alone:
                    item = alone.pop(number)
                    if not self._join.revise:
                        results.append(((None, item) if one else (item, None), t))
        self._drop()
        if self._is_over(0) or self._is_over(1):
            self._context.end()
        return results

    def _drop(self) -> None:
        # After as many items as keys were left: so it costs each item the same, however many keys.
        if self._added < self._most:
            return
        for side in 0, 1:
            floor = self._clock(1 - side) - self._reach[side][1]
            for key, (times, items) in list(self._kept[side].items()):
                cut = bisect_left(times, floor)
                del times[:cut], items[:cut]
                if not times:
                    del self._kept[side][key]
        self._added, self._most = 0, sum(map(len, self._kept)) + _SOME

    def _is_over(self, side: int) -> bool:
        """Whether a side has ended, and what the other still brings is of no use."""
        late = self._until(side, self._last[side]) < self._clock(1 - side)
        return self._sides.has_ended(side) and late and not self._join.outer[1 - side]

    def passes(self, _: int) -> int:
        """No item that may stay alone, or be corrected, is behind the watermark that goes on."""
        lowest = self._sides.watermark
        for times, alone in zip(self._times, self._alone, strict=True):
            while times and times[0][1] not in alone:
                heappop(times)
            if times:
                lowest = min(lowest, times[0][0])
        return lowest

    def snapshot(self) -> Any:
        """All of it as plain data."""
        kept = [
            {key: (list(times), list(items)) for key, (times, items) in side.items()}
            for side in self._kept
        ]
        return (
            self._sides.snapshot(),
            kept,
            list(self._last),
            (self._number, self._added, self._most),
            [dict(alone) for alone in self._alone],
            [list(times) for times in self._times],
        )

    def restore(self, state: Any) -> None:
        """Take what ``snapshot`` gave."""
        sides, kept, last, (self._number, self._added, self._most), alone, times = state
        self._sides.restore(sides)
        self._last = list(last)
        for side in 0, 1:
            self._kept[side].clear()
            for key, (stamps, items) in kept[side].items():
                self._kept[side][key] = (list(stamps), list(items))
            self._alone[side].clear()
            self._alone[side].update(alone[side])
            self._times[side][:] = times[side]
