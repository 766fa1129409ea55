"""``zip``: items by position, as the builtin does it."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream, StuckError, testing
from rivulet.core.entries import CLOSED
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, to_marbles

SIDES = st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1, max_size=4)
PAUSES = st.lists(st.sampled_from([0, 0.1, 0.3]), min_size=4, max_size=4)


def zipped(sides, pauses, *, strict=False):
    async def main():
        sources = [
            RecordingSource(side, every=pause) for side, pause in zip(sides, pauses, strict=False)
        ]
        try:
            return await Stream(sources[0]).zip(*sources[1:], strict=strict).collect()
        finally:
            assert_closed(*sources)

    return testing.run(main())


@given(SIDES, PAUSES)
def test_it_equals_the_builtin_whenever_items_come(sides, pauses):
    assert zipped(sides, pauses) == list(zip(*sides, strict=False))


@given(SIDES, PAUSES)
def test_strict_raises_exactly_where_the_builtin_does(sides, pauses):
    try:
        wanted = list(zip(*sides, strict=True))
    except ValueError:
        with pytest.raises(ValueError, match=r"zip\(strict=True\): input \d ended after \d items"):
            zipped(sides, pauses, strict=True)
    else:
        assert zipped(sides, pauses, strict=True) == wanted


async def test_the_error_of_strict_says_who_ended_and_who_has_more():
    with pytest.raises(ValueError, match="input 2 ended after 1 items, while input 1 has more"):
        await Stream.of(1, 2).zip("a", strict=True).collect()


def test_what_is_no_stream_is_refused_when_built():
    with pytest.raises(GraphError, match="a stream needs an iterable"):
        Stream.of(1).zip("a", None)


async def test_a_tuple_comes_with_its_last_item():
    pairs = marbles("abc-|").zip(marbles("-x--y|")).map(lambda pair: pair[0])
    assert await to_marbles(pairs) == "-a--b|"


async def test_it_ends_with_the_shortest_and_closes_the_others():
    short, long = RecordingSource("ab"), RecordingSource([1, 2, 3], silent=True)
    assert await Stream(long).zip(short).collect() == [(1, "a"), (2, "b")]
    assert_closed(short, long)


async def test_an_empty_stream_ends_it_at_once():
    assert await to_marbles(marbles("----|").zip([])) == "|"


async def test_a_side_is_read_at_most_256_items_ahead():
    fast = RecordingSource(range(2000))
    slow = RecordingSource(range(3), every=1)
    assert len(await Stream(fast).zip(slow).collect()) == 3
    assert len(fast.read) <= 3 + 256 + 1


async def test_a_source_that_can_be_read_only_once_is_read_one_item_ahead():
    read = []
    once = (read.append(x) or x for x in range(100))
    assert len(await Stream(once).zip(RecordingSource(range(3), every=1)).collect()) == 3
    assert len(read) <= 3 + 3


async def test_branches_of_one_source_meet_again_item_by_item():
    source = RecordingSource(range(1000))
    numbers = Stream(source)
    assert await numbers.zip(numbers.map(lambda x: -x)).collect() == [(x, -x) for x in range(1000)]
    assert source.opened == 1


async def test_branches_that_would_wait_for_each_other_raise_rather_than_hang():
    numbers = Stream(range(10_000))
    rare = numbers.filter(lambda x: x % 5000 == 4999)
    with pytest.raises(StuckError, match=r"zip\(\)"):
        await numbers.zip(rare).collect()
    assert await numbers.buffer(20_000).zip(rare).collect() == [(0, 4999), (1, 9999)]
    assert_closed()


async def test_a_stop_drops_what_has_no_partner():
    left, right = RecordingSource("ab", silent=True), RecordingSource([1], silent=True)
    run = Stream(left).zip(right).start()
    await asyncio.sleep(1)
    await run.stop(drain=True)
    assert run.last() == [("a", 1)]
    assert_closed(left, right)


async def test_a_stop_says_nothing_about_the_lengths():
    left, right = RecordingSource("ab", silent=True), RecordingSource([1], silent=True)
    run = Stream(left).zip(right, strict=True).start()
    await asyncio.sleep(1)
    await run.stop()
    assert run.last() == [("a", 1)]


async def test_a_failure_of_one_side_closes_the_others():
    other = RecordingSource("abc", silent=True)
    with pytest.raises(ConnectionError):
        await Stream(RecordingSource([1], error=ConnectionError())).zip(other).collect()
    assert_closed(other)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("n", [0, 2])
async def test_a_failure_in_the_place_where_another_side_ends_is_not_hidden_by_that(
    strict, first, n
):
    source = RecordingSource(range(n), error=ConnectionError())
    sides = [Stream(source), Stream(list(range(n)))]
    one, other = sides if first else sides[::-1]
    rows = []
    with pytest.raises(ConnectionError):
        await one.zip(other, strict=strict).to(rows).run()
    assert rows == [(i, i) for i in range(n)]
    assert_closed(source)


async def test_a_failure_behind_the_end_of_another_side_is_none():
    source = RecordingSource(range(3), error=ConnectionError())
    assert await Stream(source).zip("ab").collect() == [(0, "a"), (1, "b")]
    assert_closed(source)


async def test_a_tuple_has_the_latest_time_of_its_items():
    left, right = marbles("ab|", event="a----b"), marbles("xy|", event="--xy")
    assert await stamps(left.zip(right)) == [(("a", "x"), 2.0), (("b", "y"), 5.0)]


@given(SIDES, st.booleans(), st.data())
def test_a_restored_state_goes_on_as_if_uninterrupted(sides, strict, data):
    node = Stream.of().zip(*([] for _ in sides[1:]), strict=strict).node
    numbers = data.draw(st.permutations([n for n, side in enumerate(sides) for _ in side]))
    heads = [iter(side) for side in sides]
    calls = [(n, next(heads[n])) for n in numbers] + [(n, CLOSED) for n in range(len(sides))]
    cut = data.draw(st.integers(0, len(calls)))

    def outcome(first, second):
        rows = []
        try:
            for call in calls[:cut]:
                rows += first.call(*call, None)
            if second is not first:
                second.restore(first.snapshot())
            for call in calls[cut:]:
                rows += second.call(*call, None)
        except ValueError as error:
            rows.append(str(error))
        return rows

    def logic():
        return node.stage().make(Mock(stopping=False))

    whole = logic()
    assert outcome(logic(), logic()) == outcome(whole, whole)
