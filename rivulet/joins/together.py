"""The state of a window join: pairs of items that are in one window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from operator import itemgetter
from typing import Any, final

from rivulet.core.checks import unhashable
from rivulet.core.logic import Context, Logic
from rivulet.joins.rows import check_key
from rivulet.joins.sides import Sides
from rivulet.windows.spans import Spans

__all__ = ["Together"]

Result = tuple[Any, int]
"""What is given, and its time: the last microsecond of the window."""

Group = tuple[list[tuple[int, Any]], list[tuple[int, Any]]]
"""The items of one window and key on each side, with their times."""

_time = itemgetter(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """A window join, checked. Times are in microseconds.

    Attributes:
        spans: gives the windows of a moment.
        by: takes the key of a left item and of a right one.
        outer: for each side whether items without a partner are given.
    """

    spans: Spans
    by: tuple[Callable[[Any], Any], Callable[[Any], Any]] | None = None
    outer: tuple[bool, bool] = (False, False)

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        return _Together(self, context).logic()


@final
class _Together:
    """The windows that are open.

    Args:
        join: what is joined how.
        context: the run.
    """

    def __init__(self, join: Together, context: Context) -> None:
        self._join = join
        self._context = context
        self._sides = Sides()
        self._open: dict[tuple[int, int], dict[Any, Group]] = {}
        self._ends: list[tuple[int, int]] = []
        """The windows by their end: end, start."""
        self._late = 0

    def logic(self) -> Logic:
        """What the run calls."""
        return Logic(
            call=self.call,
            on_mark=self.on_mark,
            passes=self.passes,
            late=lambda: self._late,
            snapshot=self.snapshot,
            restore=self.restore,
        )

    def call(self, side: int, item: Any, t: int) -> tuple[()]:
        """An item of one side goes into its windows."""
        by = self._join.by
        key = None if by is None else by[side](item)
        closed, late = self._closed, True
        for start, end in self._join.spans(t):
            if end <= closed:
                continue
            late = False
            groups = self._open.get((end, start))
            if groups is None:
                if self._sides.has_ended(1 - side) and not self._join.outer[side]:
                    continue
                groups = self._open[end, start] = {}
                heappush(self._ends, (end, start))
            try:
                group = groups.get(key)
            except TypeError:
                raise unhashable(key) from None
            if group is None:
                check_key(key)
                group = groups[key] = ([], [])
            group[side].append((t, item))
        self._late += late
        return ()

    @property
    def _closed(self) -> int:
        """How far the windows are closed."""
        return min(self._sides.left, self._sides.right)

    def on_mark(self, side: int, watermark: int) -> list[Result]:
        """A clock goes on: give what was in the windows that close."""
        self._sides.told(side, watermark)
        results: list[Result] = []
        while self._ends and self._ends[0][0] <= self._closed:
            window = heappop(self._ends)
            stamp = window[0] - 1
            for group in self._open.pop(window).values():
                results += ((pair, stamp) for pair in self._pairs(group))
        if self._is_over():
            self._context.end()
        return results

    def _pairs(self, group: Group) -> Iterator[tuple[Any, Any]]:
        # By time, so that the order doesn't depend on that of arrival.
        lefts, rights = (sorted(items, key=_time) for items in group)
        if lefts and rights:
            for _, left in lefts:
                for _, right in rights:
                    yield left, right
        elif self._join.outer[0]:
            for _, left in lefts:
                yield left, None
        if not lefts and self._join.outer[1]:
            for _, right in rights:
                yield None, right

    def _is_over(self) -> bool:
        """Whether a side has ended, and what the other still brings is of no use."""
        return not self._ends and any(
            self._sides.has_ended(side) and not self._join.outer[1 - side] for side in (0, 1)
        )

    def passes(self, _: int) -> int:
        """Results of the windows that are open aren't behind the watermark that goes on."""
        watermark = self._sides.watermark
        return min(watermark, self._ends[0][0] - 1) if self._ends else watermark

    def snapshot(self) -> Any:
        """All of it as plain data."""
        return (
            self._sides.snapshot(),
            {
                window: {
                    key: (list(lefts), list(rights)) for key, (lefts, rights) in groups.items()
                }
                for window, groups in self._open.items()
            },
            self._late,
        )

    def restore(self, state: Any) -> None:
        """Take what ``snapshot`` gave."""
        sides, windows, self._late = state
        self._sides.restore(sides)
        self._open = {
            window: {key: (list(lefts), list(rights)) for key, (lefts, rights) in groups.items()}
            for window, groups in windows.items()
        }
        self._ends = sorted(self._open)
