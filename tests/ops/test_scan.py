"""``scan``: a running value."""

from __future__ import annotations

import itertools
import threading
from operator import add

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rivulet import GraphError, StrayAwaitableError, Stream, testing
from rivulet.aggregators import (
    Aggregator,
    Collect,
    Count,
    CountDistinct,
    Counts,
    First,
    Last,
    Max,
    Mean,
    Min,
    Quantile,
    Reduce,
    Std,
    Sum,
    TopK,
    Var,
    fused,
)
from rivulet.testing import RecordingSource, marbles, stamps, timed
from tests.ops.cases import TURNED, check_resuming, every_kind, turning, waiting

INTEGERS = st.lists(st.integers())


def append(items, item):
    items.append(item)
    return items


@every_kind
@pytest.mark.parametrize(("initial", "rows"), [((), [1, 3, 6]), ((10,), [11, 13, 16])])
async def test_every_kind_of_function_will_do(kind, initial, rows):
    stream = Stream([1, 2, 3]).scan(kind(add), *initial)
    for _ in range(2):
        assert await stream.collect() == rows


@given(INTEGERS)
def test_it_is_accumulate(items):
    stream = Stream(items).scan(add)
    assert testing.run(stream.collect()) == [*itertools.accumulate(items)]
    check_resuming(stream, items)


@given(INTEGERS)
def test_an_initial_value_is_not_given_itself(items):
    stream = Stream(items).scan(add, 7)
    assert testing.run(stream.collect()) == [*itertools.accumulate(items, initial=7)][1:]
    check_resuming(stream, items)


def test_a_saved_value_is_apart_from_the_running_one():
    check_resuming(Stream([]).fold(append, []), [1, 2, 3])


async def test_each_run_begins_with_a_copy_of_the_initial_value():
    initial = []
    stream = Stream([1, 2]).scan(append, initial).map(tuple)
    for _ in range(2):
        assert await stream.collect() == [(1,), (1, 2)]
    assert initial == []


async def test_values_may_be_none_or_falsy():
    assert await Stream([1, 2]).scan(lambda value, item: (value, item), None).collect() == [
        (None, 1),
        ((None, 1), 2),
    ]
    assert await Stream([0, 0]).scan(add).collect() == [0, 0]


async def test_values_come_at_the_time_of_their_items():
    assert await timed(marbles("a-b-c|").scan(add)) == [(0, "a"), (2, "ab"), (4, "abc")]
    stream = Stream([1, 2]).event_time(lambda x: x).scan(add, 5)
    assert await stamps(stream) == [(6, 1.0), (8, 2.0)]


async def test_an_async_function_holds_the_source():
    source, seen = RecordingSource([1, 2, 3]), []

    async def look(value, item):
        seen.append((value, item, len(source.read)))
        return await waiting(add)(value, item)

    await Stream(source).scan(look, 0).run()
    assert seen == [(0, 1, 1), (1, 2, 2), (3, 3, 3)]


async def test_a_function_that_fails_names_operator_and_item():
    rows = []
    with pytest.raises(TypeError) as caught:
        await Stream([1, "b"]).scan(add).to(rows).run()
    (note,) = caught.value.__notes__
    assert "scan(add)" in note
    assert note.endswith("on item 'b'")
    assert rows == [1]


async def test_a_coroutine_after_plain_values_is_an_error():
    with turning(add) as fn, pytest.raises(StrayAwaitableError, match=TURNED):
        await Stream([1, 2, 3]).scan(fn).to([]).run()


async def test_a_value_that_cannot_be_copied_is_named():
    with pytest.raises(TypeError, match="pickle") as caught:
        await Stream([1]).scan(append, threading.Lock()).run()
    assert "begins with a deep copy of <unlocked _thread.lock" in caught.value.__notes__[0]


def test_what_is_no_function_is_refused():
    with pytest.raises(GraphError, match=r"scan\(fn\) needs a function, not 0"):
        Stream([1]).scan(0, add)
    with pytest.raises(GraphError, match="without calling it"):
        Stream([1]).scan(waiting(add)(1, 2))


# Aggregators


AGGREGATORS = [
    Collect(), Count(), CountDistinct(), Counts(), First(), Last(), Max(), Mean(), Min(),
    Quantile(), Reduce(max), Std(), Sum(), TopK(k=2), Var(),
]  # fmt: skip


class Longest:
    """One of the user's own, with what an aggregator needs and no more."""

    def init(self):
        return ""

    def add(self, acc, value):
        return max(acc, value, key=len)

    def merge(self, a, b):
        return max(a, b, key=len)

    def result(self, acc):
        return acc


@pytest.mark.parametrize("aggregator", AGGREGATORS, ids=repr)
@settings(max_examples=15)
@given(items=st.lists(st.integers(-5, 5), max_size=12))
def test_an_aggregator_gives_what_it_makes_of_all_items_so_far(aggregator, items):
    def of_all(items):
        how = fused({"it": aggregator})
        kept = how.init()
        for place, item in enumerate(items):
            how.add(kept, item, place)
        return how.result(kept)["it"]

    stream = Stream(items).scan(aggregator)
    assert testing.run(stream.collect()) == [of_all(items[: n + 1]) for n in range(len(items))]
    check_resuming(stream, items)


async def test_an_aggregator_takes_its_field_and_may_be_of_ones_own():
    rows = [{"x": 1}, {"x": 5}, {"x": None}]
    assert await Stream(rows).scan(Sum("x")).collect() == [1, 6, 6]
    words = Stream(["a", "cow", "ox"])
    for _ in range(2):
        assert await words.scan(Longest()).collect() == ["a", "cow", "cow"]
    by_length = words.group_by(len).scan(Count()).items()
    assert await by_length.collect() == [(1, 1), (3, 1), (2, 1)]


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda s: s.scan(Sum), r"scan needs an aggregator, not the class Sum: write Sum\(\)"),
        (lambda s: s.scan(Sum(), 3), r"scan\(Sum\(\)\) begins with a value of its own"),
        (lambda s: s.scan(Aggregator()), "needs an aggregator such as Count"),
        (lambda s: s.group_by(bool).scan(Max), r"write Max\(\)"),
        (lambda s: s.group_by(bool).agg(), "at least one aggregator"),
        (lambda s: s.group_by(bool).agg(n=Count), r"agg\(n\) needs an aggregator, not the class"),
    ],
)
def test_wrong_aggregators_are_refused_when_built(use, message):
    with pytest.raises(GraphError, match=message):
        use(Stream([1]))
