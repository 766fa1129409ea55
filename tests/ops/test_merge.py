"""``merge``: everything of every stream, as it comes."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, to_marbles


class Boom(Exception):
    pass


async def spaced(rows):
    for pause, row in rows:
        await asyncio.sleep(pause)
        yield row


SIDES = st.lists(
    st.lists(st.tuples(st.sampled_from([0, 0.1, 0.3]), st.integers(0, 9)), max_size=6),
    min_size=1,
    max_size=4,
)


@given(SIDES)
def test_nothing_is_lost_and_each_side_keeps_its_order(sides):
    async def main():
        tagged = [
            Stream(lambda side=side: spaced(side)).map(lambda x, n=n: (n, x))
            for n, side in enumerate(sides)
        ]
        rows = await tagged[0].merge(*tagged[1:]).collect()
        assert_closed()
        return rows

    rows = testing.run(main())
    for number, side in enumerate(sides):
        assert [x for n, x in rows if n == number] == [x for _, x in side]
    assert len(rows) == sum(map(len, sides))


async def test_items_go_on_when_they_come():
    assert await to_marbles(marbles("a--b--|").merge(marbles("-x-y|"))) == "ax-(by)--|"


async def test_anything_that_a_stream_can_be_made_of_can_be_merged():
    async def later():
        yield 3

    assert sorted(await Stream.of(1).merge([2], later, range(4, 5)).collect()) == [1, 2, 3, 4]


def test_what_is_no_stream_is_refused_when_built():
    with pytest.raises(GraphError, match=r"a stream needs an iterable.* not 3 \(int\)"):
        Stream.of(1).merge(3)


async def test_without_others_it_is_the_stream_itself():
    assert await Stream.of(1, 2).merge().collect() == [1, 2]


async def test_a_stream_merged_with_itself_gives_each_item_twice_and_is_read_once():
    source = RecordingSource([1, 2])
    stream = Stream(source)
    assert await stream.merge(stream).collect() == [1, 1, 2, 2]
    assert source.opened == 1


async def test_a_failure_comes_after_the_items_before_it_and_closes_the_others():
    other, seen = RecordingSource([1], silent=True), []
    failing = marbles("--a#", error=Boom("lost"))
    with pytest.raises(Boom, match="lost"):
        await failing.merge(Stream(other)).to(seen).run()
    assert seen == [1, "a"]
    assert_closed(other)


async def test_leaving_early_closes_every_side():
    sides = [RecordingSource([n], silent=True) for n in range(3)]
    async with Stream(sides[0]).merge(*sides[1:]).open() as items:
        async for _ in items:
            break
    assert_closed(*sides)


async def test_a_side_runs_at_most_256_items_ahead():
    source, done = RecordingSource(range(2000)), 0
    ahead = []

    async def slow(x):
        nonlocal done
        await asyncio.sleep(0.01)
        done += 1
        ahead.append(len(source.read) - done)

    await Stream(source).merge([]).to(slow).run()
    # A batch of 256 is being handled while as many wait.
    assert 256 <= max(ahead) <= 2 * 256


async def test_a_side_that_can_be_read_only_once_runs_one_item_ahead():
    read, ahead = [], []

    def once():
        for x in range(20):
            read.append(x)
            yield x

    async def slow(x):
        await asyncio.sleep(0.01)
        ahead.append(len(read) - x)

    await Stream(once()).merge([]).to(slow).run()
    # Item x in hand is counted, the next waits.
    assert max(ahead) == 2


async def test_a_stop_gives_what_was_read():
    sides = RecordingSource(range(9), every=1), RecordingSource("abcd", every=1.6)
    run = Stream(sides[0]).merge(sides[1]).start()
    await asyncio.sleep(4.5)
    await run.stop()
    assert run.last() == [0, "a", 1, 2, "b", 3]
    assert_closed(*sides)


async def test_items_keep_their_time():
    left, right = marbles("a--|", event="--a"), marbles("-b|", event="b")
    assert await stamps(left.merge(right)) == [("a", 2.0), ("b", 0.0)]
