"""``take_last``: the last items."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream, testing
from rivulet.testing import Recorder, RecordingSource, marbles, stamps, to_marbles
from tests.ops.cases import check_resuming


@given(st.lists(st.integers()), st.integers(0, 6))
def test_it_is_the_tail_of_a_list(items, n):
    stream = Stream(items).take_last(n)
    assert testing.run(stream.collect()) == items[max(0, len(items) - n) :]
    check_resuming(stream, items)


async def test_items_come_when_the_source_ends():
    assert await to_marbles(marbles("ab-c-|").take_last(2)) == "-----(bc|)"


async def test_a_source_that_fails_gives_none():
    rows = []
    with pytest.raises(ValueError):
        await Stream(RecordingSource([1, 2], error=ValueError())).take_last(1).to(rows).run()
    assert rows == []


async def test_every_run_begins_anew():
    stream = Stream([1, 2]).take_last(3)
    assert await stream.collect() == await stream.collect() == [1, 2]


async def test_a_reader_may_leave_in_the_middle_of_them():
    assert await Stream(range(9)).take_last(5).take(2).collect() == [4, 5]


async def test_items_keep_their_time_and_hold_the_clock():
    stream, recorder = Stream([3, 1, 2]).event_time(lambda x: x), Recorder()
    assert await stamps(stream.take_last(2)) == [(1, 1.0), (2, 2.0)]
    await recorder.watch(stream.take_last(2)).run()
    assert all(watermark <= 1 for watermark in recorder.watermarks[:-1])


@pytest.mark.parametrize("n", [-1, 1.0, "2", None, True], ids=repr)
def test_a_wrong_number_is_refused(n):
    with pytest.raises(GraphError, match=r"take_last\(n\) must be a whole number of at least 0"):
        Stream([1]).take_last(n)


async def test_windows_below_call_none_of_them_late():
    numbers = Stream.of(5, 1, 2).event_time(lambda n: n, max_delay=4).take_last(3)
    windows = numbers.window(tumbling=5)
    assert [w.value for w in await windows.collect().collect()] == [[1, 2], [5]]
    assert await windows.late.collect() == []
