"""Windows of every kind, however items come: in any order, from several sources, through anything.

The oracle goes through all items at once.
"""

from __future__ import annotations

import asyncio
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import Stream
from rivulet.testing import assert_closed
from rivulet.testing import run as run_virtually
from tests.examples import examples
from tests.windows import oracle
from tests.windows.aggregates import AGGREGATORS, EVERY
from tests.windows.oracle import DELAY, SECOND, arrivals

HALF_PAST = 5.5 * 3600
"""How far ahead of UTC the clocks are in India."""


@st.composite
def kinds(draw):
    """Windows, their oracle over rows whose values are (time, value), and a unit of time."""
    a, b = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    size, every = max(a, b), min(a, b)
    kind = draw(st.sampled_from(["tumbling", "hopping", "session", "sliding", "calendar"]))
    match kind:
        case "tumbling":
            return {kind: size, "origin": every}, lambda rows: oracle.tumbling(rows, size, every), 1
        case "hopping":
            return {kind: size, "every": every}, lambda rows: oracle.hopping(rows, size, every), 1
        case "session":
            return {kind: every}, lambda rows: oracle.sessions(rows, every), 1
        case "sliding":
            return {kind: size, "emit": "close"}, lambda rows: oracle.sliding(rows, size), 1
        case _:
            options = {"calendar": "hour", "tz": "Asia/Kolkata"}
            return options, lambda rows: oracle.tumbling(rows, 3600, -HALF_PAST), 600


class Ends(list):
    """Windows that end with an item."""


def as_list(found):
    """Windows as (key, start, end, items)."""
    if isinstance(found, dict):
        return [(*bounds, items) for bounds, items in found.items()]
    return Ends(found)


async def slowly(row):
    await asyncio.sleep(0.05 if row[2][1] % 2 else 0.7)
    return row


PATHS = {
    "nothing": lambda s: s,
    "map": lambda s: s.map(lambda row: row),
    "async map": lambda s: s.map(slowly),
    "concurrent": lambda s: s.map(slowly, concurrency=3),
    "unordered": lambda s: s.map(slowly, concurrency=3, ordered=False),
    "buffer": lambda s: s.buffer(2),
    "share": lambda s: s.share(),
    "flat_map": lambda s: s.flat_map(lambda row: [row]),
    "delay": lambda s: s.delay(0.5),
    "reorder": lambda s: s.reorder(),
}


@st.composite
def sources(draw, unit):
    """A stream of rows with their times, and the rows in the order in which they are read.

    Where several sources are read at once, that order isn't known.
    """
    rows = [(t * unit, key, (t * unit, x)) for t, key, x in draw(arrivals())]
    way = draw(st.sampled_from(["list", "async", "partitions", "merge"]))
    pauses = draw(st.lists(st.sampled_from([0, 0, 0.3, 2]), min_size=5, max_size=5))
    delay = DELAY * unit
    if way == "merge":
        parts = draw(st.lists(st.integers(0, 2), min_size=len(rows), max_size=len(rows)))
        streams = []
        for i in range(3):
            mine = [row for row, part in zip(rows, parts, strict=True) if part == i]
            source = paced(mine, pauses[i:]) if draw(st.booleans()) else mine
            streams.append(Stream(source).event_time(when, max_delay=delay))
        return streams[0].merge(*streams[1:]), rows, False
    if way == "partitions":
        return (*draw(partitioned(rows, delay)), True)
    source = rows if way == "list" else paced(rows, pauses)
    return Stream(source).event_time(when, max_delay=delay), rows, True


@st.composite
def partitioned(draw, rows, delay):
    """Parts of which one may run far ahead of another. All have spoken before."""
    queues = [rows[i::3] for i in range(3)]
    mixed = []
    while any(queues):
        part = draw(st.sampled_from([i for i, queue in enumerate(queues) if queue]))
        mixed.append((*queues[part].pop(0), part))
    begin = [(-1_000_000, None, None, part) for part in range(3)]
    stream = Stream([*begin, *mixed]).event_time(
        when, max_delay=delay, partition=lambda row: row[3]
    )
    return stream.filter(lambda row: row[1] is not None), [row[:3] for row in mixed]


def when(row):
    return row[0]


def paced(rows, pauses):
    async def source():
        for i, row in enumerate(rows):
            if pause := pauses[i % len(pauses)]:
                await asyncio.sleep(pause)
            yield row

    return source


