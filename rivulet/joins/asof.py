"""The state of an as-of join: each left item with the right item of its time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from rivulet.core.checks import unhashable
from rivulet.core.logic import Context, Logic
from rivulet.core.table import Table
from rivulet.core.time import FOREVER
from rivulet.joins.rows import InTable, Rows, RowsInMemory
from rivulet.joins.rule import FAR, Rule
from rivulet.joins.sides import Sides
from rivulet.joins.waiting import Result, Waiting, same_key, wanted

__all__ = ["AsOf"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AsOf:
    """An as-of join, checked. Event times are in microseconds.

    Attributes:
        rule: which right item is taken.
        by: takes the key of a left item and of a right one.
        table: where the right side is kept, if not in memory.
        inner: left items without a match are dropped.
        wait: how long a left item waits for the clock of the right, in seconds.
        revise: results are corrected when a better right item comes.
        grace: how long after the watermark.
        retain: how long right items are kept, rather than as long as they can be needed.
    """

    rule: Rule
    by: tuple[Callable[[Any], Any], Callable[[Any], Any]] | None = None
    table: Table | None = None
    inner: bool = False
    wait: float | Literal["watermark"] = 0.0
    revise: bool = False
    grace: int = 0
    retain: int | None = None

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        rows = self.rows()
        if self.wait == "watermark" and not self.revise and self.rule.direction == "backward":
            return _when_passed(self, context, rows)
        if self.wait or self.revise:
            return Waiting(self, context, rows).logic()
        if isinstance(rows, RowsInMemory) and self.rule.direction == "backward":
            return _at_once(self, context, rows, _keyed if self.by else _unkeyed)
        return _at_once(self, context, rows, _anywhere)

    def rows(self) -> Rows:
        """Where the right side is kept."""
        if self.table is None:
            return RowsInMemory(self.rule, self.retain)
        return InTable(self.table, self.rule, keyed=self.by is not None, retain=self.retain)

    def make_of_table(self) -> Logic:
        """The state of one run over what the table holds."""
        find, inner = self.rows().find, self.inner
        key_of = same_key if self.by is None else self.by[0]

        def call(item: Any, t: int) -> Iterable[Result]:
            found = find(key_of(item), t)
            if found is None:
                return () if inner else (((item, None), t),)
            return (((item, found[1]), t),)

        return Logic(call=call)


def _at_once(
    join: AsOf, context: Context, rows: Rows, make: Callable[[AsOf, Any], Callable[..., Any]]
) -> Logic:
    """Each left item at once, with what has arrived."""
    sides = Sides(gives_up=True)

    def on_mark(side: int, watermark: int) -> Iterable[Result]:
        sides.told(side, watermark)
        rows.drop(sides.left - join.grace)
        if sides.has_ended(0):
            context.end()
        return ()

    def snapshot() -> Any:
        return rows.snapshot(), sides.snapshot()

    def restore(state: Any) -> None:
        rows.restore(state[0])
        sides.restore(state[1])

    return Logic(
        call=make(join, rows),
        on_mark=on_mark,
        passes=lambda _: sides.watermark,
        snapshot=snapshot,
        restore=restore,
    )


def _anywhere(join: AsOf, rows: Rows) -> Callable[[int, Any, int], Iterable[Result]]:
    """The hot path for every rule, and wherever the right side is kept."""
    add, find, inner = rows.add, rows.find, join.inner
    left_key, right_key = join.by or (same_key, same_key)

    def call(side: int, item: Any, t: int) -> Iterable[Result]:
        if side:
            add(right_key(item), t, item)
            return ()
        found = find(left_key(item), t)
        if found is None:
            return () if inner else (((item, None), t),)
        return (((item, found[1]), t),)

    return call


def _unkeyed(join: AsOf, rows: RowsInMemory) -> Callable[[int, Any, int], Iterable[Result]]:
    """The hot path of the usual join: backward, in memory, without a key."""
    add, inner = rows.add, join.inner
    exact, reach, anywhere = join.rule.exact, join.rule.reach, join.rule.reach == FAR
    times, kept = rows.group(None)

    def call(side: int, item: Any, t: int) -> Iterable[Result]:
        if side:
            add(None, t, item)
            return ()
        # Read in step, a left item mostly comes after all that the right has.
        if times and ((last := times[-1]) < t or (exact and last == t)):
            if anywhere or t - last <= reach:
                return (((item, kept[-1]), t),)
        elif (i := bisect_right(times, t if exact else t - 1)) and t - times[i - 1] <= reach:
            return (((item, kept[i - 1]), t),)
        return () if inner else (((item, None), t),)

    return call


def _keyed(join: AsOf, rows: RowsInMemory) -> Callable[[int, Any, int], Iterable[Result]]:
    """The same with a key."""
    assert join.by is not None
    left_key, right_key = join.by
    add, find, groups, inner = rows.add, rows.find, rows.groups, join.inner
    exact, reach, anywhere = join.rule.exact, join.rule.reach, join.rule.reach == FAR

    def call(side: int, item: Any, t: int) -> Iterable[Result]:
        if side:
            add(right_key(item), t, item)
            return ()
        key = left_key(item)
        try:
            times, kept = groups[key]
        except (KeyError, TypeError):
            # Nothing is there, or it can't be a key, which is told there.
            find(key, t)
            return () if inner else (((item, None), t),)
        if times and ((last := times[-1]) < t or (exact and last == t)):
            if anywhere or t - last <= reach:
                return (((item, kept[-1]), t),)
        elif (i := bisect_right(times, t if exact else t - 1)) and t - times[i - 1] <= reach:
            return (((item, kept[i - 1]), t),)
        return () if inner else (((item, None), t),)

    return call


def _hashable(key: Any) -> Any:
    """A key.

    Raises:
        TypeError: it can't be one.
    """
    try:
        hash(key)
    except TypeError:
        raise unhashable(key) from None
    return key


def _when_passed(join: AsOf, context: Context, rows: Rows) -> Logic:
    """Backward: each left item when the clock of the right has passed its time."""
    sides, add, find, inner = Sides(gives_up=True), rows.add, rows.find, join.inner
    left_key, right_key = join.by or (same_key, same_key)
    after = 1 if join.rule.exact else 0
    # In order of time, and of arrival.
    held: list[tuple[int, int, Any, Any]] = []
    number = since_left = 0

    def call(side: int, item: Any, t: int) -> Iterable[Result]:
        nonlocal number, since_left
        if side:
            since_left += 1
            add(right_key(item), t, item)
            return ()
        number += 1
        since_left = 0
        left = t, number, _hashable(left_key(item)), item
        if t + after <= sides.right:
            return given((left,))
        if not held or t >= held[-1][0]:
            held.append(left)
        else:
            insort(held, left)
        return ()

    def given(lefts: Iterable[tuple[int, int, Any, Any]]) -> list[Result]:
        results: list[Result] = []
        for t, _, key, item in lefts:
            found = find(key, t)
            if found is not None:
                results.append(((item, found[1]), t))
            elif not inner:
                results.append(((item, None), t))
        return results

    def on_mark(side: int, watermark: int) -> Iterable[Result]:
        nonlocal since_left
        sides.told(side, watermark)
        since_left = since_left if side else 0
        results: list[Result] = []
        if held and held[0][0] + after <= sides.right:
            passed = bisect_left(held, (sides.right - after + 1,))
            results = given(held[:passed])
            del held[:passed]
        rows.drop(min(sides.left, held[0][0] if held else FOREVER) - join.grace)
        if sides.has_ended(0) and not held:
            context.end()
        return results

    def wants() -> Iterable[int]:
        return wanted(len(held), since_left, sides)

    def passes(_: int) -> int:
        return min(sides.watermark, held[0][0]) if held else sides.watermark

    def snapshot() -> Any:
        return rows.snapshot(), sides.snapshot(), number, list(held)

    def restore(state: Any) -> None:
        nonlocal number
        rows.restore(state[0])
        sides.restore(state[1])
        number = state[2]
        held[:] = state[3]

    return Logic(
        call=call, on_mark=on_mark, wants=wants, passes=passes, snapshot=snapshot, restore=restore
    )
