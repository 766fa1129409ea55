"""Sources and sinks that record: ``RecordingSource``, ``assert_closed``, ``Recorder``, ``stamps``."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from rivulet import GraphError, Stream, testing
from rivulet.testing import Recorder, RecordingSource, assert_closed, marbles, stamps, timed

# RecordingSource


async def test_it_counts_openings_and_closings_and_keeps_what_was_read():
    source = RecordingSource("abc")
    assert repr(source) == "RecordingSource(opened=0, closed=0, read=0)"
    assert await Stream(source).collect() == ["a", "b", "c"]
    assert await Stream(source).take(1).collect() == ["a"]
    assert (source.opened, source.closed, source.read) == (2, 2, ["a", "b", "c", "a"])
    assert repr(source) == "RecordingSource(opened=2, closed=2, read=4)"


async def test_building_and_showing_open_nothing():
    source = RecordingSource([1])
    Stream(source).map(str).explain("code")
    assert source.opened == 0


async def test_it_reads_no_further_than_is_asked():
    source = RecordingSource(itertools.count())
    assert await Stream(source).take(3).collect() == [0, 1, 2]
    assert source.read == [0, 1, 2]
    assert_closed(source)


async def test_it_pauses_before_each_item():
    rows = await timed(Stream(RecordingSource("ab", every="1m")))
    assert rows == [(60.0, "a"), (120.0, "b")]


async def test_it_fails_after_the_last_item_and_is_closed():
    source, seen = RecordingSource([1, 2], error=ConnectionError("gone")), []
    with pytest.raises(ConnectionError, match="gone"):
        await Stream(source).to(seen).run()
    assert seen == [1, 2]
    assert_closed(source)


async def test_a_silent_one_ends_only_when_it_is_closed():
    source = RecordingSource([1], silent=True)
    assert await Stream(source).collect(timeout="1d") == [1]
    assert_closed(source)


def test_arguments_that_can_t_be_are_refused():
    with pytest.raises(GraphError, match=r"RecordingSource\(every\) must be zero or more"):
        RecordingSource([], every=-1)
    with pytest.raises(GraphError, match="it fails, or is silent"):
        RecordingSource([], error=KeyError(), silent=True)


# assert_closed


async def test_a_source_that_is_open_is_found():
    left, closed = RecordingSource([1, 2]), RecordingSource([3])
    assert await Stream(closed).collect() == [3]
    async with Stream(left).open() as items:
        assert await anext(items) == 1
        with pytest.raises(AssertionError) as caught:
            assert_closed(closed, left)
        assert str(caught.value) == (
            "left open or running: RecordingSource(opened=1, closed=0, read=1)"
        )
    assert_closed(closed, left)


async def test_a_source_that_is_open_once_more_than_closed_is_found():
    source = RecordingSource([1, 2])
    await Stream(source).run()
    iterator = aiter(source)
    await anext(iterator)
    with pytest.raises(AssertionError, match="opened=2, closed=1"):
        assert_closed(source)
    await iterator.aclose()
    assert_closed(source)


async def test_a_task_that_runs_is_found_by_name():
    task = asyncio.create_task(asyncio.sleep(9), name="the straggler")
    with pytest.raises(AssertionError, match="left open or running: .*the straggler"):
        assert_closed()
    task.cancel()
    await asyncio.wait([task])
    assert_closed()


async def test_a_run_in_the_background_is_found_until_it_is_stopped():
    source = RecordingSource([1], silent=True)
    run = Stream(source).start()
    await asyncio.sleep(1)
    with pytest.raises(
        AssertionError, match=r"RecordingSource\(opened=1, closed=0, read=1\), <Task"
    ):
        assert_closed(source)
    await run.stop()
    assert_closed(source)


def test_sources_can_be_looked_at_after_the_loop_has_ended():
    source = RecordingSource([1])
    testing.run(Stream(source).run())
    assert_closed(source)
    source.opened += 1
    with pytest.raises(AssertionError, match="opened=2, closed=1"):
        assert_closed(source)


# Recorder and stamps


async def test_a_recorder_sees_items_with_their_time_and_how_far_the_clock_went():
    recorder = Recorder()
    watched = recorder.watch(marbles("acb-d|", event="abcd", max_delay=1))
    assert await watched.collect() == ["a", "c", "b", "d"]
    assert recorder.events == [("a", 0.0), ("c", 2.0), ("b", 1.0), ("d", 3.0)]
    assert recorder.watermarks == [-1.0, 1.0, 2.0]


async def test_a_recorder_gives_the_items_on_and_keeps_those_of_every_run():
    recorder = Recorder()
    stream = recorder.watch(Stream([3, 5]).event_time(lambda x: x)).map(lambda x: -x)
    assert await stream.collect() == [-3, -5]
    assert await stream.take(1).collect() == [-3]
    assert recorder.events == [(3, 3.0), (5, 5.0), (3, 3.0)]


async def test_stamps_are_seconds_however_the_time_was_given():
    stream = Stream([0.000001, 1.5, 1e9]).event_time(lambda x: x)
    assert await stamps(stream) == [(0.000001, 0.000001), (1.5, 1.5), (1e9, 1e9)]
    assert await stamps(Stream.empty().event_time(lambda x: x)) == []


async def test_items_without_a_time_are_refused():
    for stream in (Stream.of(1), marbles("a|", event="a").pipe(lambda items: items)):
        with pytest.raises(GraphError, match=r"put event_time\(\.\.\.\)"):
            await stamps(stream)
        with pytest.raises(GraphError, match=r"put event_time\(\.\.\.\)"):
            Recorder().watch(stream)


async def test_timed_gives_items_with_their_seconds_from_the_start_of_the_run():
    assert await timed(Stream.timer("1.5s").take(3)) == [(1.5, 0), (3.0, 1), (4.5, 2)]
    assert await timed(Stream.empty()) == []
    with pytest.raises(ZeroDivisionError):
        await timed(Stream.of(0).map(lambda x: 1 / x))
