"""``reorder``: items in the order in which they happened."""

from __future__ import annotations

import asyncio
import pickle
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rivulet import GraphError, Stream, testing
from rivulet.core.time import NEVER, Clock
from rivulet.testing import RecordingSource, assert_closed
from tests.windows.oracle import DELAY, EVENTS, arrivals, timed


@settings(max_examples=100, deadline=None)
@given(arrivals())
def test_items_come_in_order_whatever_the_order_of_arrival(rows):
    found = testing.run(timed(rows, max_delay=DELAY).reorder().collect())
    assert found == sorted(rows, key=lambda row: row[0])


@settings(max_examples=100, deadline=None)
@given(EVENTS, st.integers(0, 5))
def test_no_item_is_lost_and_only_late_ones_are_out_of_order(rows, delay):
    found = testing.run(timed(rows, max_delay=delay).reorder().collect())
    assert sorted(found) == sorted(rows)
    top, on_time = -(10**9), []
    for row in rows:
        if row[0] >= top - delay:
            on_time.append(row)
        top = max(top, row[0])
    kept = list(on_time)
    for row in found:
        if row in kept and row[0] == min(kept)[0]:
            kept.remove(row)
    times = [row[0] for row in found]
    assert times == sorted(times) or len(on_time) < len(rows)


@settings(max_examples=50, deadline=None)
@given(arrivals(), st.integers(1, 10))
def test_what_comes_after_it_sees_no_late_items(rows, size):
    stamped = timed(rows, max_delay=DELAY).reorder()
    windows = stamped.window(tumbling=size)
    assert testing.run(windows.late.collect()) == []
    direct = timed(rows, max_delay=DELAY).window(tumbling=size)
    assert testing.run(windows.count().collect()) == testing.run(direct.count().collect())


@given(EVENTS, st.integers(0, 25), st.sampled_from([None, 3]))
def test_what_is_held_can_be_saved_and_restored_at_any_item(rows, cut, wait):
    node = Stream(rows).event_time(0).reorder(wait=wait).node

    def made(now, top):
        clock = Clock(DELAY)
        clock.top = top
        return SimpleNamespace(clock=clock, time=now, now=lambda: now, wake_at=lambda when: None)

    def put(context, logic, t):
        given = []
        if t > context.clock.top:
            given += logic.on_time(t - DELAY)
            context.clock.top = t
        return [*given, *logic.call((t, "item"), t)]

    context = again = made(0, NEVER)
    logic = resumed = node.make(context)
    for i, (t, *_) in enumerate(rows):
        if i == cut:
            again = made(100, context.clock.top)
            resumed = node.make(again)
            resumed.restore(pickle.loads(pickle.dumps(logic.snapshot())))
            assert resumed.deadline() == logic.deadline()
        given = put(context, logic, t)
        assert resumed is logic or put(again, resumed, t) == given
    left = list(logic.on_end())
    assert resumed is logic or list(resumed.on_end()) == left


async def test_an_item_is_held_no_longer_than_it_may_wait():
    given, channel = [], Stream.channel(10)
    run = channel.stream.event_time(lambda t: t, max_delay=100).reorder(wait=5).to(given).start()
    channel.push(3)
    await asyncio.sleep(3)
    channel.push(1)
    channel.push(9)
    await asyncio.sleep(1)
    assert given == []
    await asyncio.sleep(1.5)
    assert given == [1, 3]
    channel.push(2)
    await asyncio.sleep(0.1)
    assert given == [1, 3, 2]
    await asyncio.sleep(4)
    assert given == [1, 3, 2, 9]
    await run.stop()


async def test_what_is_held_is_given_at_the_end_and_nothing_is_left_behind():
    for rows in ([], [1], [5, 4, 3]):
        source = RecordingSource(rows)
        assert await Stream(source).event_time(float, max_delay=9).reorder().collect() == sorted(
            rows
        )
        assert_closed(source)
    source = RecordingSource([3, 2, 1])
    async with Stream(source).event_time(float, max_delay=1).reorder().open() as items:
        assert await anext(items) == 2
    assert_closed(source)


async def test_an_error_above_comes_after_what_was_certain():
    def fail(t):
        if t == 0:
            raise ValueError("no")
        return t

    given = []
    with pytest.raises(ValueError, match="no"):
        await (
            Stream.of(2, 1, 5, 0).map(fail).event_time(float, max_delay=1).reorder().to(given).run()
        )
    assert given == [1, 2]


def test_it_needs_the_time_of_items():
    with pytest.raises(GraphError, match="reorder needs the time of its items"):
        Stream([1]).reorder()
    with pytest.raises(GraphError, match=r"reorder\(wait\)"):
        Stream([1]).event_time(float).reorder(wait=0)
