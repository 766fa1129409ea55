"""``default``: an item for an empty stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream, testing
from rivulet.testing import RecordingSource, marbles, stamps, to_marbles
from tests.ops.cases import check_resuming


@given(st.lists(st.integers(), max_size=3))
def test_the_value_comes_in_place_of_nothing(items):
    stream = Stream(items).default(7)
    assert testing.run(stream.collect()) == (items or [7])
    check_resuming(stream, items)


async def test_the_value_comes_at_the_end():
    assert await to_marbles(marbles("---|").default("x")) == "---(x|)"
    assert await to_marbles(marbles("-a-|").default("x")) == "-a-|"


@pytest.mark.parametrize("value", [None, 0, [], ()], ids=repr)
async def test_any_value_will_do(value):
    (item,) = await Stream.empty().default(value).collect()
    assert item is value


async def test_what_was_filtered_away_counts_as_nothing():
    assert await Stream([1, 2]).filter(lambda _: False).default(0) == 0


async def test_a_source_that_fails_has_no_default():
    with pytest.raises(ValueError):
        await Stream(RecordingSource(error=ValueError())).default(0).collect()


async def test_defaults_follow_one_another():
    assert await Stream.empty().default(1).default(2).collect() == [1]


async def test_times_do_not_pass_as_the_value_has_none():
    with pytest.raises(GraphError, match=r"default\(0\) doesn't give: put event_time"):
        await stamps(Stream([1]).event_time(lambda x: x).default(0))
