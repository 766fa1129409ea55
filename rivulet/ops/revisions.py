"""What operators do with a ``Revision``: the same to what was given before and to what is right."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from itertools import zip_longest
from operator import itemgetter
from typing import Any

from rivulet.core.callables import is_awaitable, maybe_async, plain
from rivulet.core.entries import GONE, Revision
from rivulet.core.iteration import each
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Expand
from rivulet.core.time import FOREVER

__all__ = ["Settle", "filtered", "flat_mapped", "mapped", "written"]

Function = Callable[[Any], Any]


async def _settled(result: Any) -> Any:
    return await result if is_awaitable(result) else result


def mapped(fn: Function) -> Function:
    """The function, applied to both sides of a revision."""
    fn = plain(fn)

    async def both(revision: Revision[Any]) -> Revision[Any]:
        old, new = await _settled(fn(revision.old)), revision.new
        return Revision(old, new if new is GONE else await _settled(fn(new)))

    def call(item: Any) -> Any:
        return both(item) if item.__class__ is Revision else fn(item)

    return maybe_async(call)


def filtered(predicate: Function) -> Function:
    """A function that gives what is left of an item: of a revision one side, both or none."""
    predicate = plain(predicate)

    async def call(item: Any) -> list[Any]:
        if item.__class__ is not Revision:
            return [item] if await _settled(predicate(item)) else []
        old = [item.old] if await _settled(predicate(item.old)) else []
        gone = item.new is GONE
        new = [item.new] if not gone and await _settled(predicate(item.new)) else []
        return _revised(old, new)

    return call


def flat_mapped(fn: Function) -> Function:
    """The function; of a revision, what it gives for one side takes the place of the other's."""
    fn = plain(fn)

    async def call(item: Any) -> AsyncGenerator[Any, None]:
        if item.__class__ is Revision:
            old = [x async for x in each(fn(item.old))]
            new = [] if item.new is GONE else [x async for x in each(fn(item.new))]
            for result in _revised(old, new):
                yield result
            return
        async with aclosing(each(fn(item))) as results:
            async for result in results:
                yield result

    return call


def _revised(old: list[Any], new: list[Any]) -> list[Any]:
    """Results in the place of others, one by one."""
    return [
        after if before is GONE else Revision(before, after)
        for before, after in zip_longest(old, new, fillvalue=GONE)
    ]


def written(write: Function) -> Function:
    """A function that writes what is right, and nothing where nothing is."""
    write = plain(write)

    def put(item: Any) -> Any:
        if item.__class__ is Revision:
            item = item.new
        return None if item is GONE else write(item)

    return put


@frozen
class Settle(Unary):
    """Node: items once they can't be corrected any more, with their corrections applied.

    Windows have it in front of them. Until a window closes it needs nothing that could still be
    corrected, so it closes no later than without.

    Attributes:
        grace: how long after the watermark items are still kept, in microseconds.
    """

    grace: int = 0

    def stage(self) -> Expand:
        return Expand(make=self.make, stamps="need", holds=True)

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        clock, grace = context.clock, self.grace
        held: list[tuple[int, int, Any]] = []
        came = late = 0

        def call(item: Any, t: int) -> Iterable[tuple[Any, int]]:
            nonlocal came
            if item.__class__ is Revision:
                correct(item, t)
                return ()
            if t + grace < clock.watermark:
                return ((item, t),)
            came += 1
            keep(t, came, item)
            return ()

        def keep(t: int, number: int, item: Any) -> None:
            insort(held, (t, number, item), key=_order)
            clock.call_at(t + grace + 1)

        def correct(revision: Revision[Any], t: int) -> None:
            nonlocal late
            place = find(revision.old, t)
            if place is None:
                late += 1
                return
            _, number, _ = held.pop(place)
            if revision.new is not GONE:
                keep(t, number, revision.new)

        def find(old: Any, t: int) -> int | None:
            """Where it is: mostly among those of the same time."""
            first = bisect_left(held, t, key=_time)
            for place in (*range(first, len(held)), *range(first - 1, -1, -1)):
                if held[place][2] == old:
                    return place
            return None

        def on_time(watermark: int) -> list[tuple[Any, int]]:
            over = bisect_left(held, watermark - grace, key=_time)
            given = [(item, t) for t, _, item in held[:over]]
            del held[:over]
            return given

        def restore(state: Any) -> None:
            nonlocal came, late
            held[:], came, late = state
            clock.call_at(deadline())

        def deadline() -> int:
            return held[0][0] + grace + 1 if held else FOREVER

        return Logic(
            call=call,
            on_time=on_time,
            on_end=lambda: on_time(2 * FOREVER),
            deadline=deadline,
            passes=lambda watermark: watermark,
            late=lambda: late,
            snapshot=lambda: (list(held), came, late),
            restore=restore,
        )

    def applies(self) -> bool:
        return True

    def revises(self, corrected: bool) -> bool:
        return False


_time = itemgetter(0)
_order = itemgetter(0, 1)
