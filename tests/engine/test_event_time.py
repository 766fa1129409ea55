"""The protocol of event time: stamps beside items, watermarks after them, also across boundaries.

A small tumbling window stands for the time-aware operators that are to come.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rivulet
from rivulet import GraphError, SourceError, Stream, testing
from rivulet.core.logic import Logic
from rivulet.core.node import Unary, require_stamps
from rivulet.core.stage import Expand
from rivulet.core.time import FOREVER, SECOND
from rivulet.testing import Recorder, marbles, stamps
from tests.examples import examples


@dataclass(frozen=True, slots=True, eq=False)
class Tumbling(Unary):
    """Items of each window, when the watermark is at its end; late items go to a list."""

    size: int
    late: Any

    def stage(self):
        return Expand(make=self.make, stamps="need")

    def make(self, context):
        size, clock = self.size * SECOND, context.clock
        windows = defaultdict(list)

        def call(item, t):
            end = (t // size + 1) * size
            if clock.watermark >= end:
                self.late.append(item)
                return ()
            windows[end].append(item)
            clock.call_at(end)
            return ()

        def on_time(watermark):
            for end in sorted(end for end in windows if end <= watermark):
                yield (end // SECOND, windows.pop(end)), end - 1

        return Logic(
            call=call,
            on_time=on_time,
            on_end=lambda: on_time(FOREVER),
            deadline=lambda: min(windows, default=FOREVER),
        )


def tumbling(stream, size, late=None):
    require_stamps(stream.node, "tumbling")
    return stream.via(Tumbling(stream.node, size, [] if late is None else late))


def windows(pairs, size):
    """The same over all data at once: (end, items) with the time of each result."""
    found = defaultdict(list)
    for item, t in pairs:
        found[(int(t) // size + 1) * size].append(item)
    return [((end, items), end - 1e-6) for end, items in sorted(found.items())]


def plain(value):
    """Results without the order of items that arrived in another order."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], list):
        return value[0], sorted((plain(x) for x in value[1]), key=repr)
    return value


async def slowly(x):
    await asyncio.sleep(0.05 if hash(x) % 2 else 0.2)
    return x


KEEPING = {
    "nothing": lambda s: s,
    "map": lambda s: s.map(lambda x: x),
    "async map": lambda s: s.map(slowly),
    "concurrent": lambda s: s.map(slowly, concurrency=3),
    "unordered": lambda s: s.map(slowly, concurrency=3, ordered=False),
    "buffer": lambda s: s.buffer(2),
    "big buffer": lambda s: s.buffer(50),
    "share": lambda s: s.share(),
    "tap": lambda s: s.tap(lambda x: None),
    "flat_map": lambda s: s.flat_map(lambda x: [x]),
    "flat_map*": lambda s: s.flat_map(lambda x: [x], concurrency=2),
    "delay": lambda s: s.delay(0.5),
    "group": lambda s: s.group_by(lambda x: hash(x) % 2).map(lambda x: x).values(),
    "retry": lambda s: s.retry(1),
    "it + nothing": lambda s: s.concat(s.filter(lambda x: False)),
    "merge": lambda s: s.filter(lambda x: True).merge(s.filter(lambda x: False)),
    "take_last": lambda s: s.take_last(1000),
    "on_error": lambda s: s.map(lambda x: x).on_error("skip"),
}


@st.composite
def arrivals(draw):
    """Stamped items in any order of arrival that a delay of 3 s allows."""
    times = sorted(draw(st.lists(st.integers(0, 40), max_size=14)))
    order = sorted(range(len(times)), key=lambda i: times[i] + draw(st.integers(0, 3)))
    return [(f"i{i}", times[i]) for i in order]


async def spaced(rows):
    for row in rows:
        await asyncio.sleep(0.1)
        yield row


def stamped(rows, waits, delay=3):
    source = Stream((lambda: spaced(rows)) if waits else rows)
    return source.event_time(lambda row: row[1], max_delay=delay).map(lambda row: row[0])


