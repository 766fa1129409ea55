"""What was rough in Slipstream works, or says what to do."""

from __future__ import annotations

import asyncio
import gc
import re
import threading
from datetime import datetime
from functools import partial

import pytest

from rivulet import Stream
from rivulet.compat import (
    READ_FROM_START,
    Cache,
    Conf,
    JsonCodec,
    PausableStream,
    Proxy,
    PubSub,
    Signal,
    Topic,
    handle,
    stream,
)
from rivulet.errors import StuckError, TopicError
from rivulet.testing import assert_closed
from tests.compat.servers import free_port, need
from tests.compat.test_handle import Shelf

EARLIEST = {"auto_offset_reset": "earliest"}


def here(name):
    return {**EARLIEST, "bootstrap_servers": f"memory://rough-{name}"}


async def numbers(n, pause=0.0):
    for i in range(n):
        await asyncio.sleep(pause)
        yield i


# Caches


async def test_a_slow_reader_of_a_cache_is_bounded_and_what_it_misses_is_counted(tmp_path):
    with Cache(tmp_path / "c") as cache:
        updates = aiter(cache)
        for n in range(3000):
            await cache("k", n)
        assert (await anext(updates)) == ("k", 3000 - 1024)
        assert cache.stats().dropped == 3000 - 1024
        await updates.aclose()


def test_a_cell_that_opens_its_cache_again_has_the_same_store(tmp_path):
    one = Cache(tmp_path / "c")
    one["a"] = 1
    with Cache(tmp_path / "c") as other:
        assert other["a"] == 1
    assert one["a"] == 1
    one.close()


def test_a_look_up_by_time_finds_whole_numbers_and_fractions_alike(tmp_path):
    with Cache(tmp_path / "c") as cache:
        cache[10] = "ten"
        cache[-1.5] = "minus"
        cache["a"] = "text"
        assert list(cache.values(backwards=True, from_key=10.5))[0] == "ten"
        assert list(cache.keys())[:2] == [-1.5, 10]


def test_a_size_that_dropped_data_is_ignored_and_that_is_said(tmp_path):
    with pytest.warns(UserWarning, match="target_table_size"):
        cache = Cache(tmp_path / "c", target_table_size=1000)
    with cache:
        for n in range(100):
            cache[n] = "x" * 100
        assert len(cache) == 100


READERS = {
    "Cache": (partial(Cache, ":memory:"), lambda cache: cache.stats().readers),
    "ICache": (Shelf, lambda shelf: len(shelf._publisher())),
    "Proxy": (Proxy, lambda proxy: int(re.search(r"(\d) readers", repr(proxy))[1])),
}


@pytest.mark.parametrize("kind", READERS)
async def test_a_reader_whose_task_is_cancelled_is_forgotten_at_once(kind):
    """Clients that leave are cancelled; what they held must not wait for a garbage collection."""
    make, readers = READERS[kind]
    published = make()

    async def read():
        async for _ in published:
            raise AssertionError("nothing was published")

    gc.disable()
    try:
        task = asyncio.create_task(read())
        await asyncio.sleep(1)
        assert readers(published) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert readers(published) == 0
    finally:
        gc.enable()


# Sources, sinks and pipes


@pytest.mark.real_time
async def test_a_sink_that_blocks_can_be_put_into_a_thread_and_stalls_nobody():
    free, journal = threading.Event(), []

    def write(item):
        assert free.wait(20)
        journal.append(("written", item))

    handle(["a"], sink=[partial(asyncio.to_thread, write)])(lambda item: item)

    @handle(numbers(3))
    def ticks(n):
        journal.append(("tick", n))
        if n == 2:
            free.set()

    await stream()
    assert journal == [("tick", 0), ("tick", 1), ("tick", 2), ("written", "a")]


async def test_a_handler_has_counts_and_a_run_of_its_own():
    @handle([1, 2, 3], sink=[lambda n: None])
    def doubled(n):
        yield 2 * n

    run = doubled.stream.start()
    await run
    assert run.stats().items == 3


async def test_a_slow_piped_handler_can_have_room_of_its_own():
    seen, source = [], Stream(numbers(3, 1))

    @handle(source.buffer(10))
    async def slow(n):
        await asyncio.sleep(10)
        seen.append((round(asyncio.get_running_loop().time()), "slow", n))

    @handle(source)
    def fast(n):
        seen.append((round(asyncio.get_running_loop().time()), "fast", n))

    await stream()
    assert [row for row in seen if row[1] == "fast"] == [(n + 1, "fast", n) for n in range(3)]
    assert [row[2] for row in seen if row[1] == "slow"] == [0, 1, 2]


