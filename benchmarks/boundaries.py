"""Work in several tasks: concurrent calls, and streams that come together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from benchmarks import peers, work
from benchmarks.measure import Contender, Group, peer
from benchmarks.work import keeping, sleepy, summing, summing_pairs
from rivulet import Stream

Pair = tuple[work.Source, work.Source]
Sink = tuple[Callable[[Any], None], Callable[[], Any]]
END: Any = object()

# 100 calls at a time


async def calls_by_hand(source: list[int]) -> int:
    add, total = summing()
    under_way: deque[asyncio.Task[int]] = deque()
    for x in source:
        if len(under_way) == 100:
            add(await under_way.popleft())
        under_way.append(asyncio.create_task(sleepy(x)))
    while under_way:
        add(await under_way.popleft())
    return total()


def calls_by_rivulet(**options: Any) -> Callable[[list[int]], Awaitable[int]]:
    async def run(source: list[int]) -> int:
        add, total = summing()
        await Stream(source).map(sleepy, concurrency=100, **options).to(add).run()
        return total()

    return run


async def calls_by_aiostream(source: list[int]) -> int:
    add, total = summing()
    numbers = peers.aiostream.stream.iterate(source)
    results = numbers | peers.aiostream.pipe.map(sleepy, task_limit=100)
    async with results.stream() as streamer:
        async for x in streamer:
            add(x)
    return total()


async def calls_by_reactivex(source: list[int]) -> int:
    add, total = summing()
    rx, ops = peers.reactivex, peers.operators

    def call(x: int) -> Any:
        return rx.defer(lambda _: rx.from_future(asyncio.ensure_future(sleepy(x))))

    subject = rx.Subject()
    ended = asyncio.get_running_loop().create_future()
    results = subject.pipe(ops.map(call), ops.merge(max_concurrent=100))
    results.subscribe(add, on_error=ended.set_exception, on_completed=lambda: ended.set_result(1))
    await work.push(source, subject.on_next)
    subject.on_completed()
    await ended
    return total()


# Two sources in one


async def through_queue(sources: Pair) -> AsyncIterator[tuple[int, int]]:
    """Items of all sources with the number of theirs, as they come, through one queue."""
    queue: asyncio.Queue[Any] = asyncio.Queue(256)

    async def pump(number: int, source: work.Source) -> None:
        async for x in source():
            await queue.put((number, x))
        await queue.put(END)

    pumps = [asyncio.create_task(pump(number, s)) for number, s in enumerate(sources)]
    left = len(pumps)
    while left:
        entry = await queue.get()
        if entry is END:
            left -= 1
        else:
            yield entry


async def merge_by_hand(sources: Pair) -> int:
    add, total = summing()
    queue: asyncio.Queue[Any] = asyncio.Queue(256)

    async def pump(source: work.Source) -> None:
        async for x in source():
            await queue.put(x)
        await queue.put(END)

    async with asyncio.TaskGroup() as group:
        for source in sources:
            group.create_task(pump(source))
        left = len(sources)
        while left:
            x = await queue.get()
            if x is END:
                left -= 1
            else:
                add(x)
    return total()


async def zip_by_hand(sources: Pair) -> int:
    add, total = summing_pairs()
    waiting: tuple[deque[int], deque[int]] = (deque(), deque())
    first, second = waiting
    async for number, x in through_queue(sources):
        waiting[number].append(x)
        if first and second:
            add((first.popleft(), second.popleft()))
    return total()


async def zip_in_turn(sources: Pair) -> int:
    add, total = summing_pairs()
    second = sources[1]()
    async for x in sources[0]():
        add((x, await anext(second)))
    return total()


async def latest_by_hand(sources: Pair) -> object:
    keep, kept = keeping()
    newest: list[Any] = [END, END]
    async for number, x in through_queue(sources):
        newest[number] = x
        if END not in newest:
            keep(tuple(newest))
    return kept()


async def by_rivulet(operator: str, sink: Callable[[], Sink], sources: Pair) -> object:
    take, result = sink()
    first, second = map(Stream, sources)
    await getattr(first, operator)(second).to(take).run()
    return result()


async def by_aiostream(
    operator: str, sink: Callable[[], Sink], sources: Pair, **options: Any
) -> object:
    take, result = sink()
    combine = getattr(peers.aiostream.stream, operator)
    async with combine(*(source() for source in sources), **options).stream() as streamer:
        async for x in streamer:
            take(x)
    return result()


async def zip_by_asyncstdlib(sources: Pair) -> int:
    add, total = summing_pairs()
    async for pair in peers.asyncstdlib.zip(*(source() for source in sources)):
        add(pair)
    return total()


async def by_reactivex(operator: str, sink: Callable[[], Sink], sources: Pair) -> object:
    take, result = sink()
    subjects = [peers.reactivex.Subject() for _ in sources]
    getattr(peers.reactivex, operator)(*subjects).subscribe(take)
    await work.push_all(*((s, sub.on_next) for s, sub in zip(sources, subjects, strict=True)))
    return result()


async def by_streamz(operator: str, sink: Callable[[], Sink], sources: Pair) -> object:
    take, result = sink()
    first, second = peers.streamz.Stream(), peers.streamz.Stream()
    end = getattr(first, operator)(second).sink(take)
    await work.push_all((sources[0], first.emit), (sources[1], second.emit))
    end.destroy()
    return result()


def merge(name: str, title: str, source: Callable[[int], work.Source], n: int) -> Group:
    return Group(
        name,
        title,
        work.two(source),
        n,
        4_000,
        (
            Contender("hand-written, Queue(256)", merge_by_hand),
            Contender("rivulet", partial(by_rivulet, "merge", summing), 1.0),
            peer("aiostream", partial(by_aiostream, "merge", summing)),
            peer("reactivex", partial(by_reactivex, "merge", summing)),
            peer("streamz", partial(by_streamz, "union", summing)),
        ),
    )


GROUPS = (
    Group(
        "map_concurrency",
        "map(concurrency=100) over a function that sleeps 1 ms, from a list",
        work.listed,
        10_000,
        1_000,
        (
            Contender("hand-written deque of tasks", calls_by_hand),
            Contender("rivulet", calls_by_rivulet(), 1.5),
            Contender("rivulet ordered=False", calls_by_rivulet(ordered=False)),
            Contender("rivulet by=", calls_by_rivulet(by=work.key)),
            peer("aiostream", calls_by_aiostream),
            peer("reactivex", calls_by_reactivex, "unordered"),
        ),
    ),
    merge("merge", "merge of two async generators that never wait", work.generated, 100_000),
    merge("merge_waiting", "merge of two that wait before each item", work.waiting, 50_000),
    Group(
        "zip",
        "zip of two async generators that never wait",
        work.two(work.generated),
        100_000,
        4_000,
        (
            Contender("hand-written, Queue(256)", zip_by_hand),
            Contender("hand-written, one then the other", zip_in_turn),
            Contender("rivulet", partial(by_rivulet, "zip", summing_pairs)),
            peer("aiostream", partial(by_aiostream, "zip", summing_pairs)),
            peer("asyncstdlib", zip_by_asyncstdlib, "one then the other"),
            peer("reactivex", partial(by_reactivex, "zip", summing_pairs)),
            peer("streamz", partial(by_streamz, "zip", summing_pairs)),
        ),
    ),
    Group(
        "combine_latest",
        "combine_latest of two async generators that never wait",
        work.two(work.generated),
        100_000,
        4_000,
        (
            Contender("hand-written, Queue(256)", latest_by_hand),
            Contender("rivulet", partial(by_rivulet, "combine_latest", keeping)),
            peer(
                "aiostream",
                partial(by_aiostream, "ziplatest", keeping, partial=False),
                "ziplatest",
            ),
            peer("reactivex", partial(by_reactivex, "combine_latest", keeping)),
            peer("streamz", partial(by_streamz, "combine_latest", keeping)),
        ),
    ),
)