@examples(200)
@given(
    arrivals(),
    st.lists(st.sampled_from(list(KEEPING)), max_size=3),
    st.booleans(),
    st.sampled_from([5, 10]),
)
def test_windows_don_t_depend_on_the_order_of_arrival_wherever_the_graph_is_cut(
    rows, path, waits, size
):
    late = []

    async def main():
        stream = stamped(rows, waits)
        for name in path:
            stream = KEEPING[name](stream)
        got = await stamps(tumbling(stream, size, late))
        testing.assert_closed()
        return got

    got = testing.run(main())
    assert [(plain(w), t) for w, t in got] == [(plain(w), t) for w, t in windows(rows, size)]
    assert not late


@examples(125)
@given(arrivals(), st.sampled_from(list(KEEPING)), st.sampled_from(list(KEEPING)), st.booleans())
def test_windows_after_windows_never_call_their_own_input_late(rows, first, second, waits):
    late = []

    async def main():
        inner = tumbling(KEEPING[first](stamped(rows, waits)), 5, late)
        outer = tumbling(KEEPING[second](inner.map(lambda w: w[0])), 10, late)
        last = tumbling(outer.map(lambda w: tuple(w[1])), 20, late)
        got = await stamps(last)
        testing.assert_closed()
        return got

    inner = [(w[0], t) for w, t in windows(rows, 5)]
    outer = [(tuple(w[1]), t) for w, t in windows(inner, 10)]
    assert [(plain(w), t) for w, t in testing.run(main())] == [
        (plain(w), t) for w, t in windows(outer, 20)
    ]
    assert not late


@examples(125)
@given(arrivals(), arrivals(), st.sampled_from(list(KEEPING)), st.booleans(), st.booleans())
def test_a_merge_goes_by_the_slower_of_its_clocks(left, right, path, a, b):
    late = []

    async def main():
        one = KEEPING[path](stamped([(f"a{x}", t) for x, t in left], a))
        two = stamped([(f"b{x}", t) for x, t in right], b)
        got = await stamps(tumbling(one.merge(two), 5, late))
        testing.assert_closed()
        return got

    rows = [(f"a{x}", t) for x, t in left] + [(f"b{x}", t) for x, t in right]
    assert [(plain(w), t) for w, t in testing.run(main())] == [
        (plain(w), t) for w, t in windows(rows, 5)
    ]
    assert not late