async def test_a_pipeline_can_be_tested_without_a_run():
    seen = []

    @handle(numbers(3), sink=[seen.append])
    def doubled(n):
        yield 2 * n

    await doubled(21)
    assert seen == [42]
    assert "handler(doubled)" in doubled.explain()


# Signals


async def test_a_generator_that_listens_is_told_and_may_answer_that_it_waits():
    told = []

    async def source():
        for n in range(3):
            signal = yield n
            while signal is Signal.PAUSE:
                told.append(signal)
                signal = yield Signal.SENTINEL

    pausable = PausableStream(source())
    seen = []

    @handle(pausable)
    def handler(n):
        seen.append((round(asyncio.get_running_loop().time()), n))
        if n == 1:
            pausable.send_signal(Signal.PAUSE)
            asyncio.get_running_loop().call_later(5, pausable.send_signal, Signal.RESUME)

    await stream()
    assert seen == [(0, 0), (0, 1), (5, 2)]
    assert told == [Signal.PAUSE]


async def test_a_plain_source_is_held_by_signals_of_conf():
    source, seen = numbers(4, 1), []
    conf = Conf()
    conf.register_iterable("numbers", source)

    @handle(source)
    def handler(n):
        seen.append((round(asyncio.get_running_loop().time()), n))
        if n == 1:
            conf.iterables["numbers"].send_signal(Signal.PAUSE)
            loop = asyncio.get_running_loop()
            loop.call_later(5, conf.iterables["numbers"].send_signal, Signal.RESUME)

    await stream()
    assert [n for _, n in seen] == [0, 1, 2, 3]
    assert seen[2][0] >= 7


# Proxies and PubSub


async def test_what_is_sent_to_a_proxy_before_anybody_reads_waits_for_the_reader():
    """Fault 6: the documentation's own example printed nothing."""
    proxy, seen = Proxy(), []

    @handle(numbers(3), sink=[proxy])
    def send(n):
        return n

    @handle(proxy)
    def receive(n):
        seen.append(n)
        if n == 2:
            task.cancel()

    task = asyncio.create_task(stream())
    await asyncio.wait([task])
    assert seen == [0, 1, 2]
    assert_closed()


async def test_a_proxy_passes_the_item_on_as_it_is():
    proxy = Proxy()
    for item in (1, 2), [3], None:
        await proxy(item)
    reader = aiter(proxy)
    assert [await anext(reader) for _ in range(3)] == [(1, 2), [3], None]


async def test_a_proxy_waits_for_a_slow_reader_and_refuses_to_wait_for_itself():
    proxy, seen = Proxy(size=2), []
    reader = aiter(proxy)

    async def send():
        for n in range(5):
            await proxy(n)
            seen.append(n)

    task = asyncio.create_task(send())
    await asyncio.sleep(1)
    assert seen == [0, 1]
    assert [await anext(reader) for _ in range(5)] == [0, 1, 2, 3, 4]
    await task
    await proxy(5)
    await proxy(6)
    with pytest.raises(StuckError, match=r"Proxy\(size=\.\.\.\)"):
        await proxy(7)


async def test_subscribers_are_called_sync_or_async():
    seen = []

    async def later(n):
        seen.append(("later", n))

    def now(n):
        seen.append(("now", n))

    pubsub = PubSub()
    pubsub.subscribe("t", now)
    pubsub.subscribe("t", later)
    with pytest.raises(TypeError, match="use await PubSub"):
        pubsub.publish("t", 1)
    await PubSub().apublish("t", 2)
    pubsub.unsubscribe("t", now)
    pubsub.unsubscribe("t", later)
    pubsub.unsubscribe("t", later)
    assert seen == [("now", 1), ("now", 2), ("later", 2)]
    items = pubsub.iter_topic("t")
    pubsub.publish("t", 3)
    assert await anext(items) == 3
    await items.aclose()


# Codecs


def test_json_takes_what_it_does_not_know_as_text():
    codec = JsonCodec()
    assert codec.encode({"at": datetime(2024, 1, 2, 3, 4)}) == b'{"at": "2024-01-02 03:04:00"}'
    assert codec.decode(b'{"a": [1, null]}') == {"a": [1, None]}


# Topics


