"""``with_latest_from``: each item with the newest of the others."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream, testing
from rivulet.core.entries import CLOSED
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, timed, to_marbles

DRAWINGS = st.lists(st.sampled_from(["-", "a", "x", "p"]), max_size=15).map("".join)
"""One letter of one side in each frame."""


@given(DRAWINGS)
def test_it_equals_a_simulation_by_hand(drawing):
    newest, wanted = {}, []
    for frame, letter in enumerate(drawing):
        if letter == "a" and len(newest) == 2:
            wanted.append((float(frame), (frame, newest["x"], newest["p"])))
        elif letter in "xp":
            newest[letter] = frame

    def side(letter):
        frames = [float(frame) for frame, x in enumerate(drawing) if x == letter]
        text = "".join(x if x == letter else "-" for x in drawing)
        values = iter(frames)
        return marbles(text + "|").map(lambda _: int(next(values)))

    async def main():
        rows = await timed(side("a").with_latest_from(side("x"), side("p")))
        assert_closed()
        return rows

    assert testing.run(main()) == wanted


async def test_it_ends_with_the_main_stream_and_closes_the_others():
    other = RecordingSource([1], silent=True)
    main = marbles("-ab--|")
    rows = main.with_latest_from(Stream(other)).map(lambda pair: pair[0])
    assert await to_marbles(rows) == "-ab--|"
    assert_closed(other)


async def test_the_newest_item_of_an_ended_stream_stays():
    assert await timed(marbles("--a-b|").with_latest_from([1, 2])) == [
        (2.0, ("a", 2)),
        (4.0, ("b", 2)),
    ]


async def test_items_before_all_others_have_spoken_are_dropped():
    assert await Stream.of(1, 2).with_latest_from(Stream.never()).collect() == []


async def test_none_counts_as_an_item():
    assert await marbles("-a|").with_latest_from([None]).collect() == [("a", None)]


def test_what_is_no_stream_is_refused_when_built():
    with pytest.raises(GraphError, match="a stream needs an iterable"):
        Stream.of(1).with_latest_from(object())


async def test_a_failure_of_another_stream_ends_it():
    main = RecordingSource([1], silent=True)
    failing = marbles("--#", error=ConnectionError("rates are gone"))
    with pytest.raises(ConnectionError, match="rates are gone"):
        await Stream(main).with_latest_from(failing).collect()
    assert_closed(main)


async def test_a_stop_closes_all():
    sources = RecordingSource([1], silent=True), RecordingSource("ab", every=1, silent=True)
    run = Stream(sources[1]).with_latest_from(sources[0]).start()
    await asyncio.sleep(5)
    await run.stop()
    assert run.last() == [("a", 1), ("b", 1)]
    assert_closed(*sources)


async def test_a_tuple_has_the_time_of_the_main_item():
    left, right = marbles("-a|", event="--a"), marbles("x|", event="------x")
    assert await stamps(left.with_latest_from(right)) == [(("a", "x"), 2.0)]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9))), st.data())
def test_a_restored_state_goes_on_as_if_uninterrupted(events, data):
    node = Stream.of().with_latest_from([], []).node
    calls = [(*event, 7) for event in events] + [(1, CLOSED, None)]
    cut = data.draw(st.integers(0, len(calls)))
    whole, first, second = (node.stage().make(Mock()) for _ in range(3))
    wanted = [list(whole.call(*call)) for call in calls]
    got = [list(first.call(*call)) for call in calls[:cut]]
    second.restore(first.snapshot())
    assert got + [list(second.call(*call)) for call in calls[cut:]] == wanted