@examples(75)
@given(st.lists(st.integers(0, 30), max_size=15), st.integers(0, 4))
def test_an_item_is_late_when_the_watermark_is_at_the_end_of_its_window(times, delay):
    rows = [(f"i{i}", t) for i, t in enumerate(times)]
    late = []
    got = testing.run(stamps(tumbling(stamped(rows, False, delay), 5, late)))
    newest, wanted = None, []
    for item, t in rows:
        newest = t if newest is None else max(newest, t)
        if newest - delay >= (t // 5 + 1) * 5:
            wanted.append(item)
    assert late == wanted
    kept = [row for row in rows if row[0] not in wanted]
    assert [w for w, _ in got] == [w for w, _ in windows(kept, 5)]


async def test_items_that_are_dropped_on_the_way_still_move_the_clock():
    rows = [("a", 1), ("drop", 12), ("b", 3)]
    late = []
    stream = stamped(rows, True, 0).filter(lambda x: x != "drop")
    assert [w for w, _ in await stamps(tumbling(stream, 10, late))] == [(10, ["a"])]
    assert late == ["b"]


async def test_a_window_closes_before_the_item_that_moved_the_clock_goes_on():
    seen = []
    rows = Stream([("a", 1), ("b", 11)]).event_time(lambda r: r[1]).map(lambda r: r[0])
    await rivulet.run(tumbling(rows, 10).to(lambda w: seen.append(w)), rows.to(seen.append))
    assert seen == ["a", (10, ["a"]), "b", (20, ["b"])]


async def test_stamps_are_not_taken_where_nothing_below_needs_them():
    calls = []
    stream = Stream([1, 2]).event_time(lambda x: calls.append(x) or x)
    assert await stream.collect() == [1, 2]
    assert not calls
    await stamps(stream)
    assert calls == [1, 2]


async def test_watermarks_are_told_after_each_item_that_moves_them():
    recorder = Recorder()
    await recorder.watch(marbles("abc|", event="a--cb", max_delay=1)).run()
    assert recorder.events == [("a", 0.0), ("b", 4.0), ("c", 3.0)]
    assert recorder.watermarks == [-1.0, 3.0]


async def test_each_partition_has_a_clock_and_the_slowest_counts():
    rows = [("x", 1), ("x", 30), ("y", 2), ("y", 12), ("x", 31)]
    recorder = Recorder()
    stream = Stream(rows).event_time(lambda r: r[1], partition=lambda r: r[0])
    await recorder.watch(stream).run()
    assert recorder.watermarks == [1.0, 30.0]
    late = []
    await stamps(tumbling(stream, 10, late))
    assert late == [("y", 2), ("y", 12)]


async def test_a_silent_input_is_left_out_of_a_merge_after_its_idle_time():
    silent = Stream.timer(1000).map(lambda _: 5.0).event_time(lambda x: x, idle=3)
    first = Stream.of(1.0).merge(Stream.never())
    quiet = first.event_time(lambda x: x, idle=3)
    busy = Stream.timer(1).map(lambda n: float(n * 10)).event_time(lambda x: x)
    closed = []
    loop = asyncio.get_running_loop()
    merged = tumbling(quiet.merge(busy), 10).take_until(8)
    await merged.to(lambda w: closed.append((loop.time(), w[0]))).run()
    # The quiet input is left out 3 s after its only item; until then no window closes.
    assert closed[0] == (3.0, 10)
    assert [end for _, end in closed[:4]] == [10, 20, 30, 40]
    assert silent.node is not None


async def test_all_silent_the_clock_stays_unless_it_is_to_advance():
    loop = asyncio.get_running_loop()

    async def run(**options):
        closed = []
        source = Stream.of(7.0).merge(Stream.never()).take_until(60)
        windowed = tumbling(source.event_time(lambda x: x, max_delay=5, **options), 10)
        begun = loop.time()
        await windowed.to(lambda w: closed.append((round(loop.time() - begun, 3), w[0]))).run()
        return closed

    assert await run(idle=4) == [(60.0, 10)]
    # Silent for 4 s, the clock goes on from 7 s without the delay: at 10 s after 3 s more.
    assert await run(idle=4, on_idle="advance") == [(7.0, 10)]


async def test_a_partition_that_is_silent_is_left_out_until_it_speaks_again():
    async def rows():
        yield "a", 1
        yield "b", 1
        for t in range(20, 60, 10):
            await asyncio.sleep(2)
            yield "a", t
        await asyncio.sleep(2)
        yield "b", 55

    closed = []
    loop = asyncio.get_running_loop()
    stream = Stream(rows).event_time(lambda r: r[1], partition=lambda r: r[0], idle=5)
    await tumbling(stream, 10).to(lambda w: closed.append((loop.time(), w[0]))).run()
    assert closed[0] == (5.0, 10)
    assert [end for _, end in closed] == [10, 30, 40, 50, 60]


async def test_a_time_that_is_none_raises_and_names_the_item():
    stream = Stream([{"at": "noon"}]).event_time("at")
    with pytest.raises(SourceError, match="datetime or POSIX seconds, not 'noon'") as caught:
        await stamps(stream)
    assert "{'at': 'noon'}" in caught.value.__notes__[0]


async def test_a_time_operator_after_an_opaque_pipe_says_so_when_it_is_built():
    stream = Stream([1.0]).event_time(lambda x: x).pipe(lambda items: items)
    with pytest.raises(GraphError, match="put event_time"):
        tumbling(stream, 10)
    with pytest.raises(GraphError, match="have none"):
        tumbling(Stream([1.0]), 10)


async def test_failures_carry_the_time_of_their_items():
    stream = Stream([1.0, 12.0, 0.0, 25.0]).event_time(lambda x: x, max_delay=30)
    checked = stream.map(lambda x: 1 / x and x).on_error("skip")
    got = await stamps(tumbling(checked.errors.map(lambda f: f.item), 10))
    assert got == [((10, [0.0]), 10 - 1e-6)]
