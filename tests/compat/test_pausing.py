"""Which sources look at the signals that they are sent, and what holds those that don't."""

from __future__ import annotations

import asyncio

import pytest

from rivulet.compat import Conf, PausableStream, Signal, handle, stream
from rivulet.compat.pausing import listens


async def sleeps():
    while True:
        await asyncio.sleep(1)
        yield


async def reads_another():
    try:
        async with asyncio.timeout(1):
            async for item in sleeps():
                yield item
    finally:
        await asyncio.sleep(0)


async def awaits_in_a_list():
    yield [await asyncio.sleep(0) for _ in range(3)]


async def nothing():
    return
    yield


async def keeps_what_it_is_sent():
    while True:
        signal = yield
        if signal:
            await asyncio.sleep(1)


async def looks_at_it():
    while (yield):
        await asyncio.sleep(1)


async def passes_it_on():
    print((yield))


class Listener:
    def __aiter__(self):
        return self

    async def __anext__(self):
        raise StopAsyncIteration

    async def asend(self, value):
        raise StopAsyncIteration


@pytest.mark.parametrize("source", [sleeps, reads_another, awaits_in_a_list, nothing])
def test_a_generator_that_throws_away_what_yield_gives_is_read_as_any_other(source):
    assert not listens(source())


@pytest.mark.parametrize("source", [keeps_what_it_is_sent, looks_at_it, passes_it_on, Listener])
def test_a_source_that_looks_at_signals_gets_them(source):
    assert listens(source())


@pytest.mark.parametrize("source", [[1, 2], sleeps, "ab"])
def test_what_can_not_be_sent_anything_does_not_listen(source):
    assert not listens(source)


def clock():
    return round(asyncio.get_running_loop().time(), 3)


@pytest.mark.parametrize("own", [True, False], ids=["PausableStream", "by its key"])
async def test_a_source_that_does_not_listen_is_held_before_its_next_message(own):
    read, seen = [], []

    async def source():
        for n in range(4):
            await asyncio.sleep(1)
            read.append((clock(), n))
            yield n

    given = PausableStream(source()) if own else source()
    handle(given, sink=[lambda n: seen.append((clock(), n))])(lambda n: n)
    pausable = given if own else Conf().iterables[str(id(given))]
    loop = asyncio.get_running_loop()
    loop.call_later(1.5, pausable.send_signal, Signal.PAUSE)
    loop.call_later(10, pausable.send_signal, Signal.RESUME)
    await stream()
    assert [n for _, n in seen] == [0, 1, 2, 3]
    assert [when for when, _ in seen if 1.5 < when < 10] == []
    # One may have been on its way.
    assert len([when for when, _ in read if 1.5 < when < 10]) <= 1
