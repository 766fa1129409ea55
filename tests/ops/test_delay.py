"""``delay``: everything some time later."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, timed, to_marbles


@given(st.lists(st.sampled_from("-ab"), max_size=12).map("".join), st.integers(1, 4))
def test_order_and_distances_stay(drawing, duration):
    got = testing.run(timed(marbles(drawing + "|").delay(duration)))
    assert got == [(frame + duration, x) for frame, x in enumerate(drawing) if x != "-"]


@pytest.mark.parametrize("duration", [2, "2s", timedelta(seconds=2)])
async def test_the_end_is_delayed_as_well(duration):
    assert await to_marbles(marbles("ab-c--|").delay(duration)) == "--ab-c--|"


async def test_so_is_a_failure_which_comes_after_the_items_before_it():
    assert await to_marbles(marbles("ab--#").delay(3)) == "---ab--#"


async def test_no_more_than_limit_items_are_on_their_way():
    source, most = RecordingSource(range(20)), 0
    begun = asyncio.get_running_loop().time()

    async for number in Stream(source).delay(5, limit=4):
        most = max(most, len(source.read) - number)
    # Four at a time, every five seconds; the end comes with the room for a fifth four.
    assert asyncio.get_running_loop().time() - begun == 30
    assert most <= 2 * 4 + 1


async def test_a_slow_reader_is_not_delayed_again():
    async def slow(x):
        await asyncio.sleep(3)
        return x

    assert await to_marbles(marbles("abc|").delay(2).map(slow)) == "-----a--b--(c|)"


@pytest.mark.parametrize("drain", [False, True])
async def test_a_stop_lets_what_is_on_its_way_go_through(drain):
    source, loop = RecordingSource("abc", every=1), asyncio.get_running_loop()
    run = Stream(source).delay(4).start()
    await asyncio.sleep(2.5)
    await run.stop(drain=drain)
    assert (run.last(), loop.time() >= 6) == (["a", "b"], True)
    assert_closed(source)


async def test_leaving_early_leaves_no_timer_behind():
    source = RecordingSource("abc", silent=True)
    async with Stream(source).delay(1).open() as items:
        assert await anext(items) == "a"
    assert_closed(source)
    loop = asyncio.get_running_loop()
    assert not [timer for timer in loop._scheduled if not timer.cancelled()]


async def test_an_item_keeps_its_time():
    assert await stamps(marbles("ab|", event="b-a").delay(7)) == [("a", 2.0), ("b", 0.0)]


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((0,), {}, "delay must be more than zero, not 0"),
        ((-1,), {}, "delay must be more than zero, not -1"),
        (("later",), {}, "delay must be a duration, not 'later'"),
        ((1,), {"limit": 0}, r"delay\(limit\) must be a whole number of at least 1, not 0"),
    ],
)
def test_wrong_arguments_are_refused_when_built(args, options, message):
    with pytest.raises(GraphError, match=message):
        Stream.of(1).delay(*args, **options)
