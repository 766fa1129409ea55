"""Random chains of operators give what the same chain gives on lists with ``itertools``."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiostream
import asyncstdlib
from hypothesis import given
from hypothesis import strategies as st

from rivulet import Stream, maybe_async, testing
from tests.examples import examples


@dataclass(frozen=True)
class Op:
    """One operator on streams, and what it does to a list."""

    name: str
    stream: Callable[[Stream[Any]], Stream[Any]]
    oracle: Callable[[list[Any]], list[Any]]

    def __repr__(self) -> str:
        return self.name


def asynchronous(fn):
    """The same function as a coroutine function that waits."""

    async def call(*args):
        await asyncio.sleep(0.01)
        return fn(*args)

    return call


def ready(fn):
    """The same function as a coroutine function that never waits."""

    async def call(*args):
        return fn(*args)

    return call


def wrapped(fn):
    """The same function as a lambda that gives a coroutine."""
    later = asynchronous(fn)
    return lambda *args: later(*args)


def sometimes(fn):
    """The same function, at times a coroutine."""
    later = asynchronous(fn)
    return maybe_async(lambda *args: later(*args) if hash(args) % 2 else fn(*args))


KINDS = {
    "sync": lambda fn: fn,
    "async": asynchronous,
    "ready": ready,
    "lambda": wrapped,
    "sometimes": sometimes,
}


def batches(rows, n):
    return [rows[i : i + n] for i in range(0, len(rows), n)]


def distinct(rows):
    return list(dict.fromkeys(rows))


def changes(rows):
    return [key for key, _ in itertools.groupby(rows)]


def countdown(x):
    while x > 0:
        yield x
        x -= 3


async def async_countdown(x):
    while x > 0:
        yield x
        await asyncio.sleep(0.001)
        x -= 3


def doubled(x):
    return x * 2 % 101


def odd(x):
    return x % 3 != 0


def added(a, b):
    return (a + b) % 97


def op(name, stream, oracle):
    return Op(name, stream, oracle)


def with_function(name, apply, oracle, fn):
    """The operator with each kind of function."""
    return [
        op(f"{name}({kind})", lambda s, f=make(fn): apply(s, f), oracle)
        for kind, make in KINDS.items()
    ]


def flat(rows, fn):
    return list(itertools.chain.from_iterable(fn(x) for x in rows))


OPS = [
    *with_function("map", lambda s, f: s.map(f), lambda r: [doubled(x) for x in r], doubled),
    *with_function("filter", lambda s, f: s.filter(f), lambda r: [x for x in r if odd(x)], odd),
    *with_function(
        "scan", lambda s, f: s.scan(f), lambda r: list(itertools.accumulate(r, added)), added
    ),
    *with_function(
        "scan0",
        lambda s, f: s.scan(f, 5),
        lambda r: list(itertools.accumulate(r, added, initial=5))[1:],
        added,
    ),
    *with_function(
        "take_while", lambda s, f: s.take_while(f), lambda r: list(itertools.takewhile(odd, r)), odd
    ),
    *with_function(
        "skip_while", lambda s, f: s.skip_while(f), lambda r: list(itertools.dropwhile(odd, r)), odd
    ),
    *with_function(
        "map*", lambda s, f: s.map(f, concurrency=3), lambda r: [doubled(x) for x in r], doubled
    ),
    *with_function(
        "map*by",
        lambda s, f: s.map(f, concurrency=3, by=lambda x: x % 3),
        lambda r: [doubled(x) for x in r],
        doubled,
    ),
    *with_function("tap", lambda s, f: s.tap(f), lambda r: r, doubled),
    *with_function(
        "until",
        lambda s, f: s.take_until(f),
        lambda r: r[: next((i + 1 for i, x in enumerate(r) if not odd(x)), len(r))],
        lambda x: not odd(x),
    ),
    op("flat_map(generator)", lambda s: s.flat_map(countdown), lambda r: flat(r, countdown)),
    op(
        "flat_map(async generator)",
        lambda s: s.flat_map(async_countdown),
        lambda r: flat(r, countdown),
    ),
    op(
        "flat_map(list)",
        lambda s: s.flat_map(lambda x: [x, x]),
        lambda r: flat(r, lambda x: [x, x]),
    ),
    op(
        "flat_map(async list)",
        lambda s: s.flat_map(asynchronous(lambda x: [x, 1])),
        lambda r: flat(r, lambda x: [x, 1]),
    ),
    op(
        "flat_map(stream)",
        lambda s: s.flat_map(lambda x: Stream([x]).map(doubled)),
        lambda r: [doubled(x) for x in r],
    ),
    op(
        "flat_map*",
        lambda s: s.flat_map(async_countdown, concurrency=3),
        lambda r: flat(r, countdown),
    ),
    op("batch.flatten", lambda s: s.batch(3).flatten(), lambda r: r),
    op("batch.len", lambda s: s.batch(3).map(len), lambda r: [len(b) for b in batches(r, 3)]),
    op("take", lambda s: s.take(4), lambda r: r[:4]),
    op("take0", lambda s: s.take(0), lambda r: []),
    op("skip", lambda s: s.skip(2), lambda r: r[2:]),
    op("take_last", lambda s: s.take_last(3), lambda r: r[-3:]),
    op("slice", lambda s: s[1:8:3], lambda r: r[1:8:3]),
    op("slice from", lambda s: s[2::2], lambda r: r[2::2]),
    op("distinct", lambda s: s.distinct(), distinct),
    op("distinct(key)", lambda s: s.distinct(asynchronous(lambda x: x)), distinct),
    op("changes", lambda s: s.changes(), changes),
    op("default", lambda s: s.default(7), lambda r: r or [7]),
    op("start_with", lambda s: s.start_with(8, 9), lambda r: [8, 9, *r]),
    op("concat", lambda s: s + [1, 2], lambda r: [*r, 1, 2]),
    op("repeat", lambda s: s.repeat(2), lambda r: r * 2),
    op(
        "pairwise",
        lambda s: s.pairwise().starmap(added),
        lambda r: [added(a, b) for a, b in itertools.pairwise(r)],
    ),
    op(
        "enumerate",
        lambda s: s.enumerate().starmap(added),
        lambda r: [added(a, b) for a, b in enumerate(r)],
    ),
    op(
        "fold",
        lambda s: s.fold(added, 3),
        lambda r: [list(itertools.accumulate(r, added, initial=3))[-1]],
    ),
    op("reduce", lambda s: s.reduce(max), lambda r: [max(r)] if r else []),
    op("count", lambda s: s.count(), lambda r: [len(r)]),
    op(
        "stateful_map",
        lambda s: s.stateful_map(lambda n, x: (n + 1, n * x % 89), 1),
        lambda r: [(i + 1) * x % 89 for i, x in enumerate(r)],
    ),
    op("buffer", lambda s: s.buffer(4), lambda r: r),
    op("share", lambda s: s.share(), lambda r: r),
    op("delay", lambda s: s.delay(1), lambda r: r),
    op("rate_limit", lambda s: s.rate_limit(5), lambda r: r),
    op("timeout", lambda s: s.timeout(1000), lambda r: r),
    op(
        "zip",
        lambda s: s.zip(itertools.count).starmap(added),
        lambda r: [added(a, b) for a, b in zip(r, itertools.count())],
    ),
    op(
        "merge_sorted",
        lambda s: s.batch(1000).map(sorted).flatten().merge_sorted([3, 30], key=lambda x: x),
        lambda r: sorted([*r, 3, 30]),
    ),
    op(
        "group_by.scan",
        lambda s: s.group_by(lambda x: x % 3).scan(added).values(),
        lambda r: [
            list(itertools.accumulate([y for y in r[: i + 1] if y % 3 == x % 3], added))[-1]
            for i, x in enumerate(r)
        ],
    ),
    op(
        "group_by.take",
        lambda s: s.group_by(lambda x: x % 4).take(1).values(),
        lambda r: (
            list({x % 4: x for x in reversed(r)}.values())[::-1]
            and [x for i, x in enumerate(r) if x % 4 not in [y % 4 for y in r[:i]]]
        ),
    ),
    op(
        "pipe(pairwise)",
        lambda s: s.pipe(asyncstdlib.pairwise).starmap(added),
        lambda r: [added(a, b) for a, b in itertools.pairwise(r)],
    ),
    op("| aiostream take", lambda s: s | aiostream.pipe.take(3), lambda r: r[:3]),
    op(
        "| aiostream map",
        lambda s: s | aiostream.pipe.map(asynchronous(doubled), task_limit=2),
        lambda r: [doubled(x) for x in r],
    ),
    op(
        "pipe(stream)",
        lambda s: s.pipe(lambda i: i.map(doubled).batch(2).flatten()),
        lambda r: [doubled(x) for x in r],
    ),
    op("attempt", lambda s: s.attempt(), lambda r: r),
    op(
        "on_error",
        lambda s: s.map(lambda x: x if x % 5 else 1 / 0).on_error("skip"),
        lambda r: [x for x in r if x % 5],
    ),
    op("retry", lambda s: s.retry(1), lambda r: r),
    op("hooks", lambda s: s.hooks(start=lambda: None, end=asynchronous(lambda: None)), lambda r: r),
]
OPS = {o.name: o for o in OPS}


async def suspending(rows):
    for x in rows:
        await asyncio.sleep(0.1)
        yield x


async def ready_rows(rows):
    for x in rows:
        yield x


SOURCES = {
    "list": lambda rows: rows,
    "generator": lambda rows: lambda: (x for x in rows),
    "ready": lambda rows: lambda: ready_rows(rows),
    "suspending": lambda rows: lambda: suspending(rows),
}


async def by_collect(stream):
    return await stream.collect()


async def by_iteration(stream):
    return [x async for x in stream]


async def by_start(stream):
    rows = []
    run = stream.to(rows).start()
    await run
    return rows


async def by_slow_sink(stream):
    rows = []

    async def sink(x):
        await asyncio.sleep(0.05)
        rows.append(x)

    await stream.to(sink).run()
    return rows


WAYS = {
    "collect": by_collect,
    "iteration": by_iteration,
    "start": by_start,
    "slow sink": by_slow_sink,
}

chains = st.lists(st.sampled_from(list(OPS)), max_size=6)
rows = st.lists(st.integers(0, 40), max_size=12)


def build(rows, chain, source, cuts=0):
    stream = Stream(SOURCES[source](rows))
    for position, o in enumerate(chain):
        stream = OPS[o].stream(stream)
        if cuts >> position & 1:
            stream = stream.buffer(1)
    return stream


def expected(rows, chain):
    for o in chain:
        rows = OPS[o].oracle(list(rows))
    return rows


@examples(750)
@given(
    rows, chains, st.sampled_from(list(SOURCES)), st.sampled_from(list(WAYS)), st.integers(0, 63)
)
def test_a_random_chain_equals_itertools_on_lists_in_every_way_of_running_it(
    rows, chain, source, way, cuts
):
    async def main():
        got = await WAYS[way](build(rows, chain, source, cuts))
        testing.assert_closed()
        return got

    assert testing.run(main()) == expected(rows, chain)


@examples(100)
@given(
    rows,
    st.lists(st.sampled_from(list(OPS)), min_size=1, max_size=3),
    st.sampled_from(list(SOURCES)),
)
def test_a_chain_split_at_every_possible_boundary_and_counted_or_not_gives_the_same(
    rows, chain, source
):
    async def main():
        for cuts in range(2 ** len(chain)):
            for way in (by_collect, by_start):
                assert await way(build(rows, chain, source, cuts)) == expected(rows, chain)
        testing.assert_closed()

    testing.run(main())


async def test_a_function_that_is_settled_by_what_comes_at_the_end_gives_that_once():
    """The loop is left for a more special one when a function is settled, but not at its end."""

    async def same(x):
        return x

    for rows in ([], [1]):
        stream = Stream(rows).fold(lambda a, b: a + b, 3).map(lambda x: same(x))
        assert [x async for x in stream] == await stream.collect() == [sum(rows, 3)]


async def test_two_stages_that_end_on_the_same_item_end_what_is_below_them_once():
    """The end of each sends on what the fold below both holds."""
    stream = Stream([1, 2, 3]).take_until(lambda x: x == 2).take_while(lambda x: x < 2)
    assert await stream.fold(lambda a, b: a + b, 0).collect() == [1]
    stream = Stream([1, 2, 3]).take(2).take(2)
    assert await stream.batch(9).collect() == [[1, 2]]


def test_what_is_held_when_a_branch_ends_goes_down_as_a_whole():
    """The end of ``zip`` leaves nothing to read; what a batch holds is still taken apart."""
    rows = Stream([0, 1]).zip([2, 3, 4]).batch(9).flatten().map(lambda pair: pair[1])
    for stream in (rows, rows.filter(bool), rows.flat_map(lambda x: [x, x]).take(4)):
        assert len(testing.run(stream.collect())) == (4 if stream.node.name == "take" else 2)
