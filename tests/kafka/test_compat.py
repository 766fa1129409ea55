"""Ported scripts with a real Kafka, and what they print with the embedded topic."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from rivulet import Topic
from rivulet.compat import Conf, JsonCodec, Signal, handle, stream
from rivulet.compat import Topic as PortedTopic
from rivulet.compat.registry import Registry
from tests.compat.scripts import execute, text_of
from tests.compat.test_cookbook import SYNCHRONIZED, without_weather

pytestmark = [pytest.mark.kafka, pytest.mark.real_time]


@pytest.fixture(autouse=True)
def registry():
    """Each test has handlers of its own."""
    with Registry() as registry:
        yield registry


@pytest.fixture
def name():
    return f"compat-{uuid.uuid4().hex[:8]}"


@pytest.mark.filterwarnings("ignore:Cache.target_table_size")
def test_the_cookbooks_synchronization_prints_what_it_says(servers, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = Topic(name, {"bootstrap_servers": servers}, partitions=1)
    assert asyncio.run(made.end_offsets()) == {0: 0}
    changes = [
        ("localhost:29091", servers),
        ("Topic('activity'", f"Topic('{name}'"),
        ("'group_id': 'activity'", f"'group_id': '{name}'"),
        ("'group_instance_id': 'activity'", f"'group_instance_id': '{name}'"),
    ]
    text = text_of("synchronization", changes)
    printed, _ = execute(text, last="lunch was 🌧", seconds=50, loop=asyncio.new_event_loop)
    assert without_weather(printed) == SYNCHRONIZED


def conf_of(servers, name):
    return {"bootstrap_servers": servers, "group_id": name, "auto_offset_reset": "earliest"}


async def test_a_topic_is_a_sink_and_a_source_with_the_settings_of_conf(servers, name):
    Conf(conf_of(servers, name))
    topic, seen = PortedTopic(name, codec=JsonCodec(), partitions=1), []
    handle([1, 2, 3], sink=[topic])(lambda n: (str(n), {"n": n}))

    @handle(topic)
    def read(record):
        seen.append((record.key, record.value, record.offset))
        if len(seen) == 3:
            task.cancel()

    task = asyncio.create_task(stream())
    await asyncio.wait([task], timeout=40)
    assert seen == [(str(n), {"n": n}, n - 1) for n in (1, 2, 3)]


async def test_a_message_whose_handler_raised_is_read_again(servers, name):
    topic = PortedTopic(name, conf_of(servers, name), partitions=1, end="drained")
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


async def test_a_paused_topic_stays_in_its_group_and_resumes_at_once(servers, name):
    """Faults 15 and 16: the original looks every 3 s, and drops out of its group."""
    conf = conf_of(servers, name) | {
        "max_poll_interval_ms": 1000,
        "session_timeout_ms": 1000,
        "heartbeat_interval_ms": 200,
    }
    topic, seen = PortedTopic(name, conf, partitions=1, end="drained"), []
    for n in range(3):
        await topic(None, str(n))
    loop = asyncio.get_running_loop()

    @handle(topic)
    def handler(record):
        seen.append((loop.time(), record.value))
        if record.value == "0":
            (source,) = Conf().iterables.values()
            source.send_signal(Signal.PAUSE)
            loop.call_later(3, source.send_signal, Signal.RESUME)

    await stream()
    assert [value for _, value in seen] == ["0", "1", "2"]
    assert 3 <= seen[1][0] - seen[0][0] < 5
    assert topic.stats().rebalances <= 1
    committed = await Topic(name, conf).committed()
    assert committed == {0: 3}


async def test_records_are_read_and_sought_by_hand(servers, name):
    topic = PortedTopic(name, conf_of(servers, name), partitions=1)
    for n in range(3):
        await topic("k", str(n))
    assert [(await anext(topic)).value for _ in range(3)] == ["0", "1", "2"]
    await topic.seek(1)
    assert (await anext(topic)).value == "1"
    await topic.exit_hook()
