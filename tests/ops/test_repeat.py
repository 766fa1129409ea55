"""``repeat``: a stream again and again."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import EndlessError, GraphError, SourceError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, to_marbles


@given(st.lists(st.integers(), max_size=4), st.integers(0, 4))
def test_it_equals_a_repeated_list(items, times):
    assert testing.run(Stream(items).repeat(times).collect()) == items * times


async def test_each_time_the_source_is_opened_and_closed():
    source = RecordingSource([1, 2])
    assert await Stream(source).map(lambda x: -x).repeat(3).collect() == [-1, -2] * 3
    assert (source.opened, source.closed) == (3, 3)


async def test_zero_times_opens_nothing():
    source = RecordingSource([1])
    assert await Stream(source).repeat(0).collect() == []
    assert source.opened == 0


async def test_a_time_takes_as_long_as_the_source():
    assert await to_marbles(marbles("-a-|").repeat(2)) == "-a--a-|"


async def test_state_begins_anew_each_time():
    assert await Stream.of(1, 2).scan(lambda a, b: a + b).repeat(2).collect() == [1, 3, 1, 3]
    assert await Stream("abc").batch(2).repeat(2).collect() == [["a", "b"], ["c"]] * 2


async def test_for_ever_is_known_to_be_endless_and_ends_when_enough_was_taken():
    source = RecordingSource([1, 2])
    stream = Stream(source).repeat()
    with pytest.raises(EndlessError, match="repeat"):
        await stream.collect()
    assert await stream.take(5).collect() == [1, 2, 1, 2, 1]
    assert source.opened == 3
    assert_closed(source)


async def test_an_empty_time_ends_it_rather_than_spinning():
    assert await Stream.empty().repeat().take(1).collect() == []
    left = iter([[1], [2], []])
    assert await Stream(lambda: next(left)).repeat().take(9).collect() == [1, 2]


async def test_a_source_that_can_be_read_once_says_so_the_second_time():
    seen = []
    with pytest.raises(SourceError, match="can be read only once: pass "):
        await Stream(x for x in "ab").repeat(2).to(seen).run()
    assert seen == ["a", "b"]


async def test_a_failure_ends_it():
    source = RecordingSource([1], error=ConnectionError())
    with pytest.raises(ConnectionError):
        await Stream(source).repeat(3).collect()
    assert (source.opened, source.closed) == (1, 1)


async def test_a_policy_below_takes_the_failures_of_each_time():
    stream = Stream.of(1, 0).map(lambda x: 1 / x).repeat(2).on_error("skip")
    assert await stream.collect() == [1.0, 1.0]
    assert len(await stream.errors.collect()) == 2


@pytest.mark.parametrize("drain", [False, True])
async def test_a_stop_ends_the_time_being_read_and_begins_no_other(drain):
    source = RecordingSource("ab", every=2)
    run = Stream(source).batch(3).repeat().start()
    await asyncio.sleep(7)
    await run.stop(drain=drain)
    assert run.last() == [["a", "b"], ["a"]]
    assert source.opened == 2
    assert_closed(source)


async def test_leaving_early_closes_the_source():
    source = RecordingSource([1])
    async with Stream(source).repeat().open() as items:
        assert [await anext(items) for _ in range(3)] == [1, 1, 1]
    assert_closed(source)


async def test_items_keep_their_time():
    rows = await stamps(marbles("ab|", event="b-a").repeat(2))
    assert rows == [("a", 2.0), ("b", 0.0)] * 2


@pytest.mark.parametrize("times", [-1, 1.5, "2", True])
def test_wrong_arguments_are_refused_when_built(times):
    with pytest.raises(GraphError, match=r"repeat\(times\) must be a whole number of at least 0"):
        Stream.of(1).repeat(times)