async def test_a_topic_has_the_settings_of_conf_and_its_own():
    Conf({"bootstrap_servers": "memory://rough-conf", "group_id": "g", "auto_offset_reset": "none"})
    topic = Topic("t", EARLIEST, codec=JsonCodec())
    assert topic.name == "t"
    await topic("k", {"n": 1})
    assert (await anext(topic)).value == {"n": 1}
    await topic.exit_hook()


async def test_settings_that_no_topic_has_are_left_out_and_that_is_said():
    with pytest.warns(UserWarning, match=r"Topic\('t'\): no topic has the settings 'bootstap'"):
        Topic("t", {**here("unknown"), "bootstap": "x"})


async def test_a_topic_is_a_sink_and_a_source():
    topic, seen = Topic("t", here("both"), codec=JsonCodec()), []
    handle([1, 2], sink=[topic])(lambda n: (str(n), {"n": n}))

    @handle(topic)
    def read(record):
        seen.append((record.key, record.value))
        if len(seen) == 2:
            task.cancel()

    task = asyncio.create_task(stream())
    await asyncio.wait([task])
    assert seen == [("1", {"n": 1}), ("2", {"n": 2})]


async def test_one_record_that_can_not_be_decoded_can_be_skipped():
    name = here("undecodable")
    raw = Topic("t", name)
    for text in '{"n": 1}', "{", '{"n": 2}':
        await raw("k", text)
    topic = Topic("t", name, codec=JsonCodec(), end="drained")
    handle(topic)(lambda record: None)
    with pytest.raises(ValueError, match=r"Expecting property name") as caught:
        await stream()
    assert "offset" in " ".join(caught.value.__notes__)
    seen = []
    Conf().clear()
    handle(Stream(topic).on_error("skip"))(lambda record: seen.append(record.value))
    await stream()
    assert seen == [{"n": 1}, {"n": 2}]


async def test_a_message_whose_handler_raised_is_read_again_by_the_next_run():
    """Fault 2."""
    name = {**here("again"), "group_id": "g"}
    topic = Topic("t", name, end="drained")
    for text in "one", "two", "three":
        await topic(None, text)
    seen = []

    @handle(topic)
    def handler(record):
        seen.append(record.value)
        if record.value == "two" and seen.count("two") == 1:
            raise ValueError("two")

    with pytest.raises(ValueError, match="two"):
        await stream()
    await stream()
    assert seen == ["one", "two", "two", "three"]


async def test_a_dry_topic_writes_nothing_and_says_so():
    topic = Topic("t", here("dry"), dry=True, end="drained")
    with pytest.warns(UserWarning, match="dry"):
        await topic("k", "v")
    assert await Stream(topic).collect() == []


async def test_the_clients_of_kafka_are_not_handed_out():
    topic = Topic("t", here("clients"))
    with pytest.raises(AttributeError, match="keeps the clients of Kafka to itself: use seek"):
        await topic.get_consumer()
    with pytest.raises(AttributeError, match="Topic has no colour"):
        _ = topic.colour


@pytest.mark.real_time
async def test_a_broker_that_is_not_there_is_said_once_and_leaves_nothing_open(capfd):
    need("aiokafka")
    topic = Topic("t", {"bootstrap_servers": f"127.0.0.1:{free_port()}"}, connect_timeout=1)
    handle(["a"], sink=[topic])(lambda item: (item, item))
    with pytest.raises(TopicError, match=r"no broker of Kafka answers at 127.0.0.1:\d+ for 't'"):
        await stream()
    gc.collect()
    assert capfd.readouterr() == ("", "")


async def test_seek_takes_what_it_took_but_for_a_client():
    topic = Topic("t", here("sought"))
    for n in range(3):
        await topic(None, str(n))
    assert (await anext(topic)).value == "0"
    await topic.seek({0: 2}, None, 30)
    assert (await anext(topic)).value == "2"
    await topic.seek(READ_FROM_START, timeout=5)
    assert (await anext(topic)).value == "0"
    with pytest.raises(ValueError, match="takes no consumer"):
        await topic.seek(0, object())
    await topic.exit_hook()


async def test_seek_refuses_what_is_no_offset():
    topic = Topic("t", here("seek"))
    await topic("k", "v")
    with pytest.raises(ValueError, match="offset"):
        await topic.seek(-3)


async def test_asend_pauses_and_resumes():
    topic = Topic("t", here("asend"))
    for n in range(2):
        await topic(None, str(n))
    assert (await anext(topic)).value == "0"
    assert await topic.asend(Signal.PAUSE) is Signal.SENTINEL
    assert (await topic.asend(Signal.RESUME)).value == "1"
    await topic.exit_hook()
