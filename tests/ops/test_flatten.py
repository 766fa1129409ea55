"""``flatten``: the items of items."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import StrayAwaitableError, Stream, maybe_async, testing
from rivulet.testing import RecordingSource, assert_closed


async def letters(text):
    for letter in text:
        yield letter


@given(st.lists(st.lists(st.integers(), max_size=4), max_size=6))
def test_it_is_a_chain(items):
    assert testing.run(Stream(items).flatten().collect()) == [*itertools.chain(*items)]


@given(st.lists(st.integers()), st.integers(1, 4))
def test_it_takes_batches_apart(items, n):
    assert testing.run(Stream(items).batch(n).flatten().collect()) == items


async def test_items_may_be_iterable_in_any_way():
    plain = [[1], (), "ab", iter("c"), {4: 5}, range(2)]
    assert await Stream(plain).flatten().collect() == [1, "a", "b", "c", 4, 0, 1]
    awaiting = [letters("ab"), letters(""), Stream([2, 3])]
    assert await Stream(awaiting).flatten().collect() == ["a", "b", 2, 3]


async def test_plain_and_async_iterables_may_come_in_turn_where_that_is_said():
    items = [[1], Stream("ab"), (), Stream([2, 3])]
    with pytest.raises(
        StrayAwaitableError, match="gave plain values at first and now gave <Stream"
    ):
        await Stream(items).flatten().collect()
    rows = Stream(items).flat_map(maybe_async(lambda item: item))
    assert await rows.collect() == [1, "a", "b", 2, 3]


async def test_it_goes_one_level_deep():
    assert await Stream([[[1], [2]], ["ab"]]).flatten().collect() == [[1], [2], "ab"]


async def test_inner_items_are_read_when_wanted_and_closed():
    inner = [RecordingSource(range(5)), RecordingSource(range(5))]
    assert await Stream(inner).flatten().take(3).collect() == [0, 1, 2]
    assert inner[0].read == [0, 1, 2]
    assert inner[1].opened == 0
    assert_closed(*inner)


async def test_what_cannot_be_iterated_is_an_error_that_names_it():
    rows = []
    with pytest.raises(TypeError, match="itera") as caught:
        await Stream([[1], 5]).flatten().to(rows).run()
    (note,) = caught.value.__notes__
    assert "flatten()" in note
    assert note.endswith("on item 5")
    assert rows == [1]
