"""What ``Stream(...)`` accepts, and how often it can be read."""

from __future__ import annotations

import asyncio
import functools
import itertools

import pytest

from rivulet import EndlessError, GraphError, SourceError, Stream
from rivulet.testing import RecordingSource, assert_closed


def numbers():
    yield from (1, 2, 3)


async def waiting_numbers():
    for number in numbers():
        await asyncio.sleep(1)
        yield number


def listed():
    return [1, 2, 3]


async def listed_later():
    await asyncio.sleep(1)
    return [1, 2, 3]


async def stream_later():
    return Stream(waiting_numbers)


class Iterator:
    """An iterator without ``close``."""

    def __init__(self):
        self.left = listed()

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration
        return self.left.pop(0)


class AsyncIterator(Iterator):
    """An async iterator without ``aclose``."""

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop(0)


class Callable:
    def __call__(self):
        return numbers()


REPLAYABLE = {
    "list": [1, 2, 3],
    "tuple": (1, 2, 3),
    "range": range(1, 4),
    "dict": {1: "a", 2: "b", 3: "c"},
    "bytes": b"\x01\x02\x03",
    "generator function": numbers,
    "async generator function": waiting_numbers,
    "function that gives a list": listed,
    "function that gives a stream": lambda: Stream(numbers),
    "function that gives a coroutine": lambda: listed_later(),
    "coroutine function that gives a list": listed_later,
    "coroutine function that gives a stream": stream_later,
    "partial": functools.partial(range, 1, 4),
    "bound method": [1, 2, 3].copy,
    "callable object": Callable(),
    "class of iterators": Iterator,
    "class of async iterators": AsyncIterator,
    "async iterable": RecordingSource([1, 2, 3]),
    "stream": Stream([1, 2, 3]),
}

ONE_SHOT = {
    "generator": numbers,
    "async generator": waiting_numbers,
    "iterator of a list": lambda: iter([1, 2, 3]),
    "map": lambda: map(int, "123"),
    "iterator": Iterator,
    "async iterator": AsyncIterator,
}

every_one_shot = pytest.mark.parametrize("make", ONE_SHOT.values(), ids=ONE_SHOT)


@pytest.mark.parametrize("source", REPLAYABLE.values(), ids=REPLAYABLE)
async def test_it_can_be_read_again_and_again(source):
    stream = Stream(source)
    assert await stream.collect() == [1, 2, 3]
    assert await stream.take(2).collect() == [1, 2]
    assert [item async for item in stream] == [1, 2, 3]
    assert await stream.concat(stream).collect() == [1, 2, 3, 1, 2, 3]
    assert_closed()


@every_one_shot
async def test_what_can_be_read_once_says_so_the_second_time(make):
    stream = Stream(make())
    assert await stream.collect() == [1, 2, 3]
    with pytest.raises(SourceError, match="was read already and can be read only once: pass"):
        await stream.collect()


@every_one_shot
async def test_what_was_read_in_part_is_not_read_on(make):
    stream = Stream(make())
    assert await stream.take(1).collect() == [1]
    with pytest.raises(SourceError):
        await stream.collect()


@every_one_shot
async def test_branches_of_one_run_share_what_can_be_read_once(make):
    stream = Stream(make())
    rows = await stream.zip(stream.map(str)).collect()
    assert rows == [(1, "1"), (2, "2"), (3, "3")]


@every_one_shot
def test_two_streams_of_one_iterator_do_not_go_into_one_run(make):
    iterator = make()
    both = Stream(iterator).merge(Stream(iterator))
    with pytest.raises(GraphError, match="read the same iterator.*use that twice"):
        both.run_sync()


@pytest.mark.parametrize("make", [numbers, waiting_numbers])
async def test_a_used_up_generator_in_a_new_stream_names_its_function(make):
    generator = make()
    await Stream(generator).run()
    with pytest.raises(SourceError, match=rf"Stream\({make.__name__}\) without calling it"):
        await Stream(generator).run()


async def test_a_generator_is_closed_when_the_run_ends():
    ended = []

    def watched():
        try:
            yield from itertools.count()
        finally:
            ended.append(True)

    assert await Stream(watched()).take(2).collect() == [0, 1]
    assert ended == [True]


