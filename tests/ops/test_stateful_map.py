"""``stateful_map``: a result and a new state for each item."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, StrayAwaitableError, Stream, testing
from rivulet.testing import marbles, stamps
from tests.ops.cases import TURNED, check_resuming, every_kind, turning, waiting

WORDS = ["apple", "bean", "avocado", "beet", "ape"]


def difference(before, item):
    return item, item - before


def number(count, item):
    return count + 1, (count, item)


@every_kind
async def test_every_kind_of_function_will_do(kind):
    stream = Stream([1, 4, 9]).stateful_map(kind(difference), 0)
    for _ in range(2):
        assert await stream.collect() == [1, 3, 5]


@given(st.lists(st.integers()))
def test_the_state_goes_from_item_to_item(items):
    stream = Stream(items).stateful_map(difference, 0)
    rows = [b - a for a, b in zip([0, *items], items, strict=False)]
    assert testing.run(stream.collect()) == rows
    check_resuming(stream, items)


async def test_each_run_begins_with_a_copy_of_the_initial_state():
    def seen_before(seen, item):
        known = item in seen
        seen.add(item)
        return seen, known

    initial = set()
    stream = Stream("aba").stateful_map(seen_before, initial)
    for _ in range(2):
        assert await stream.collect() == [False, False, True]
    assert initial == set()


@pytest.mark.parametrize("by", [lambda word: word[0], 0], ids=["function", "position"])
async def test_each_key_has_a_state_of_its_own(by):
    rows = await Stream(WORDS).stateful_map(number, 0, by=by).collect()
    assert rows == [(0, "apple"), (0, "bean"), (1, "avocado"), (1, "beet"), (2, "ape")]


async def test_keys_do_not_share_a_mutable_initial_state():
    def append(items, item):
        items.append(item)
        return items, tuple(items)

    rows = await Stream("aba").stateful_map(append, [], by=lambda x: x).collect()
    assert rows == [("a",), ("b",), ("a", "a")]


async def test_the_state_of_a_key_without_items_is_forgotten():
    stream = marbles("a-a---ab-a|").stateful_map(number, 0, by=lambda x: x, ttl=2.5)
    assert await stream.collect() == [(0, "a"), (1, "a"), (0, "a"), (0, "b"), (0, "a")]


async def test_results_have_the_time_of_their_items():
    stream = Stream([1, 3]).event_time(lambda x: x)
    assert await stamps(stream.stateful_map(difference, 0)) == [(1, 1.0), (2, 3.0)]
    assert await stamps(stream.stateful_map(number, 0, by=lambda x: x)) == [
        ((0, 1), 1.0),
        ((0, 3), 3.0),
    ]


async def test_a_function_that_fails_names_operator_and_item():
    with pytest.raises(TypeError) as caught:
        await Stream([1, "b"]).stateful_map(difference, 0).run()
    (note,) = caught.value.__notes__
    assert "stateful_map(difference, initial=0)" in note
    assert note.endswith("on item 'b'")


async def test_a_function_has_to_give_a_pair():
    with pytest.raises(TypeError, match="unpack") as caught:
        await Stream([1]).stateful_map(lambda state, item: item, 0).run()
    assert "stateful_map(<lambda>, initial=0)" in caught.value.__notes__[0]


async def test_a_coroutine_after_plain_values_is_an_error():
    with turning(difference) as fn, pytest.raises(StrayAwaitableError, match=TURNED):
        await Stream([1, 2]).stateful_map(fn, 0).collect()


@pytest.mark.parametrize(
    ("fn", "options", "message"),
    [
        (None, {}, r"stateful_map\(fn\) needs a function, not None"),
        (number, {"ttl": 1}, r"stateful_map\(ttl=\) needs by="),
        (number, {"by": 1.5}, r"stateful_map\(by\) needs a function, a key or an attribute"),
        (number, {"by": 0, "ttl": 0}, r"stateful_map\(ttl\) must be more than zero, not 0"),
    ],
)
def test_wrong_arguments_are_refused(fn, options, message):
    with pytest.raises(GraphError, match=message):
        Stream([1]).stateful_map(fn, 0, **options)


def test_a_coroutine_in_place_of_its_function_is_refused():
    with pytest.raises(GraphError, match="without calling it"):
        Stream([1]).stateful_map(waiting(number)(0, 1), 0)
