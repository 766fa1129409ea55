"""``rate_limit``: slower, without loss."""

from __future__ import annotations

import asyncio
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, timed, to_marbles


@given(
    st.lists(st.sampled_from([0.0, 0.1, 1.0, 5.0]), max_size=15),
    st.integers(1, 4),
    st.sampled_from([1, 2.5]),
    st.integers(1, 3),
)
def test_nothing_is_lost_and_never_more_than_allowed_pass(pauses, n, per, burst):
    async def rows():
        for number, pause in enumerate(pauses):
            await asyncio.sleep(pause)
            yield number

    got = testing.run(timed(Stream(rows).rate_limit(n, per, burst=burst)))
    assert [x for _, x in got] == list(range(len(pauses)))
    times, step = [when for when, _ in got], per / n
    for i, begun in enumerate(times):
        # A burst, and from then on one in each step.
        for k, when in enumerate(times[i:]):
            assert when - begun >= (k + 1 - burst) * step - 1e-6
    if step <= 0.1:
        assert times == [pytest.approx(t) for t in accumulate(pauses)]


async def test_items_are_spaced_evenly():
    assert await timed(Stream("abcd").rate_limit(2, per=1)) == [
        (0.0, "a"), (0.5, "b"), (1.0, "c"), (1.5, "d"),
    ]  # fmt: skip


async def test_a_burst_may_pass_at_once_after_a_pause():
    stream = marbles("(abcd)--------(efg)|").rate_limit(1, per=2, burst=2)
    assert await to_marbles(stream) == "(ab)-c-d----(ef)-(g|)"


async def test_slow_items_are_not_held():
    assert await to_marbles(marbles("a--b--c|").rate_limit(1, per="3s")) == "a--b--c|"


async def test_the_source_is_held_rather_than_read_ahead():
    source = RecordingSource(range(9))
    async with Stream(source).rate_limit(1, per=10).open() as items:
        assert [await anext(items), await anext(items)] == [0, 1]
        assert source.read == [0, 1]
    assert_closed(source)


async def test_a_timer_below_fires_while_an_item_is_held():
    rows = await timed(Stream("ab").rate_limit(1, per=10).batch(9, within=3))
    assert rows == [(3.0, ["a"]), (10.0, ["b"])]


async def test_a_stop_finishes_the_item_that_is_held():
    source, loop = RecordingSource("abc", silent=True), asyncio.get_running_loop()
    run = Stream(source).rate_limit(1, per=4).start()
    await asyncio.sleep(1)
    await run.stop()
    assert (run.last(), loop.time()) == (["a", "b"], 4.0)
    assert_closed(source)


async def test_a_cancelled_run_does_not_wait():
    source, loop = RecordingSource("abc", silent=True), asyncio.get_running_loop()
    run = Stream(source).rate_limit(1, per=4).start()
    await asyncio.sleep(1)
    await run.cancel().wait()
    assert (run.last(), run.state, loop.time()) == (["a"], "cancelled", 1.0)
    assert_closed(source)


async def test_an_item_keeps_its_time():
    assert await stamps(marbles("ab|", event="b-a").rate_limit(1)) == [("a", 2.0), ("b", 0.0)]


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((0,), {}, r"rate_limit\(n\) must be a whole number of at least 1, not 0"),
        ((0.5,), {}, r"rate_limit\(n\) must be a whole number"),
        ((1, 0), {}, r"rate_limit\(per\) must be more than zero, not 0"),
        ((1, "minute"), {}, r"rate_limit\(per\) must be a duration, not 'minute'"),
        ((1,), {"burst": 0}, r"rate_limit\(burst\) must be a whole number of at least 1, not 0"),
    ],
)
def test_wrong_arguments_are_refused_when_built(args, options, message):
    with pytest.raises(GraphError, match=message):
        Stream.of(1).rate_limit(*args, **options)
