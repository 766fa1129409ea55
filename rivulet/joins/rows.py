"""Where the right side of an as-of join is kept: in memory, or in a table."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from types import CoroutineType
from typing import Any, Protocol

from rivulet.core.checks import unhashable
from rivulet.core.table import Table
from rivulet.core.time import NEVER, SECOND
from rivulet.errors import StrayAwaitableError
from rivulet.joins.rule import FAR, Rule

__all__ = ["Found", "InTable", "Rows", "RowsInMemory", "check_key"]

Found = tuple[int, Any] | None
"""A right item with its time."""

_KNOWN = 2**62
"""Beyond this a time is the beginning or the end of time."""
_SOME = 64
_MOST_KEYS = 10_000


class Rows(Protocol):
    """The right items of each key: of those that happened at one time, the last that came."""

    def add(self, key: Any, t: int, row: Any) -> None:
        """Keep an item."""
        ...

    def find(self, key: Any, t: int) -> Found:
        """The item to take for a left one of this time."""
        ...

    def drop(self, floor: int) -> None:
        """Drop what no left item from this time on can need. Now and then is enough.

        Where the time isn't known yet, or the left has ended, nothing is dropped.
        """
        ...

    def snapshot(self) -> Any:
        """What is kept, as plain data."""
        ...

    def restore(self, state: Any) -> None:
        """Take what ``snapshot`` gave."""
        ...


class RowsInMemory:
    """Sorted lists for each key.

    Args:
        rule: which items can be taken.
        retain: how long items are kept, rather than as long as they can be needed.

    Attributes:
        groups: for each key the times and the items.
    """

    def __init__(self, rule: Rule, retain: int | None) -> None:
        self.groups: dict[Any, tuple[list[int], list[Any]]] = {}
        self._rule = rule
        self._retain = retain
        self._index = rule.finder()
        self._added = 0
        self._most = _SOME

    def group(self, key: Any) -> tuple[list[int], list[Any]]:
        """The lists of a key.

        Raises:
            TypeError: it can't be a key.
        """
        try:
            return self.groups[key]
        except KeyError:
            check_key(key)
            group = self.groups[key] = ([], [])
            return group
        except TypeError:
            raise unhashable(key) from None

    def add(self, key: Any, t: int, row: Any) -> None:
        times, rows = self.group(key)
        self._added += 1
        if not times or t > times[-1]:
            times.append(t)
            rows.append(row)
            return
        i = bisect_left(times, t)
        if times[i] == t:
            rows[i] = row
        else:
            times.insert(i, t)
            rows.insert(i, row)

    def find(self, key: Any, t: int) -> Found:
        try:
            times, rows = self.groups[key]
        except KeyError:
            check_key(key)
            return None
        except TypeError:
            raise unhashable(key) from None
        i = self._index(times, t)
        return (times[i], rows[i]) if i >= 0 else None

    def drop(self, floor: int) -> None:
        # After as many items as keys were left: so it costs each item the same, however many keys.
        if self._added < self._most or abs(floor) > _KNOWN:
            return
        for key, (times, rows) in list(self.groups.items()):
            cut = self._useless(times, floor)
            del times[:cut], rows[:cut]
            if not times and key is not None:
                del self.groups[key]
        self._added, self._most = 0, len(self.groups) + _SOME

    def _useless(self, times: list[int], floor: int) -> int:
        """How many of the first items can go."""
        if self._retain is not None:
            return bisect_left(times, floor - self._retain)
        if self._rule.direction == "forward":
            return bisect_left(times, floor)
        last = (bisect_right if self._rule.exact else bisect_left)(times, floor) - 1
        return max(0, last, bisect_left(times, floor - self._rule.reach))

    def snapshot(self) -> Any:
        groups = {key: (list(times), list(rows)) for key, (times, rows) in self.groups.items()}
        return groups, self._added, self._most

    def restore(self, state: Any) -> None:
        # The hot path holds on to the lists of a join without keys.
        times, rows = self.group(None)
        self.groups.clear()
        times.clear()
        rows.clear()
        self.groups[None] = (times, rows)
        groups, self._added, self._most = state
        for key, group in groups.items():
            times, rows = self.group(key)
            times += group[0]
            rows += group[1]


class InTable:
    """Items in a table, under POSIX seconds or ``(key, seconds)``.

    What was there before is found as well. Where neither a tolerance nor ``retain`` says how far
    back items can be needed, nothing is removed.

    Args:
        table: where they are.
        rule: which items can be taken.
        keyed: they have keys.
        retain: how long items are kept, rather than as long as they can be needed.
    """

    def __init__(self, table: Table, rule: Rule, *, keyed: bool, retain: int | None) -> None:
        self._table = table
        self._rule = rule
        self._keyed = keyed
        self._keep = rule.reach if retain is None else retain
        self._horizon = NEVER
        self._cleared: dict[Any, int] = {}

    def _place(self, key: Any, seconds: float) -> Any:
        return (key, seconds) if self._keyed else seconds

    def add(self, key: Any, t: int, row: Any) -> None:
        check_key(key)
        self._table.put(self._place(key, t / SECOND), row)
        if self._horizon == NEVER:
            return
        cleared = self._cleared.get(key)
        if cleared is None or self._horizon - cleared > self._keep:
            if len(self._cleared) >= _MOST_KEYS:
                self._cleared.clear()
            self._cleared[key] = self._horizon
            first, last = self._place(key, -math.inf), self._place(key, self._horizon / SECOND)
            self._table.delete_range(first, last)

    def find(self, key: Any, t: int) -> Found:
        check_key(key)
        direction = self._rule.direction
        before = None if direction == "forward" else self._next(key, t, backwards=True)
        after = None if direction == "backward" else self._next(key, t, backwards=False)
        if before is None or after is None:
            return before or after
        return before if t - before[0] <= after[0] - t else after

    def _next(self, key: Any, t: int, *, backwards: bool) -> Found:
        """The nearest item in one direction."""
        # Seconds that were written by others may be finer than a microsecond.
        start = (t + (0.5 if backwards else -0.5)) / SECOND
        prefix = (key,) if self._keyed else None
        listing = self._table.items(backwards, self._place(key, start), prefix=prefix)
        for place, row in listing:
            found = self._time(place)
            if found is None or abs(t - found) > self._rule.reach:
                return None
            if found != t or self._rule.exact:
                return found, row
        return None

    def _time(self, place: Any) -> int | None:
        """When an item happened, by its key; None if that is no time."""
        if self._keyed:
            place = place[1] if len(place) == 2 else None
        return round(place * SECOND) if isinstance(place, float | int) else None

    def drop(self, floor: int) -> None:
        if self._keep < FAR and abs(floor) < _KNOWN:
            self._horizon = floor - self._keep

    def snapshot(self) -> Any:
        return None

    def restore(self, state: Any) -> None:
        """Items are in the table."""


def check_key(key: Any) -> None:
    """Refuse what a function gave in place of a key.

    Raises:
        StrayAwaitableError: it is a coroutine.
    """
    if type(key) is CoroutineType:
        key.close()
        raise StrayAwaitableError(
            "by= must be a plain function, and it gave a coroutine: put .map(...) before the join "
            "to await what the key is made of"
        )
