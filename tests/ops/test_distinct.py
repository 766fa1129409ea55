"""``distinct``: items that did not come before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, StrayAwaitableError, Stream, testing
from rivulet.testing import marbles, to_marbles
from tests.ops.cases import TURNED, check_resuming, every_kind, turning

LETTERS = st.text("abcd")


@given(LETTERS)
def test_the_first_of_each_kind_is_kept(items):
    stream = Stream(items).distinct()
    assert testing.run(stream.collect()) == [*dict.fromkeys(items)]
    check_resuming(stream, items)


@given(LETTERS, st.integers(1, 4))
def test_only_the_last_keys_are_remembered(items, last):
    kept, known = [], []
    for item in items:
        if item not in known:
            kept.append(item)
        known = [*(key for key in known if key != item), item][-last:]
    stream = Stream(items).distinct(last=last)
    assert testing.run(stream.collect()) == kept
    check_resuming(stream, items)


@given(LETTERS, st.integers(1, 4))
def test_keys_are_remembered_for_a_time_since_they_passed(items, within):
    kept, passed = [], {}
    for now, item in enumerate(items):
        if now - passed.get(item, -99) >= within:
            kept.append(item)
            passed[item] = now
    stream = marbles(f"{items}|").distinct(within=within)
    assert testing.run(stream.collect()) == kept
    check_resuming(stream, items)


async def test_an_item_that_keeps_coming_passes_from_time_to_time():
    stream = marbles("aaaaaaa-b-a|").distinct(within=3)
    assert await to_marbles(stream) == "a--a--a-b-a|"


@given(LETTERS, st.integers(1, 3), st.integers(1, 3))
def test_a_number_and_a_time_can_go_together(items, last, within):
    stream = marbles(f"{items}|").distinct(last=last, within=within)
    rows = testing.run(stream.collect())
    assert len(rows) >= len(testing.run(marbles(f"{items}|").distinct(within=within).collect()))
    check_resuming(stream, items)


@every_kind
async def test_every_kind_of_key_function_will_do(kind):
    stream = Stream(["a", "B", "b", "A", "c"]).distinct(kind(str.lower))
    for _ in range(2):
        assert await stream.collect() == ["a", "B", "c"]


@pytest.mark.parametrize("key", ["x", lambda row: row["x"]], ids=["name", "function"])
async def test_a_key_may_be_a_field(key):
    rows = [{"x": 1, "y": 1}, {"x": 1, "y": 2}, {"x": 2}]
    assert await Stream(rows).distinct(key).collect() == [rows[0], rows[2]]


async def test_equal_items_are_the_same_whatever_their_type():
    assert await Stream([1, 1.0, True, "1", None, None]).distinct().collect() == [1, "1", None]


async def test_a_key_that_is_not_hashable_names_operator_and_item():
    with pytest.raises(TypeError, match="unhashable") as caught:
        await Stream([[1]]).distinct().run()
    assert "distinct()" in caught.value.__notes__[0]
    assert caught.value.__notes__[0].endswith("on item [1]")


async def test_a_coroutine_after_plain_values_is_an_error():
    with turning(str.lower) as fn, pytest.raises(StrayAwaitableError, match=TURNED):
        await Stream("aab").distinct(fn).collect()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"last": 0}, r"distinct\(last\) must be a whole number of at least 1, not 0"),
        ({"last": 1.5}, r"distinct\(last\) must be a whole number"),
        ({"within": 0}, r"distinct\(within\) must be more than zero, not 0"),
        ({"within": "soon"}, r"distinct\(within\) must be a duration, not 'soon'"),
        ({"key": 1.5}, r"distinct\(key\) needs a function, a key or an attribute's name, not 1.5"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(GraphError, match=message):
        Stream([1]).distinct(**arguments)
