"""``Topic`` beside loops by hand: over lists in memory, over aiokafka with a real broker."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from time import perf_counter, process_time
from typing import Any

from benchmarks.measure import ChecksumError, Contender, Group, Result, Row, Settings
from rivulet import Stream, Topic
from rivulet.io import memory
from rivulet.io.partitioner import partition_of
from rivulet.io.records import Record

PARTITIONS = 3


def pairs(n: int) -> list[tuple[str, str]]:
    """Keys of 100 kinds and values of 100 bytes."""
    return [(f"key {i % 100}", f"value {i:08} {'x' * 85}") for i in range(n)]


def wanted(value: str) -> bool:
    """Two of three pass."""
    return value[13] not in "258"


# In memory


async def memory_by_hand(source: list[tuple[str, str]]) -> object:
    """A list for each partition; records with the same fields, encoded and decoded."""
    log: list[list[Record]] = [[] for _ in range(PARTITIONS)]
    for key, value in source:
        k, v = key.encode(), value.encode()
        partition = partition_of(k, PARTITIONS)
        records = log[partition]
        now = int(time.time() * 1000)
        sizes = len(k), len(v)
        records.append(Record("t", partition, len(records), now, 0, k, v, None, *sizes, ()))
    found = 0
    for records in log:
        for r in records:
            decoded = Record(
                *(r.topic, r.partition, r.offset, r.timestamp, r.timestamp_type),
                *(r.key.decode(), r.value.decode(), r.checksum),
                *(r.serialized_key_size, r.serialized_value_size, r.headers),
            )
            found += wanted(decoded.value)
    return found


async def memory_by_rivulet(source: list[tuple[str, str]]) -> object:
    """The same with a topic."""
    conf = {"bootstrap_servers": "memory://benchmark", "auto_offset_reset": "earliest"}
    topic = Topic("t", conf, partitions=PARTITIONS, end="drained")
    await Stream(source).to(topic).run()
    found = await Stream(topic).filter(lambda r: wanted(r.value)).count()
    # A log in memory lasts as long as the process; all that comes after would pay for its garbage.
    memory._logs.pop("benchmark")
    return found


# With a broker


@dataclass(frozen=True)
class Way:
    """One way to copy a topic.

    Attributes:
        name: as in the table.
        copy: copies ``n`` records between topics; told the servers, the group, both names.
        share: how many of the records it does, as a slow one.
        limit: the ratio of the time to that of the base that is allowed.
        needs: the package without which it is left out.
    """

    name: str
    copy: Callable[[str, str, str, str, int], Awaitable[None]]
    share: float = 1.0
    limit: float | None = None
    needs: str = "rivulet"


async def kafka_by_hand(servers: str, group: str, source: str, results: str, n: int) -> None:
    """Batches from ``getmany``, sends without waiting, a flush before each commit."""
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

    consumer = AIOKafkaConsumer(
        source,
        bootstrap_servers=servers,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=servers, enable_idempotence=True, max_batch_size=65536
    )
    await producer.start()
    await consumer.start()
    read, begun = 0, perf_counter()
    while read < n:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            for record in records:
                read += 1
                key, value = record.key.decode(), record.value.decode().upper()
                if wanted(value):
                    await producer.send(results, value.encode(), key.encode())
        if perf_counter() - begun > 5:
            begun = perf_counter()
            await producer.flush()
            await consumer.commit()
    await producer.flush()
    await consumer.commit()
    await consumer.stop()
    await producer.stop()


async def kafka_by_rivulet(servers: str, group: str, source: str, results: str, n: int) -> None:
    """The same as a stream."""
    conf = {"bootstrap_servers": servers, "auto_offset_reset": "earliest", "group_id": group}
    one, other = Topic(source, conf), Topic(results, {"bootstrap_servers": servers})
    await (
        Stream(one)
        .take(n)
        .map(lambda r: (r.key, r.value.upper()))
        .filter(lambda pair: wanted(pair[1]))
        .to(other)
        .run()
    )


async def kafka_by_slipstream(servers: str, group: str, source: str, results: str, n: int) -> None:
    """Slipstream's own topics and handlers; it commits by a timer and awaits each send."""
    import slipstream

    conf = {"bootstrap_servers": servers, "auto_offset_reset": "earliest", "group_id": group}
    one = slipstream.Topic(source, conf)
    other = slipstream.Topic(results, {"bootstrap_servers": servers})
    read, over = 0, asyncio.Event()

    @slipstream.handle(one, sink=[other])
    async def copied(record: Any) -> Any:
        nonlocal read
        read += 1
        if read == n:
            over.set()
        value = record.value.upper()
        if wanted(value):
            yield record.key, value

    running = asyncio.ensure_future(slipstream.stream())
    await over.wait()
    await asyncio.sleep(0)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    slipstream.Conf().iterables.clear()


WAYS = (
    Way("aiokafka by hand", kafka_by_hand),
    Way("rivulet", kafka_by_rivulet, limit=1.11),
    Way("slipstream", kafka_by_slipstream, share=0.05, needs="slipstream"),
)