async def test_a_coroutine_gives_one_item_once():
    stream = Stream(listed_later())
    assert await stream.collect() == [[1, 2, 3]]
    with pytest.raises(SourceError, match="listed_later was read already"):
        await stream.collect()


@pytest.mark.parametrize("result", ["abc", 5, None, [1, 2]], ids=repr)
async def test_a_future_gives_one_item_each_time(result):
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(2, future.set_result, result)
    assert await Stream(future).collect() == [result]
    assert asyncio.get_running_loop().time() == 2
    assert await Stream(future).collect() == [result]


async def test_a_task_gives_one_item():
    stream = Stream(asyncio.create_task(listed_later()))
    assert await stream.collect() == await stream.collect() == [[1, 2, 3]]


async def test_a_queue_is_read_as_items_come_and_no_further():
    queue = asyncio.Queue()
    for number in range(4):
        queue.put_nowait(number)
    stream = Stream(queue)
    assert await stream.take(2).collect() == [0, 1]
    assert await stream.collect(timeout=1) == [2, 3]
    asyncio.get_running_loop().call_later(5, queue.put_nowait, 4)
    assert await stream.first() == 4


async def test_a_channel_is_read_like_its_stream():
    channel = Stream.channel(2)
    channel.push(1)
    channel.close()
    assert await Stream(channel).collect() == [1]


@pytest.mark.parametrize(
    "source",
    [itertools.count(), itertools.cycle("a"), itertools.repeat(1), itertools.repeat((1, 2))],
    ids=type,
)
async def test_what_is_known_never_to_end_is_not_collected(source):
    with pytest.raises(EndlessError):
        await Stream(source).collect()
    assert len(await Stream(source).collect(limit=2)) == 2


async def test_a_limited_repeat_is_collected():
    assert await Stream(itertools.repeat((1, 2), 2)).collect() == [(1, 2), (1, 2)]


async def test_what_is_iterable_in_both_ways_is_iterated_async():
    class Both(list):
        async def __aiter__(self):
            yield "async"

    assert await Stream(Both("sync")).collect() == ["async"]


async def test_building_reads_and_calls_nothing():
    source = RecordingSource([1, 2, 3])
    stream = Stream(source).map(str).merge(Stream(lambda: 1 / 0))
    assert (source.opened, source.read) == (0, [])
    with pytest.raises(ZeroDivisionError) as caught:
        await stream.run()
    assert "opening Stream(<lambda>)" in caught.value.__notes__[0]
    assert_closed(source)


async def test_a_source_is_not_read_ahead_of_its_reader():
    source = RecordingSource(range(100))
    async with Stream(source).map(str).open() as items:
        for wanted in range(3):
            assert await anext(items) == str(wanted)
            assert source.read == [*range(wanted + 1)]


@pytest.mark.parametrize("given", [5, None, lambda: None, Callable], ids=type)
async def test_a_function_has_to_give_something_iterable(given):
    def source():
        return given

    with pytest.raises(SourceError, match=r"source\(\) gave .*, which can't be iterated"):
        await Stream(source).run()


@pytest.mark.parametrize("given", [5, None, object(), NotImplemented], ids=type)
def test_what_is_no_source_is_refused(given):
    with pytest.raises(GraphError, match=r"a stream needs an iterable, .*, not .*\("):
        Stream(given)


def test_a_function_with_arguments_is_refused():
    def read(path, mode="r", *, encoding):
        return [path, mode, encoding]

    with pytest.raises(GraphError, match=r"read needs arguments \(path, encoding\).*lambda: read"):
        Stream(read)


def test_a_keyed_stream_has_to_be_left_first():
    keyed = Stream([1]).group_by(lambda x: x)
    with pytest.raises(GraphError, match=r"group_by.*leave the group with .items\(\)"):
        Stream(keyed)


def test_a_stream_cannot_be_changed():
    stream = Stream([1])
    with pytest.raises(AttributeError, match="a Stream can't be changed"):
        stream.node = None
