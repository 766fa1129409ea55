"""``filter``: the items for which a predicate holds."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, StrayAwaitableError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed, stamps
from tests.ops.cases import TURNED, every_kind, turning, waiting


def odd(x):
    return x % 2


@every_kind
async def test_every_kind_of_function_will_do(kind):
    stream = Stream(range(6)).filter(kind(odd))
    for _ in range(2):
        assert await stream.collect() == [1, 3, 5]
    assert_closed()


@given(st.lists(st.integers()))
def test_it_is_the_builtin_filter(items):
    assert testing.run(Stream(items).filter(odd).collect()) == [*filter(odd, items)]


async def test_anything_true_keeps_an_item():
    items = [0, 1, "", "a", None, [], [0]]
    assert await Stream(items).filter(lambda x: x).collect() == [1, "a", [0]]
    assert await Stream(items).filter(bool).collect() == [1, "a", [0]]


async def test_an_item_whose_truth_cannot_be_told_is_no_matter():
    class Array:
        def __bool__(self):
            raise ValueError("ambiguous")

    item = Array()
    assert await Stream([item]).filter(lambda _: True).collect() == [item]


async def test_an_async_predicate_holds_the_source():
    source, seen = RecordingSource(range(3)), []

    async def look(x):
        await asyncio.sleep(1)
        seen.append((x, [*source.read]))
        return True

    await Stream(source).filter(look).run()
    assert seen == [(0, [0]), (1, [0, 1]), (2, [0, 1, 2])]


async def test_items_that_are_dropped_still_move_the_clock():
    recorder = testing.Recorder()
    await recorder.watch(Stream([1, 2, 3]).event_time(lambda x: x).filter(lambda x: x == 1)).run()
    assert recorder.events == [(1, 1.0)]
    assert recorder.watermarks[:3] == [1, 2, 3]


async def test_items_keep_their_time():
    stream = Stream([1, 2, 3]).event_time(lambda x: x).filter(odd)
    assert await stamps(stream) == [(1, 1.0), (3, 3.0)]


async def test_a_predicate_that_fails_names_operator_and_item():
    rows = []
    with pytest.raises(ZeroDivisionError) as caught:
        await Stream([1, 0]).filter(lambda x: 1 / x).to(rows).run()
    (note,) = caught.value.__notes__
    assert "filter(<lambda>)" in note
    assert note.endswith("on item 0")
    assert rows == [1]


async def test_a_truth_value_that_fails_names_operator_and_item():
    class Array:
        def __eq__(self, other):
            return self

        def __bool__(self):
            raise ValueError("ambiguous")

    with pytest.raises(ValueError, match="ambiguous") as caught:
        await Stream([Array()]).filter(lambda x: x == 1).run()
    assert "filter(<lambda>)" in caught.value.__notes__[0]


async def test_a_coroutine_after_plain_values_is_an_error():
    with turning(odd) as fn, pytest.raises(StrayAwaitableError, match=TURNED) as caught:
        await Stream([1, 2]).filter(fn).collect()
    assert "filter(" in caught.value.__notes__[0]


def test_what_is_no_function_is_refused():
    with pytest.raises(GraphError, match=r"filter\(predicate\) needs a function, not None"):
        Stream([1]).filter(None)
    with pytest.raises(GraphError, match="without calling it"):
        Stream([1]).filter(waiting(odd)(1))
