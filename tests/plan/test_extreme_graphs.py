"""Deep and wide graphs run and give what plain Python gives.

CPython takes 100 levels of indentation and 20 loops inside of each other: what goes deeper is put
into functions.
"""

from __future__ import annotations

import asyncio
import itertools
from operator import add

import pytest

import rivulet
from rivulet import Stream, testing
from rivulet.testing import RecordingSource, assert_closed

ITEMS = list(range(20))


async def iterated(stream):
    return [item async for item in stream]


async def opened(stream):
    async with stream.open() as items:
        return [item async for item in items]


async def sunk(stream):
    rows = []
    await stream.to(rows).run()
    return rows


ways = pytest.mark.parametrize("way", [Stream.collect, iterated, opened, sunk])


def repeated(times, step, start):
    """``step(step(...(start)))``; a step may take which one it is."""
    value = start
    for number in range(times):
        value = step(value, number)
    return value


def check(stream, wanted, way):
    assert testing.run(way(stream)) == wanted


async def increment(x):
    return x + 1


async def increment_later(x):
    await asyncio.sleep(1)
    return x + 1


async def both(x):
    yield x
    yield -x


def refuse(n):
    def refuse_it(x):
        if x == n:
            raise ValueError(x)
        return x

    return refuse_it


def refuse_multiples(x):
    if x % 13 == 0:
        raise ValueError(x)
    return x


def running(items):
    return list(itertools.accumulate(items))


def running_by(items, key):
    """The running sums of each key, each where its item was."""
    sums = {}
    rows = []
    for item in items:
        sums[key(item)] = sums.get(key(item), 0) + item
        rows.append(sums[key(item)])
    return rows


# One operator after another


@ways
def test_100_filters(way):
    stream = repeated(100, lambda s, n: s.filter(lambda x: x != n), Stream(range(120)))
    check(stream, list(range(100, 120)), way)


@ways
@pytest.mark.parametrize("fn", [lambda x: x + 1, increment, increment_later, (1).__add__])
def test_200_maps(way, fn):
    stream = repeated(200, lambda s, n: s.map(fn), Stream(ITEMS))
    check(stream, [x + 200 for x in ITEMS], way)


@ways
def test_300_maps(way):
    stream = repeated(300, lambda s, n: s.map(lambda x: x + n), Stream(ITEMS))
    check(stream, [x + sum(range(300)) for x in ITEMS], way)


@ways
@pytest.mark.parametrize("depth", [7, 8, 9, 30, 100])
def test_nested_flat_maps(way, depth):
    stream = repeated(
        depth, lambda s, n: s.flat_map(lambda x: [x, n] if x < 0 else [x]), Stream([1, -1])
    )
    wanted = repeated(
        depth, lambda xs, n: [y for x in xs for y in ([x, n] if x < 0 else [x])], [1, -1]
    )
    check(stream, wanted, way)


@ways
def test_30_nested_async_flat_maps(way):
    stream = repeated(30, lambda s, n: s.flat_map(both).take(40), Stream(ITEMS))
    wanted = repeated(30, lambda xs, n: [y for x in xs for y in (x, -x)][:40], ITEMS)
    check(stream, wanted, way)


@ways
def test_100_scans(way):
    stream = repeated(100, lambda s, n: s.scan(add), Stream(ITEMS))
    check(stream, repeated(100, lambda xs, n: running(xs), ITEMS), way)


@ways
def test_100_taps_and_100_sinks_see_every_item_in_order(way):
    seen = []
    tapped = repeated(100, lambda s, n: s.tap(lambda x: seen.append(n)), Stream([7, 8]))
    stream = repeated(100, lambda s, n: s.to(lambda x: seen.append(-n)), tapped)
    check(stream, [7, 8], way)
    assert seen == [*range(100), *range(0, -100, -1)] * 2


@ways
def test_100_takes_and_skips(way):
    stream = repeated(100, lambda s, n: s.skip(1).take(300 - n), Stream(itertools.count()))
    check(stream.take(500), list(range(100, 301)), way)


@ways
def test_30_batches_hand_over_what_they_hold_at_the_end(way):
    stream = repeated(30, lambda s, n: s.batch(2 + n % 3).flatten(), Stream(ITEMS))
    check(stream, ITEMS, way)


@ways
def test_10_pipes(way):
    async def twice(items):
        async for item in items:
            yield item
            if item == 3:
                yield item

    stream = repeated(10, lambda s, n: s.pipe(twice).changes(), Stream(ITEMS))
    check(stream, ITEMS, way)


@ways
def test_100_boundaries(way):
    stream = repeated(100, lambda s, n: s.buffer(2).map(lambda x: x + 1), Stream(ITEMS))
    check(stream, [x + 100 for x in ITEMS], way)


@ways
def test_50_policies_each_take_their_own_failure(way):
    stream = repeated(50, lambda s, n: s.map(refuse(n)).on_error("skip"), Stream(range(60)))
    check(stream, list(range(50, 60)), way)


@ways
def test_one_policy_takes_the_failures_of_50_stages_above(way):
    stream = repeated(50, lambda s, n: s.map(refuse(n)), Stream(range(60)))
    check(stream.on_error("skip"), list(range(50, 60)), way)


