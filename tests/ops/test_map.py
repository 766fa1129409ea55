"""``map``: one item out for each item in."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, StrayAwaitableError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed, timed
from tests.ops.cases import TURNED, every_kind, turning, waiting


def square(x):
    return x * x


def sleeping(log):
    """Sleeps for as long as the item says and writes down when it begins and ends."""

    async def sleep(x):
        log.append(("begin", x))
        try:
            await asyncio.sleep(x)
        finally:
            log.append(("end", x))
        return x

    return sleep


@every_kind
@pytest.mark.parametrize("concurrency", [1, 3])
async def test_every_kind_of_function_will_do(kind, concurrency):
    stream = Stream([1, 2, 3, 4]).map(kind(square), concurrency=concurrency)
    for _ in range(2):
        assert await stream.collect() == [1, 4, 9, 16]
    assert_closed()


@given(st.lists(st.integers()), st.integers(1, 4), st.booleans())
def test_it_is_the_builtin_map(items, concurrency, ordered):
    stream = Stream(items).map(waiting(square), concurrency=concurrency, ordered=ordered)
    rows = testing.run(stream.collect())
    assert sorted(rows) == sorted(map(square, items))
    assert rows == [*map(square, items)] or not ordered


@pytest.mark.parametrize("fn", [str, "{:>3}".format, {1: "a"}.get, int.bit_length, abs])
async def test_builtins_classes_and_methods_will_do(fn):
    assert await Stream([1, 2]).map(fn).collect() == [*map(fn, [1, 2])]


async def test_a_getter_may_give_what_is_awaited():
    loop = asyncio.get_running_loop()
    futures = [loop.create_future(), loop.create_future()]
    loop.call_later(1, futures[0].set_result, "a")
    loop.call_later(2, futures[1].set_result, "b")
    assert await Stream([0, 1]).map(lambda n: futures[n]).collect() == ["a", "b"]
    assert await Stream([0, 1]).map(futures.__getitem__).collect() == ["a", "b"]


async def test_falsy_results_before_a_coroutine_decide_nothing():
    async def fetch(x):
        return x * 10

    assert await Stream([0, 0, 1, 2]).map(lambda x: x and fetch(x)).collect() == [0, 0, 10, 20]


async def test_results_that_can_be_awaited_and_iterated_are_not_awaited():
    (inner,) = await Stream([3]).map(lambda x: Stream(range(x))).collect()
    assert await inner.collect() == [0, 1, 2]


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_the_source_is_read_when_a_call_can_begin(concurrency):
    source = RecordingSource([3, 1, 1, 5, 5])
    log = []
    run = Stream(source).map(sleeping(log), concurrency=concurrency).start()
    await asyncio.sleep(0.5)
    assert log == [("begin", x) for x in [3, 1][:concurrency]]
    assert len(source.read) == concurrency
    await run.cancel()
    assert_closed(source)


async def test_results_come_in_order_while_calls_overlap():
    stream = Stream([3, 1, 2]).map(sleeping([]), concurrency=3)
    assert await timed(stream) == [(3, 3), (3, 1), (3, 2)]


async def test_results_come_as_they_end():
    stream = Stream([3, 1, 2]).map(sleeping([]), concurrency=3, ordered=False)
    assert await timed(stream) == [(1, 1), (2, 2), (3, 3)]


async def test_no_more_calls_are_under_way_than_allowed():
    log = []
    rows = await timed(Stream([2, 2, 2, 2]).map(sleeping(log), concurrency=2))
    assert rows == [(2, 2), (2, 2), (4, 2), (4, 2)]
    assert [what for what, _ in log] == ["begin", "begin", "end", "end"] * 2


@pytest.mark.parametrize("by", [lambda x: x[0], 0], ids=["function", "position"])
async def test_calls_of_one_key_follow_each_other(by):
    log = []

    async def work(item):
        log.append(item)
        await asyncio.sleep(item[1])
        return item

    items = [("a", 3), ("a", 1), ("b", 1), ("b", 1)]
    stream = Stream(items).map(work, concurrency=4, ordered=False, by=by)
    assert await timed(stream) == [(1, ("b", 1)), (2, ("b", 1)), (3, ("a", 3)), (4, ("a", 1))]
    assert log == [("a", 3), ("b", 1), ("b", 1), ("a", 1)]


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_a_call_that_fails_names_operator_and_item(concurrency):
    source, rows = RecordingSource([2, 1, 0, 3]), []
    with pytest.raises(ZeroDivisionError) as caught:
        await Stream(source).map(lambda x: 1 // x, concurrency=concurrency).to(rows).run()
    (note,) = caught.value.__notes__
    assert "map(<lambda>" in note
    assert note.endswith("on item 0")
    assert rows == [0, 1]
    assert_closed(source)


async def test_calls_under_way_are_cancelled_when_one_fails():
    log = []
    work = sleeping(log)

    async def fail_on_two(x):
        await work(x)
        return 1 / (x - 2)

    with pytest.raises(ZeroDivisionError):
        await Stream([2, 9, 9]).map(fail_on_two, concurrency=3).run()
    assert asyncio.get_running_loop().time() == 2
    assert log.count(("end", 9)) == 2
    assert_closed()


async def test_calls_under_way_are_cancelled_when_the_reader_leaves():
    log = []
    async with Stream([1, 9]).map(sleeping(log), concurrency=2).open() as rows:
        assert await anext(rows) == 1
    assert log[-1] == ("end", 9)
    assert_closed()


async def test_the_source_ending_lets_calls_under_way_end():
    assert await Stream([5, 1]).map(sleeping([]), concurrency=2, ordered=False).collect() == [1, 5]


async def test_a_coroutine_after_plain_values_is_an_error_at_a_sink():
    with turning(square) as fn, pytest.raises(StrayAwaitableError, match=TURNED):
        await Stream([1, 2]).map(fn).to([]).run()


async def test_a_coroutine_after_plain_values_is_an_error_at_the_reader():
    with turning(square) as fn, pytest.raises(StrayAwaitableError, match=TURNED):
        await Stream([1, 2]).map(fn).collect()


async def test_with_concurrency_each_result_is_looked_at():
    with turning(square) as fn:
        assert await Stream([1, 2, 3]).map(fn, concurrency=2).collect() == [1, 4, 9]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fn": None}, r"map\(fn\) needs a function, not None"),
        ({"fn": "name"}, r"map\(fn\) needs a function, not 'name'"),
        ({"fn": str, "concurrency": 0}, r"map\(concurrency\) must be .* at least 1, not 0"),
        ({"fn": str, "concurrency": 1.5}, r"map\(concurrency\) must be .*, not 1.5"),
        ({"fn": str, "by": 1.5}, r"map\(by\) needs a function, a key or an attribute's name"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    fn = arguments.pop("fn")
    with pytest.raises(GraphError, match=message):
        Stream([1]).map(fn, **arguments)


def test_a_coroutine_in_place_of_its_function_is_refused():
    async def fetch(x):
        return x

    with pytest.raises(GraphError, match=r"pass .*fetch without calling it"):
        Stream([1]).map(fetch(1))
