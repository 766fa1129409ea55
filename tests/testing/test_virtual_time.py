"""The virtual loop: time that jumps, hangs that are errors, threads that take no time."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time

import pytest

from rivulet import RunError, Stream, StuckError, testing
from rivulet.testing import VirtualLoop, marbles, timed

FOREVER = "await asyncio.get_running_loop().create_future()"


async def forever():
    await asyncio.get_running_loop().create_future()


def hang(coroutine):
    """What the error of a run that hangs says, without the numbers of lines."""
    with pytest.raises(StuckError) as caught:
        testing.run(coroutine)
    return [
        re.sub(r"\([^()]*[/\\]([^()]+):\d+\)", r"(\1)", line)
        for line in str(caught.value).split("\n")
    ]


# Time


def test_a_sleep_returns_at_once_with_the_clock_set_on():
    async def main():
        loop = asyncio.get_running_loop()
        seen = [loop.time()]
        for pause in (3600, 0, 0.25, 86400 * 365):
            await asyncio.sleep(pause)
            seen.append(loop.time())
        return seen

    begun = time.monotonic()
    assert testing.run(main()) == [0, 3600, 3600, 3600.25, 3600.25 + 86400 * 365]
    assert time.monotonic() - begun < 30


async def test_the_time_of_day_begins_at_the_epoch_and_goes_with_the_clock():
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    assert loop.wall_time() == loop.time() == 0
    await asyncio.sleep(90)
    assert loop.wall_time() == loop.time() == 90


async def test_ten_steps_of_a_tenth_are_one():
    loop = asyncio.get_running_loop()
    for _ in range(10):
        await asyncio.sleep(0.1)
    assert loop.time() == 1


async def test_sleepers_wake_in_the_order_of_their_time():
    woken = []

    async def sleeper(pause):
        await asyncio.sleep(pause)
        woken.append(pause)

    await asyncio.gather(*(sleeper(pause) for pause in (5, 1, 3, 2, 4)))
    assert woken == [1, 2, 3, 4, 5]
    assert asyncio.get_running_loop().time() == 5


async def test_time_stands_while_there_is_something_to_do():
    async def busy():
        for _ in range(1000):
            await asyncio.sleep(0)
        return asyncio.get_running_loop().time()

    sleeper = asyncio.create_task(asyncio.sleep(1))
    assert await busy() == 0
    await sleeper


async def test_a_timeout_is_due_in_virtual_time():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60):
            await forever()
    assert asyncio.get_running_loop().time() == 60


def test_a_run_gives_its_result_or_its_error_and_begins_at_zero_each_time():
    async def clock():
        await asyncio.sleep(1)
        return asyncio.get_running_loop().time()

    assert [testing.run(clock()), testing.run(clock())] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        testing.run(Stream([0]).map(lambda x: 1 / x).collect())


def test_a_run_can_be_a_thread_s():
    results = []
    thread = threading.Thread(target=lambda: results.append(testing.run(asyncio.sleep(9, "done"))))
    thread.start()
    thread.join()
    assert results == ["done"]


# Hangs


def test_a_hang_says_who_waits_where_in_the_user_s_code():
    async def worker(queue):
        return await queue.get()

    async def main():
        asyncio.create_task(worker(asyncio.Queue()), name="the worker")
        await asyncio.Event().wait()

    here = "test_a_hang_says_who_waits_where_in_the_user_s_code.<locals>"
    head, first, second = hang(main())
    assert head == "nothing can happen any more: no timer is set, and every task waits for another:"
    assert re.fullmatch(
        rf"  Task-\d+ waits in {here}.main \(test_virtual_time.py\): await asyncio.Event\(\).wait\(\)",
        first,
    )
    assert (
        second == f"  the worker waits in {here}.worker (test_virtual_time.py): "
        f"return await queue.get()"
    )


def test_a_hang_is_found_through_groups_generators_and_awaitables():
    class Awaitable:
        def __await__(self):
            yield from asyncio.get_running_loop().create_future()

    async def generator():
        yield 1
        await Awaitable()

    async def reader():
        async for _ in generator():
            pass

    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(reader())

    _, first, second = hang(main())
    assert first.endswith("async with asyncio.TaskGroup() as group:")
    assert "Awaitable.__await__ (test_virtual_time.py): yield from" in second


def test_a_hang_of_a_run_names_the_loop_and_the_place_in_its_source():
    async def source():
        yield 1
        await forever()

    head, *lines = hang(Stream(source).map(str).run())
    assert lines == [
        f"  the loop of Stream(source) waits in forever (test_virtual_time.py): {FOREVER}"
    ]
    head, *lines = hang(marbles("a-").merge(marbles("b|"), marbles("c")).run())
    assert [line.partition(" waits in ")[0] for line in lines] == [
        "  the loop of Stream(marbles('a-'))",
        "  the loop of Stream(marbles('c'))",
        "  the loop of merge()",
    ]


def test_a_hang_in_a_function_of_the_user_s_names_it():
    async def slow(x):
        await forever()

    for stream in (Stream([1]).map(slow), Stream([1]).map(slow, concurrency=2)):
        assert any(
            " waits in forever (test_virtual_time.py)" in line for line in hang(stream.run())
        )


def test_what_hangs_is_cancelled_so_that_it_cleans_up():
    seen = []

    async def main():
        try:
            await forever()
        finally:
            seen.append("cleaned up")

    hang(main())
    assert seen == ["cleaned up"]


def test_a_hang_on_a_socket_says_that_it_needs_real_time():
    async def main(end):
        await asyncio.get_running_loop().sock_recv(end, 1)

    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    assert (
        hang(main(ends[0]))[-1] == "  and a socket is open, which needs real time: use asyncio.run"
    )
    for end in ends:
        end.close()


# Threads


async def test_work_in_a_thread_takes_no_time_while_other_timers_wait():
    release = threading.Event()
    sleeper = asyncio.create_task(asyncio.sleep(1000))
    threading.Timer(0.05, release.set).start()
    assert await asyncio.to_thread(release.wait, 30)
    assert asyncio.get_running_loop().time() == 0
    assert not sleeper.done()
    await sleeper
    assert asyncio.get_running_loop().time() == 1000


def test_a_thread_that_gave_its_result_or_error_is_no_hang_and_hides_none():
    async def main(value):
        return await asyncio.to_thread(int, value)

    assert testing.run(main("42")) == 42
    with pytest.raises(ValueError, match="invalid literal"):
        testing.run(main("x"))

    async def hangs_after():
        await main("1")
        await forever()

    assert "hangs_after" in hang(hangs_after())[1] or "forever" in hang(hangs_after())[1]


async def test_a_map_may_use_threads():
    async def double(x):
        return await asyncio.to_thread(lambda: 2 * x)

    stream = marbles("1-2-3|", values={"1": 1, "2": 2, "3": 3})
    assert await timed(stream.map(double)) == [(0.0, 2), (2.0, 4), (4.0, 6)]
    assert await stream.map(double, concurrency=3).collect() == [2, 4, 6]


# Misuse


async def test_inside_of_a_running_loop_it_says_what_to_do_and_that_works():
    coroutine = asyncio.sleep(3600, "done")
    with pytest.raises(RunError, match=r"where an event loop is running already.*: await the"):
        testing.run(coroutine)
    with pytest.raises(RunError, match=r"await asyncio\.to_thread\(testing\.run, coroutine\)"):
        testing.run(asyncio.sleep(1))
    assert await asyncio.to_thread(testing.run, asyncio.sleep(3600, "done")) == "done"
    assert asyncio.get_running_loop().time() == 0


@pytest.mark.parametrize(
    "main", [Stream.of(1), forever, None, 3], ids=["stream", "function", "None", "number"]
)
def test_what_is_no_coroutine_is_refused(main):
    with pytest.raises(RunError, match=r"needs a coroutine, not .*: pass stream\.collect\(\)"):
        testing.run(main)
