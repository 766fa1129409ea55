"""``pipe``: any function of an async iterable as an operator."""

from __future__ import annotations

import asyncio
import itertools

import aiostream
import asyncstdlib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream, testing
from rivulet.core.stage import Apply
from rivulet.testing import RecordingSource, assert_closed, stamps, timed

INTEGERS = st.lists(st.integers())


async def twice(items):
    async for item in items:
        yield item
        yield item


async def first_two(items):
    count = 0
    async for item in items:
        yield item
        count += 1
        if count == 2:
            return


async def framed(items):
    yield "begin"
    async for item in items:
        yield item
    yield "end"


@given(INTEGERS)
def test_functions_of_asyncstdlib_do_what_those_of_itertools_do(items):
    async def main():
        stream = Stream(items)
        pairs = await stream.pipe(asyncstdlib.pairwise).collect()
        assert pairs == [*itertools.pairwise(items)]
        texts = await stream.pipe(lambda rows: asyncstdlib.map(str, rows)).collect()
        assert texts == [*map(str, items)]
        some = await stream.pipe(lambda rows: asyncstdlib.islice(rows, 1, None, 2)).collect()
        assert some == items[1::2]

    testing.run(main())


async def test_operators_of_aiostream_will_do():
    stream = Stream(range(5)).pipe(aiostream.pipe.map(lambda x: x * 2), aiostream.pipe.skip(1))
    assert await stream.collect() == [2, 4, 6, 8]
    assert await stream.pipe(aiostream.pipe.take(2)).collect() == [2, 4]
    assert_closed()


async def test_functions_apply_from_left_to_right():
    stream = Stream([1, 2, 3])
    assert await stream.pipe(twice, first_two).collect() == [1, 1]
    assert await stream.pipe(first_two, twice).collect() == [1, 1, 2, 2]
    assert await (stream | twice | first_two).collect() == [1, 1]


async def test_every_run_calls_the_function_anew():
    stream = Stream([1, 2]).pipe(asyncstdlib.accumulate)
    assert await stream.collect() == await stream.collect() == [1, 3]


async def test_a_function_of_a_stream_becomes_part_of_the_graph():
    def texts(stream: Stream) -> Stream:
        return stream.map(str)

    stream = Stream([1, 2]).pipe(texts)
    assert isinstance(stream.node.stage(), Apply)
    assert await stream.collect() == ["1", "2"]


async def test_a_function_of_a_stream_that_does_not_say_so_will_do():
    assert await Stream([1, 2]).pipe(lambda s: s.map(str).start_with(0)).collect() == [0, "1", "2"]


async def test_each_output_goes_down_before_the_next_is_asked_for():
    log = []

    async def noted(items):
        async for item in items:
            for part in "ab":
                log.append(f"give {item}{part}")
                yield f"{item}{part}"
            log.append("ask")

    await Stream([1, 2]).pipe(noted).to(log.append).run()
    assert log == [
        *["give 1a", "1a", "give 1b", "1b", "ask"],
        *["give 2a", "2a", "give 2b", "2b", "ask"],
    ]


async def test_the_source_is_read_when_the_function_asks():
    source, seen = RecordingSource(range(6)), []

    async def pairs(items):
        rows = aiter(items)
        async for first in rows:
            seen.append([*source.read])
            yield first, await anext(rows)

    assert await Stream(source).pipe(pairs).take(2).collect() == [(0, 1), (2, 3)]
    assert seen == [[0], [0, 1, 2]]
    assert source.read == [0, 1, 2, 3]


async def test_a_function_that_ends_closes_the_source():
    source = RecordingSource(range(9), silent=True)
    assert await Stream(source).pipe(first_two).collect() == [0, 1]
    assert source.read == [0, 1]
    assert_closed(source)


async def test_a_function_sees_the_end_of_items():
    assert await Stream([1]).pipe(framed).collect() == ["begin", 1, "end"]
    assert await Stream([]).pipe(framed).collect() == ["begin", "end"]


async def test_what_a_function_gives_before_it_asks_comes_at_once():
    source = RecordingSource([1], every=5)
    assert await timed(Stream(source).pipe(framed)) == [(0, "begin"), (5, 1), (5, "end")]


@pytest.mark.parametrize("silent", [False, True])
async def test_a_function_can_clean_up_when_the_reader_leaves(silent):
    log = []

    async def watched(items):
        try:
            async for item in items:
                yield item
        finally:
            await asyncio.sleep(1)
            log.append("clean")

    source = RecordingSource([1, 2], silent=True)
    stream = Stream(source).pipe(watched)
    rows = await (stream.collect(timeout=3) if silent else stream.take(1).collect())
    assert rows == ([1, 2] if silent else [1])
    assert log == ["clean"]
    assert_closed(source)


async def test_a_function_may_wait_and_keep_tasks_of_its_own():
    async def slow(items):
        async with asyncio.TaskGroup() as group, asyncio.timeout(100):
            async for item in items:
                yield await group.create_task(asyncio.sleep(1, item))

    assert await timed(Stream("abc").pipe(slow)) == [(1, "a"), (2, "b"), (3, "c")]
    assert_closed()


async def test_a_function_that_fails_names_operator_and_item():
    async def inverse(items):
        async for item in items:
            yield 1 / item

    source, rows = RecordingSource([1, 0]), []
    with pytest.raises(ZeroDivisionError) as caught:
        await Stream(source).pipe(inverse).to(rows).run()
    (note,) = caught.value.__notes__
    assert "pipe(inverse)" in note
    assert note.endswith("on item 0")
    assert rows == [1]
    assert_closed(source)


async def test_a_time_limit_inside_of_a_function_ends_the_function():
    async def limited(items):
        async with asyncio.timeout(2):
            async for item in items:
                yield item
                await asyncio.sleep(5)

    with pytest.raises(TimeoutError):
        await Stream("ab").pipe(limited).run()
    assert asyncio.get_running_loop().time() == 2
    assert_closed()


@pytest.mark.parametrize("given", [None, 5, [1]], ids=repr)
async def test_a_function_has_to_give_an_async_iterable(given):
    with pytest.raises(GraphError, match="given to pipe must give an async iterable, not"):
        await Stream([1]).pipe(lambda _: given).run()


async def test_times_do_not_pass_an_opaque_function():
    stream = Stream([1]).event_time(lambda x: x).pipe(twice)
    with pytest.raises(GraphError, match=r"pipe\(twice\) doesn't give: put event_time"):
        await stamps(stream)


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ([], "pipe needs at least one function"),
        ([None], r"pipe\(function\) needs a function, not None"),
        ([twice, 5], r"pipe\(function\) needs a function, not 5"),
        ([asyncstdlib.sum], r"sum is a coroutine function: .*map\(sum\).*await sum\(stream\)"),
    ],
)
def test_wrong_arguments_are_refused(functions, message):
    with pytest.raises(GraphError, match=message):
        Stream([1]).pipe(*functions)
