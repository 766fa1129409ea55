"""``take_while``: the items before a condition fails."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, StrayAwaitableError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed, marbles, timed
from tests.ops.cases import TURNED, check_resuming, every_kind, turning, waiting


def small(x):
    return x < 3


@every_kind
async def test_every_kind_of_function_will_do(kind):
    assert await Stream([1, 2, 5, 1]).take_while(kind(small)).collect() == [1, 2]


@given(st.lists(st.integers(0, 5)))
def test_it_is_takewhile(items):
    stream = Stream(items).take_while(small)
    assert testing.run(stream.collect()) == [*itertools.takewhile(small, items)]
    check_resuming(stream, items)


async def test_it_ends_at_the_item_that_fails_and_reads_no_more():
    source = RecordingSource([1, 5, 1], silent=True)
    assert await Stream(source).take_while(small).collect() == [1]
    assert source.read == [1, 5]
    assert_closed(source)


async def test_it_ends_when_that_item_comes():
    stream = marbles("a-b-----c|").take_while(lambda x: x == "a")
    assert await timed(stream) == [(0, "a")]


async def test_the_predicate_sees_each_item_once_and_none_after():
    seen = []
    assert await Stream(range(10)).take_while(lambda x: seen.append(x) or x < 2).collect() == [0, 1]
    assert seen == [0, 1, 2]


async def test_anything_true_keeps_an_item():
    assert await Stream(["a", [0], 1, "", "b"]).take_while(lambda x: x).collect() == ["a", [0], 1]


async def test_a_predicate_that_fails_fails_the_run():
    rows = []
    with pytest.raises(ZeroDivisionError) as caught:
        await Stream([1, 0]).take_while(lambda x: 1 / x).to(rows).run()
    assert rows == [1]
    assert "take_while(<lambda>)" in caught.value.__notes__[0]
    assert "on item 0" in caught.value.__notes__[0]


async def test_a_coroutine_after_plain_values_is_an_error():
    with turning(small) as fn, pytest.raises(StrayAwaitableError, match=TURNED):
        await Stream([1, 2, 5]).take_while(fn).collect()


def test_what_is_no_function_is_refused():
    with pytest.raises(GraphError, match=r"take_while\(predicate\) needs a function, not 3"):
        Stream([1]).take_while(3)
    with pytest.raises(GraphError, match="the coroutine that calling .*wait.* without calling it"):
        Stream([1]).take_while(waiting(small)(1))
