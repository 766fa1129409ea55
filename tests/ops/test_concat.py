"""``concat`` and ``+``: one stream after another."""

from __future__ import annotations

import asyncio
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rivulet
from rivulet import GraphError, SourceError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, timed, to_marbles


@given(st.lists(st.lists(st.integers(), max_size=5), min_size=1, max_size=4))
def test_it_equals_itertools_chain(parts):
    assert testing.run(Stream(parts[0]).concat(*parts[1:]).collect()) == list(chain(*parts))


async def test_plus_is_concat():
    assert await (Stream.of(1) + [2] + Stream.of(3).map(lambda x: -x)).collect() == [1, 2, -3]


def test_what_is_no_stream_is_refused_when_built():
    with pytest.raises(GraphError, match="a stream needs an iterable"):
        Stream.of(1).concat([2], 3)
    with pytest.raises(GraphError, match="a stream needs an iterable"):
        Stream.of(1) + 3


async def test_a_stream_begins_when_the_one_before_has_ended():
    assert await to_marbles(marbles("-a--|") + marbles("-b-|")) == "-a---b-|"
    seen = []
    first = Stream([1]).hooks(
        start=lambda: seen.append("1 opens"), end=lambda: seen.append("1 ends")
    )
    second = Stream([2]).hooks(start=lambda: seen.append("2 opens"))
    await (first + second).run()
    assert seen == ["1 opens", "1 ends", "2 opens"]


async def test_each_part_is_a_subscription_of_its_own():
    source = RecordingSource([1, 2])
    stream = Stream(source)
    assert await (stream + stream).collect() == [1, 2, 1, 2]
    assert source.opened == source.closed == 2
    rows = []
    await rivulet.run(stream.to(rows), (stream + stream).to(rows))
    assert sorted(rows) == [1, 1, 1, 2, 2, 2]
    assert source.opened == source.closed == 5


async def test_a_source_that_can_be_read_once_says_so_the_second_time():
    once = Stream(x for x in range(2))
    with pytest.raises(SourceError, match="can be read only once"):
        await (once + once).collect()


async def test_a_part_that_fails_ends_it_and_the_next_is_not_opened():
    first, second = RecordingSource([1], error=ConnectionError()), RecordingSource([2])
    seen = []
    with pytest.raises(ConnectionError):
        await (Stream(first) + second).to(seen).run()
    assert seen == [1]
    assert second.opened == 0
    assert_closed(first)


async def test_leaving_early_closes_the_part_being_read():
    first, second = RecordingSource([1]), RecordingSource([2], silent=True)
    async with (Stream(first) + second).open() as items:
        assert [await anext(items), await anext(items)] == [1, 2]
    assert_closed(first, second)
    assert await (Stream(first) + second).take(1).collect() == [1]
    assert second.opened == 1


@pytest.mark.parametrize("drain", [False, True])
async def test_a_stop_opens_no_further_part(drain):
    first, second = RecordingSource("abc", every=1), RecordingSource([2])
    run = (Stream(first).batch(2) + second).start()
    await asyncio.sleep(1.5)
    await run.stop(drain=drain)
    assert run.last() == [["a"]]
    assert second.opened == 0
    assert_closed(first)


async def test_a_stop_lets_what_a_part_has_read_go_through_though_an_item_is_in_hand():
    async def slow(x):
        await asyncio.sleep(2.6)
        return x

    source = RecordingSource(range(9), every=1)
    run = (Stream(source).buffer(9) + [99]).map(slow).start()
    await asyncio.sleep(4.5)
    await run.stop(timeout=60)
    assert run.last() == [0, 1, 2, 3]
    assert_closed(source)


async def test_timers_of_a_part_go_on_inside():
    part = marbles("ab------|").batch(9, within=2)
    assert await timed(part + [["z"]]) == [(2.0, ["a", "b"]), (8.0, ["z"])]


async def test_a_policy_below_takes_the_failures_of_every_part():
    part = Stream.of(1, 0).map(lambda x: 1 / x)
    guarded = (part + part).on_error("skip")
    assert await guarded.collect() == [1.0, 1.0]
    assert [failure.item for failure in await guarded.errors.collect()] == [0, 0]


async def test_items_keep_their_time():
    parts = marbles("ab|", event="-ab") + marbles("c|", event="c")
    assert await stamps(parts) == [("a", 1.0), ("b", 2.0), ("c", 0.0)]
