"""Loops of other templates: with a timer, with counts, with event time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks import peers, work
from benchmarks.measure import Contender, Group, peer
from benchmarks.work import at, inc, odd, summing, summing_lists, triple
from rivulet import Stream
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Effect

# A chain of three, and lists of 100 that wait 5 seconds at most


async def timer_by_hand(source: work.Source) -> int:
    add, total = summing_lists()
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None
    items: list[int] = []

    def flush() -> None:
        nonlocal items, timer
        if timer is not None:
            timer.cancel()
            timer = None
        if items:
            add(items)
            items = []

    async for x in source():
        x = inc(x)
        if odd(x):
            x = triple(x)
            items.append(x)
            if len(items) == 100:
                flush()
            elif timer is None:
                timer = loop.call_later(5, flush)
    flush()
    return total()


async def timer_by_rivulet(source: work.Source) -> int:
    add, total = summing_lists()
    chain = Stream(source).map(inc).filter(odd).map(triple)
    await chain.batch(100, within=5).to(add).run()
    return total()


async def timer_by_reactivex(source: work.Source) -> int:
    from reactivex.scheduler.eventloop import AsyncIOScheduler

    add, total = summing_lists()
    ops = peers.operators
    scheduler = AsyncIOScheduler(asyncio.get_running_loop())
    subject = peers.reactivex.Subject()
    batches = ops.buffer_with_time_or_count(5.0, 100, scheduler)
    chain = subject.pipe(ops.map(inc), ops.filter(odd), ops.map(triple), batches)
    chain.subscribe(add)
    await work.push(source, subject.on_next)
    subject.on_completed()
    return total()


# A chain of three in the background, where items are counted


async def chain_by_hand(source: work.Source) -> int:
    add, total = summing()
    async for x in source():
        x = inc(x)
        if odd(x):
            x = triple(x)
            add(x)
    return total()


async def chain_of_list_by_hand(source: list[int]) -> int:
    add, total = summing()
    for x in source:
        x = inc(x)
        if odd(x):
            x = triple(x)
            add(x)
    return total()


async def chain_by_start(source: Any) -> int:
    add, total = summing()
    await Stream(source).map(inc).filter(odd).map(triple).to(add).start()
    return total()


# A chain of three with event time, which a stage below takes and is told of every 10 seconds

SECOND = 1_000_000
DELAY = 2 * SECOND
EVERY = 10 * SECOND


@frozen
class Timed(Unary):
    """The least that a time-aware operator does: a call with each stamp, a call now and then."""

    take: Callable[[int, int], None]
    tell: Callable[[int], None]

    def stage(self) -> Effect:
        return Effect(make=self.make, stamps="need")

    def make(self, context: Context) -> Logic:
        due = 0

        def on_time(watermark: int) -> Iterable[Any]:
            nonlocal due
            self.tell(watermark)
            due = watermark // EVERY * EVERY + EVERY
            return ()

        return Logic(call=self.take, on_time=on_time, deadline=lambda: due)


def summing_timed() -> tuple[Callable[[int, int], None], Callable[[int], None], Callable[[], int]]:
    total = told = 0

    def take(x: int, t: int) -> None:
        nonlocal total
        total += x + t

    def tell(watermark: int) -> None:
        nonlocal told
        told += 1

    return take, tell, lambda: total


async def stamps_by_hand(source: work.Source) -> int:
    take, tell, total = summing_timed()
    top = -(2**63)
    due = DELAY
    async for x in source():
        t = round(at(x) * SECOND)
        if t > top:
            if t >= due:
                tell(t - DELAY)
                due = (t - DELAY) // EVERY * EVERY + EVERY + DELAY
            top = t
        x = inc(x)
        if odd(x):
            x = triple(x)
            take(x, t)
    return total()


async def stamps_by_rivulet(source: work.Source) -> int:
    take, tell, total = summing_timed()
    chain = Stream(source).event_time(at, max_delay=2).map(inc).filter(odd).map(triple)
    await chain.via(Timed(chain.node, take, tell)).run()
    return total()


GROUPS = (
    Group(
        "timer",
        "map, filter, map, batch(100, within=5), from an async generator",
        work.generated,
        500_000,
        20_000,
        (
            Contender("hand-written loop and call_later", timer_by_hand),
            Contender("rivulet", timer_by_rivulet, 1.5),
            peer("reactivex", timer_by_reactivex),
        ),
    ),
    Group(
        "counted_agen",
        "map, filter, map with start(), which counts, from an async generator",
        work.generated,
        500_000,
        0,
        (
            Contender("hand-written loop", chain_by_hand),
            Contender("rivulet", chain_by_start, 1.5),
        ),
    ),
    Group(
        "counted_list",
        "the same from a list",
        work.listed,
        500_000,
        0,
        (
            Contender("hand-written loop", chain_of_list_by_hand),
            Contender("rivulet", chain_by_start, 1.5),
        ),
    ),
    Group(
        "stamps",
        "map, filter, map with event_time and a stage that takes it",
        work.generated,
        500_000,
        0,
        (
            Contender("hand-written loop and clock", stamps_by_hand),
            Contender("rivulet", stamps_by_rivulet, 1.5),
        ),
    ),
)