@st.composite
def cases(draw):
    """All of it: windows, oracle, the stream, its rows, and whether their order is known."""
    windows, find, unit = draw(kinds())
    stream, rows, in_order = draw(sources(unit))
    path = draw(st.sampled_from(list(PATHS)))
    keep = draw(st.sampled_from([lambda row: True, lambda row: row[2][1] % 3]))
    stream = PATHS[path](stream.filter(keep))
    rows = [row for row in rows if keep(row)]
    keyed = draw(st.booleans())
    if keyed:
        windows = {**windows, "by": 1}
    else:
        rows = [(t, None, x) for t, _, x in rows]
    windows["grace"] = draw(st.integers(0, 4)) * unit
    if "sliding" not in windows:
        windows["emit"] = draw(st.sampled_from(["close", "close", "update", 2 * unit]))
    in_order = in_order and path != "unordered"
    return stream.window(**windows).of(lambda row: row[2]), as_list(find(rows)), in_order


def final(stream):
    """Final results by key and bounds."""

    async def main():
        results = await stream.collect()
        assert_closed()
        return results

    results = [w for w in run_virtually(main()) if w.final and w.value is not None]
    return [oracle.plain(w) for w in results]


def normal(items, in_order):
    """Items of one time in any order, where that of their arrival isn't known."""
    if in_order:
        return items
    return [x for _, group in groupby(items, key=when) for x in sorted(group)]


def told(results, in_order):
    """Results that can be compared, in an order that depends on nothing but them."""
    comparable = [(key, start, end, normal(items, in_order)) for key, start, end, items in results]
    return sorted(comparable, key=repr)


@examples(100)
@given(cases())
def test_the_items_of_each_window_are_those_of_the_oracle(case):
    windows, wanted, in_order = case
    assert told(final(windows.collect()), in_order) == told(wanted, in_order)


@examples(100)
@given(cases())
def test_every_aggregator_gives_what_the_oracle_gives(case):
    windows, wanted, in_order = case
    found = final(windows.agg(**AGGREGATORS))
    found.sort(key=lambda w: (*map(repr, w[:3]), repr(normal(w[3]["all"], in_order))))
    wanted = told(wanted, in_order)
    assert [w[:3] for w in found] == [w[:3] for w in wanted]
    for (*_, values), (*_, items) in zip(found, wanted, strict=True):
        assert list(values) == list(EVERY)
        for name, (_, of_all) in EVERY.items():
            value, right = values[name], of_all(items)
            if name == "all":
                assert normal(value, in_order) == right
            elif name in ("first", "last") and not in_order:
                assert value[0] == right[0]
            elif name in ("mean", "std", "var", "quantile"):
                assert value == pytest.approx(right)
            else:
                assert value == right


@examples(100)
@given(cases())
def test_every_other_end_gives_what_the_oracle_gives(case):
    windows, wanted, _ = case

    def given_by(stream):
        return sorted(final(stream), key=repr)

    def of_all(fn):
        return sorted(((*bounds, fn(items)) for *bounds, items in wanted), key=repr)

    def total(items):
        return sum(x for _, x in items)

    assert given_by(windows.count()) == of_all(len)
    assert given_by(windows.apply(total)) == of_all(total)
    folded = windows.fold(lambda a, item: a + item[1], 0, merge=lambda a, b: a + b)
    assert given_by(folded) == of_all(total)


OVER = {
    "tumbling": (lambda size: {}, oracle.tumbling),
    "hopping": (lambda size: {"every": size / 2}, lambda rows, n: oracle.hopping(rows, n, n // 2)),
    "session": (lambda size: {}, oracle.sessions),
    "sliding": (lambda size: {"emit": "close"}, oracle.sliding),
}


@examples(60)
@given(cases(), st.sampled_from(list(OVER)), st.sampled_from([2, 8, 600]))
def test_windows_over_windows_of_every_kind_miss_nothing(case, kind, size):
    windows, wanted, _ = case
    options, find = OVER[kind]
    inner = windows.count().filter(lambda w: w.final and w.value is not None)
    outer = inner.map(lambda w: w.value).window(**{kind: size}, **options(size))
    found = [(w._start, w._end, sorted(w.value)) for w in run_virtually(outer.collect().collect())]
    # The time of a result is the last microsecond in its window; a sliding one's is its end.
    before = 0 if isinstance(wanted, Ends) else 1
    rows = [(round(end * SECOND) - before, None, len(items)) for *_, end, items in wanted]
    right = as_list(find(rows, size * SECOND))
    right = [(start, end, sorted(items)) for _, start, end, items in right]
    assert sorted(found) == sorted(right)
    assert run_virtually(outer.late.collect()) == []
