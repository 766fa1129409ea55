"""``Slider``: what aggregators make of the last stretch of time, at any moment.

Items are kept in a B+ tree, in the order of their times and, for one time, of arrival. Its nodes
hold what aggregators accumulate of the items below them; that is made when a stretch in the middle
is asked for, and forgotten when an item is put there: O(log n).

Mostly each stretch asked for is later than the one before. Then it costs O(1) amortised. What can
be taken back is accumulated once, while items enter and leave. The rest has two stacks: for the
older half of the items, what is accumulated from each one to the end of that half, and for the
newer half a single accumulation, which items are added to. When the older half is used up, the
stretch is halved anew. Halving it, rather than taking all of it, leaves room for items that come
late: they are added to the newer half.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from copy import deepcopy
from functools import reduce
from itertools import pairwise
from typing import Any

from rivulet.aggregators import Aggregating, Count, Fused, fused, removable, taken
from rivulet.core.time import FOREVER, NEVER

__all__ = ["Slider", "Sliding"]

LEAF = 32
BRANCH = 8

Row = tuple[Any, ...]
"""What the fields of the aggregators took of an item."""


class Sliding:
    """What the sliders of all keys have in common.

    Attributes:
        row: what is kept of an item.
        whole: all aggregators, over rows, as are the others.
        running: those that take items back.
        stacked: those that can't. If there are any, `Count` is with them: one more number.

    Args:
        aggregators: by the names that their results get.
        length: how far back a stretch reaches, in microseconds.

    Raises:
        GraphError: one is no aggregator, or it would have to be awaited.
    """

    def __init__(self, aggregators: Mapping[str, Aggregating], length: int) -> None:
        self.length = length
        self.names = list(aggregators)
        self.row, places = taken(aggregators)
        self.whole = fused(aggregators, places)
        running = {name: a for name, a in aggregators.items() if removable(a)}
        if len(running) < len(aggregators):
            running = {name: a for name, a in running.items() if type(a) is not Count}
        stacked = {name: a for name, a in aggregators.items() if name not in running}
        self.running = fused(running, places) if running else None
        self.stacked = fused(stacked, places) if stacked else None


class Slider:
    """What aggregators make of the items from ``t - length`` to ``t``, both included, for any t.

    Items may come in any order of their times.

    Args:
        how: the aggregators and the length.
    """

    __slots__ = ("_high", "_how", "_left", "_low", "_right", "_running", "_stacks", "_tree")

    def __init__(self, how: Sliding) -> None:
        self._how = how
        self._tree = _Tree(how.whole)
        self._restart()

    def _restart(self) -> None:
        """Let go what goes along with the stretch: it is made anew of the tree."""
        how = self._how
        self._running: list[Any] = [] if how.running is None else how.running.init()
        self._stacks = None if how.stacked is None else _Stacks(how.stacked)
        # The stretch that is accumulated, and leaves at or before its ends.
        self._low, self._high = NEVER, NEVER - 1
        self._left = self._right = self._tree.oldest

    def add(self, t: int, item: Any) -> None:
        """Put an item in; if that fails, it isn't there."""
        row = self._how.row(item)
        self._tree.insert(t, row)
        if self._low <= t <= self._high:
            try:
                self._enter(t, row)
            except BaseException:
                self._take_back(t)
                raise

    def result_at(self, t: int) -> dict[str, Any]:
        """The results over the items of the stretch that ends at ``t``."""
        how = self._how
        low = t - how.length
        if low >= self._low and t >= self._high:
            if t > self._high or low > self._low:
                self._advance(low, t)
            stacks = self._stacks
            if stacks is None or not stacks.broken:
                found = stacks.result() if stacks is not None else {}
                if how.running is None:
                    return found
                found |= how.running.result(self._running)
                return found if stacks is None else {name: found[name] for name in how.names}
        return how.whole.result(self._tree.between(low, t))

    def slide(self, t: int, item: Any) -> dict[str, Any]:
        """Put an item in and give the results at its time; if that fails, it isn't there."""
        row = self._how.row(item)
        times = self._tree.newest.times
        low = t - self._how.length
        in_order = bool(times) and times[-1] <= self._high < t and low >= self._low
        self._tree.insert(t, row)
        try:
            if in_order:
                self._right = self._tree.newest
                self._advance(low, t, [(t, row)])
            elif self._low <= t <= self._high:
                self._enter(t, row)
            return self.result_at(t)
        except BaseException:
            self._take_back(t)
            raise

    def expire(self, before: int) -> None:
        """Let earlier items go: no stretch that is asked for from now on has them."""
        if before > self._low:
            self._advance(before, max(self._high, before - 1))
        if self._tree.drop(before):
            oldest = self._tree.oldest
            self._left = oldest if self._left.above is None else self._left
            self._right = oldest if self._right.above is None else self._right

    @property
    def is_empty(self) -> bool:
        """Whether all items are gone."""
        return self._tree.oldest is self._tree.newest and not self._tree.oldest.times

    def snapshot(self) -> Any:
        """All of it as plain data."""
        stacks = self._stacks
        return {
            "items": self._tree.saved(),
            "stretch": (self._low, self._high),
            "running": deepcopy(self._running),
            "stacks": None if stacks is None else stacks.saved(),
        }

    def restore(self, state: Any) -> None:
        """Take what ``snapshot`` gave."""
        self._tree.load(state["items"])
        self._restart()
        self._low, self._high = state["stretch"]
        self._running = deepcopy(state["running"])
        if self._stacks is not None:
            older, _ = _stretch(self._left, self._low, state["stacks"]["middle"])
            self._stacks.load(state["stacks"], older)

    def _take_back(self, t: int) -> None:
        self._tree.take_back(t)
        self._restart()

    def _advance(self, low: int, high: int, come: list[tuple[int, Row]] | None = None) -> None:
        """Go on to a stretch that neither begins nor ends earlier, with the items that come in."""
        running, stacks = self._how.running, self._stacks
        try:
            if running is not None and running.remove is not None:
                gone, self._left = _stretch(self._left, self._low, min(low - 1, self._high))
                for t, row in gone:
                    running.remove(self._running, row, t)
            if come is None:
                come, self._right = _stretch(self._right, max(low, self._high + 1), high)
            self._low, self._high = low, high
            for t, row in come:
                self._enter(t, row)
            if stacks is not None and not stacks.leave(low):
                _, self._left = _stretch(self._left, low, low - 1)
                stacks.halve(_stretch(self._left, low, high)[0])
        except BaseException:
            self._restart()
            raise

    def _enter(self, t: int, row: Row) -> None:
        if self._how.running is not None:
            self._how.running.add(self._running, row, t)
        if self._stacks is not None:
            self._stacks.enter(t, row)


