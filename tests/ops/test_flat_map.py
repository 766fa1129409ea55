"""``flat_map``: any number of items out for each item in."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, StrayAwaitableError, Stream, maybe_async, testing
from rivulet.testing import RecordingSource, assert_closed, stamps, timed
from tests.ops.cases import TURNED, every_kind, turning, waiting


def countdown(n):
    while n:
        yield n
        n -= 1


async def countdown_later(n):
    for x in countdown(n):
        await asyncio.sleep(1)
        yield x


GIVERS = {
    "generator function": countdown,
    "async generator function": countdown_later,
    "function that gives an iterator": lambda n: iter(range(n, 0, -1)),
    "function that gives an async generator": lambda n: countdown_later(n),
    "function that gives a stream": lambda n: Stream(range(n, 0, -1)),
    "coroutine function that gives a generator": waiting(countdown),
    "coroutine function that gives a stream": waiting(lambda n: Stream(countdown(n))),
    "builtin": lambda n: [*countdown(n)],
}

every_giver = pytest.mark.parametrize("fn", GIVERS.values(), ids=GIVERS)
every_concurrency = pytest.mark.parametrize("concurrency", [1, 3])


@every_giver
@every_concurrency
async def test_whatever_can_be_iterated_will_do(fn, concurrency):
    stream = Stream([0, 3, 0, 1, 2]).flat_map(fn, concurrency=concurrency)
    for _ in range(2):
        assert await stream.collect() == [3, 2, 1, 1, 2, 1]
    assert_closed()


@every_kind
@every_concurrency
async def test_every_kind_of_function_will_do(kind, concurrency):
    fn = kind(lambda n: [n] * n)
    assert await Stream([1, 0, 2, 3]).flat_map(fn, concurrency=concurrency).collect() == [
        *[1, 2, 2, 3, 3, 3]
    ]


@every_concurrency
async def test_a_class_or_a_getter_may_give_what_is_iterated_async(concurrency):
    inner = [Stream("ab"), countdown_later(2)]
    for fn, items in (Stream, ["ab", [2, 1]]), (inner.__getitem__, [0, 1]):
        rows = await Stream(items).flat_map(fn, concurrency=concurrency).collect(limit=9)
        assert rows == ["a", "b", 2, 1]


@given(st.lists(st.lists(st.integers(), max_size=4), max_size=6), st.integers(1, 3), st.booleans())
def test_it_is_a_chain(items, concurrency, ordered):
    stream = Stream(items).flat_map(lambda row: row, concurrency=concurrency, ordered=ordered)
    rows = testing.run(stream.collect())
    assert sorted(rows) == sorted(itertools.chain(*items))
    assert rows == [*itertools.chain(*items)] or not ordered


@pytest.mark.parametrize("fn", [countdown, countdown_later])
async def test_each_result_goes_all_the_way_down_before_the_next_is_made(fn):
    log, results = [], []

    async def watched(n):
        async for x in Stream(lambda: fn(n)):
            log.append(f"make {x}")
            yield x

    await Stream([2, 1]).flat_map(watched).map(str).to(results, log.append).run()
    assert log == ["make 2", "2", "make 1", "1", "make 1", "1"]


@every_giver
async def test_the_next_item_is_read_when_a_result_has_ended(fn):
    source, seen = RecordingSource([2, 2]), []
    await Stream(source).flat_map(fn).to(lambda _: seen.append(len(source.read))).run()
    assert seen == [1, 1, 2, 2]


@every_concurrency
async def test_results_are_closed_when_the_reader_leaves(concurrency):
    inner = [RecordingSource(range(9), every=1) for _ in range(3)]
    stream = Stream(range(3)).flat_map(lambda n: inner[n], concurrency=concurrency)
    assert await stream.take(1).collect() == [0]
    assert [source.opened for source in inner] == [1] * concurrency + [0] * (3 - concurrency)
    assert_closed(*inner)


async def test_plain_generators_are_closed_when_the_reader_leaves():
    log = []

    def watched(n):
        try:
            yield from range(n)
        finally:
            log.append("closed")

    async with Stream([9, 9]).flat_map(watched).open() as rows:
        assert await anext(rows) == 0
    assert log == ["closed"]


@every_concurrency
@pytest.mark.parametrize("fn", [countdown, countdown_later])
async def test_a_result_that_fails_names_operator_and_item(fn, concurrency):
    async def failing(n):
        async for x in Stream(lambda: fn(n)):
            yield 2 // (x - 1)

    rows = []
    with pytest.raises(ZeroDivisionError) as caught:
        await Stream([3]).flat_map(failing, concurrency=concurrency).to(rows).run()
    (note,) = caught.value.__notes__
    assert "flat_map(failing" in note
    assert note.endswith("on item 3")
    assert rows == [1, 2]
    assert_closed()


@every_concurrency
async def test_what_cannot_be_iterated_is_an_error(concurrency):
    stream = Stream([5]).flat_map(lambda x: x, concurrency=concurrency)
    with pytest.raises(TypeError, match="itera.*int|iterable is needed, not 5") as caught:
        await stream.run()
    assert caught.value.__notes__[0].endswith("on item 5")


async def test_several_results_are_read_at_once_and_given_in_order():
    stream = Stream([3, 1, 2]).flat_map(countdown_later, concurrency=2)
    assert await timed(stream) == [(1, 3), (2, 2), (3, 1), (3, 1), (4, 2), (5, 1)]


async def test_several_results_come_as_they_come():
    async def named(name, pause):
        for n in range(2):
            await asyncio.sleep(pause)
            yield f"{name}{n}"

    stream = Stream([("a", 2), ("b", 1.5), ("c", 0.5)])
    rows = await timed(stream.flat_map(lambda x: named(*x), concurrency=2, ordered=False))
    assert rows == [(1.5, "b0"), (2, "a0"), (3, "b1"), (3.5, "c0"), (4, "a1"), (4, "c1")]


async def test_results_are_read_a_little_ahead():
    inner = RecordingSource(range(100))

    async def slow(x):
        await asyncio.sleep(1)
        return x

    run = Stream([0]).flat_map(lambda _: inner, concurrency=2).map(slow).start()
    await asyncio.sleep(0.5)
    assert 1 <= len(inner.read) <= 2 * 16 + 1
    await run.cancel()
    assert_closed(inner)


@every_concurrency
async def test_results_have_the_time_of_their_item(concurrency):
    stream = Stream([2, 1]).event_time(lambda x: x).flat_map(countdown, concurrency=concurrency)
    assert await stamps(stream) == [(2, 2.0), (1, 2.0), (1, 1.0)]


async def test_functions_marked_maybe_async_may_give_anything():
    gives = [countdown, countdown_later, waiting(countdown), lambda n: [n]]
    fn = maybe_async(lambda n: gives[n](n))
    assert await Stream(range(4)).flat_map(fn).collect() == [1, 2, 1, 3]


async def test_a_coroutine_after_plain_values_is_an_error():
    with turning(lambda n: [n]) as fn, pytest.raises(StrayAwaitableError, match=TURNED):
        await Stream([1, 2]).flat_map(fn).collect()


async def test_with_concurrency_each_result_is_looked_at():
    with turning(lambda n: [n]) as fn:
        assert await Stream([1, 2]).flat_map(fn, concurrency=2).collect() == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fn": [1]}, r"flat_map\(fn\) needs a function, not \[1\]"),
        ({"fn": list, "concurrency": 0}, r"flat_map\(concurrency\) must be .* at least 1, not 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    fn = arguments.pop("fn")
    with pytest.raises(GraphError, match=message):
        Stream([1]).flat_map(fn, **arguments)
