"""Reading where the group takes partitions in the middle, as a broker does it in the background."""

from __future__ import annotations

import asyncio

from rivulet import Record, Stream, Topic
from tests.io.contract import until

RECORDS = [Record("t", 0, i, 0, 0, None, b"%d" % i, None, -1, 1, ()) for i in range(3)]


class Broker:
    """A consumer with one partition, whose group changes when the test says so."""

    def __init__(self):
        self.at = 0
        self.kept = {}
        self.answers = asyncio.Event()
        self.answers.set()
        self.partitions = frozenset([0])

    def for_topic(self, owner):
        self.owner = owner
        return self

    async def start(self):
        await self.owner.assigned(self.partitions)

    async def poll(self, timeout):
        if found := RECORDS[self.at :]:
            self.at = len(RECORDS)
            return [(0, found)]
        await asyncio.sleep(timeout)
        return ()

    async def rebalance(self):
        await self.owner.revoked()
        self.at = self.kept[0]
        await self.owner.assigned(self.partitions)

    async def commit(self, offsets):
        await self.answers.wait()
        self.kept.update(offsets)

    async def committed(self, partitions):
        return {partition: self.kept.get(partition) for partition in partitions}

    async def end(self, partitions):
        return dict.fromkeys(partitions, len(RECORDS))

    async def position(self, partition):
        return self.at

    async def touch(self):
        pass

    async def stop(self):
        pass


async def test_a_topic_is_not_drained_while_what_was_read_of_it_is_handed_over(monkeypatch):
    broker = Broker()
    topic = Topic("t", {"bootstrap_servers": "memory://t", "group_id": "g"}, end="drained")
    monkeypatch.setattr(topic, "consumer_for", broker.for_topic)
    got, held = [], asyncio.Event()

    async def handle(record):
        got.append(record.value)
        await held.wait()

    run = Stream(topic).to(handle).start()
    await until(lambda: got)
    broker.answers.clear()
    handing_over = asyncio.create_task(broker.rebalance())
    await asyncio.sleep(0.1)
    held.set()
    await asyncio.sleep(10)
    assert got == ["0"]
    assert run.state == "running"
    broker.answers.set()
    await handing_over
    await run.wait()
    assert got == ["0", "1", "2"]
    assert broker.kept == {0: 3}
