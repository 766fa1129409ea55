"""As-of joins: a hundred thousand prices, a million trades, and the loops that one would write."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any

from benchmarks.measure import Contender, Group
from benchmarks.processes import Memory
from rivulet import Stream

Event = tuple[float, int, int]
"""Seconds, key, value."""
Sides = tuple[Any, Any]
Pair = tuple[Event, Event | None]
Table = dict[int | None, tuple[list[int], list[Event]]]
MICROS = 1_000_000
END: Any = object()


def ts(event: Event) -> float:
    return event[0]


def by(event: Event) -> int:
    return event[1]


def lists(n: int) -> tuple[list[Event], list[Event]]:
    """So many on the left, and a tenth of that on the right, in order, of 1,000 keys."""
    left = [(i * 1.0, i % 1000, i) for i in range(n)]
    return left, [(i * 10 + 0.5, i * 7 % 1000, -i) for i in range(n // 10)]


def generated(n: int) -> Sides:
    """The same from async generators that never wait."""

    def source(events: list[Event]) -> Callable[[], AsyncIterator[Event]]:
        async def each() -> AsyncIterator[Event]:
            for event in events:
                yield event

        return each

    left, right = lists(n)
    return source(left), source(right)


def summing() -> tuple[Callable[[Pair], None], Callable[[], object]]:
    """A sink of pairs, and what they come to, in their order."""
    pairs = total = 0

    def add(pair: Pair) -> None:
        nonlocal pairs, total
        left, right = pair
        pairs += 1
        if right is not None:
            total = (total * 31 + (left[2] ^ right[2])) & 0xFFFFFFFF

    return add, lambda: (pairs, total)


class Hand:
    """What is kept of the right side, as one would by hand."""

    def __init__(self, add: Callable[[Pair], None], *, keyed: bool) -> None:
        table: Table = {}

        def right(event: Event) -> None:
            t = round(ts(event) * MICROS)
            key = by(event) if keyed else None
            kept = table.get(key)
            if kept is None:
                kept = table[key] = ([], [])
            times, rows = kept
            if not times or t > times[-1]:
                times.append(t)
                rows.append(event)
            else:
                i = bisect_right(times, t)
                times.insert(i, t)
                rows.insert(i, event)

        def left(event: Event) -> None:
            kept = table.get(by(event) if keyed else None)
            i = -1 if kept is None else bisect_right(kept[0], round(ts(event) * MICROS)) - 1
            add((event, kept[1][i] if kept is not None and i >= 0 else None))

        self.left, self.right = left, right


async def of_lists_by_hand(keyed: bool, sides: tuple[list[Event], list[Event]]) -> object:
    """In step: each right item as soon as the left has come as far."""
    add, total = summing()
    table: Table = {}
    rights: Iterator[Event] = iter(sides[1])
    head = next(rights, None)
    for event in sides[0]:
        t = round(ts(event) * MICROS)
        while head is not None and (at := round(ts(head) * MICROS)) <= t:
            key = by(head) if keyed else None
            kept = table.get(key)
            if kept is None:
                kept = table[key] = ([], [])
            times, rows = kept
            if not times or at > times[-1]:
                times.append(at)
                rows.append(head)
            else:
                i = bisect_right(times, at)
                times.insert(i, at)
                rows.insert(i, head)
            head = next(rights, None)
        kept = table.get(by(event) if keyed else None)
        if kept is None:
            add((event, None))
            continue
        i = bisect_right(kept[0], t) - 1
        add((event, kept[1][i] if i >= 0 else None))
    return total()


async def of_tasks_by_hand(keyed: bool, sides: Sides) -> object:
    """A task and a queue for each side, so that one that waits holds nobody else."""
    add, total = summing()
    hand = Hand(add, keyed=keyed)
    lefts: asyncio.Queue[Any] = asyncio.Queue(256)
    rights: asyncio.Queue[Any] = asyncio.Queue(256)

    async def pump(source: Callable[[], AsyncIterator[Event]], queue: asyncio.Queue[Any]) -> None:
        async for event in source():
            await queue.put(event)
        await queue.put(END)

    async with asyncio.TaskGroup() as group:
        group.create_task(pump(sides[0], lefts))
        group.create_task(pump(sides[1], rights))
        head = await rights.get()
        while (event := await lefts.get()) is not END:
            while head is not END and ts(head) <= ts(event):
                hand.right(head)
                head = await rights.get()
            hand.left(event)
    return total()


async def by_rivulet(keyed: bool, wait: Any, sides: Sides) -> object:
    add, total = summing()
    left, right = map(Stream, sides)
    key = by if keyed else None
    await left.join_asof(right, on=ts, by=key, wait=wait).to(add).run()
    return total()


def join(
    name: str,
    title: str,
    source: Callable[[int], Sides],
    by_hand: Callable[[bool, Any], Awaitable[object]],
    *,
    keyed: bool,
    held: float | None = None,
) -> Group:
    """Rivulet beside one loop; ``held`` is the limit where left items wait, as they don't there."""
    return Group(
        name,
        title,
        source,
        1_000_000,
        1_000_000,
        (
            Contender("hand-written, with bisect", partial(by_hand, keyed)),
            Contender("rivulet", partial(by_rivulet, keyed, 0), 1.5),
            Contender('rivulet wait="watermark"', partial(by_rivulet, keyed, "watermark"), held),
        ),
    )


MEMORY = """
import asyncio
from benchmarks.joins import by, ts
from rivulet import Stream
left = ((i / 1000, i % 1000, i) for i in range({n}))
right = ((i / 100, i * 7 % 1000, -i) for i in range({n} // 10))
sides = [Stream(side).event_time(ts, max_delay=2) for side in (left, right)]
asyncio.run(sides[0].{join}.run())
"""


def memory(name: str, title: str, join: str) -> Memory:
    """The peak does not depend on how many events there are."""
    return Memory(
        name, f"{title}, 1,000 keys", MEMORY.replace("{join}", join), (1_000_000, 10_000_000)
    )


GROUPS = (
    join("join_lists", "as-of join of two lists, in step", lists, of_lists_by_hand, keyed=False),
    join("join_lists_keyed", "the same of 1,000 keys", lists, of_lists_by_hand, keyed=True),
    join(
        "join_agens",
        "as-of join of two async generators, by two tasks with queues",
        generated,
        of_tasks_by_hand,
        keyed=False,
        held=1.5,
    ),
    join(
        "join_agens_keyed",
        "the same of 1,000 keys",
        generated,
        of_tasks_by_hand,
        keyed=True,
        held=1.5,
    ),
    memory("memory_join_asof", "as-of join", 'join_asof(sides[1], by=by, wait="watermark")'),
    memory(
        "memory_join_interval",
        "interval join",
        "join_interval(sides[1], before=1, after=1, by=by, how='outer')",
    ),
)
