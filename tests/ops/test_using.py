"""``Stream.using``: a resource that is held while a stream is read."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager, nullcontext

import pytest

from rivulet import GraphError, SourceError, Stream
from rivulet.testing import assert_closed


class Resource:
    """A resource, sync and async, that writes down what is done with it."""

    def __init__(self):
        self.log = []

    @contextmanager
    def sync(self):
        self.log.append("open")
        try:
            yield [1, 2, 3]
        finally:
            self.log.append("close")

    @asynccontextmanager
    async def awaiting(self):
        with self.sync() as items:
            await asyncio.sleep(1)
            yield items
            await asyncio.sleep(1)

    async def made_later(self):
        await asyncio.sleep(1)
        return self.sync()


def itself(items):
    return items


def generator(items):
    yield from items


async def async_generator(items):
    for item in items:
        await asyncio.sleep(1)
        yield item


async def coroutine(items):
    return items


every_opening = pytest.mark.parametrize("name", ["sync", "awaiting", "made_later"])


@every_opening
@pytest.mark.parametrize("make", [itself, generator, async_generator, coroutine, Stream])
async def test_the_resource_is_open_while_items_are_read(name, make):
    resource = Resource()
    stream = Stream.using(getattr(resource, name), make).tap(resource.log.append)
    for _ in range(2):
        await stream.run()
        assert resource.log == ["open", 1, 2, 3, "close"]
        resource.log.clear()
        assert_closed()


@every_opening
async def test_the_resource_is_released_when_the_reader_leaves(name):
    resource = Resource()
    stream = Stream.using(getattr(resource, name), itself)
    assert await stream.take(1).collect() == [1]
    assert resource.log == ["open", "close"]
    async with stream.open() as items:
        assert await anext(items) == 1
    assert resource.log == ["open", "close"] * 2
    assert_closed()


@every_opening
async def test_the_resource_is_released_when_something_fails(name):
    resource = Resource()
    stream = Stream.using(getattr(resource, name), itself)
    with pytest.raises(ZeroDivisionError):
        await stream.map(lambda x: x / 0).run()
    with pytest.raises(ZeroDivisionError):
        await Stream.using(getattr(resource, name), lambda _: 1 / 0).run()
    assert resource.log == ["open", "close"] * 2


@every_opening
async def test_the_resource_is_released_when_the_run_is_cancelled(name):
    resource = Resource()
    stream = Stream.using(getattr(resource, name), lambda _: Stream.never())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stream.run(), 5)
    assert resource.log == ["open", "close"]
    assert_closed()


async def test_the_source_is_closed_before_the_resource():
    resource = Resource()

    async def lines(_):
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(1)
            resource.log.append("end of lines")

    assert await Stream.using(resource.sync, lines).take(1).collect() == [1]
    assert resource.log == ["open", "end of lines", "close"]


async def test_a_context_manager_itself_serves_one_run():
    resource = Resource()
    assert await Stream.using(resource.sync(), itself).collect() == [1, 2, 3]
    assert await Stream.using(resource.awaiting(), itself).collect() == [1, 2, 3]
    assert resource.log == ["open", "close"] * 2


async def test_a_context_manager_that_can_be_used_again_serves_many_runs():
    stream = Stream.using(nullcontext("ab"), itself)
    assert await stream.collect() == await stream.collect() == ["a", "b"]


async def test_building_opens_nothing():
    resource = Resource()
    Stream.using(resource.sync, itself).map(str)
    assert resource.log == []


async def test_a_function_that_gives_no_context_manager_is_named():
    def number():
        return 3

    with pytest.raises(SourceError, match=r"number\(\) gave 3, which is no context manager"):
        await Stream.using(number, itself).run()


async def test_what_is_made_has_to_be_iterable():
    with pytest.raises(TypeError, match="an iterable is needed, not 3"):
        await Stream.using(nullcontext(3), itself).run()


@pytest.mark.parametrize(
    ("resource", "make", "message"),
    [
        ([1], itself, r"needs a context manager or a function that gives one, not \[1\]"),
        (nullcontext(), None, r"using\(make\) needs a function, not None"),
    ],
)
def test_wrong_arguments_are_refused(resource, make, message):
    with pytest.raises(GraphError, match=message):
        Stream.using(resource, make)
