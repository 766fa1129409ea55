"""``take``: the first items."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rivulet
from rivulet import GraphError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed, marbles, timed
from tests.ops.cases import check_resuming


@given(st.lists(st.integers()), st.integers(0, 10))
def test_it_is_islice(items, n):
    assert testing.run(Stream(items).take(n).collect()) == items[:n]
    check_resuming(Stream(items).take(n), items)


@pytest.mark.parametrize("every", [0, 1])
async def test_the_source_is_not_asked_for_one_more(every):
    source = RecordingSource(range(10), every=every, silent=True)
    assert await Stream(source).take(3).collect() == [0, 1, 2]
    assert source.read == [0, 1, 2]
    assert_closed(source)


async def test_nothing_is_taken_without_opening_the_source():
    source = RecordingSource([1])
    assert await Stream(source).take(0).collect() == []
    assert source.opened == 0


async def test_it_ends_with_its_last_item_and_not_with_the_next():
    assert await timed(marbles("a--b-----c|").take(2)) == [(0, "a"), (3, "b")]


async def test_an_inner_loop_is_left_at_once():
    inner = RecordingSource(range(5))
    assert await Stream(itertools.count).flat_map(lambda _: inner).take(7).collect() == [
        *range(5),
        *range(2),
    ]
    assert inner.read == [*range(5), *range(2)]
    assert_closed(inner)


async def test_a_branch_that_has_enough_leaves_the_others_going():
    source, few, many, sum_ = RecordingSource(range(5)), [], [], []
    stream = Stream(source)
    await rivulet.run(
        stream.take(2).to(few),
        stream.to(many),
        stream.take(4).fold(lambda a, b: a + b, 0).to(sum_),
    )
    assert (few, many, sum_) == ([0, 1], [0, 1, 2, 3, 4], [6])
    assert source.opened == 1


async def test_the_source_is_closed_when_every_branch_has_enough():
    source, one, two = RecordingSource(range(10)), [], []
    stream = Stream(source)
    await rivulet.run(stream.take(1).to(one), stream.take(2).to(two))
    assert (one, two, source.read) == ([0], [0, 1], [0, 1])
    assert_closed(source)


async def test_what_holds_items_below_gives_them_at_the_end():
    assert await Stream(itertools.count).take(3).batch(2).collect() == [[0, 1], [2]]


@pytest.mark.parametrize("n", [-1, 1.0, "2", None, True], ids=repr)
def test_a_wrong_number_is_refused(n):
    with pytest.raises(GraphError, match=r"take\(n\) must be a whole number of at least 0, not "):
        Stream([1]).take(n)
