"""``starmap``: one item out for each tuple in."""

from __future__ import annotations

import asyncio
import itertools
from operator import add

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, StrayAwaitableError, Stream, testing
from rivulet.testing import assert_closed, timed
from tests.ops.cases import TURNED, every_kind, turning, waiting


@every_kind
@pytest.mark.parametrize("concurrency", [1, 3])
async def test_every_kind_of_function_will_do(kind, concurrency):
    stream = Stream([(1, 2), (3, 4), (5, 6)]).starmap(kind(add), concurrency=concurrency)
    for _ in range(2):
        assert await stream.collect() == [3, 7, 11]
    assert_closed()


@given(st.lists(st.tuples(st.integers(), st.integers())))
def test_it_is_the_starmap_of_itertools(items):
    assert testing.run(Stream(items).starmap(add).collect()) == [*itertools.starmap(add, items)]


async def test_items_of_any_length_are_spread():
    assert await Stream(["", "ab", [1, 2, 3]]).starmap(lambda *parts: len(parts)).collect() == [
        0,
        2,
        3,
    ]


async def test_results_come_as_they_end():
    async def sleep(seconds, name):
        await asyncio.sleep(seconds)
        return name

    stream = Stream([(3, "a"), (1, "b")]).starmap(sleep, concurrency=2, ordered=False)
    assert await timed(stream) == [(1, "b"), (3, "a")]


async def test_calls_of_one_key_follow_each_other():
    async def sleep(name, seconds):
        await asyncio.sleep(seconds)
        return name

    items = [("a", 2), ("a", 1), ("b", 1)]
    stream = Stream(items).starmap(sleep, concurrency=3, ordered=False, by=0)
    assert await timed(stream) == [(1, "b"), (2, "a"), (3, "a")]


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize(
    ("item", "kind"), [((1, 0), ZeroDivisionError), ((1,), TypeError), (5, TypeError)], ids=str
)
async def test_a_call_that_fails_names_operator_and_item(item, kind, concurrency):
    def divide(a, b):
        return a / b

    with pytest.raises(kind) as caught:
        await Stream([item]).starmap(divide, concurrency=concurrency).run()
    (note,) = caught.value.__notes__
    assert "starmap(divide" in note
    assert note.endswith(f"on item {item}")


async def test_a_coroutine_after_plain_values_is_an_error_at_a_sink():
    with turning(add) as fn, pytest.raises(StrayAwaitableError, match=TURNED):
        await Stream([(1, 2), (3, 4)]).starmap(fn).to([]).run()


async def test_a_coroutine_after_plain_values_is_an_error_at_the_reader():
    with turning(add) as fn, pytest.raises(StrayAwaitableError, match=TURNED):
        await Stream([(1, 2), (3, 4)]).starmap(fn).collect()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fn": 3}, r"starmap\(fn\) needs a function, not 3"),
        ({"fn": add, "concurrency": -1}, r"starmap\(concurrency\) must be .* at least 1, not -1"),
        ({"fn": add, "by": []}, r"starmap\(by\) needs a function, a key or an attribute's name"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    fn = arguments.pop("fn")
    with pytest.raises(GraphError, match=message):
        Stream([1]).starmap(fn, **arguments)


def test_a_coroutine_in_place_of_its_function_is_refused():
    with pytest.raises(GraphError, match="without calling it"):
        Stream([1]).starmap(waiting(add)(1, 2))
