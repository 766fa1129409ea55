"""``reduce``: items combined into one, at the end."""

from __future__ import annotations

import functools
from operator import add, sub

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import EmptyError, GraphError, StrayAwaitableError, Stream, testing
from rivulet.testing import marbles, timed
from tests.ops.cases import TURNED, check_resuming, every_kind, turning, waiting


@every_kind
async def test_every_kind_of_function_will_do(kind):
    stream = Stream([9, 2, 3]).reduce(kind(sub))
    for _ in range(2):
        assert await stream.collect() == [4]


@given(st.lists(st.integers(), min_size=1))
def test_it_is_the_reduce_of_functools(items):
    stream = Stream(items).reduce(sub)
    assert testing.run(stream.collect()) == [functools.reduce(sub, items)]
    check_resuming(stream, items)


async def test_nothing_gives_nothing_and_cannot_be_awaited():
    assert await Stream([]).reduce(add).collect() == []
    assert await Stream([]).reduce(add).default(0) == 0
    with pytest.raises(EmptyError, match=r"reduce\(add\) ended without an item.*default"):
        await Stream([]).reduce(add)


async def test_one_item_is_given_as_it_is():
    item = object()
    assert await Stream([item]).reduce(add) is item


async def test_items_may_be_none():
    assert await Stream([None, 1]).reduce(lambda value, item: (value, item)) == (None, 1)


async def test_the_value_comes_once_at_the_end():
    assert await timed(marbles("a-b-|").reduce(add)) == [(4, "ab")]


async def test_a_function_that_fails_names_operator_and_item():
    with pytest.raises(TypeError) as caught:
        await Stream([1, "b"]).reduce(add)
    (note,) = caught.value.__notes__
    assert "reduce(add)" in note
    assert note.endswith("on item 'b'")


async def test_a_coroutine_after_plain_values_is_an_error():
    with turning(add) as fn, pytest.raises(StrayAwaitableError, match=TURNED):
        await Stream([1, 2, 3]).reduce(fn)


def test_what_is_no_function_is_refused():
    with pytest.raises(GraphError, match=r"reduce\(fn\) needs a function, not None"):
        Stream([1]).reduce(None)
    with pytest.raises(GraphError, match="without calling it"):
        Stream([1]).reduce(waiting(add)(1, 2))