class _Stacks:
    """What can't be taken back: accumulated in two halves.

    Attributes:
        middle: items up to this time are in the older half.
        broken: an item came into the older half, whose accumulations lack it.
    """

    __slots__ = ("_begin", "_how", "_newer", "_older", "_times", "broken", "middle")

    def __init__(self, how: Fused) -> None:
        self._how = how
        self._older: list[list[Any]] = []
        self._times: list[int] = []
        self._newer = how.init()
        self._begin = FOREVER
        self.middle = NEVER
        self.broken = False

    def enter(self, t: int, row: Row) -> None:
        """Take an item."""
        if t <= self.middle:
            self._older, self._times, self.broken = [], [], True
            return
        self._how.add(self._newer, row, t)
        if t < self._begin:  # noqa: PLR1730 - min() costs as much as all the rest
            self._begin = t

    def leave(self, low: int) -> bool:
        """Let the older items go that are earlier; whether there is none among the newer."""
        times = self._times
        while times and times[-1] < low:
            del times[-1], self._older[-1]
        if self.middle < low:
            self.broken = False
        return self._begin >= low

    def halve(self, items: list[tuple[int, Row]]) -> None:
        """Begin with these, in order."""
        half = (len(items) + 1) // 2
        self.middle = items[half - 1][0] if items else NEVER
        while half < len(items) and items[half][0] == self.middle:
            half += 1
        self._fill(items[:half])
        self._newer = self._how.init()
        for t, row in items[half:]:
            self._how.add(self._newer, row, t)
        self._begin = items[half][0] if half < len(items) else FOREVER

    def _fill(self, items: list[tuple[int, Row]]) -> None:
        self._times = [t for t, _ in reversed(items)]
        self._older = []
        last = None
        for t, row in reversed(items):
            one = self._how.init()
            self._how.add(one, row, t)
            last = one if last is None else self._how.merge(one, last)
            self._older.append(last)

    def result(self) -> dict[str, Any]:
        """The results over both halves."""
        how = self._how
        if not self._older:
            return how.result(self._newer)
        return how.result(how.merge(self._older[-1], self._newer))

    def saved(self) -> dict[str, Any]:
        """The newer half, and where it begins, as plain data."""
        return {
            "newer": deepcopy(self._newer),
            "begin": self._begin,
            "middle": self.middle,
            "broken": self.broken,
        }

    def load(self, saved: dict[str, Any], older: list[tuple[int, Row]]) -> None:
        """Take what ``saved`` gave, and the items of the older half."""
        self._newer = deepcopy(saved["newer"])
        self._begin, self.middle = saved["begin"], saved["middle"]
        self.broken = saved["broken"]
        if not self.broken:
            self._fill(older)


