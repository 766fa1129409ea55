"""``debounce``: the last item of each burst, once it is quiet."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, timed, to_marbles

DRAWINGS = st.lists(st.sampled_from("--ab"), max_size=20).map("".join)


@given(DRAWINGS)
def test_it_equals_a_simulation_by_hand(drawing):
    frames = [frame for frame, x in enumerate(drawing) if x != "-"]
    ends = [*frames[1:], len(drawing)]
    quiet = 2.5
    wanted = [
        (min(frame + quiet, float(len(drawing))), drawing[frame])
        for frame, after in zip(frames, ends, strict=False)
        if after - frame > quiet or after == len(drawing)
    ]
    assert testing.run(timed(marbles(drawing + "|").debounce(quiet))) == wanted


@pytest.mark.parametrize("quiet", [2, 2.0, "2s", "2000ms", timedelta(seconds=2)])
async def test_the_quiet_may_be_any_duration(quiet):
    assert await to_marbles(marbles("ab---c--|").debounce(quiet)) == "---b---c|"


@pytest.mark.parametrize("quiet", [0, -1, "-1s", "often", None, float("nan"), True])
def test_what_is_no_duration_is_refused_when_built(quiet):
    with pytest.raises(GraphError, match="debounce must be"):
        Stream.of(1).debounce(quiet)


async def test_an_endless_burst_gives_nothing_until_it_ends():
    assert await to_marbles(marbles("abcdefgh|").debounce(2)) == "--------(h|)"


async def test_what_is_held_goes_on_at_a_stop_but_not_after_a_failure():
    source = RecordingSource("abc", silent=True)
    run = Stream(source).debounce(60).start()
    await asyncio.sleep(1)
    await run.stop()
    assert run.last() == ["c"]
    assert_closed(source)
    assert await to_marbles(marbles("ab#").debounce(5)) == "--#"


async def test_leaving_early_closes_the_source_and_sets_no_timer():
    source = RecordingSource("ab", every=5, silent=True)
    async with Stream(source).debounce(1).open() as items:
        assert await anext(items) == "a"
    assert_closed(source)


async def test_quiet_is_told_below_a_stage_that_waits():
    async def slow(x):
        await asyncio.sleep(10)
        return x

    assert await timed(Stream("ab").map(slow).debounce(3)) == [(13.0, "a"), (20.0, "b")]


async def test_two_of_them_run_side_by_side():
    source = marbles("(ab)----c----|")
    both = source.debounce(1).merge(source.debounce(3).map(str.upper))
    assert await to_marbles(both) == "-b-B--c-C-|"
    assert await to_marbles(source.debounce(2).debounce(1)) == "---b----c-|"


async def test_an_item_keeps_its_time():
    assert await stamps(marbles("ab---c|", event="ba---c").debounce(2)) == [("b", 0.0), ("c", 5.0)]


def test_the_clock_goes_on_up_to_what_is_held_and_no_further():
    logic = Stream.of().debounce(3).node.stage().make(Mock(now=lambda: 0.0))
    assert logic.passes(9) == 9
    logic.call("a", 5)
    assert (logic.passes(3), logic.passes(9)) == (3, 5)


def test_a_restored_item_has_to_wait_anew():
    node = Stream.of().debounce(3).node
    first = node.stage().make(Mock(now=lambda: 100.0))
    first.call("a", 7)
    context = Mock(now=lambda: 5.0)
    second = node.stage().make(context)
    second.restore(first.snapshot())
    context.wake_at.assert_called_once_with(8.0)
    assert list(second.on_timer(7.0)) == []
    assert list(second.on_timer(8.0)) == [("a", 7)]
    assert list(second.on_end()) == []
