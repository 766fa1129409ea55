"""``keep_alive``: a value whenever it is silent for long."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, timed, to_marbles


@given(st.lists(st.sampled_from("---ab"), max_size=15).map("".join))
def test_it_equals_a_simulation_by_hand(drawing):
    idle, since, wanted = 1.7, 0.0, []
    for frame, x in enumerate([*drawing, "|"]):
        if x == "-":
            continue
        while since + idle < frame:
            since = round(since + idle, 9)
            wanted.append((since, "."))
        if x != "|":
            wanted.append((float(frame), x))
            since = float(frame)
    assert testing.run(timed(marbles(drawing + "|").keep_alive(idle, "."))) == wanted


async def test_silence_is_filled_from_the_beginning_and_again_and_again():
    assert await to_marbles(marbles("-----a--|").keep_alive(2, ".")) == "--.-.a-.|"


async def test_a_stage_that_waits_above_is_silence_and_one_below_is_not():
    async def slow(x):
        await asyncio.sleep(10)
        return x

    above = Stream("a").map(slow).keep_alive(4, ".")
    assert await timed(above) == [(4.0, "."), (8.0, "."), (10.0, "a")]
    below = Stream("ab").keep_alive(4, ".").map(slow)
    assert await timed(below) == [(10.0, "a"), (20.0, "b")]


async def test_the_value_goes_through_what_is_below():
    stream = marbles("a----|").keep_alive(2, "z").map(str.upper).batch(2)
    assert await timed(stream) == [(2.0, ["A", "Z"]), (5.0, ["Z"])]


async def test_none_may_be_the_value_and_two_fill_beside_each_other():
    stream = marbles("-------|").keep_alive(2, None).keep_alive(3, "never")
    assert await timed(stream) == [(2.0, None), (4.0, None), (6.0, None)]


async def test_it_ends_with_the_source_and_when_nothing_below_wants_more():
    assert await Stream.empty().keep_alive(1, ".").collect() == []
    source = RecordingSource([], silent=True)
    assert await timed(Stream(source).keep_alive(2, ".").take(2)) == [(2.0, "."), (4.0, ".")]
    assert_closed(source)


async def test_leaving_and_stopping_end_it():
    source = RecordingSource([], silent=True)
    stream = Stream(source).keep_alive(2, ".")
    async with stream.open() as items:
        assert await anext(items) == "."
    assert_closed(source)
    run = stream.start()
    await asyncio.sleep(5)
    await run.stop()
    assert run.last() == [".", "."]
    assert_closed(source)


async def test_a_failure_ends_it():
    assert await to_marbles(marbles("---#").keep_alive(2, ".")) == "--.#"


async def test_the_value_has_no_time_and_a_time_operator_below_says_so():
    stream = Stream.of(1.0).event_time(lambda x: x).keep_alive(1, 0.0)
    with pytest.raises(GraphError, match=r"keep_alive\(.*put event_time\(...\) after it"):
        await stamps(stream)


def test_wrong_arguments_are_refused_when_built():
    with pytest.raises(GraphError, match=r"keep_alive\(idle\) must be more than zero, not 0"):
        Stream.of(1).keep_alive(0, ".")
    with pytest.raises(GraphError, match=r"keep_alive\(idle\) must be a duration, not '.'"):
        Stream.of(1).keep_alive(".", 1)
