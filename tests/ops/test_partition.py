"""``partition``: two streams of one, by a condition."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rivulet
from rivulet import GraphError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps


def is_odd(x):
    return x % 2


async def is_odd_later(x):
    await asyncio.sleep(0.1)
    return x % 2


@pytest.mark.parametrize("condition", [is_odd, is_odd_later, lambda x: x % 2, (1).__and__])
@given(items=st.lists(st.integers(0, 9)))
def test_each_item_comes_in_one_of_the_two_in_order(condition, items):
    async def main():
        odd, even = Stream(items).partition(condition)
        odds, evens = [], []
        await rivulet.run(odd.to(odds), even.to(evens))
        return odds, evens, await odd.collect(), await even.collect()

    odds, evens = [x for x in items if x % 2], [x for x in items if not x % 2]
    assert testing.run(main()) == (odds, evens, odds, evens)


async def test_where_both_are_used_the_condition_is_looked_at_once_per_item():
    calls, source = [], RecordingSource([1, 2, 3])
    yes, no = Stream(source).partition(lambda x: calls.append(x) or x > 1)
    both = []
    await rivulet.run(yes.to(both), no.map(str).to(both))
    assert (both, calls, source.opened) == (["1", 2, 3], [1, 2, 3], 1)


async def test_one_that_nobody_reads_is_dropped_and_counted():
    yes, no = Stream(range(10)).partition(lambda x: x < 7)
    assert "no: dropped, nothing reads it" in str(yes.explain())
    run = no.start()
    await run
    by_name = {op.operator.partition("(")[0]: op.items for op in run.stats().operators}
    assert by_name["partition"] == 7
    assert by_name[".no"] == 3


async def test_both_can_be_merged_zipped_and_split_again():
    low, high = Stream(range(8)).partition(lambda x: x < 4)
    assert await low.merge(high).collect() == list(range(8))
    assert await low.zip(high).collect() == [(0, 4), (1, 5), (2, 6), (3, 7)]
    lowest, rest = low.partition(lambda x: x < 2)
    assert [await s.collect() for s in (lowest, rest)] == [[0, 1], [2, 3]]


async def test_the_slower_holds_the_faster():
    async def slow(_):
        await asyncio.sleep(10)

    seen = []
    loop = asyncio.get_running_loop()
    odd, even = Stream([1, 2, 3]).partition(is_odd)
    await rivulet.run(odd.to(slow), even.to(lambda x: seen.append((loop.time(), x))))
    assert seen == [(10.0, 2)]


async def test_one_that_ends_early_leaves_the_other():
    source = RecordingSource(range(9))
    odd, even = Stream(source).partition(is_odd)
    odds, evens = [], []
    await rivulet.run(odd.take(1).to(odds), even.to(evens))
    assert (odds, evens) == ([1], [0, 2, 4, 6, 8])
    await rivulet.run(odd.take(1).to(odds), even.take(2).to(evens))
    assert_closed(source)


async def test_a_condition_that_fails_ends_both_and_a_policy_takes_it():
    odd, even = Stream([1, "x", 2]).partition(lambda x: int(x) % 2)
    with pytest.raises(ValueError, match="invalid literal") as caught:
        await rivulet.run(odd, even)
    assert "in partition(" in caught.value.__notes__[0]
    good = []
    await rivulet.run(odd.on_error("skip").to(good), even.on_error("skip").to(good))
    assert good == [1, 2]


async def test_items_keep_their_time_in_both():
    yes, no = marbles("abc|", event="cba").partition(lambda x: x == "b")
    assert await stamps(yes) == [("b", 1.0)]
    assert await stamps(no) == [("a", 2.0), ("c", 0.0)]


def test_what_is_no_function_is_refused_when_built():
    with pytest.raises(GraphError, match=r"partition\(predicate\) needs a function, not 3"):
        Stream.of(1).partition(3)
    with pytest.raises(GraphError, match="pass is_odd_later without calling it"):
        Stream.of(1).partition(is_odd_later(1))
