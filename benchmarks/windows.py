"""Windows: events with their time and key, and the loops that one would write for them."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import partial
from heapq import heappop, heappush
from random import Random
from typing import Any

from benchmarks.measure import Contender, Group
from benchmarks.processes import Memory
from rivulet import Stream
from rivulet.aggregators import Count, CountDistinct, Max, Mean
from rivulet.windows.window import Window

Event = tuple[float, int, float]
"""Seconds, key, value."""
Sink = Callable[[Any], None]

SIZE = 10.0
"""Seconds of a tumbling window: ten events of each of 1,000 keys."""
GAP = 5.0
"""Seconds after which a session is over."""
DELAY = 2.0
"""By so many seconds at most an event comes later than one that happened after it."""
MICROS = 1_000_000


def ts(event: Event) -> float:
    return event[0]


def by(event: Event) -> int:
    return event[1]


def value(event: Event) -> float:
    return event[2]


def in_disorder(events: list[Event]) -> list[Event]:
    """The events as they come, each with a delay of its own."""
    random = Random(1)
    return [event for _, event in sorted((e[0] + random.uniform(0, DELAY), e) for e in events)]


def steady(n: int) -> list[Event]:
    """A thousand events a second, one of each of 1,000 keys."""
    return in_disorder([(i / 1000, i * 7919 % 1000, i * 31 % 97 / 4) for i in range(n)])


def bursts(n: int) -> list[Event]:
    """A thousand a second, of 100 keys for two seconds and then of the next 100."""
    return in_disorder(
        [(i / 1000, i * 7919 % 100 + i // 2000 % 10 * 100, i * 31 % 97 / 4) for i in range(n)]
    )


def one_key(n: int) -> list[Event]:
    """A thousand a second without keys, in order; there are ever so many different values."""
    return [(i / 1000, 0, i * 7919 % 10007 / 4) for i in range(n)]


def summing() -> tuple[Sink, Callable[[], object]]:
    """A sink of windows with a count and a mean, and what they come to, in any order."""
    windows = events = means = 0

    def add(window: Window[int, dict[str, Any]]) -> None:
        nonlocal windows, events, means
        found = window.value
        windows += 1
        events += found["n"]
        means ^= hash((window.key, found["mean"]))

    return add, lambda: (windows, events, means)


def summing_plain() -> tuple[Callable[[int, int, float], None], Callable[[], object]]:
    """The same of bare figures."""
    windows = events = means = 0

    def add(key: int, n: int, mean: float) -> None:
        nonlocal windows, events, means
        windows += 1
        events += n
        means ^= hash((key, mean))

    return add, lambda: (windows, events, means)


# Tumbling


async def tumbling_by_hand(source: list[Event]) -> object:
    """The same work: stamps in microseconds, selectors, two accumulations, windows as results."""
    add, total = summing()
    size, delay = int(SIZE * MICROS), int(DELAY * MICROS)
    opened: dict[int, dict[int, list[Any]]] = {}
    top = due = -1

    def close(watermark: int) -> int:
        for start in sorted(opened):
            if start + size > watermark:
                return start + size + delay
            for key, (n, summed) in opened.pop(start).items():
                add(Window(key, start, start + size, {"n": n, "mean": summed / n}))
        return -1

    for event in source:
        t = round(ts(event) * MICROS)
        if t > top:
            top = t
            if t >= due >= 0:
                due = close(t - delay)
        start = t - t % size
        states = opened.get(start)
        if states is None:
            states = opened[start] = {}
            due = min(opened) + size + delay
        key = by(event)
        state = states.get(key)
        if state is None:
            state = states[key] = [0, 0]
        state[0] += 1
        state[1] += value(event)
    close(2**63)
    return total()


async def tumbling_leanest(source: list[Event]) -> object:
    """The least that gives these figures: times in seconds, and no call for an event."""
    add, total = summing_plain()
    opened: dict[float, dict[int, list[Any]]] = {}
    top = due = 0.0

    def close(watermark: float) -> None:
        for number in sorted(opened):
            if (number + 1) * SIZE > watermark:
                return
            for key, (n, summed) in opened.pop(number).items():
                add(key, n, summed / n)

    for t, key, x in source:
        if t > top:
            top = t
            if t >= due:
                close(t - DELAY)
                due = (t - DELAY) // SIZE * SIZE + SIZE + DELAY
        number = t // SIZE
        states = opened.get(number)
        if states is None:
            states = opened[number] = {}
        state = states.get(key)
        if state is None:
            states[key] = [1, x]
        else:
            state[0] += 1
            state[1] += x
    close(math.inf)
    return total()


async def tumbling_by_rivulet(source: list[Event]) -> object:
    add, total = summing()
    windows = Stream(source).event_time(ts, max_delay=DELAY).window(tumbling=SIZE, by=by)
    await windows.agg(n=Count(), mean=Mean(value)).to(add).run()
    return total()


# Sessions


async def sessions_by_hand(source: list[Event]) -> object:
    """The same work, with sessions that grow together, and close when the clock is past them."""
    add, total = summing()
    gap, delay = int(GAP * MICROS), int(DELAY * MICROS)
    opened: dict[int, list[list[Any]]] = {}
    due: list[tuple[int, int, int]] = []
    top = -1

    def close(watermark: int) -> None:
        while due and due[0][0] <= watermark:
            _, key, first = heappop(due)
            for session in opened.get(key, ()):
                if session[0] == first:
                    break
            else:
                continue
            start, last, n, summed = session
            if last + gap > watermark:
                heappush(due, (last + gap, key, start))
                continue
            opened[key].remove(session)
            if not opened[key]:
                del opened[key]
            add(Window(key, start, last + gap, {"n": n, "mean": summed / n}))

    def elsewhere(key: int, t: int, x: float) -> None:
        grown = [t, t, 1, x]
        apart: list[list[Any]] = []
        for session in opened.get(key, ()):
            if t < session[1] + gap and session[0] < t + gap:
                grown = [
                    min(grown[0], session[0]),
                    max(grown[1], session[1]),
                    grown[2] + session[2],
                    grown[3] + session[3],
                ]
            else:
                apart.append(session)
        opened[key] = [*apart, grown]
        heappush(due, (grown[1] + gap, key, grown[0]))

    for event in source:
        t = round(ts(event) * MICROS)
        if t > top:
            top = t
            if due and t - delay >= due[0][0]:
                close(t - delay)
        key = by(event)
        sessions = opened.get(key)
        if sessions is not None:
            session = sessions[-1]
            last = session[1]
            if session[0] <= t < last + gap:
                if t > last:
                    session[1] = t
                session[2] += 1
                session[3] += value(event)
                continue
        elsewhere(key, t, value(event))
    close(2**63)
    return total()


async def sessions_by_rivulet(source: list[Event]) -> object:
    add, total = summing()
    windows = Stream(source).event_time(ts, max_delay=DELAY).window(session=GAP, by=by)
    await windows.agg(n=Count(), mean=Mean(value)).to(add).run()
    return total()


# Sliding


async def sliding(aggregator: Any, held: int, emit: str, source: list[Event]) -> object:
    """A window for each event over so many before it; gives how many windows there were."""
    windows = 0
    last: Any = None

    def add(window: Window[None, dict[str, Any]]) -> None:
        nonlocal windows, last
        windows += 1
        last = window.value

    given: Any = emit
    length = (held - 1) / 1000
    events = Stream(source).event_time(ts).window(sliding=length, emit=given)
    await events.agg(n=Count(), found=aggregator).to(add).run()
    inside = [value(event) for event in source[-held:]]
    right = {CountDistinct: len(set(inside)), Max: max(inside)}[type(aggregator)]
    return windows, last == {"n": len(inside), "found": right}


def flat(name: str, what: str, aggregator: Any, emit: str = "arrival") -> Group:
    """The cost of an event by how many a window has."""
    contenders = [
        Contender(
            f"rivulet, {held:,} held",
            partial(sliding, aggregator, held, emit),
            None if held == 100 else 1.5,
        )
        for held in (100, 1_000, 10_000)
    ]
    return Group(
        name,
        f"sliding windows of 100 to 10,000 events, {what}",
        one_key,
        100_000,
        100_000,
        tuple(contenders),
    )


MEMORY = """
import asyncio
from benchmarks.windows import by, ts, value
from rivulet import Stream
from rivulet.aggregators import Count, Mean
events = ((i / 1000, i * 7919 % 1000, i * 31 % 97 / 4) for i in range({n}))
windows = Stream(events).event_time(ts, max_delay=2).window({kind}, grace=3, by=by)
asyncio.run(windows.agg(n=Count(), mean=Mean(value)).run())
"""


def memory(name: str, title: str, kind: str) -> Memory:
    """The peak does not depend on how many events there are."""
    return Memory(
        name, f"{title}, 1,000 keys, grace", MEMORY.replace("{kind}", kind), (1_000_000, 10_000_000)
    )


def beside(
    name: str,
    title: str,
    source: Callable[[int], list[Event]],
    by_hand: Callable[[list[Event]], Awaitable[object]],
    by_rivulet: Callable[[list[Event]], Awaitable[object]],
    limit: float,
) -> Group:
    """Rivulet beside one hand-written loop."""
    contenders = Contender("hand-written loop", by_hand), Contender("rivulet", by_rivulet, limit)
    return Group(name, title, source, 1_000_000, 1_000_000, contenders)


GROUPS = (
    beside(
        "window_tumbling",
        "count and mean of 1,000 keys in tumbling windows, by a loop that does the same work",
        steady,
        tumbling_by_hand,
        tumbling_by_rivulet,
        1.2,
    ),
    beside(
        "window_leanest",
        "the same, by the leanest loop",
        steady,
        tumbling_leanest,
        tumbling_by_rivulet,
        2.0,
    ),
    beside(
        "window_session",
        "count and mean of sessions of 1,000 keys, by a loop that does the same work",
        bursts,
        sessions_by_hand,
        sessions_by_rivulet,
        2.0,
    ),
    flat("window_sliding", "of what can be taken back", CountDistinct(value)),
    flat("window_sliding_max", "of what can't", Max(value)),
    flat("window_sliding_close", "when they are certain", Max(value), "close"),
    memory("memory_tumbling", "tumbling windows", "tumbling=10"),
    memory("memory_session", "sessions", "session=0.9"),
    memory("memory_sliding", "sliding windows", "sliding=10"),
)
