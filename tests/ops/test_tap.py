"""``tap``: a look at items as they pass."""

from __future__ import annotations

import asyncio

import pytest

from rivulet import GraphError, Stream
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, timed


async def test_each_item_is_shown_before_it_goes_on():
    log = []
    await Stream.of(1, 2).tap(lambda x: log.append(("tap", x))).to(log.append).run()
    assert log == [("tap", 1), 1, ("tap", 2), 2]


@pytest.mark.parametrize("result", [None, False, 0, "other", [9]])
async def test_what_the_function_gives_is_dropped(result):
    assert await Stream.of(1, None, 0).tap(lambda _: result).collect() == [1, None, 0]


async def test_an_async_function_is_waited_for():
    async def slow(x):
        await asyncio.sleep(x)

    assert await timed(Stream.of(1, 2).tap(slow)) == [(1.0, 1), (3.0, 2)]
    assert await timed(Stream.of(1, 2).tap(lambda x: slow(x + 1))) == [(2.0, 1), (5.0, 2)]


async def test_one_that_is_async_only_later_is_waited_for_as_well():
    waited = []

    async def slow(x):
        await asyncio.sleep(1)
        waited.append(x)

    await Stream.of(1, 2, 3).tap(lambda x: slow(x) if x > 1 else "plain").run()
    assert waited == [2, 3]


async def test_methods_and_builtins_can_be_used():
    seen, counts = [], {}
    await Stream("ab").tap(seen.append).tap(counts.setdefault).run()
    assert (seen, counts) == (["a", "b"], {"a": None, "b": None})


async def test_only_items_that_are_read_are_shown():
    seen, source = [], RecordingSource(range(9))
    assert await Stream(source).tap(seen.append).take(2).collect() == [0, 1]
    assert seen == source.read == [0, 1]
    assert_closed(source)


async def test_a_function_that_fails_ends_the_run_or_the_item():
    stream = Stream.of(1, 0, 2).tap(lambda x: 1 / x)
    with pytest.raises(ZeroDivisionError) as caught:
        await stream.run()
    assert "in tap(<lambda>)" in caught.value.__notes__[0]
    assert await stream.on_error("skip").collect() == [1, 2]


async def test_items_keep_their_time():
    assert await stamps(marbles("a|", event="--a").tap(str)) == [("a", 2.0)]


def test_what_is_no_function_is_refused_when_built():
    with pytest.raises(GraphError, match=r"tap\(fn\) needs a function, not \[\]"):
        Stream.of(1).tap([])
