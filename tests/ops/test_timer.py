"""``Stream.timer``: numbers at equal distances of time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from rivulet import EndlessError, GraphError, Stream
from rivulet.testing import assert_closed, timed


@pytest.mark.parametrize("every", [2, 2.0, "2s", "2000ms", timedelta(seconds=2)], ids=str)
async def test_the_first_tick_comes_after_one_distance(every):
    assert await timed(Stream.timer(every).take(3)) == [(2, 0), (4, 1), (6, 2)]
    assert_closed()


async def test_distances_do_not_add_up_errors():
    ticks = await timed(Stream.timer(0.1).take(1000))
    assert ticks[-1] == (100, 999)


async def test_a_reader_that_is_quick_enough_misses_nothing():
    async def slow(n):
        await asyncio.sleep(0.9)
        return n

    ticks = Stream.timer(1).map(slow).take(3)
    assert await timed(ticks) == [(1.9, 0), (2.9, 1), (3.9, 2)]


async def test_ticks_that_a_busy_reader_missed_are_left_out_with_their_numbers():
    async def slow(n):
        await asyncio.sleep(2.5)
        return n

    began = []
    await Stream.timer(1).tap(lambda n: began.append((now(), n))).map(slow).take(4).run()
    # The tick of second 3 is given late, at 3.5; then the reader is in time again.
    assert began == [(1, 0), (3.5, 2), (6, 5), (8.5, 7)]


async def test_ticks_can_be_aligned_to_the_time_of_day():
    await asyncio.sleep(7)
    assert await timed(Stream.timer(10, align=True).take(2)) == [(3, 0), (13, 1)]
    assert await timed(Stream.timer(10).take(2)) == [(10, 0), (20, 1)]


async def test_every_run_begins_anew():
    ticks = Stream.timer(1).take(2)
    assert await timed(ticks) == await timed(ticks) == [(1, 0), (2, 1)]


async def test_two_timers_of_one_run_keep_their_own_time():
    both = Stream.timer(2).map(str).merge(Stream.timer(3))
    assert await timed(both.take(3)) == [(2, "0"), (3, 0), (4, "1")]


async def test_it_is_known_never_to_end():
    with pytest.raises(EndlessError, match=r"timer\('1s'\) never ends.*limit="):
        await Stream.timer("1s").map(str).collect()


@pytest.mark.parametrize("every", [0, -1, "soon", None, True, float("nan"), float("inf")], ids=repr)
def test_a_distance_has_to_be_a_duration(every):
    with pytest.raises(GraphError, match=r"timer\(every\) must be .*not "):
        Stream.timer(every)


def now():
    return asyncio.get_running_loop().time()
