"""``buffer``: a source runs ahead, and what doesn't fit is held or dropped."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import BufferFullError, GraphError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed, marbles, timed

WORK = 2.6180339887
"""Seconds for an item below the buffer; never the same moment as an arrival."""


async def slow(x):
    await asyncio.sleep(WORK)
    return x


def spaced(pauses):
    async def rows():
        for number, pause in enumerate(pauses):
            await asyncio.sleep(pause)
            yield number

    return Stream(rows)


def simulated(pauses, size, overflow):
    """What comes out below ``slow``, by hand: (results, dropped)."""
    waiting, out, dropped, free, at = deque(), [], 0, 0.0, 0.0

    def work_until(now):
        nonlocal free
        while waiting and free <= now:
            begun, x = waiting.popleft()
            free = max(free, begun) + WORK
            out.append(x)

    for x, pause in enumerate(pauses):
        at += pause
        work_until(at)
        if len(waiting) < size:
            waiting.append((at, x))
            work_until(at)
            continue
        dropped += 1
        if overflow == "drop_oldest":
            waiting.popleft()
            waiting.append((at, x))
        elif callable(overflow):
            begun, newest = waiting.pop()
            waiting.append((begun, overflow(newest, x)))
    work_until(float("inf"))
    return out, dropped


@pytest.mark.parametrize(
    "overflow",
    ["drop_oldest", "drop_newest", lambda held, new: held * 100 + new],
    ids=["drop_oldest", "drop_newest", "function"],
)
@given(st.lists(st.sampled_from([0.25, 1.0, 4.0]), max_size=20), st.integers(1, 4))
def test_what_is_dropped_equals_a_simulation_by_hand(overflow, pauses, size):
    async def main():
        rows = []
        run = spaced(pauses).buffer(size, overflow=overflow).map(slow).to(rows).start()
        await run
        return rows, run.stats().dropped

    assert testing.run(main()) == simulated(pauses, size, overflow)


@given(st.lists(st.integers(), max_size=30), st.integers(1, 9))
def test_holding_the_source_loses_nothing_and_keeps_the_order(items, n):
    assert testing.run(Stream(items).buffer(n).collect()) == items


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 50])
async def test_a_source_is_read_at_most_n_items_ahead(n):
    source, ahead = RecordingSource(range(100)), []

    async def record(x):
        await asyncio.sleep(1)
        ahead.append(len(source.read) - (x + 1))

    await Stream(source).buffer(n).to(record).run()
    assert max(ahead) <= n + 1
    assert max(ahead) >= max(1, n // 2)


async def test_without_a_buffer_a_source_is_not_read_ahead_and_with_one_it_is():
    begun = asyncio.get_running_loop().time
    source = RecordingSource(range(4), every=1)
    assert (await timed(Stream(source).map(slow)))[-1][0] == pytest.approx(4 + 4 * WORK)
    start = begun()
    await Stream(source).buffer(1).map(slow).run()
    assert begun() - start == pytest.approx(1 + 4 * WORK)


@pytest.mark.parametrize("n", [1, 4, 100, 5000])
async def test_branches_of_one_source_that_meet_have_room_for_n_items(n):
    numbers = Stream(range(n))
    last = numbers.filter(lambda x: x == n - 1)
    assert await numbers.buffer(n).zip(last).collect() == [(0, n - 1)]


async def test_overflow_error_raises_after_the_items_that_were_held():
    source, seen = RecordingSource(range(9), every=1), []
    with pytest.raises(BufferFullError, match=r"the buffer is full \(2 items\): make it larger"):
        await Stream(source).buffer(2, overflow="error").map(slow).to(seen).run()
    # 1 is worked on while 2 and 3 wait; 4 finds it full.
    assert seen == [0, 1, 2, 3]
    assert_closed(source)


async def test_a_function_that_fails_is_raised():
    with pytest.raises(TypeError, match="unsupported operand"):
        await Stream([1, None, 2]).buffer(1, overflow=lambda a, b: a + b).map(slow).collect()


@pytest.mark.parametrize("overflow", ["wait", "drop_oldest"])
async def test_a_failure_comes_after_the_items_before_it(overflow):
    seen = []
    stream = marbles("abc#", error=ConnectionError()).buffer(8, overflow=overflow).map(slow)
    with pytest.raises(ConnectionError):
        await stream.to(seen).run()
    assert seen == ["a", "b", "c"]


@pytest.mark.parametrize("overflow", ["wait", "drop_oldest"])
async def test_a_stop_lets_what_was_read_go_through(overflow):
    source = RecordingSource(range(9), every=1)
    run = Stream(source).buffer(9, overflow=overflow).map(slow).start()
    await asyncio.sleep(4.5)
    await run.stop()
    assert run.last() == [0, 1, 2, 3]
    assert_closed(source)


@pytest.mark.parametrize("overflow", ["wait", "drop_newest", "error"])
async def test_leaving_early_closes_the_source(overflow):
    source = RecordingSource(range(3), silent=True)
    async with Stream(source).buffer(3, overflow=overflow).open() as items:
        assert await anext(items) == 0
    assert_closed(source)


async def test_a_source_whose_reader_wants_no_more_is_closed_though_it_is_silent():
    source = RecordingSource(range(3), silent=True)
    assert await Stream(source).buffer(1).take(2).collect() == [0, 1]
    assert_closed(source)


async def test_the_last_item_is_kept_however_full_it_is():
    assert (await Stream(range(100)).buffer(1, overflow="drop_oldest").collect())[-1] == 99


@pytest.mark.parametrize(
    ("n", "overflow", "message"),
    [
        (0, "wait", r"buffer\(n\) must be a whole number of at least 1, not 0"),
        ("9", "wait", r"buffer\(n\) must be a whole number of at least 1, not '9'"),
        (1, "drop", r"buffer\(overflow\) must be one of 'wait', 'drop_oldest', .* not 'drop'"),
        (1, None, r"buffer\(overflow\) must be one of"),
    ],
)
def test_wrong_arguments_are_refused_when_built(n, overflow, message):
    with pytest.raises(GraphError, match=message):
        Stream.of(1).buffer(n, overflow=overflow)


def test_an_async_function_can_t_say_what_overflows():
    async def newest(held, new):
        return new

    with pytest.raises(GraphError, match=r"buffer\(overflow\) must be a plain function"):
        Stream.of(1).buffer(1, overflow=newest)
