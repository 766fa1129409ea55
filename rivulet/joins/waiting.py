"""The state of an as-of join whose left items wait, or whose results are corrected."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, Final, final

from rivulet.core.entries import Revision
from rivulet.core.logic import Context, Logic
from rivulet.core.time import FOREVER
from rivulet.joins.rows import Found, Rows
from rivulet.joins.sides import Sides

if TYPE_CHECKING:
    from rivulet.joins.asof import AsOf

__all__ = ["AHEAD", "Result", "Waiting", "same_key", "wanted"]

Result = tuple[Any, int]
"""What is given, and the time of the left item."""

AHEAD: Final = 1024
"""So many items of one side are read ahead of the other, where results wait for both anyway."""
EARLY: Final = 1e-6


def same_key(_: Any) -> None:
    """The key of every item where there are none."""
    return


def wanted(waiting: int, since_left: int, sides: Sides) -> tuple[int, ...]:
    """The sides of which items are read: neither far ahead of the other.

    Args:
        waiting: how many left items wait.
        since_left: how many right ones came since the clock of the left went on.
        sides: how far event time is.
    """
    if waiting >= AHEAD:
        return (1,)
    if since_left >= AHEAD and not waiting and not sides.is_idle(0):
        return (0,)
    return (0, 1)


@final
class Waiting:
    """Left items that wait until their match is certain, or were given and may be corrected.

    The times at which the match of a left item becomes certain are in the order of the items, for
    one key. So of each key it is enough to look at the first that waits.

    Args:
        join: what is joined how.
        context: the run.
        rows: where the right side is kept.
    """

    def __init__(self, join: AsOf, context: Context, rows: Rows) -> None:
        self._join = join
        self._rule = join.rule
        self._context = context
        self._sides = Sides(gives_up=True)
        self._rows = rows
        self._left_key, self._right_key = join.by or (same_key, same_key)
        self._waits = bool(join.wait)
        self._within = join.wait if isinstance(join.wait, float) else 0.0
        self._number = 0
        self._waiting: set[int] = set()
        self._since_left = 0
        self._held: dict[Any, list[tuple[int, int, Any]]] = {}
        """For each key the left items that wait: time, number, item."""
        self._given: dict[Any, list[list[Any]]] = {}
        """For each key those that were given and may be corrected: and their match."""
        self._looks: list[tuple[int, int, Any]] = []
        """When to look at what of a key is certain: watermark, number, key."""
        self._next: dict[Any, int] = {}
        """For each key the next of these; others are out of date."""
        self._closings: list[tuple[int, int, Any]] = []
        """When to look at what of a key can't be corrected any more."""
        self._times: list[tuple[int, int]] = []
        """When items happened that wait or may be corrected, the earliest first."""
        self._live: set[int] = set()
        self._due: deque[tuple[float, int, int, Any]] = deque()
        """When items have waited for long enough."""

    def logic(self) -> Logic:
        """What the run calls."""
        return Logic(
            call=self.call,
            on_mark=self.on_mark,
            on_timer=self.on_timer if self._within else None,
            wants=self.wants if self._join.wait == "watermark" else None,
            passes=lambda _: min(self._sides.watermark, self._oldest()),
            snapshot=self.snapshot,
            restore=self.restore,
        )

    # Items

    def call(self, index: int, item: Any, t: int) -> Iterable[Result]:
        """An item of one side."""
        return self._right(item, t) if index else self._left(item, t)

    def _left(self, item: Any, t: int) -> Iterable[Result]:
        key = self._left_key(item)
        self._since_left = 0
        self._number = number = self._number + 1
        if not self._waits:
            return self._give(key, t, number, item)
        found = self._rows.find(key, t)
        certain = self._rule.certain(t, None if found is None else found[0])
        if certain <= self._sides.right:
            return self._give(key, t, number, item)
        self._remember(t, number)
        self._waiting.add(number)
        insort(self._held.setdefault(key, []), (t, number, item))
        self._look(certain, number, key)
        if self._within:
            due = self._context.now() + self._within
            if not self._due:
                self._context.wake_at(due)
            self._due.append((due, t, number, key))
        return ()

    def _right(self, item: Any, t: int) -> Iterable[Result]:
        key = self._right_key(item)
        self._since_left += 1
        self._number += 1
        self._rows.add(key, t, item)
        if key in self._held and self._rule.direction != "backward":
            self._look(t + 1, self._number, key)
        corrected = self._corrections(key, t, item) if key in self._given else ()
        released = self._release() if self._looks and self._looks[0][0] <= self._sides.right else ()
        return (*corrected, *released)

    def _look(self, when: int, number: int, key: Any) -> None:
        if when < self._next.get(key, FOREVER):
            self._next[key] = when
            heappush(self._looks, (when, number, key))

    def _remember(self, t: int, number: int) -> None:
        heappush(self._times, (t, number))
        self._live.add(number)

    def _oldest(self) -> int:
        """When the earliest item happened that waits or may be corrected."""
        times, live = self._times, self._live
        while times and times[0][1] not in live:
            heappop(times)
        return times[0][0] if times else FOREVER

    # Results

    def _give(self, key: Any, t: int, number: int, item: Any) -> Iterable[Result]:
        found = self._rows.find(key, t)
        if self._join.revise:
            self._keep(key, t, number, item, found)
        if found is None:
            return () if self._join.inner else (((item, None), t),)
        return (((item, found[1]), t),)

    def _keep(self, key: Any, t: int, number: int, item: Any, found: Found) -> None:
        """Keep what is given for as long as it may be corrected."""
        time, row = (None, None) if found is None else found
        until = self._rule.certain(t, time) + self._join.grace
        if until <= self._sides.right:
            self._live.discard(number)
            return
        if number not in self._live:
            self._remember(t, number)
        insort(self._given.setdefault(key, []), [t, number, item, time, row])
        if until < FOREVER:
            heappush(self._closings, (until, number, key))

    def _corrections(self, key: Any, new: int, row: Any) -> list[Result]:
        """What a right item that has come changes."""
        given = self._given[key]
        middle = bisect_left(given, [new])
        above = self._corrected(key, (given[i] for i in range(middle, len(given))), new, row)
        # Those of the same time are among the ones above.
        below = self._corrected(key, (given[i] for i in range(middle - 1, -1, -1)), new, row)
        return [*reversed(below), *above]

    def _corrected(
        self, key: Any, entries: Iterable[list[Any]], new: int, row: Any
    ) -> list[Result]:
        """Going away from its time: where another is better for one item, it is for the next.

        But for one of that other's very time, where it can't be a match.
        """
        results: list[Result] = []
        block: int | None = None
        for entry in entries:
            t, number, item, time, before = entry
            if block is not None and t != block:
                if abs(t - new) > abs(block - new):
                    break
                continue
            if not self._rule.better(t, new, time):
                if t != new and block is None:
                    if time is None or self._rule.exact:
                        break
                    block = time
                continue
            entry[3], entry[4] = new, row
            right = (item, row)
            if time is not None or not self._join.inner:
                right = Revision((item, before), right)
            results.append((right, t))
            until = self._rule.certain(t, new) + self._join.grace
            heappush(self._closings, (until, number, key))
        return results

    # Time

    def on_mark(self, side: int, watermark: int) -> list[Result]:
        """A clock goes on: give what is certain now, forget what can't change."""
        sides = self._sides
        sides.told(side, watermark)
        if side == 0:
            self._since_left = 0
        results = self._release()
        while self._due and self._due[0][2] not in self._waiting:
            self._due.popleft()
        self._close()
        self._rows.drop(min(sides.left, self._oldest()) - self._join.grace)
        if sides.has_ended(0) and not self._live:
            self._context.end()
        return results

    def _release(self) -> list[Result]:
        looks, right = self._looks, self._sides.right
        results: list[Result] = []
        while looks and looks[0][0] <= right:
            when, number, key = heappop(looks)
            if self._next.get(key) != when:
                continue
            del self._next[key]
            held = self._held.get(key)
            while held:
                t = held[0][0]
                found = self._rows.find(key, t)
                certain = self._rule.certain(t, None if found is None else found[0])
                if certain > right:
                    self._look(certain, number, key)
                    break
                results += self._let_go(key, 0)
        if right == FOREVER:
            for key in list(self._held):
                while key in self._held:
                    results += self._let_go(key, 0)
        return results

    def _let_go(self, key: Any, place: int) -> Iterable[Result]:
        """Give one that waited."""
        held = self._held[key]
        t, number, item = held.pop(place)
        self._waiting.discard(number)
        if not held:
            del self._held[key]
        if not self._join.revise:
            self._live.discard(number)
        return self._give(key, t, number, item)

    def _close(self) -> None:
        closings, right, grace = self._closings, self._sides.right, self._join.grace
        while closings and closings[0][0] <= right:
            key = heappop(closings)[2]
            given = self._given.get(key, [])
            over = 0
            for t, number, _, time, _ in given:
                if self._rule.certain(t, time) + grace > right:
                    break
                self._live.discard(number)
                over += 1
            del given[:over]
            if not given:
                self._given.pop(key, None)
        if right == FOREVER:
            for given in self._given.values():
                self._live.difference_update(number for _, number, *_ in given)
            self._given.clear()

    def on_timer(self, now: float) -> list[Result]:
        """Some have waited for long enough."""
        due = self._due
        results: list[Result] = []
        while due and due[0][0] <= now + EARLY:
            _, t, number, key = due.popleft()
            if number in self._waiting:
                results += self._let_go(key, bisect_left(self._held[key], (t, number)))
        if due:
            self._context.wake_at(due[0][0])
        if self._sides.has_ended(0) and not self._live:
            self._context.end()
        return results

    def wants(self) -> Iterable[int]:
        """Neither side is read far ahead of the other."""
        return wanted(len(self._waiting), self._since_left, self._sides)

    # State

    def snapshot(self) -> Any:
        """All of it as plain data."""
        return (
            self._rows.snapshot(),
            self._sides.snapshot(),
            self._number,
            {key: list(held) for key, held in self._held.items()},
            {key: [list(entry) for entry in given] for key, given in self._given.items()},
            list(self._looks),
            dict(self._next),
            list(self._closings),
            list(self._times),
            set(self._live),
            [(t, number, key) for _, t, number, key in self._due],
        )

    def restore(self, state: Any) -> None:
        """Take what ``snapshot`` gave. What waits for a while begins to wait anew."""
        rows, sides, self._number, held, given, looks, following, closings, times, live, due = state
        self._rows.restore(rows)
        self._sides.restore(sides)
        self._held = {key: list(items) for key, items in held.items()}
        self._given = {key: [list(entry) for entry in entries] for key, entries in given.items()}
        self._looks, self._closings, self._times = list(looks), list(closings), list(times)
        self._next = dict(following)
        self._live = set(live)
        self._waiting = {number for items in held.values() for _, number, _ in items}
        when = self._context.now() + self._within
        self._due = deque((when, t, number, key) for t, number, key in due)
        if self._due:
            self._context.wake_at(when)
