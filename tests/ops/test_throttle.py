"""``throttle``: at most one item in each interval."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, timed, to_marbles

DRAWINGS = st.lists(st.sampled_from("-ab"), max_size=20).map("".join)


def leading(drawing, interval):
    over, rows = 0.0, []
    for frame, x in enumerate(drawing):
        if x != "-" and frame >= over:
            over = frame + interval
            rows.append((float(frame), x))
    return rows


def trailing(drawing, interval):
    due, held, rows = 0.0, None, []
    for frame, x in enumerate(drawing):
        if held is not None and frame > due:
            rows.append((due, held))
            held = None
        if x != "-":
            due = due if held is not None else frame + interval
            held = x
    if held is not None:
        rows.append((min(due, float(len(drawing))), held))
    return rows


@given(DRAWINGS, st.sampled_from([0.5, 1.5, 2.5]))
def test_both_edges_equal_a_simulation_by_hand(drawing, interval):
    async def run(edge):
        return await timed(marbles(drawing + "|").throttle(interval, edge=edge))

    assert testing.run(run("leading")) == leading(drawing, interval)
    assert testing.run(run("trailing")) == trailing(drawing, interval)


@pytest.mark.parametrize("interval", [3, "3s", timedelta(seconds=3)])
async def test_an_item_at_the_very_end_of_an_interval_begins_the_next(interval):
    assert await to_marbles(marbles("abcdefg|").throttle(interval)) == "a--d--g|"


def test_wrong_arguments_are_refused_when_built():
    with pytest.raises(GraphError, match="throttle must be more than zero, not 0"):
        Stream.of(1).throttle(0)
    with pytest.raises(GraphError, match="throttle must be a duration, not 'x'"):
        Stream.of(1).throttle("x")
    with pytest.raises(GraphError, match=r"throttle\(edge\) must be one of 'leading', 'trailing'"):
        Stream.of(1).throttle(1, edge="both")


async def test_what_trailing_holds_goes_on_at_a_stop_but_not_after_a_failure():
    source = RecordingSource("abc", silent=True)
    run = Stream(source).throttle(60, edge="trailing").start()
    await asyncio.sleep(1)
    await run.stop(drain=True)
    assert run.last() == ["c"]
    assert_closed(source)
    assert await to_marbles(marbles("ab#").throttle(5, edge="trailing")) == "--#"


async def test_trailing_gives_its_item_in_time_below_a_stage_that_waits():
    async def slow(x):
        await asyncio.sleep(10)
        return x

    stream = Stream("ab").map(slow).throttle(3, edge="trailing")
    assert await timed(stream) == [(13.0, "a"), (20.0, "b")]


@pytest.mark.parametrize("edge", ["leading", "trailing"])
async def test_leaving_early_closes_the_source(edge):
    source = RecordingSource(range(9), every=1)
    async with Stream(source).throttle(2.5, edge=edge).open() as items:
        await anext(items)
    assert_closed(source)


@pytest.mark.parametrize("edge", ["leading", "trailing"])
async def test_an_item_keeps_its_time(edge):
    rows = await stamps(marbles("ab|", event="b----a").throttle(5, edge=edge))
    assert rows == ([("a", 5.0)] if edge == "leading" else [("b", 0.0)])


def test_the_clock_goes_on_up_to_what_is_held_and_no_further():
    logic = Stream.of().throttle(3, edge="trailing").node.stage().make(Mock(now=lambda: 0.0))
    assert logic.passes(9) == 9
    logic.call("a", 5)
    assert (logic.passes(3), logic.passes(9)) == (3, 5)


def test_a_restored_item_goes_on_an_interval_later():
    node = Stream.of().throttle(3, edge="trailing").node
    first = node.stage().make(Mock(now=lambda: 100.0))
    first.call("a", None)
    first.call("b", None)
    context = Mock(now=lambda: 5.0)
    second = node.stage().make(context)
    second.restore(first.snapshot())
    context.wake_at.assert_called_once_with(8.0)
    assert list(second.on_timer(8.0)) == [("b", None)]
