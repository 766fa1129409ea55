"""Three brokers that are killed, restarted and frozen while records flow through them."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections import Counter

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from rivulet import Stream, Topic
from tests.io.contract import until
from tests.kafka.conftest import OTHER, started

pytestmark = [pytest.mark.kafka, pytest.mark.real_time, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def cluster():
    if OTHER:
        pytest.skip("RIVULET_KAFKA is set, and this needs brokers that can be killed")
    with started(3) as cluster:
        yield cluster


class Flow:
    """Numbers on their way: written to one topic, copied to another, and read there."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.conf = {
            "bootstrap_servers": cluster.servers,
            "auto_offset_reset": "earliest",
            "request_timeout_ms": 3000,
            "session_timeout_ms": 6000,
            "heartbeat_interval_ms": 500,
            "metadata_max_age_ms": 2000,
        }
        self.names = [f"f-{uuid.uuid4().hex[:8]}" for _ in range(2)]
        self.over = False
        self.written = 0
        self.got = Counter()

    def topic(self, number, group=None):
        conf = dict(self.conf) if group is None else {**self.conf, "group_id": group}
        return Topic(self.names[number], conf, partitions=3, commit_interval=0.5)

    async def numbers(self):
        for i in itertools.count():
            if self.over:
                return
            yield f"key {i % 30}", str(i)
            self.written = i + 1
            await asyncio.sleep(0.002)

    async def __aenter__(self):
        first, second = self.topic(0, "copy"), self.topic(1, "read")
        self.writing = Stream(self.numbers).to(first).start()
        self.copying = Stream(first).map(lambda r: (r.key, r.value)).to(second).start()
        self.reading = Stream(second).to(lambda r: self.got.update([int(r.value)])).start()
        await self.goes_on()
        return self

    async def goes_on(self, limit=60):
        """Wait until what is written from now on has come out."""
        target = self.written + 50
        end = asyncio.get_running_loop().time() + limit
        while not any(number in self.got for number in range(target, target + 50)):
            for run in (self.writing, self.copying, self.reading):
                assert run.state == "running", getattr(
                    run.exception(), "exceptions", run.exception()
                )
            assert asyncio.get_running_loop().time() < end, (
                f"{len(self.got)} of {self.written} came out, and it doesn't go on"
            )
            await asyncio.sleep(0.05)

    async def finish(self):
        """Stop writing; everything that was written has to come out."""
        self.over = True
        await self.writing.wait(60)
        end = asyncio.get_running_loop().time() + 60
        while len(self.got) < self.written and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.05)
        for run in (self.copying, self.reading):
            await run.stop()
        missing = set(range(self.written)) - self.got.keys()
        assert not missing, f"{len(missing)} of {self.written} are lost"

    async def __aexit__(self, *_):
        for run in (self.writing, self.copying, self.reading):
            if run.state == "running":
                run.cancel()
                await asyncio.wait([run._task])

    async def leader(self):
        """The broker that leads a partition of the first topic."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.cluster.servers)
        await admin.start()
        (topic,) = await admin.describe_topics([self.names[0]])
        await admin.close()
        number = topic["partitions"][0]["leader"]
        return next(b for b in self.cluster.brokers if b.number == number)


async def test_a_leader_that_is_killed_loses_nothing(cluster):
    async with Flow(cluster) as flow:
        for _ in range(2):
            broker = await flow.leader()
            await asyncio.to_thread(broker.kill)
            await flow.goes_on()
            broker.start()
            await cluster._ready()
        await flow.finish()
    # The log itself has each number once, as sends are idempotent; a copy may have some again.
    written = Counter()
    topic = Topic(flow.names[0], flow.conf, end="drained")
    await Stream(topic).to(lambda r: written.update([int(r.value)])).run()
    assert written == Counter(range(flow.written))


async def test_a_cluster_that_is_restarted_as_a_whole_loses_nothing(cluster):
    async with Flow(cluster) as flow:
        await asyncio.to_thread(cluster.stop)
        await asyncio.sleep(2)
        for broker in cluster.brokers:
            broker.start()
        await cluster._ready()
        await flow.goes_on()
        await flow.finish()


async def test_a_broker_that_is_frozen_for_longer_than_requests_wait_loses_nothing(cluster):
    async with Flow(cluster) as flow:
        broker = await flow.leader()
        broker.freeze()
        try:
            await asyncio.sleep(8)
            await flow.goes_on()
        finally:
            broker.thaw()
        await flow.goes_on()
        await flow.finish()


async def test_runs_are_cancelled_in_time_while_no_broker_answers(cluster):
    before = asyncio.all_tasks()
    async with Flow(cluster) as flow:
        await asyncio.to_thread(cluster.stop)
        await asyncio.sleep(1)
        for run in (flow.writing, flow.copying, flow.reading):
            run.cancel()
        async with asyncio.timeout(40):
            for run in (flow.writing, flow.copying, flow.reading):
                await run.wait()
                assert run.state == "cancelled"
    # A request that aiokafka has on its way ends when it notices that its connection is closed.
    await until(lambda: asyncio.all_tasks() <= before)
    for broker in cluster.brokers:
        broker.start()
    await cluster._ready()
