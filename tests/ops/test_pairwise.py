"""``pairwise``: each item with the one before it."""

from __future__ import annotations

import itertools

import asyncstdlib
from hypothesis import given
from hypothesis import strategies as st

from rivulet import Stream, testing
from rivulet.testing import marbles, stamps, timed
from tests.ops.cases import check_resuming

ITEMS = st.lists(st.one_of(st.none(), st.integers()))


@given(ITEMS)
def test_it_is_the_pairwise_of_itertools(items):
    stream = Stream(items).pairwise()
    assert testing.run(stream.collect()) == [*itertools.pairwise(items)]
    check_resuming(stream, items)


@given(ITEMS)
def test_it_is_the_pairwise_of_asyncstdlib_in_a_pipe(items):
    piped = Stream(items).pipe(asyncstdlib.pairwise)
    assert testing.run(piped.collect()) == testing.run(Stream(items).pairwise().collect())


async def test_a_pair_comes_with_its_second_item():
    assert await timed(marbles("a--b-c|").pairwise()) == [(3, ("a", "b")), (5, ("b", "c"))]


async def test_every_run_begins_anew():
    stream = Stream([1, 2]).pairwise()
    assert await stream.collect() == await stream.collect() == [(1, 2)]


async def test_pairs_have_the_time_of_their_second_item():
    stream = Stream([1, 4, 2]).event_time(lambda x: x).pairwise()
    assert await stamps(stream) == [((1, 4), 4.0), ((4, 2), 2.0)]


async def test_each_key_has_pairs_of_its_own():
    stream = Stream([1, 10, 2, 20]).group_by(lambda x: x > 9).pairwise().values()
    assert await stream.collect() == [(1, 2), (10, 20)]
