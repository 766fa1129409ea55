"""Operators other than map and filter: branches, pipes, state, batches, policies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import rivulet
from benchmarks import peers, work
from benchmarks.measure import Contender, Group, peer
from benchmarks.work import (
    few,
    few_async,
    inc,
    key,
    odd,
    plus,
    summing,
    summing_lists,
    summing_pairs,
    triple,
)
from rivulet import Stream

# Three branches over one source


async def branch_by_hand(source: work.Source) -> int:
    add, total = summing()
    async for x in source():
        y = inc(x)
        add(y)
        if odd(x):
            add(x)
        x = triple(x)
        x = inc(x)
        add(x)
    return total()


async def branch_by_rivulet(source: work.Source) -> int:
    add, total = summing()
    numbers = Stream(source)
    await rivulet.run(
        numbers.map(inc).to(add),
        numbers.filter(odd).to(add),
        numbers.map(triple).map(inc).to(add),
    )
    return total()


async def branch_by_asyncstdlib(source: work.Source) -> int:
    add, total = summing()
    a = peers.asyncstdlib

    async def drain(items: Any) -> None:
        async for x in items:
            add(x)

    async with a.tee(source(), 3) as (first, second, third):
        branches = (a.map(inc, first), a.filter(odd, second), a.map(inc, a.map(triple, third)))
        await asyncio.gather(*map(drain, branches))
    return total()


async def branch_by_reactivex(source: work.Source) -> int:
    add, total = summing()
    ops = peers.operators
    subject = peers.reactivex.Subject()
    subject.pipe(ops.map(inc)).subscribe(add)
    subject.pipe(ops.filter(odd)).subscribe(add)
    subject.pipe(ops.map(triple), ops.map(inc)).subscribe(add)
    await work.push(source, subject.on_next)
    return total()


async def branch_by_streamz(source: work.Source) -> int:
    add, total = summing()
    stream = peers.streamz.Stream()
    sinks = (
        stream.map(inc).sink(add),
        stream.filter(odd).sink(add),
        stream.map(triple).map(inc).sink(add),
    )
    await work.push(source, stream.emit)
    for sink in sinks:
        sink.destroy()
    return total()


# async for


async def async_for_by_hand(source: work.Source) -> int:
    add, total = summing()
    async for x in source():
        x = inc(x)
        if odd(x):
            x = triple(x)
            add(x)
    return total()


async def async_for_by_generator(source: work.Source) -> int:
    async def items() -> Any:
        async for x in source():
            x = inc(x)
            if odd(x):
                x = triple(x)
                yield x

    add, total = summing()
    async for x in items():
        add(x)
    return total()


async def async_for_by_rivulet(source: work.Source) -> int:
    add, total = summing()
    async for x in Stream(source).map(inc).filter(odd).map(triple):
        add(x)
    return total()


# pipe


async def pairwise_by_asyncstdlib(source: work.Source) -> int:
    add, total = summing_pairs()
    async for pair in peers.asyncstdlib.pairwise(source()):
        add(pair)
    return total()


async def pairwise_by_pipe(source: work.Source) -> int:
    add, total = summing_pairs()
    await Stream(source).pipe(peers.asyncstdlib.pairwise).to(add).run()
    return total()


async def pairwise_by_rivulet(source: work.Source) -> int:
    add, total = summing_pairs()
    await Stream(source).pairwise().to(add).run()
    return total()


async def pairwise_by_reactivex(source: work.Source) -> int:
    add, total = summing_pairs()
    subject = peers.reactivex.Subject()
    subject.pipe(peers.operators.pairwise()).subscribe(add)
    await work.push(source, subject.on_next)
    return total()


async def pairwise_by_streamz(source: work.Source) -> int:
    add, total = summing_pairs()
    stream = peers.streamz.Stream()
    sink = stream.sliding_window(2, return_partial=False).sink(add)
    await work.push(source, stream.emit)
    sink.destroy()
    return total()


# flat_map


async def flat_map_by_hand(source: work.Source) -> int:
    add, total = summing()
    async for x in source():
        for y in few(x):
            add(y)
    return total()


async def flat_map_async_by_hand(source: work.Source) -> int:
    add, total = summing()
    async for x in source():
        async for y in few_async(x):
            add(y)
    return total()


def flat_map_by_rivulet(fn: Callable[[int], Any]) -> Callable[[work.Source], Any]:
    async def run(source: work.Source) -> int:
        add, total = summing()
        await Stream(source).flat_map(fn).to(add).run()
        return total()

    return run


async def flat_map_by_asyncstdlib(source: work.Source) -> int:
    add, total = summing()
    a = peers.asyncstdlib
    async for y in a.chain.from_iterable(a.map(few, source())):
        add(y)
    return total()


async def flat_map_by_reactivex(source: work.Source) -> int:
    add, total = summing()
    subject = peers.reactivex.Subject()
    flat = peers.operators.flat_map(lambda x: peers.reactivex.from_iterable(few(x)))
    subject.pipe(flat).subscribe(add)
    await work.push(source, subject.on_next)
    return total()


async def flat_map_by_streamz(source: work.Source) -> int:
    add, total = summing()
    stream = peers.streamz.Stream()
    sink = stream.map(few).flatten().sink(add)
    await work.push(source, stream.emit)
    sink.destroy()
    return total()


async def flat_map_async_by_aiostream(source: work.Source) -> int:
    add, total = summing()
    items = peers.aiostream.stream.concatmap(source(), few_async, task_limit=1)
    async with items.stream() as streamer:
        async for y in streamer:
            add(y)
    return total()


# scan, and scan per key


async def scan_by_hand(source: work.Source) -> int:
    add, total = summing()
    value = 0
    async for x in source():
        value = plus(value, x)
        add(value)
    return total()


async def scan_by_rivulet(source: work.Source) -> int:
    add, total = summing()
    await Stream(source).scan(plus, 0).to(add).run()
    return total()


async def scan_by_asyncstdlib(source: work.Source) -> int:
    add, total = summing()
    async for value in peers.asyncstdlib.accumulate(source(), plus):
        add(value)
    return total()


async def scan_by_aiostream(source: work.Source) -> int:
    add, total = summing()
    async with peers.aiostream.stream.accumulate(source(), plus).stream() as streamer:
        async for value in streamer:
            add(value)
    return total()


async def scan_by_reactivex(source: work.Source) -> int:
    add, total = summing()
    subject = peers.reactivex.Subject()
    subject.pipe(peers.operators.scan(plus, 0)).subscribe(add)
    await work.push(source, subject.on_next)
    return total()


async def scan_by_streamz(source: work.Source) -> int:
    add, total = summing()
    stream = peers.streamz.Stream()
    sink = stream.accumulate(plus, start=0).sink(add)
    await work.push(source, stream.emit)
    sink.destroy()
    return total()


async def keyed_scan_by_hand(source: work.Source) -> int:
    add, total = summing()
    values: dict[int, int] = {}
    async for x in source():
        k = key(x)
        values[k] = value = plus(values.get(k, 0), x)
        add(value)
    return total()


async def keyed_scan_by_rivulet(source: work.Source) -> int:
    add, total = summing()
    await Stream(source).group_by(key).scan(plus, 0).values().to(add).run()
    return total()


async def keyed_scan_by_reactivex(source: work.Source) -> int:
    add, total = summing()
    ops = peers.operators
    subject = peers.reactivex.Subject()
    per_key = ops.flat_map(lambda group: group.pipe(ops.scan(plus, 0)))
    subject.pipe(ops.group_by(key), per_key).subscribe(add)
    await work.push(source, subject.on_next)
    return total()


# batch


async def batch_by_hand(source: work.Source) -> int:
    add, total = summing_lists()
    items: list[int] = []
    async for x in source():
        items.append(x)
        if len(items) == 100:
            add(items)
            items = []
    if items:
        add(items)
    return total()


async def batch_by_rivulet(source: work.Source) -> int:
    add, total = summing_lists()
    await Stream(source).batch(100).to(add).run()
    return total()


async def batch_by_aiostream(source: work.Source) -> int:
    add, total = summing_lists()
    async with peers.aiostream.stream.chunks(source(), 100).stream() as streamer:
        async for items in streamer:
            add(items)
    return total()


async def batch_by_asyncstdlib(source: work.Source) -> int:
    add, total = summing_lists()
    async for items in peers.asyncstdlib.batched(source(), 100):
        add(items)
    return total()


async def batch_by_reactivex(source: work.Source) -> int:
    add, total = summing_lists()
    subject = peers.reactivex.Subject()
    subject.pipe(peers.operators.buffer_with_count(100)).subscribe(add)
    await work.push(source, subject.on_next)
    subject.on_completed()
    return total()


# on_error


async def skip_by_hand(source: work.Source) -> int:
    add, total = summing()
    skipped = 0
    async for x in source():
        try:
            x = inc(x)
        except Exception:
            skipped += 1
            continue
        add(x)
    return total() + skipped


async def skip_by_rivulet(source: work.Source) -> int:
    add, total = summing()
    await Stream(source).map(inc).on_error("skip").to(add).run()
    return total()


GROUPS = (
    Group(
        "branch",
        "three branches over one async generator",
        work.generated,
        300_000,
        10_000,
        (
            Contender("hand-written loop", branch_by_hand),
            Contender("rivulet", branch_by_rivulet, 1.15),
            peer("asyncstdlib", branch_by_asyncstdlib, "tee"),
            peer("reactivex", branch_by_reactivex),
            peer("streamz", branch_by_streamz),
        ),
    ),
    Group(
        "async_for",
        "async for over map, filter, map",
        work.generated,
        500_000,
        0,
        (
            Contender("hand-written loop", async_for_by_hand),
            Contender("hand-written async generator", async_for_by_generator),
            Contender("rivulet", async_for_by_rivulet),
        ),
    ),
    Group(
        "pairwise",
        "pairwise, from an async generator",
        work.generated,
        200_000,
        10_000,
        (
            Contender("asyncstdlib", pairwise_by_asyncstdlib, needs="asyncstdlib"),
            Contender("rivulet pipe(pairwise)", pairwise_by_pipe, 3.0),
            Contender("rivulet pairwise()", pairwise_by_rivulet),
            peer("reactivex", pairwise_by_reactivex),
            peer("streamz", pairwise_by_streamz),
        ),
    ),
    Group(
        "flat_map",
        "flat_map to 0 to 3 items by a sync iterable",
        work.generated,
        300_000,
        10_000,
        (
            Contender("hand-written loop", flat_map_by_hand),
            Contender("rivulet", flat_map_by_rivulet(few)),
            peer("asyncstdlib", flat_map_by_asyncstdlib),
            peer("reactivex", flat_map_by_reactivex),
            peer("streamz", flat_map_by_streamz),
        ),
    ),
    Group(
        "flat_map_async",
        "flat_map to 0 to 3 items by an async generator",
        work.generated,
        200_000,
        3_000,
        (
            Contender("hand-written loop", flat_map_async_by_hand),
            Contender("rivulet", flat_map_by_rivulet(few_async)),
            peer("aiostream", flat_map_async_by_aiostream),
        ),
    ),
    Group(
        "scan",
        "a running value",
        work.generated,
        500_000,
        10_000,
        (
            Contender("hand-written loop", scan_by_hand),
            Contender("rivulet", scan_by_rivulet),
            peer("aiostream", scan_by_aiostream),
            peer("asyncstdlib", scan_by_asyncstdlib),
            peer("reactivex", scan_by_reactivex),
            peer("streamz", scan_by_streamz),
        ),
    ),
    Group(
        "keyed_scan",
        "a running value per key, 1,000 keys",
        work.generated,
        300_000,
        10_000,
        (
            Contender("hand-written loop", keyed_scan_by_hand),
            Contender("rivulet", keyed_scan_by_rivulet),
            peer("reactivex", keyed_scan_by_reactivex),
        ),
    ),
    Group(
        "batch",
        "lists of 100",
        work.generated,
        500_000,
        10_000,
        (
            Contender("hand-written loop", batch_by_hand),
            Contender("rivulet", batch_by_rivulet),
            peer("aiostream", batch_by_aiostream),
            peer("asyncstdlib", batch_by_asyncstdlib),
            peer("reactivex", batch_by_reactivex),
        ),
    ),
    Group(
        "skip_errors",
        'map with on_error("skip"), no failures',
        work.generated,
        500_000,
        0,
        (
            Contender("hand-written loop", skip_by_hand),
            Contender("rivulet", skip_by_rivulet),
        ),
    ),
)
