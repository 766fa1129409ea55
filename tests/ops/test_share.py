"""``share``: one subscription, each reader at its own pace."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rivulet
from rivulet import BufferFullError, EndlessError, GraphError, Stream, StuckError, testing
from rivulet.testing import RecordingSource, assert_closed, stamps, timed


def slowly(pause):
    async def work(x):
        await asyncio.sleep(pause)
        return x

    return work


async def later(pause, stream):
    await asyncio.sleep(pause)
    return await stream.collect()


@given(
    st.lists(st.sampled_from([0.0, 0.3, 2.0]), min_size=1, max_size=4),
    st.integers(0, 8),
    st.integers(1, 3),
    st.booleans(),
)
def test_every_reader_gets_every_item_and_the_source_is_read_once(paces, count, buffer, together):
    async def main():
        source = RecordingSource(range(count), every=0.5)
        shared = Stream(source).share(buffer=buffer)
        branches = [shared.map(slowly(pace)) for pace in paces]
        rows = [[] for _ in paces]
        sinks = [branch.to(got) for branch, got in zip(branches, rows, strict=True)]
        if together:
            await rivulet.run(*sinks)
        else:
            await asyncio.gather(*(sink.run() for sink in sinks))
        assert_closed(source)
        return rows, source.opened

    rows, opened = testing.run(main())
    assert opened == 1
    assert all(got == list(range(count)) for got in rows)


async def test_a_slow_reader_holds_the_others_when_its_buffer_is_full():
    shared = Stream(RecordingSource(range(6), every=1)).share(buffer=1)
    fast, slow = [], []
    loop = asyncio.get_running_loop()
    await rivulet.run(
        shared.to(lambda x: fast.append((loop.time(), x))), shared.map(slowly(3)).to(slow)
    )
    assert slow == list(range(6))
    # From 2 on, each is read when the slow one has made room; it takes 3 s for an item.
    assert fast == [(1, 0), (2, 1), (5, 2), (8, 3), (11, 4), (14, 5)]


async def test_with_room_enough_a_slow_reader_holds_nobody():
    shared = Stream(RecordingSource(range(6), every=1)).share(buffer=6)
    fast, slow = await asyncio.gather(timed(shared), timed(shared.map(slowly(3))))
    assert fast == [(float(x + 1), x) for x in range(6)]
    assert slow == [(4.0 + 3 * x, x) for x in range(6)]


@pytest.mark.parametrize(
    ("overflow", "wanted"),
    [
        ("drop_oldest", [0, 2, 5, 7]),
        ("drop_newest", [0, 1, 3, 6]),
        (lambda held, new: held * 10 + new, [0, 12, 345, 67]),
    ],
)
async def test_a_slow_reader_drops_by_the_policy_and_the_others_get_all(overflow, wanted):
    source = RecordingSource(range(8), every=1)
    shared = Stream(source).share(buffer=1, overflow=overflow)
    slow = shared.map(slowly(2.6)).start()
    assert await shared.collect() == list(range(8))
    await slow
    assert slow.last() == wanted
    assert source.opened == 1


async def test_what_a_reader_drops_is_counted():
    shared = Stream(RecordingSource(range(8), every=1)).share(overflow="drop_oldest")
    run = shared.map(slowly(2.6)).start()
    await run
    assert run.stats().dropped == 4


async def test_overflow_error_raises_in_the_run_of_the_slow_reader():
    source = RecordingSource(range(9), every=1)
    shared = Stream(source).share(buffer=1, overflow="error")
    with pytest.raises(BufferFullError, match=r"the buffer is full \(1 items\)"):
        await shared.map(slowly(5)).collect()
    assert_closed(source)


async def test_a_reader_that_comes_later_gets_what_comes_then():
    source = RecordingSource(range(5), every=1)
    shared = Stream(source).share()
    assert await asyncio.gather(shared.collect(), later(2.5, shared)) == [
        [0, 1, 2, 3, 4],
        [2, 3, 4],
    ]
    assert source.opened == 1


@pytest.mark.parametrize("replay", [1, 2, 9])
@pytest.mark.parametrize("overflow", ["wait", "drop_oldest", "drop_newest", "error"])
async def test_a_reader_that_comes_later_gets_the_last_items_first(replay, overflow):
    source = RecordingSource(range(5), every=1)
    shared = Stream(source).share(buffer=1, overflow=overflow, replay=replay)
    first, second = await asyncio.gather(shared.collect(), later(3.5, shared))
    assert first == [0, 1, 2, 3, 4]
    assert second == [0, 1, 2, 3, 4][max(0, 3 - replay) :]


async def test_the_subscription_ends_with_the_last_reader_and_begins_anew_with_the_next():
    source = RecordingSource(range(9), every=1)
    shared = Stream(source).share(replay=3)
    assert await asyncio.gather(shared.take(2).collect(), shared.take(4).collect()) == [
        [0, 1],
        [0, 1, 2, 3],
    ]
    assert len(source.read) == 4
    assert_closed(source)
    assert await shared.take(1).collect() == [0]
    assert source.opened == 2
    assert_closed(source)


async def test_leaving_early_leaves_the_others_reading():
    source = RecordingSource(range(5), every=1)
    shared = Stream(source).share(buffer=3)
    rest = asyncio.create_task(shared.collect())
    async with shared.open() as items:
        assert [await anext(items), await anext(items)] == [0, 1]
    assert await rest == [0, 1, 2, 3, 4]
    assert source.opened == 1
    assert_closed(source)


async def test_a_reader_that_is_full_and_leaves_lets_the_others_go_on():
    source = RecordingSource(range(6), every=1)
    shared = Stream(source).share(buffer=1)
    stuck = shared.map(slowly(1000)).start()
    rest = asyncio.create_task(shared.collect())
    await asyncio.sleep(20)
    assert len(source.read) < 6
    stuck.cancel()
    assert await rest == [0, 1, 2, 3, 4, 5]
    assert_closed(source)


async def test_a_failure_of_the_source_reaches_all_after_the_items_before_it():
    source = RecordingSource([1, 2], error=ConnectionError("lost"))
    shared = Stream(source).share(buffer=5)
    fast, slow = [], []
    results = await asyncio.gather(
        shared.to(fast).run(), shared.map(slowly(3)).to(slow).run(), return_exceptions=True
    )
    assert [type(result) for result in results] == [ConnectionError, ConnectionError]
    assert fast == slow == [1, 2]
    with pytest.raises(ConnectionError, match="lost"):
        await rivulet.run(shared, shared.map(str))
    assert (source.opened, source.closed) == (2, 2)


async def test_a_failure_of_one_reader_is_its_own():
    source = RecordingSource([2, 1, 0, 1], every=1)
    shared = Stream(source).share()
    results = await asyncio.gather(
        shared.map(lambda x: 2 / x).collect(), shared.collect(), return_exceptions=True
    )
    assert isinstance(results[0], ZeroDivisionError)
    assert results[1] == [2, 1, 0, 1]
    assert_closed(source)


async def test_a_policy_above_holds_for_all_readers():
    shared = Stream.of(1, 0, 2).map(lambda x: 2 / x).on_error("skip").share()
    assert await asyncio.gather(shared.collect(), shared.collect()) == [[2.0, 1.0]] * 2


async def test_a_stop_lets_what_was_read_go_through_and_leaves_the_others_reading():
    source = RecordingSource(range(6), every=1)
    shared = Stream(source).share(buffer=9)
    rest = asyncio.create_task(shared.collect())
    run = shared.map(slowly(3)).start()
    await asyncio.sleep(4.5)
    await run.stop(timeout=60)
    assert run.last() == [0, 1, 2, 3]
    assert await rest == list(range(6))
    assert_closed(source)


async def test_branches_that_meet_again_raise_rather_than_hang():
    def rare(shared):
        return shared.zip(shared.filter(lambda x: x == 999))

    with pytest.raises(StuckError, match=r"share\(10\)"):
        await rare(Stream(range(1000)).share(buffer=10)).collect()
    assert await rare(Stream(range(1000)).share(buffer=1000)).collect() == [(0, 999)]
    assert_closed()


async def test_items_keep_their_time_whatever_the_policy():
    async def run(overflow):
        source = Stream(RecordingSource([1.0, 2.0, 3.0, 4.0, 5.0], every=1))
        shared = source.event_time(lambda x: x).share(buffer=2, overflow=overflow)
        return await stamps(shared.map(slowly(2.9)))

    assert await run("wait") == [(x, x) for x in (1.0, 2.0, 3.0, 4.0, 5.0)]
    assert await run("drop_oldest") == [(x, x) for x in (1.0, 2.0, 4.0, 5.0)]
    assert await run("drop_newest") == [(x, x) for x in (1.0, 2.0, 3.0, 4.0)]


async def test_a_run_that_needs_the_time_and_one_that_doesn_t_share_as_well():
    source = RecordingSource([1.0, 2.0], every=1)
    shared = Stream(source).event_time(lambda x: x).share(replay=2)
    plain, times = await asyncio.gather(shared.collect(), stamps(shared))
    assert (plain, times) == ([1.0, 2.0], [(1.0, 1.0), (2.0, 2.0)])
    assert source.opened == 1


async def test_replayed_items_are_counted_without_the_marks_of_the_clock():
    source = Stream(RecordingSource([1.0, 2.0, 3.0, 4.0], every=1))
    shared = source.event_time(lambda x: x).share(buffer=5, replay=2)

    async def late():
        await asyncio.sleep(3.5)
        return await stamps(shared)

    _, times = await asyncio.gather(stamps(shared), late())
    assert times == [(2.0, 2.0), (3.0, 3.0), (4.0, 4.0)]


def test_it_can_be_used_in_one_event_loop_after_another():
    source = RecordingSource([1, 2])
    shared = Stream(source).share(replay=2)
    assert [testing.run(shared.collect()) for _ in range(2)] == [[1, 2], [1, 2]]


async def test_it_is_as_endless_as_its_source():
    with pytest.raises(EndlessError):
        await Stream.timer(1).share().collect()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"buffer": 0}, r"share\(buffer\) must be a whole number of at least 1, not 0"),
        ({"replay": -1}, r"share\(replay\) must be a whole number of at least 0, not -1"),
        ({"overflow": "block"}, r"share\(overflow\) must be one of 'wait', .* not 'block'"),
        ({"overflow": slowly(1)}, r"share\(overflow\) must be a plain function"),
    ],
)
def test_wrong_arguments_are_refused_when_built(options, message):
    with pytest.raises(GraphError, match=message):
        Stream.of(1).share(**options)