@dataclass(frozen=True)
class Copying:
    """Ways to copy a topic through a function and a filter; the first is the base.

    The time on the clock counts, as it includes the waiting; the CPU time is in a note.

    Attributes:
        name: for the command line.
        title: the work.
        n: how many records.
        ways: the base first.
    """

    name: str
    title: str
    n: int
    ways: tuple[Way, ...]

    def measure(self, settings: Settings) -> Result:
        """Time all ways in interleaved rounds, with one broker."""
        ways = [way for way in self.ways if find_spec(way.needs) is not None]
        notes = [f"left out, not installed: {w.needs}" for w in self.ways if w not in ways]
        if find_spec("aiokafka") is None:
            return self._result((), ["left out, not installed: aiokafka"])
        try:
            with broker() as servers:
                rows, cpu = self._rows(servers, ways, settings)
        except LookupError as error:
            return self._result((), [f"left out: {error}"])
        return self._result(rows, [*notes, f"CPU us/record: {cpu}"])

    def _rows(
        self, servers: str, ways: list[Way], settings: Settings
    ) -> tuple[tuple[Row, ...], str]:
        n = self.n // (50 if settings.quick else 1)
        rounds = 1 if settings.quick else min(settings.rounds, 5)
        sizes = {way.name: max(int(n * way.share), 500) for way in ways}
        sources = {size: asyncio.run(filled(servers, size)) for size in {500, *sizes.values()}}
        times: dict[str, list[float]] = {way.name: [] for way in ways}
        cpu: dict[str, list[float]] = {way.name: [] for way in ways}
        for way in ways:  # what happens the first time only
            copied(way, servers, sources[500], 500)
        for number in range(rounds):
            for way in ways if number % 2 == 0 else ways[::-1]:
                size = sizes[way.name]
                wall, process = copied(way, servers, sources[size], size)
                times[way.name].append(wall / size * 1e6)
                cpu[way.name].append(process / size * 1e6)
        rows = [self._row(way.name, way, ways[0].name, sizes, times, settings) for way in ways]
        if "slipstream" in times:
            fast = Way("rivulet beside slipstream", kafka_by_rivulet, limit=1 / 3)
            rows.append(self._row("rivulet", fast, "slipstream", sizes, times, settings))
        return tuple(rows), ", ".join(f"{name} {median(found):.1f}" for name, found in cpu.items())

    def _row(
        self,
        timed: str,
        way: Way,
        base: str,
        sizes: dict[str, int],
        times: dict[str, list[float]],
        settings: Settings,
    ) -> Row:
        ratio = median(a / b for a, b in zip(times[timed], times[base], strict=True))
        limit = None if settings.quick else way.limit
        return Row(way.name, sizes[timed], median(times[timed]), ratio, limit)

    def _result(self, rows: tuple[Row, ...], notes: list[str]) -> Result:
        return Result(self.name, self.title, "us/record", "x base", rows, tuple(notes))


def copied(way: Way, servers: str, source: str, n: int) -> tuple[float, float]:
    """Copy with a group and a topic of its own; seconds on the clock and of CPU, with joining."""
    results = asyncio.run(made(servers))
    wall, cpu = perf_counter(), process_time()
    asyncio.run(way.copy(servers, f"group-{results}", source, results, n))
    wall, cpu = perf_counter() - wall, process_time() - cpu
    found = asyncio.run(counted(servers, results))
    expected = sum(wanted(value) for _, value in pairs(n))
    if found != expected:
        raise ChecksumError(f"{way.name} wrote {found} of {expected} records")
    return wall, cpu


async def filled(servers: str, n: int) -> str:
    """A new topic with so many records."""
    topic = Topic(f"b-{uuid.uuid4().hex}", {"bootstrap_servers": servers}, partitions=PARTITIONS)
    await Stream(pairs(n)).to(topic).run()
    return topic.name


async def made(servers: str) -> str:
    """A new topic."""
    topic = Topic(f"b-{uuid.uuid4().hex}", {"bootstrap_servers": servers}, partitions=PARTITIONS)
    await topic.end_offsets()
    return topic.name


async def counted(servers: str, name: str) -> int:
    """How many records a topic has."""
    topic = Topic(name, {"bootstrap_servers": servers})
    return sum((await topic.end_offsets()).values())


@contextmanager
def broker() -> Iterator[str]:
    """The address of a broker: the one that ``RIVULET_KAFKA`` names, or one of our own.

    Raises:
        LookupError: there is none.
    """
    if given := os.environ.get("RIVULET_KAFKA"):
        yield given
        return
    try:
        from tests.kafka.brokers import Cluster, Unavailable
    except ImportError as error:
        raise LookupError("the tests, which start brokers, aren't here") from error
    try:
        cluster = Cluster()
    except Unavailable as error:
        raise LookupError(str(error)) from error
    with cluster:
        yield cluster.servers


GROUPS = (
    Group(
        "topic_memory",
        "write to a topic in memory, and read it",
        pairs,
        100_000,
        100_000,
        (
            Contender("lists by hand", memory_by_hand),
            Contender("rivulet", memory_by_rivulet, limit=3.0),
        ),
    ),
    Copying("topic_kafka", "Kafka to Kafka: map, filter", 200_000, WAYS),
)
