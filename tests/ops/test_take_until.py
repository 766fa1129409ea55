"""``take_until``: the items before something happens."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import EndlessError, GraphError, SourceError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed, marbles, timed, to_marbles
from tests.ops.cases import check_resuming, every_kind, turning


def large(x):
    return x > 2


async def second(n=2.5):
    await asyncio.sleep(n)


# A condition


@every_kind
async def test_the_item_for_which_a_condition_holds_is_the_last(kind):
    source = RecordingSource([1, 2, 5, 6], silent=True)
    assert await Stream(source).take_until(kind(large)).collect() == [1, 2, 5]
    assert source.read == [1, 2, 5]
    assert_closed(source)


@given(st.lists(st.integers(0, 5)))
def test_a_condition_can_be_resumed(items):
    stream = Stream(items).take_until(large)
    end = next((n for n, x in enumerate(items, 1) if large(x)), len(items))
    assert testing.run(stream.collect()) == items[:end]
    check_resuming(stream, items)


async def test_a_condition_may_turn_to_coroutines():
    with turning(large) as fn:
        assert await Stream([1, 2, 5, 6]).take_until(fn).collect() == [1, 2, 5]


async def test_a_condition_that_fails_fails_the_run():
    with pytest.raises(ZeroDivisionError) as caught:
        await Stream([0]).take_until(lambda x: 1 / x).run()
    assert "take_until(<lambda>)" in caught.value.__notes__[0]


# A time


@pytest.mark.parametrize("duration", [2.5, "2500ms", timedelta(seconds=2.5)], ids=str)
async def test_a_duration_counts_from_the_start_of_each_run(duration):
    stream = Stream.timer(1).take_until(duration)
    for _ in range(2):
        assert await timed(stream) == [(1, 0), (2, 1)]


async def test_it_ends_in_the_silence_of_its_source():
    source = RecordingSource([1], silent=True)
    assert await Stream(source).take_until(5).collect() == [1]
    assert asyncio.get_running_loop().time() == 5
    assert_closed(source)


async def test_it_ends_with_its_source_and_not_later():
    assert await to_marbles(marbles("ab|").take_until("1h")) == "ab|"


async def test_what_holds_items_below_gives_them_at_the_end():
    assert await Stream.timer(1).take_until(3.5).batch(2).collect() == [[0, 1], [2]]


# Something outside


async def test_a_coroutine_is_a_signal_once():
    stream = Stream.timer(1).take_until(second())
    assert await stream.collect() == [0, 1]
    assert_closed()
    with pytest.raises(SourceError, match="coroutine second, which was awaited already.*Event"):
        await stream.collect()


async def test_an_event_is_a_signal():
    event = asyncio.Event()
    stream = Stream.timer(1).take_until(event)
    asyncio.get_running_loop().call_later(2.5, event.set)
    assert await stream.collect() == [0, 1]
    event.clear()
    assert await stream.collect(timeout=1.5) == [0]
    assert_closed()


@pytest.mark.parametrize("items", [[1, 2], Stream.timer(1)], ids=["ready", "waiting"])
async def test_nothing_is_given_when_it_has_happened_before(items):
    event, future = asyncio.Event(), asyncio.get_running_loop().create_future()
    event.set()
    future.set_result(None)
    for signal in event, future, 0:
        assert await Stream(items).take_until(signal).collect() == []


async def test_a_task_is_a_signal_and_is_left_running():
    async with asyncio.TaskGroup() as group:
        task = group.create_task(second(4.5))
        assert await Stream.timer(1).take(2).take_until(task).collect() == [0, 1]
        assert not task.done()
        assert await Stream.timer(1).take_until(task).collect() == [0, 1]
        assert task.done()


async def test_a_signal_that_fails_fails_the_run():
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(2.5, future.set_exception, ValueError("no"))
    rows = []
    with pytest.raises(ValueError, match="no"):
        await Stream.timer(1).take_until(future).to(rows).run()
    assert rows == [0, 1]
    assert_closed()


# A stream


async def test_the_first_item_of_another_stream_is_a_signal():
    assert await to_marbles(marbles("abcdef|").take_until(marbles("---x--y|"))) == "abc|"


async def test_another_stream_that_ends_without_an_item_is_none():
    assert await to_marbles(marbles("abcd|").take_until(marbles("-|"))) == "abcd|"


async def test_both_are_closed_whichever_ends_first():
    for stop in 0, 5:
        source, other = RecordingSource(range(3), every=1), RecordingSource("x", every=stop)
        rows = await Stream(source).take_until(Stream(other)).collect()
        assert rows == ([0, 1, 2] if stop else [])
        assert_closed(source, other)


async def test_another_stream_that_fails_fails_the_run():
    other = Stream.timer(2.5).map(lambda x: 1 / x)
    with pytest.raises(ZeroDivisionError):
        await Stream.timer(1).take_until(other).run()
    assert_closed()


async def test_no_time_is_asked_of_another_stream():
    numbers = Stream.timer(1).event_time(lambda n: n).take_until(Stream.timer(4.5))
    counts = await numbers.window(tumbling=3).count().collect()
    assert [w.value for w in counts] == [3, 1]


# Arguments


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        (-1, r"take_until must be zero or more, not -1"),
        ("soon", r"take_until must be a duration, not 'soon'"),
        (None, r"take_until must be a duration, not None"),
        ([1], r"take_until needs a duration, a condition, .*not \[1\]"),
    ],
)
def test_what_is_no_signal_is_refused(signal, message):
    with pytest.raises(GraphError, match=message):
        Stream([1]).take_until(signal)


async def test_it_makes_an_endless_stream_one_that_can_be_collected():
    with pytest.raises(EndlessError):
        await Stream.timer(1).collect()
    for signal in 1, large, Stream.timer(1):
        assert isinstance(await Stream.timer(1).take_until(signal).collect(), list)
