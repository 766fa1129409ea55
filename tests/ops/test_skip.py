"""``skip``: all but the first items."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream, testing
from rivulet.testing import marbles, timed
from tests.ops.cases import check_resuming


@given(st.lists(st.integers()), st.integers(0, 10))
def test_it_is_islice(items, n):
    assert testing.run(Stream(items).skip(n).collect()) == items[n:]
    check_resuming(Stream(items).skip(n), items)


@given(st.integers(0, 6), st.integers(0, 6))
def test_skips_add_up(first, second):
    numbers = Stream(range(10))
    twice, once = numbers.skip(first).skip(second), numbers.skip(first + second)
    assert testing.run(twice.collect()) == testing.run(once.collect())


async def test_items_come_at_their_time():
    assert await timed(marbles("ab-c-d|").skip(2)) == [(3, "c"), (5, "d")]


async def test_every_run_skips_again():
    stream = Stream([1, 2, 3]).skip(2)
    assert await stream.collect() == await stream.collect() == [3]


@pytest.mark.parametrize("n", [-1, 1.0, "2", None, True], ids=repr)
def test_a_wrong_number_is_refused(n):
    with pytest.raises(GraphError, match=r"skip\(n\) must be a whole number of at least 0, not "):
        Stream([1]).skip(n)