class _Leaf:
    """Some items, one after the other.

    Attributes:
        first: items of this time or later are in this leaf or after it; earlier ones aren't,
            unless there is no leaf before it.
        sum: what is accumulated of them. Nodes that have none are only in nodes that have none.
    """

    __slots__ = ("above", "first", "next", "rows", "sum", "times")

    def __init__(self, first: int, times: list[int], rows: list[Row]) -> None:
        self.first = first
        self.times = times
        self.rows = rows
        self.next: _Leaf | None = None
        self.above: _Branch | None = None
        self.sum: list[Any] | None = None


class _Branch:
    """Some leaves or branches, one after the other."""

    __slots__ = ("above", "first", "firsts", "nodes", "sum")

    def __init__(self, nodes: list[_Node]) -> None:
        self.nodes = nodes
        self.firsts = [node.first for node in nodes]
        self.first = self.firsts[0]
        self.above: _Branch | None = None
        self.sum: list[Any] | None = None
        for node in nodes:
            node.above = self


_Node = _Leaf | _Branch


class _Tree:
    """Items in the order of their times, and what is accumulated of any stretch of them."""

    __slots__ = ("_how", "_root", "newest", "oldest")

    def __init__(self, how: Fused) -> None:
        self._how = how
        self.oldest = self.newest = _Leaf(NEVER, [], [])
        self._root: _Node = self.oldest

    def insert(self, t: int, row: Row) -> None:
        """Put an item behind those of its time."""
        leaf = self.newest if t >= self.newest.first else self._leaf(t)
        i = bisect_right(leaf.times, t)
        leaf.times.insert(i, t)
        leaf.rows.insert(i, row)
        _forget(leaf)
        if len(leaf.times) > LEAF:
            self._split(leaf, i)

    def take_back(self, t: int) -> None:
        """Remove the item that came last of those of a time."""
        leaf = self._leaf(t)
        i = bisect_right(leaf.times, t) - 1
        del leaf.times[i], leaf.rows[i]
        _forget(leaf)

    def _leaf(self, t: int) -> _Leaf:
        """Where an item of a time is put."""
        node = self._root
        while isinstance(node, _Branch):
            node = node.nodes[_behind(node, t)]
        return node

    def _split(self, leaf: _Leaf, i: int) -> None:
        """Make two leaves of one that has become too long at a place."""
        cut = _cut(i, LEAF)
        new = _Leaf(leaf.times[cut], leaf.times[cut:], leaf.rows[cut:])
        del leaf.times[cut:], leaf.rows[cut:]
        new.next, leaf.next = leaf.next, new
        if leaf is self.newest:
            self.newest = new
        self._put(new, leaf)

    def _put(self, new: _Node, node: _Node) -> None:
        """Put a node behind another, which it was a part of."""
        above = node.above
        if above is None:
            self._root = _Branch([node, new])
            return
        i = above.nodes.index(node) + 1
        above.nodes.insert(i, new)
        above.firsts.insert(i, new.first)
        new.above = above
        if len(above.nodes) > BRANCH:
            cut = _cut(i, BRANCH)
            more = _Branch(above.nodes[cut:])
            del above.nodes[cut:], above.firsts[cut:]
            self._put(more, above)

    def drop(self, before: int) -> bool:
        """Let leaves go that have only earlier items; whether there were any."""
        leaf = self.oldest
        if leaf.times and leaf.times[-1] >= before:
            return False
        while leaf.next is not None and (not leaf.times or leaf.times[-1] < before):
            node: _Node = leaf
            while (above := node.above) is not None:
                node.above = None
                del above.nodes[0], above.firsts[0]
                if above.nodes:
                    break
                node = above
            leaf = leaf.next
        if leaf.times and leaf.times[-1] < before:
            leaf.times, leaf.rows = [], []
        self.oldest = leaf
        _forget(leaf)
        while isinstance(self._root, _Branch) and len(self._root.nodes) == 1:
            self._root = self._root.nodes[0]
            self._root.above = None
        return True

    def between(self, low: int, high: int) -> list[Any]:
        """What is accumulated of the items from one time to another; not to be added to."""
        return self._merged(self._parts(self._root, low, high))

    def _parts(self, node: _Node, low: int, high: int) -> list[list[Any]]:
        if isinstance(node, _Leaf):
            i, j = bisect_left(node.times, low), bisect_right(node.times, high)
            return [self._added(node.times[i:j], node.rows[i:j])]
        i, j = _at(node, low), _behind(node, high)
        if i >= j:
            return self._parts(node.nodes[i], low, high)
        inside = [self._sum(below) for below in node.nodes[i + 1 : j]]
        return self._from(node.nodes[i], low) + inside + self._to(node.nodes[j], high)

    def _from(self, node: _Node, low: int) -> list[list[Any]]:
        if isinstance(node, _Leaf):
            i = bisect_left(node.times, low)
            return [self._added(node.times[i:], node.rows[i:])]
        i = _at(node, low)
        return self._from(node.nodes[i], low) + [self._sum(below) for below in node.nodes[i + 1 :]]

    def _to(self, node: _Node, high: int) -> list[list[Any]]:
        if isinstance(node, _Leaf):
            j = bisect_right(node.times, high)
            return [self._added(node.times[:j], node.rows[:j])]
        j = _behind(node, high)
        return [self._sum(below) for below in node.nodes[:j]] + self._to(node.nodes[j], high)

    def _sum(self, node: _Node) -> list[Any]:
        if node.sum is None:
            if isinstance(node, _Leaf):
                node.sum = self._added(node.times, node.rows)
            else:
                node.sum = self._merged([self._sum(below) for below in node.nodes])
        return node.sum

    def _added(self, times: list[int], rows: list[Row]) -> list[Any]:
        acc = self._how.init()
        for t, row in zip(times, rows, strict=True):
            self._how.add(acc, row, t)
        return acc

    def _merged(self, parts: list[list[Any]]) -> list[Any]:
        return reduce(self._how.merge, parts)

    def saved(self) -> Any:
        """The items as plain data, in the shape of the tree, as floating sums depend on it."""
        return _saved(self._root)

    def load(self, saved: Any) -> None:
        """Take what ``saved`` gave."""
        leaves: list[_Leaf] = []
        self._root = _loaded(saved, leaves)
        for leaf, after in pairwise(leaves):
            leaf.next = after
        self.oldest, self.newest = leaves[0], leaves[-1]