@ways
def test_50_nested_graphs(way):
    stream = repeated(50, lambda s, n: s.map(lambda x: x + 1) + [n], Stream([0]))
    check(stream, repeated(50, lambda xs, n: [*(x + 1 for x in xs), n], [0]), way)
    stream = repeated(50, lambda s, n: s.map(lambda x: x + 1).retry(1), Stream([0]))
    check(stream, [50], way)


# Groups


@ways
@pytest.mark.parametrize("depth", [2, 30])
def test_groups_after_groups(way, depth):
    stream = repeated(
        depth,
        lambda s, n: s.group_by(lambda x: x % (n + 2)).scan(add).values(),
        Stream(ITEMS),
    )
    wanted = repeated(depth, lambda xs, n: running_by(xs, lambda x: x % (n + 2)), ITEMS)
    check(stream, wanted, way)


@ways
def test_a_group_with_100_stages_inside(way):
    grouped = repeated(
        100,
        lambda s, n: s.scan(add).filter(lambda x: x != n),
        Stream(ITEMS).group_by(lambda x: x % 3),
    )
    parts = {key: ITEMS[key::3] for key in range(3)}
    wanted = {
        key: repeated(100, lambda xs, n: [x for x in running(xs) if x != n], part)
        for key, part in parts.items()
    }
    got = testing.run(way(grouped.items()))
    assert {key: [x for k, x in got if k == key] for key in parts} == wanted


# Branches


@pytest.mark.parametrize("branches", [50, 500])
async def test_branches_of_one_source(branches):
    source = RecordingSource(ITEMS)
    stream = Stream(source)
    rows = [[] for _ in range(branches)]
    await rivulet.run(*(stream.map(lambda x, n=n: x * n).to(row) for n, row in enumerate(rows)))
    assert rows == [[x * n for x in ITEMS] for n in range(branches)]
    assert (source.opened, source.read) == (1, ITEMS)
    assert_closed(source)


@ways
def test_50_branches_that_meet_again(way):
    stream = Stream(ITEMS)
    zipped = stream.zip(*(stream.map(lambda x, n=n: x + n) for n in range(1, 50)))
    check(zipped, [tuple(range(x, x + 50)) for x in ITEMS], way)
    merged = stream.merge(*(stream.filter(lambda x, n=n: x % 50 == n) for n in range(50)))
    check(merged.map(lambda x: x), ITEMS * 2, lambda s: sorted_rows(way(s)))


async def sorted_rows(rows):
    got = await rows
    assert sorted(got) == sorted(ITEMS * 2)
    return ITEMS * 2


@ways
def test_100_conditions_one_in_the_other(way):
    stream = Stream(range(200))
    for n in range(100):
        stream = stream.partition(lambda x, n=n: x < n)[1]
    check(stream, list(range(99, 200)), way)


def test_a_condition_with_two_branches_30_deep():
    """The first branch of each is taken to a sink, the other split again."""
    rows = [[] for _ in range(31)]
    sinks, rest = [], Stream(range(100))
    for n in range(30):
        taken, rest = rest.partition(lambda x, n=n: x % 31 == n)
        sinks.append(taken.to(rows[n]))
    testing.run(rivulet.run(*sinks, rest.to(rows[30])))
    assert rows == [list(range(n, 100, 31)) for n in range(31)]


# All together


def stage(stream, number):
    """One of ten kinds of operators, which leaves numbers."""
    match number % 10:
        case 0:
            return stream.map(lambda x: x + number)
        case 1:
            return stream.filter(lambda x: x % 7 != number % 7)
        case 2:
            return stream.flat_map(lambda x: [x, number] if x % 11 == 0 else [x])
        case 3:
            return stream.scan(lambda a, b: (a + b) % 1000)
        case 4:
            return stream.map(increment)
        case 5:
            return stream.group_by(lambda x: x % 3).scan(lambda a, b: (a + b) % 1000).values()
        case 6:
            return stream.batch(3).flatten()
        case 7:
            return stream.buffer(4)
        case 8:
            return stream.map(refuse_multiples).on_error("skip")
        case _:
            return stream.pairwise().map(lambda pair: pair[1])


def on_list(items, number):
    match number % 10:
        case 0:
            return [x + number for x in items]
        case 1:
            return [x for x in items if x % 7 != number % 7]
        case 2:
            return [y for x in items for y in ([x, number] if x % 11 == 0 else [x])]
        case 3:
            return list(itertools.accumulate(items, lambda a, b: (a + b) % 1000))
        case 4:
            return [x + 1 for x in items]
        case 5:
            sums, rows = {}, []
            for x in items:
                key = x % 3
                sums[key] = (sums[key] + x) % 1000 if key in sums else x
                rows.append(sums[key])
            return rows
        case 8:
            return [x for x in items if x % 13]
        case 9:
            return items[1:]
        case _:
            return items


@ways
@pytest.mark.parametrize("step", [1, 3, 7, 9])
def test_150_operators_of_all_kinds_in_several_orders(way, step):
    items = list(range(300))
    stream = repeated(150, lambda s, n: stage(s, n * step), Stream(items))
    wanted = repeated(150, lambda xs, n: on_list(xs, n * step), items)
    check(stream, wanted, way)


@ways
@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_deep_graph_is_left_in_the_middle(way, count):
    async def endless():
        for x in itertools.count():
            yield x

    source = RecordingSource(range(1000))
    stream = repeated(40, lambda s, n: s.flat_map(both), Stream(source)).take(count)
    check(stream, ([0] * count), way)
    assert source.opened == source.closed
