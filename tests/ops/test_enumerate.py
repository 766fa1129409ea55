"""``enumerate``: items with their number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream, testing
from rivulet.testing import stamps
from tests.ops.cases import check_resuming


@given(st.lists(st.integers()), st.integers(-3, 3))
def test_it_is_the_builtin_enumerate(items, start):
    stream = Stream(items).enumerate(start)
    assert testing.run(stream.collect()) == [*enumerate(items, start)]
    check_resuming(stream, items)


async def test_every_run_counts_anew():
    stream = Stream("ab").enumerate()
    assert await stream.collect() == await stream.collect() == [(0, "a"), (1, "b")]


async def test_each_key_can_count_for_itself():
    stream = Stream("abca").group_by(lambda x: x).enumerate(1).values()
    assert await stream.collect() == [(1, "a"), (1, "b"), (1, "c"), (2, "a")]


async def test_pairs_have_the_time_of_their_items():
    stream = Stream([5, 6]).event_time(lambda x: x).enumerate()
    assert await stamps(stream) == [((0, 5), 5.0), ((1, 6), 6.0)]


@pytest.mark.parametrize("start", [1.0, "1", None, True], ids=repr)
def test_a_wrong_start_is_refused(start):
    with pytest.raises(GraphError, match=r"enumerate\(start\) must be a whole number.*, not "):
        Stream([1]).enumerate(start)
