"""``changes``: items that differ from the one before."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, StrayAwaitableError, Stream, testing
from rivulet.testing import marbles, to_marbles
from tests.ops.cases import TURNED, check_resuming, every_kind, turning


@given(st.text("ab"))
def test_one_of_each_run_of_equal_items_is_kept(items):
    stream = Stream(items).changes()
    assert testing.run(stream.collect()) == [key for key, _ in itertools.groupby(items)]
    check_resuming(stream, items)


@given(st.lists(st.integers(-3, 3)))
def test_keys_are_compared_and_items_are_given(items):
    stream = Stream(items).changes(abs)
    groups = [list(group) for _, group in itertools.groupby(items, abs)]
    assert testing.run(stream.collect()) == [group[0] for group in groups]
    check_resuming(stream, items)


async def test_items_come_at_their_time():
    assert await to_marbles(marbles("aab-b-a|").changes()) == "a-b---a|"


@every_kind
async def test_every_kind_of_key_function_will_do(kind):
    stream = Stream(["a", "A", "b", "a"]).changes(kind(str.lower))
    for _ in range(2):
        assert await stream.collect() == ["a", "b", "a"]


async def test_a_key_may_be_a_field():
    rows = [{"x": 1, "y": 1}, {"x": 1, "y": 2}, {"x": 2}]
    assert await Stream(rows).changes("x").collect() == [rows[0], rows[2]]


async def test_items_need_not_be_hashable():
    assert await Stream([[1], [1], [2], None, None]).changes().collect() == [[1], [2], None]


async def test_what_is_not_equal_to_itself_always_differs():
    nan = float("nan")
    assert await Stream([nan, nan]).changes().collect() == [nan, nan]


async def test_a_comparison_that_fails_names_operator_and_item():
    class Array(list):
        def __ne__(self, other):
            raise ValueError("ambiguous")

    with pytest.raises(ValueError, match="ambiguous") as caught:
        await Stream([Array([1]), Array([2])]).changes().run()
    assert "changes()" in caught.value.__notes__[0]
    assert caught.value.__notes__[0].endswith("on item [2]")


async def test_a_coroutine_after_plain_values_is_an_error():
    with turning(str.lower) as fn, pytest.raises(StrayAwaitableError, match=TURNED):
        await Stream("aab").changes(fn).collect()


@pytest.mark.parametrize("key", [1.5, [], True], ids=repr)
def test_what_is_no_key_is_refused(key):
    with pytest.raises(GraphError, match=r"changes\(key\) needs a function, a key or an attribute"):
        Stream([1]).changes(key)