def _at(branch: _Branch, t: int) -> int:
    """The node where items from a time on begin, as those of one time may be in several."""
    return max(bisect_left(branch.firsts, t) - 1, 0)


def _behind(branch: _Branch, t: int) -> int:
    """The node where items up to a time end."""
    return max(bisect_right(branch.firsts, t) - 1, 0)


def _cut(i: int, most: int) -> int:
    """Where to split what has become too long: what is filled in order stays full."""
    return most if i == most else most // 2


def _forget(node: _Node | None) -> None:
    while node is not None and node.sum is not None:
        node.sum = None
        node = node.above


def _stretch(leaf: _Leaf, low: int, high: int) -> tuple[list[tuple[int, Row]], _Leaf]:
    """The items from one time to another, and the leaf to go on from with later ones.

    Args:
        leaf: where items from ``low`` on begin, or any before it.
        low: the earliest time.
        high: the latest time.
    """
    found: list[tuple[int, Row]] = []
    while True:
        times = leaf.times
        i, j = bisect_left(times, low), bisect_right(times, high)
        if i < j:
            found += zip(times[i:j], leaf.rows[i:j], strict=True)
        if leaf.next is None or leaf.next.first > high:
            return found, leaf
        leaf = leaf.next


def _saved(node: _Node) -> Any:
    if isinstance(node, _Leaf):
        return {"first": node.first, "times": list(node.times), "rows": list(node.rows)}
    return {"nodes": [_saved(below) for below in node.nodes]}


def _loaded(saved: Any, leaves: list[_Leaf]) -> _Node:
    if "nodes" in saved:
        return _Branch([_loaded(below, leaves) for below in saved["nodes"]])
    first, times, rows = saved["first"], saved["times"], saved["rows"]
    leaves.append(_Leaf(first, list(times), list(rows)))
    return leaves[-1]
