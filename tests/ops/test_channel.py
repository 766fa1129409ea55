"""``Stream.channel``: items pushed from outside."""

from __future__ import annotations

import asyncio

import pytest

from rivulet import BufferFullError, EndlessError, GraphError, SinkError, SourceError, Stream
from rivulet.testing import assert_closed


def filled(channel, items):
    for item in items:
        channel.push(item)
    return channel


async def test_items_come_in_order_and_the_end_after_them():
    channel = filled(Stream.channel(3), "abc")
    channel.close()
    assert await channel.stream.map(str.upper).collect() == ["A", "B", "C"]
    assert_closed()


async def test_a_sender_waits_while_the_channel_is_full():
    channel, log = Stream.channel(2), []

    async def send():
        for n in range(5):
            await channel.send(n)
            log.append((asyncio.get_running_loop().time(), n))
        channel.close()

    async def slow(n):
        await asyncio.sleep(1)
        return n

    _, rows = await asyncio.gather(send(), channel.stream.map(slow).collect(limit=5))
    assert rows == [0, 1, 2, 3, 4]
    assert log == [(0, 0), (0, 1), (0, 2), (1, 3), (2, 4)]


async def test_the_end_is_seen_while_a_reader_waits():
    channel = Stream.channel()
    asyncio.get_running_loop().call_later(5, channel.close)
    await channel.stream.run()
    assert asyncio.get_running_loop().time() == 5


async def test_an_error_comes_after_the_items_that_wait():
    channel, error, rows = filled(Stream.channel(2), "ab"), ValueError("no"), []
    channel.close(error)
    with pytest.raises(ValueError) as caught:
        await channel.stream.to(rows).run()
    assert caught.value is error
    assert rows == ["a", "b"]


async def test_a_closed_channel_takes_nothing():
    channel = Stream.channel()
    channel.close()
    with pytest.raises(SinkError, match=r"the channel is closed and can't take 'x'"):
        channel.push("x")
    with pytest.raises(SinkError):
        await channel.send("x")


async def test_closing_wakes_the_senders_that_wait():
    channel = filled(Stream.channel(), "a")
    senders = [asyncio.create_task(channel.send(item)) for item in "bc"]
    await asyncio.sleep(1)
    channel.close()
    results = await asyncio.gather(*senders, return_exceptions=True)
    assert [type(result) for result in results] == [SinkError, SinkError]
    assert await channel.stream.collect() == ["a"]


async def test_a_cancelled_sender_leaves_its_turn_to_the_next():
    channel = filled(Stream.channel(), "a")
    first, second = (asyncio.create_task(channel.send(item)) for item in "bc")
    await asyncio.sleep(1)
    first.cancel()
    assert await channel.stream.take(2).collect() == ["a", "c"]
    await second


async def test_a_sender_cancelled_in_its_turn_leaves_it_to_the_next():
    channel = filled(Stream.channel(), "a")
    first, second = (asyncio.create_task(channel.send(item)) for item in "bc")
    await asyncio.sleep(1)
    assert await channel.stream.tap(lambda _: first.cancel()).take(2).collect() == ["a", "c"]
    await second


@pytest.mark.parametrize(
    ("overflow", "rows", "dropped"),
    [
        ("drop_oldest", [3, 4], 3),
        ("drop_newest", [0, 1], 3),
        (lambda waiting, new: waiting + new, [0, 1 + 2 + 3 + 4], 3),
        ("wait", [0, 1, 2, 3, 4], 0),
    ],
    ids=["drop_oldest", "drop_newest", "function", "wait"],
)
async def test_what_finds_it_full_goes_by_the_policy(overflow, rows, dropped):
    channel = Stream.channel(2, overflow)
    sender = asyncio.create_task(Stream(range(5)).to(channel).run())
    await asyncio.sleep(1)
    assert await channel.stream.take(len(rows)).collect() == rows
    assert channel.dropped == dropped
    await sender


@pytest.mark.parametrize("overflow", ["wait", "error"])
async def test_pushing_never_waits(overflow):
    channel = filled(Stream.channel(1, overflow), "a")
    with pytest.raises(BufferFullError, match=r"full \(1 items\).*await send.*overflow="):
        channel.push("b")
    assert await channel.stream.take(1).collect() == ["a"]


async def test_with_overflow_error_a_sender_fails_at_once():
    channel = filled(Stream.channel(1, "error"), "a")
    with pytest.raises(BufferFullError):
        await channel.send("b")


async def test_what_one_run_leaves_the_next_one_reads():
    channel = filled(Stream.channel(3), "abc")
    assert await channel.stream.take(1).collect() == ["a"]
    assert await channel.stream.take(2).collect() == ["b", "c"]


async def test_two_runs_at_once_are_refused():
    channel = Stream.channel()
    run = channel.stream.start()
    await asyncio.sleep(1)
    with pytest.raises(SourceError, match=r"being read already.*share\(\)"):
        await channel.stream.run()
    channel.close()
    await run


async def test_two_branches_of_one_run_read_the_same():
    channel = filled(Stream.channel(2), [1, 2])
    channel.close()
    stream = channel.stream
    assert await stream.zip(stream.map(str)).collect() == [(1, "1"), (2, "2")]


async def test_an_open_channel_may_never_end():
    channel = Stream.channel()
    with pytest.raises(EndlessError):
        await channel.stream.collect()
    channel.close()
    assert await channel.stream.collect() == []


async def test_a_source_closed_in_silence_can_be_read_again():
    channel = Stream.channel()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(channel.stream.run(), 5)
    assert_closed()
    channel.push("a")
    assert await channel.stream.take(1).collect() == ["a"]


def test_it_can_be_filled_before_a_loop_runs():
    channel = filled(Stream.channel(2), "a")
    assert repr(channel) == "<Channel open, 1 of 2 items waiting>"
    channel.close()
    assert repr(channel) == "<Channel closed, 1 of 2 items waiting>"


@pytest.mark.real_time
async def test_another_thread_can_push():
    loop, channel = asyncio.get_running_loop(), Stream.channel(3)

    def work():
        for item in "abc":
            loop.call_soon_threadsafe(channel.push, item)

    await asyncio.to_thread(work)
    assert await channel.stream.take(3).collect() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), r"channel\(size\) must be a whole number of at least 1, not 0"),
        ((1.5,), r"channel\(size\) must be a whole number"),
        ((1, "drop"), r"channel\(overflow\) must be .*drop_oldest.*not 'drop'"),
        ((1, None), r"channel\(overflow\) must be"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(GraphError, match=message):
        Stream.channel(*arguments)
