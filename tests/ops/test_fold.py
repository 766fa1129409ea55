"""``fold``: the value of a function over all items, at the end."""

from __future__ import annotations

import functools
from operator import add

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, StrayAwaitableError, Stream, testing
from rivulet.testing import RecordingSource, marbles, timed
from tests.ops.cases import TURNED, check_resuming, every_kind, turning, waiting


@every_kind
async def test_every_kind_of_function_will_do(kind):
    stream = Stream([1, 2, 3]).fold(kind(add), 10)
    for _ in range(2):
        assert await stream.collect() == [16]


@given(st.lists(st.integers()))
def test_it_is_reduce_with_an_initial_value(items):
    stream = Stream(items).fold(add, 5)
    assert testing.run(stream.collect()) == [functools.reduce(add, items, 5)]
    check_resuming(stream, items)


async def test_it_can_be_awaited():
    assert await Stream("abc").fold(add, "") == "abc"
    assert await Stream([]).fold(add, "nothing") == "nothing"


async def test_the_value_comes_once_at_the_end():
    assert await timed(marbles("a-b-|").fold(add, "")) == [(4, "ab")]


async def test_each_run_begins_with_a_copy_of_the_initial_value():
    def append(items, item):
        items.append(item)
        return items

    initial = []
    stream = Stream([1, 2]).fold(append, initial)
    assert await stream == await stream == [1, 2]
    assert initial == []
    check_resuming(stream, [1, 2, 3])


async def test_a_value_may_be_none():
    assert await Stream([1]).fold(lambda value, item: None, 0).collect() == [None]


async def test_a_source_that_fails_gives_no_value():
    rows = []
    with pytest.raises(ValueError):
        await Stream(RecordingSource([1], error=ValueError())).fold(add, 0).to(rows).run()
    assert rows == []


async def test_each_key_has_a_value_of_its_own():
    stream = Stream("abca").group_by(lambda x: x).fold(add, "").items()
    assert await stream.collect() == [("a", "aa"), ("b", "b"), ("c", "c")]


async def test_a_function_that_fails_names_operator_and_item():
    with pytest.raises(TypeError) as caught:
        await Stream([1, "b"]).fold(add, 0)
    (note,) = caught.value.__notes__
    assert "fold(add, initial=0)" in note
    assert note.endswith("on item 'b'")


async def test_a_coroutine_after_plain_values_is_an_error():
    with turning(add) as fn, pytest.raises(StrayAwaitableError, match=TURNED):
        await Stream([1, 2]).fold(fn, 0)


def test_what_is_no_function_is_refused():
    with pytest.raises(GraphError, match=r"fold\(fn\) needs a function, not 0"):
        Stream([1]).fold(0, add)
    with pytest.raises(GraphError, match="without calling it"):
        Stream([1]).fold(waiting(add)(1, 2), 0)
