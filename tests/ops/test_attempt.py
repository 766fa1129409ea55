"""``attempt``: failures as items, in their place."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rivulet
from rivulet import Failure, GraphError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed, marbles


def half(x):
    return 8 // x


def shown(rows):
    return [(row.item, row.operator) if isinstance(row, Failure) else row for row in rows]


@pytest.mark.parametrize(
    "between",
    [
        lambda s: s,
        lambda s: s.buffer(2),
        lambda s: s.map(lambda x: x, concurrency=3),
        lambda s: s.merge([]),
        lambda s: s + [],
        lambda s: s.delay(1),
        lambda s: s.zip().map(lambda row: row[0]),
    ],
    ids=["nothing", "buffer", "concurrent", "merge", "concat", "delay", "zip"],
)
@given(items=st.lists(st.integers(0, 3)))
def test_each_item_gives_its_result_or_its_failure_in_order(between, items):
    got = testing.run(between(Stream(items).map(half)).attempt().collect())
    assert shown(got) == [8 // x if x else (0, "map(half)") for x in items]


async def test_calls_side_by_side_keep_the_order():
    async def later(x):
        await asyncio.sleep(1 if x else 3)
        return 8 // x

    rows = await Stream.of(1, 0, 2).map(later, concurrency=3).attempt().collect()
    assert shown(rows) == [8, (0, "map(later, concurrency=3)"), 4]


async def test_failures_go_through_what_is_below():
    kinds = Stream.of(1, 0).map(half).attempt().map(lambda r: type(r).__name__).batch(2)
    assert await kinds.collect() == [["int", "Failure"]]


async def test_only_the_given_types_are_taken():
    stream = Stream.of("x", None).map(int)
    with pytest.raises(TypeError):
        await stream.attempt(types=ValueError).collect()
    assert len(await stream.attempt(types=(ValueError, TypeError)).collect()) == 2


async def test_what_was_taken_above_does_not_come():
    stream = Stream.of(0, 1).map(half).on_error("skip").map(lambda x: 1 // (x - 8)).attempt()
    assert shown(await stream.collect()) == [(8, "map(<lambda>)")]


async def test_a_branch_without_it_raises():
    stream = Stream.of(0).map(half)
    with pytest.raises(ZeroDivisionError):
        await rivulet.run(stream.attempt(), stream)


async def test_a_source_that_fails_ends_the_run():
    with pytest.raises(ConnectionError):
        await marbles("a#", error=ConnectionError()).map(str).attempt().collect()


async def test_leaving_early_closes_the_source():
    source = RecordingSource([0, 1], silent=True)
    async with Stream(source).map(half).attempt().open() as items:
        assert isinstance(await anext(items), Failure)
    assert_closed(source)


def test_wrong_arguments_are_refused_when_built():
    with pytest.raises(GraphError, match=r"attempt\(types\) must be an exception class"):
        Stream.of(1).attempt(types="ValueError")
