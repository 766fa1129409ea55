"""Chains of sync operators: the work that everything else is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial, reduce
from typing import Any

from benchmarks import peers, work
from benchmarks.measure import Contender, Group, peer
from benchmarks.work import inc, odd, positive, summing, triple
from rivulet import Stream

Steps = list[tuple[str, Callable[[int], Any]]]

THREE: Steps = [("map", inc), ("filter", odd), ("map", triple)]


def steps_of(depth: int) -> Steps:
    """Maps, with a filter that drops nothing in every fourth place; W1 at depth 3."""
    if depth == 3:
        return THREE
    return [("filter", positive) if i % 4 == 3 else ("map", inc) for i in range(depth)]


def by_hand(steps: Steps, source: str) -> Callable[[Any], Awaitable[int]]:
    """The loop that one would write for these steps, compiled from its text."""
    lines = ["async def loop(source, add):", f"    {source}:"]
    indent = "        "
    for kind, fn in steps:
        if kind == "map":
            lines.append(f"{indent}x = {fn.__name__}(x)")
        else:
            lines.append(f"{indent}if {fn.__name__}(x):")
            indent += "    "
    lines.append(f"{indent}add(x)")
    names = {fn.__name__: fn for _, fn in steps}
    exec("\n".join(lines), names)  # type: ignore[arg-type]

    async def run(source: Any) -> int:
        add, total = summing()
        await names["loop"](source, add)
        return total()

    return run


def chained(steps: Steps, stream: Any) -> Any:
    """The steps as methods of a stream."""
    return reduce(lambda s, step: getattr(s, step[0])(step[1]), steps, stream)


async def by_rivulet(steps: Steps, source: Any) -> int:
    add, total = summing()
    await chained(steps, Stream(source)).to(add).run()
    return total()


async def by_aiostream(steps: Steps, source: Any) -> int:
    add, total = summing()
    items = peers.aiostream.stream.iterate(source if isinstance(source, list) else source())
    for kind, fn in steps:
        items |= getattr(peers.aiostream.pipe, kind)(fn)
    async with items.stream() as streamer:
        async for x in streamer:
            add(x)
    return total()


async def by_asyncstdlib(steps: Steps, source: Any) -> int:
    add, total = summing()
    items = source if isinstance(source, list) else source()
    for kind, fn in steps:
        items = getattr(peers.asyncstdlib, kind)(fn, items)
    async for x in items:
        add(x)
    return total()


async def by_reactivex(steps: Steps, source: Any) -> int:
    add, total = summing()
    subject = peers.reactivex.Subject()
    operators = [getattr(peers.operators, kind)(fn) for kind, fn in steps]
    subject.pipe(*operators).subscribe(add)
    await work.push(source, subject.on_next)
    return total()


async def by_streamz(steps: Steps, source: Any) -> int:
    add, total = summing()
    stream = peers.streamz.Stream()
    sink = chained(steps, stream).sink(add)
    await work.push(source, stream.emit)
    sink.destroy()
    return total()


def chain(depth: int, kind: str, n: int, slow_n: int, limit: float | None = None) -> Group:
    """A group for one depth and one kind of source; depths 3 and 32 have limits."""
    steps = steps_of(depth)
    titles = {1: "map into a sum", 3: "map, filter, map into a sum"}
    what = titles.get(depth, f"{depth} maps and filters")
    source = "for x in source" if kind == "list" else "async for x in source()"
    return Group(
        f"chain_{kind}_{depth}",
        f"{what}, from {'a list' if kind == 'list' else 'an async generator'}",
        work.listed if kind == "list" else work.generated,
        n,
        slow_n,
        (
            Contender("hand-written loop", by_hand(steps, source)),
            Contender("rivulet", partial(by_rivulet, steps), limit),
            peer("aiostream", partial(by_aiostream, steps)),
            peer("asyncstdlib", partial(by_asyncstdlib, steps)),
            peer("reactivex", partial(by_reactivex, steps)),
            peer("streamz", partial(by_streamz, steps)),
        ),
    )


GROUPS = (
    chain(1, "agen", 500_000, 20_000),
    chain(3, "agen", 500_000, 20_000, 1.15),
    chain(8, "agen", 300_000, 10_000),
    chain(32, "agen", 200_000, 4_000, 1.15),
    chain(1, "list", 1_000_000, 20_000),
    chain(3, "list", 1_000_000, 20_000, 1.25),
    chain(8, "list", 500_000, 10_000),
    chain(32, "list", 200_000, 4_000, 1.15),
)
