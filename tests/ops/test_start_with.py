"""``start_with``: items before the first."""

from __future__ import annotations

import pytest

from rivulet import GraphError, Stream
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, timed


async def test_the_items_come_when_the_run_begins():
    assert await timed(marbles("---a|").start_with("x", "y")) == [
        (0.0, "x"), (0.0, "y"), (3.0, "a"),
    ]  # fmt: skip


async def test_they_come_each_time_it_is_read():
    stream = Stream.of(1).start_with(0)
    assert await stream.collect() == await stream.collect() == [0, 1]
    assert await stream.repeat(2).collect() == [0, 1, 0, 1]
    assert await Stream.of("z").concat(stream).collect() == ["z", 0, 1]


async def test_each_adds_its_items_in_front_of_those_before():
    assert await Stream.of(3).start_with(2).start_with(0, 1).collect() == [0, 1, 2, 3]


async def test_no_items_change_nothing_and_an_empty_stream_gives_only_the_items():
    assert await Stream.of(1).start_with().collect() == [1]
    assert await Stream.empty().start_with(None).collect() == [None]


async def test_what_is_below_handles_them_like_any_other():
    stream = Stream.of(3).start_with(1, 2)
    assert await stream.map(lambda x: x * 10).batch(2).collect() == [[10, 20], [30]]
    assert await stream.scan(lambda a, b: a + b).collect() == [1, 3, 6]
    assert await stream.map(lambda x: x * 10, concurrency=2).collect() == [10, 20, 30]
    assert await stream.group_by(lambda x: x % 2).count().items().collect() == [(1, 2), (0, 1)]


async def test_they_go_into_every_branch_and_past_an_async_stage():
    async def slow(x):
        return x

    stream = Stream.of(2).start_with(1).map(slow)
    assert await stream.zip(stream.map(str)).collect() == [(1, "1"), (2, "2")]


async def test_they_don_t_pass_through_what_is_above():
    assert await Stream.of("2").map(int).start_with("1").collect() == ["1", 2]


async def test_a_source_is_not_opened_when_the_items_are_enough():
    source = RecordingSource([1, 2])
    assert await Stream(source).start_with(0).take(1).collect() == [0]
    assert source.opened == 0


async def test_they_come_when_it_is_iterated_and_left_early():
    source = RecordingSource([1, 2])
    async with Stream(source).start_with(0).open() as items:
        assert [await anext(items), await anext(items)] == [0, 1]
    assert_closed(source)


async def test_they_come_before_a_source_that_fails():
    seen = []
    with pytest.raises(ConnectionError):
        await Stream.fail(ConnectionError()).start_with(0).to(seen).run()
    assert seen == [0]


async def test_they_have_no_time_and_a_time_operator_below_says_so():
    stamped = Stream.of(5.0).event_time(lambda x: x).start_with(1.0)
    with pytest.raises(GraphError, match=r"start_with\(.*put event_time\(...\) after it"):
        await stamps(stamped)
    assert await stamps(stamped.event_time(lambda x: x)) == [(1.0, 1.0), (5.0, 5.0)]
