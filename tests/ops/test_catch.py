"""``catch``: another stream when one fails."""

from __future__ import annotations

import asyncio

import pytest

from rivulet import GraphError, Stream
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, timed, to_marbles


class Lost(Exception):
    pass


def failing(drawing="ab#"):
    return marbles(drawing, error=Lost("lost"))


async def more():
    yield "x"
    await asyncio.sleep(1)
    yield "y"


@pytest.mark.parametrize(
    "fallback",
    [
        ["x", "y"],
        Stream.of("x", "y"),
        more,
        lambda error: ["x", "y"],
        lambda error: Stream.of("x", "y"),
        lambda error: more(),
        lambda error: more,
    ],
)
async def test_the_other_may_be_anything_that_gives_items(fallback):
    assert await failing().catch(fallback).collect() == ["a", "b", "x", "y"]


async def test_the_other_may_depend_on_the_error():
    assert await failing().catch(lambda error: [str(error)]).collect() == ["a", "b", "lost"]


async def test_the_other_may_be_found_by_an_async_function():
    async def spare(error):
        await asyncio.sleep(1)
        return [str(error)]

    assert await failing().catch(spare).collect() == ["a", "b", "lost"]


async def test_without_a_failure_the_other_is_not_opened():
    spare = RecordingSource(["x"])
    assert await Stream.of(1).catch(spare).collect() == [1]
    assert spare.opened == 0


async def test_the_other_begins_when_the_first_is_closed():
    first, spare = RecordingSource("a", every=1, error=Lost()), RecordingSource("x")
    opened = []
    stream = Stream(first).catch(Stream(spare).hooks(start=lambda: opened.append(first.closed)))
    assert await to_marbles(stream) == "-(ax|)"
    assert opened == [1]
    assert_closed(first, spare)


async def test_only_the_given_types_are_caught():
    with pytest.raises(Lost):
        await failing().catch(["x"], types=ValueError).collect()
    assert await failing().catch(["x"], types=(ValueError, Lost)).collect() == ["a", "b", "x"]


async def test_a_failure_of_the_other_is_raised():
    with pytest.raises(ConnectionError):
        await failing().catch(Stream.fail(ConnectionError())).collect()
    with pytest.raises(KeyError):
        await failing().catch(lambda error: {}["spare"]).collect()
    twice = failing().catch(Stream.fail(ConnectionError())).catch(["z"])
    assert await twice.collect() == ["a", "b", "z"]


async def test_a_function_that_gives_no_stream_says_so():
    with pytest.raises(GraphError, match="a stream needs an iterable"):
        await failing().catch(lambda error: None).collect()


async def test_what_is_below_is_not_caught():
    seen = []
    with pytest.raises(ZeroDivisionError):
        await Stream.of(0).catch(seen).map(lambda x: 1 / x).collect()
    assert not seen


async def test_items_already_given_are_not_taken_back_and_what_is_held_is_dropped():
    assert await failing("abc#").batch(2).catch([["x"]]).collect() == [["a", "b"], ["x"]]


async def test_a_failure_deep_in_the_stream_is_caught_with_all_closed():
    sources = RecordingSource([1, 0], every=1), RecordingSource([5], silent=True)
    stream = Stream(sources[0]).buffer(3).map(lambda x: 1 / x).merge(sources[1])
    assert await stream.catch(["end"]).collect() == [5, 1.0, "end"]
    assert_closed(*sources)


async def test_a_failed_item_is_a_matter_of_on_error_only_above():
    stream = Stream.of(1, 0, 2).map(lambda x: 2 / x)
    assert await stream.on_error("skip").catch(["x"]).collect() == [2.0, 1.0]
    assert await stream.catch(["x"]).on_error("skip").collect() == [2.0, "x"]


@pytest.mark.parametrize("drain", [False, True])
async def test_a_stop_is_no_failure(drain):
    source, spare = RecordingSource("abc", every=1), RecordingSource("x")
    run = Stream(source).catch(spare).start()
    await asyncio.sleep(1.5)
    await run.stop(drain=drain)
    assert run.last() == ["a"]
    assert spare.opened == 0
    assert_closed(source)


async def test_leaving_early_and_cancelling_close_what_is_read():
    source, spare = RecordingSource("a", error=Lost()), RecordingSource("xy", silent=True)
    stream = Stream(source).catch(spare)
    async with stream.open() as items:
        assert [await anext(items), await anext(items)] == ["a", "x"]
    assert_closed(source, spare)
    run = stream.start()
    await asyncio.sleep(1)
    await run.cancel().wait()
    assert run.state == "cancelled"
    assert_closed(source, spare)


async def test_times_of_items_and_timers_go_on():
    assert await timed(failing("a-#").catch(marbles("--x---|").batch(9, within=1))) == [
        (0.0, "a"),
        (5.0, ["x"]),
    ]
    rows = marbles("a#", event="--a").catch(marbles("b|", event="b"))
    assert await stamps(rows) == [("a", 2.0), ("b", 0.0)]


def test_wrong_arguments_are_refused_when_built():
    with pytest.raises(GraphError, match="a stream needs an iterable"):
        Stream.of(1).catch(3)
    with pytest.raises(GraphError, match=r"catch\(types\) must be an exception class"):
        Stream.of(1).catch([], types=Lost())
