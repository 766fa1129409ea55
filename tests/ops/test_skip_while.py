"""``skip_while``: the items from where a condition fails."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream, testing
from rivulet.testing import RecordingSource
from tests.ops.cases import check_resuming, every_kind, turning, waiting


def small(x):
    return x < 3


@every_kind
async def test_every_kind_of_function_will_do(kind):
    assert await Stream([1, 2, 5, 1]).skip_while(kind(small)).collect() == [5, 1]


@given(st.lists(st.integers(0, 5)))
def test_it_is_dropwhile(items):
    stream = Stream(items).skip_while(small)
    assert testing.run(stream.collect()) == [*itertools.dropwhile(small, items)]
    check_resuming(stream, items)


async def test_the_predicate_is_not_called_after_it_was_false():
    seen = []
    stream = Stream(range(5)).skip_while(lambda x: seen.append(x) or x < 2)
    for _ in range(2):
        assert await stream.collect() == [2, 3, 4]
    assert seen == [0, 1, 2, 0, 1, 2]


async def test_an_async_predicate_holds_the_source():
    source, seen = RecordingSource(range(4)), []

    async def small_later(x):
        seen.append((x, len(source.read)))
        return await waiting(small)(x)

    assert await Stream(source).skip_while(small_later).collect() == [3]
    assert seen == [(0, 1), (1, 2), (2, 3), (3, 4)]


async def test_a_predicate_may_turn_to_coroutines():
    with turning(small) as fn:
        assert await Stream([1, 2, 5, 1]).skip_while(fn).collect() == [5, 1]


async def test_a_predicate_that_fails_fails_the_run():
    with pytest.raises(ZeroDivisionError) as caught:
        await Stream([1, 0]).skip_while(lambda x: 1 / x).run()
    assert "skip_while(<lambda>)" in caught.value.__notes__[0]
    assert "on item 0" in caught.value.__notes__[0]


def test_what_is_no_function_is_refused():
    with pytest.raises(GraphError, match=r"skip_while\(predicate\) needs a function, not None"):
        Stream([1]).skip_while(None)
    with pytest.raises(GraphError, match="the coroutine that calling .*wait.* without calling it"):
        Stream([1]).skip_while(waiting(small)(1))
