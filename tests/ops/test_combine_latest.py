"""``combine_latest``: the newest of each whenever one speaks."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream, testing
from rivulet.core.entries import CLOSED
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, timed

EVENTS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(0, 9)), max_size=12)
"""(side, pause before it, item)"""


def drawn(events):
    """Each side as a source, and all events with their time."""
    at, known = 0, []
    for side, pause, item in events:
        at += pause
        known.append((float(at), side, item))

    def source(side):
        async def rows():
            begun = asyncio.get_running_loop().time()
            for when, of, item in known:
                if of == side:
                    await asyncio.sleep(begun + when - asyncio.get_running_loop().time())
                    yield item

        return rows

    return [source(side) for side in range(3)], known


@given(EVENTS)
def test_it_equals_a_simulation_by_hand(events):
    sources, known = drawn(events)
    newest, wanted = {}, []
    for when, side, item in known:
        newest[side] = item
        if len(newest) == 3:
            wanted.append((when, (newest[0], newest[1], newest[2])))

    async def main():
        rows = await timed(Stream(sources[0]).combine_latest(*sources[1:]))
        assert_closed()
        return rows

    assert testing.run(main()) == wanted


async def test_it_goes_on_until_all_have_ended():
    short, long = marbles("a|"), marbles("-1--2|")
    assert await timed(short.combine_latest(long)) == [(1.0, ("a", "1")), (4.0, ("a", "2"))]


async def test_one_that_never_speaks_keeps_all_silent():
    assert await Stream.of(1, 2).combine_latest([], [3]).collect() == []


async def test_without_others_items_come_in_tuples_of_one():
    assert await Stream.of(1, 2).combine_latest().collect() == [(1,), (2,)]


async def test_none_and_other_falsy_items_count_as_items():
    assert await Stream.of(None).combine_latest([0]).collect() == [(None, 0)]


def test_what_is_no_stream_is_refused_when_built():
    with pytest.raises(GraphError, match="a stream needs an iterable"):
        Stream.of(1).combine_latest(2.5)


async def test_leaving_early_and_failing_close_every_side():
    sides = RecordingSource([1], silent=True), RecordingSource([2], silent=True)
    both = Stream(sides[0]).combine_latest(sides[1])
    async with both.open() as items:
        async for _ in items:
            break
    assert_closed(*sides)
    with pytest.raises(ConnectionError):
        await both.combine_latest(marbles("--#", error=ConnectionError())).collect()
    assert_closed(*sides)
    assert [source.closed for source in sides] == [2, 2]


async def test_a_tuple_has_the_latest_time_seen_so_far():
    left, right = marbles("a-b|", event="---a-b"), marbles("-x-y|", event="x-----y")
    assert await stamps(left.combine_latest(right)) == [
        (("a", "x"), 3.0),
        (("b", "x"), 5.0),
        (("b", "y"), 6.0),
    ]


@given(EVENTS, st.data())
def test_a_restored_state_goes_on_as_if_uninterrupted(events, data):
    node = Stream.of().combine_latest([], []).node
    calls = [(side, item, stamp) for side, stamp, item in events] + [(0, CLOSED, None)]
    cut = data.draw(st.integers(0, len(calls)))
    whole, first, second = (node.stage().make(Mock()) for _ in range(3))
    wanted = [list(whole.call(*call)) for call in calls]
    got = [list(first.call(*call)) for call in calls[:cut]]
    second.restore(first.snapshot())
    assert got + [list(second.call(*call)) for call in calls[cut:]] == wanted
