"""What a topic promises, wherever its log is: in memory, in a file or in Kafka."""

from __future__ import annotations

import asyncio
import gc
import itertools
import time
import tracemalloc
import uuid
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

import rivulet
from rivulet import (
    READ_FROM_END,
    READ_FROM_START,
    Checkpoint,
    CodecError,
    Dependency,
    GraphError,
    JsonCodec,
    RunError,
    SinkError,
    Stream,
    Topic,
    TopicError,
)
from rivulet.io.partitioner import partition_of

_names = itertools.count(1)


@dataclass
class Place:
    """Where the topics of a test are.

    Attributes:
        conf: what is needed to get there.
        slow: how many times longer things may take than in memory.
    """

    conf: dict
    slow: float = 1.0
    more: dict = field(default_factory=dict)

    def name(self):
        return f"t{next(_names)}-{uuid.uuid4().hex[:6]}"

    def topic(self, name=None, *, group=None, reset="earliest", drained=True, **more):
        """A topic with three partitions that is read from the start to its end."""
        conf = {**self.conf, "auto_offset_reset": reset, **self.more, **more.pop("conf", {})}
        name = name or self.name()
        if group is not None:
            conf["group_id"] = f"{group}-{name}"
        more.setdefault("partitions", 3)
        return Topic(name, conf, end="drained" if drained else None, **more)


async def filled(place, n, *, partitions=3, **more):
    """The name of a topic with so many records: keys k0 to k9, values v0, v1, …"""
    topic = place.topic(partitions=partitions, **more)
    await Stream([(f"k{i % 10}", f"v{i}") for i in range(n)]).to(topic).run()
    return topic.name


def values(records):
    return [record.value for record in records]


def numbers(records):
    return sorted(int(record.value[1:]) for record in records)


async def until(condition, limit=30.0):
    """Wait until something is so."""
    end = asyncio.get_running_loop().time() + limit
    while not condition():
        assert asyncio.get_running_loop().time() < end, "it didn't come to be in time"
        await asyncio.sleep(0.005)


# Records


async def test_a_record_says_where_it_is_and_what_was_written(place):
    topic = place.topic()
    async with topic:
        written = await topic(
            "ana", "hello", {"id": b"7", "to": "bo"}, timestamp_ms=1_700_000_000_123
        )
    (record,) = await Stream(topic).collect()
    assert (written.topic, written.partition, written.offset) == (
        topic.name,
        partition_of(b"ana", 3),
        0,
    )
    assert record.topic == topic.name
    assert record.partition == written.partition
    assert record.offset == 0
    assert record.timestamp == 1_700_000_000_123
    assert record.timestamp_type == 0
    assert (record.key, record.value) == ("ana", "hello")
    assert record.headers == (("id", b"7"), ("to", b"bo"))
    assert (record.serialized_key_size, record.serialized_value_size) == (3, 5)
    assert record.checksum is None


async def test_a_record_without_a_time_gets_that_of_its_writing(place):
    topic = place.topic()
    wall = getattr(asyncio.get_running_loop(), "wall_time", time.time)
    before = int(wall() * 1000)
    await Stream([("a", "b")]).to(topic).run()
    (record,) = await Stream(topic).collect()
    assert before <= record.timestamp <= wall() * 1000


async def test_missing_keys_and_values_stay_missing(place):
    topic = place.topic(codec=JsonCodec())
    await Stream([(None, 1), ("gone", None), ("zero", 0)]).to(topic).run()
    found = {(record.key, record.value) for record in await Stream(topic).collect()}
    assert found == {(None, 1), ("gone", None), ("zero", 0)}


async def test_serializers_and_deserializers_are_used(place):
    conf = {
        "key_serializer": lambda key: str(key).encode(),
        "key_deserializer": int,
        "value_serializer": lambda value: value.encode("latin-1"),
        "value_deserializer": lambda data: data.decode("latin-1"),
    }
    topic = place.topic(conf=conf)
    await Stream([(7, "é")]).to(topic).run()
    (record,) = await Stream(topic).collect()
    assert (record.key, record.value, record.serialized_value_size) == (7, "é", 1)


async def test_records_can_be_copied_with_their_headers_and_times(place):
    one, other = place.topic(), place.topic()
    async with one:
        await one("k", "v", {"h": b"1"}, timestamp_ms=5_000)
    await Stream(one).to(other).run()
    (record,) = await Stream(other).collect()
    assert (record.key, record.value, record.headers) == ("k", "v", (("h", b"1"),))
    assert record.timestamp == 5_000


async def test_lists_of_pairs_and_triples_are_written_in_order(place):
    topic = place.topic(partitions=1)
    items = [("a", "0"), ("b", "1", {"h": "x"}), ("c", "2")]
    await Stream(items).to(topic, batch=2).run()
    records = await Stream(topic).collect()
    assert values(records) == ["0", "1", "2"]
    assert [record.headers for record in records] == [(), (("h", b"x"),), ()]


async def test_what_is_no_pair_is_refused(place):
    topic = place.topic()
    with pytest.raises(SinkError, match="takes pairs"):
        await Stream([1]).to(topic).run()
    with pytest.raises(SinkError, match="neither"):
        await Stream([(None, None)]).to(topic).run()


async def test_a_value_without_a_codec_is_refused_by_its_type(place):
    topic = place.topic()
    with pytest.raises(CodecError, match="dict.*codec=JsonCodec"):
        await Stream([("a", {"b": 1})]).to(topic).run()


async def test_a_record_that_is_too_large_is_refused_and_the_rest_is_written(place):
    topic = place.topic(conf={"max_request_size": 1000})
    items = Stream([("a", "x"), ("a", "x" * 2000), ("a", "y")])
    with pytest.raises(TopicError, match=r"2,0\d\d bytes, and max_request_size is 1,000"):
        await items.to(topic).run()
    other = place.topic(conf={"max_request_size": 1000})
    await items.to(other).on_error("skip").run()
    assert values(await Stream(other).collect()) == ["x", "y"]


async def test_a_dry_topic_writes_nothing_and_says_so_once(place):
    name = await filled(place, 1)
    dry = place.topic(name, dry=True)
    with pytest.warns(UserWarning, match="is dry") as warned:
        await Stream([("a", "b"), ("a", "c")]).to(dry).run()
    assert len(warned) == 1
    assert values(await Stream(place.topic(name)).collect()) == ["v0"]


# Order and partitions


async def test_each_partition_keeps_its_order(place):
    name = await filled(place, 1000)
    by_partition = defaultdict(list)
    for record in await Stream(place.topic(name)).collect():
        by_partition[record.partition].append((record.offset, int(record.value[1:])))
    assert sum(map(len, by_partition.values())) == 1000
    for found in by_partition.values():
        assert [offset for offset, _ in found] == list(range(len(found)))
        assert found == sorted(found)
        assert [number for _, number in found] == sorted(number for _, number in found)


async def test_keys_go_to_the_partitions_that_kafkas_partitioner_gives_them(place):
    keys = ["", "a", "ab", "abc", "abcd", "naïve", *(f"key-{i}" for i in range(50))]
    topic = place.topic(partitions=5)
    await Stream([(key, "v") for key in keys]).to(topic).run()
    for record in await Stream(topic).collect():
        assert record.partition == partition_of(record.key.encode(), 5)


async def test_a_partition_can_be_chosen(place):
    topic = place.topic()
    async with topic:
        for partition in (2, 0, 2):
            await topic("same", str(partition), partition=partition)
        with pytest.raises(TopicError, match="partition"):
            await topic("same", "x", partition=9)
    found = Counter(record.partition for record in await Stream(topic).collect())
    assert found == {2: 2, 0: 1}


async def test_a_topic_with_another_number_of_partitions_is_refused(place):
    name = await filled(place, 3)
    with pytest.raises(TopicError, match="has 3 partitions, not 5"):
        await Stream(place.topic(name, partitions=5)).collect()


# Where reading begins


async def test_without_a_group_each_run_begins_where_auto_offset_reset_says(place):
    name = await filled(place, 5)
    for _ in range(2):
        assert numbers(await Stream(place.topic(name)).collect()) == [0, 1, 2, 3, 4]
        assert await Stream(place.topic(name, reset="latest")).collect() == []
    with pytest.raises(TopicError, match="no offsets for the partitions"):
        await Stream(place.topic(name, reset="none")).collect()


async def test_an_offset_says_where_a_run_begins(place):
    name = await filled(place, 10, partitions=1)

    async def found(offset, **more):
        topic = place.topic(name, partitions=1, offset=offset, **more)
        return numbers(await Stream(topic).collect())

    assert await found(READ_FROM_START, reset="latest") == list(range(10))
    assert await found(READ_FROM_END) == []
    assert await found(7) == [7, 8, 9]
    assert await found({0: 8}) == [8, 9]
    assert await found({0: READ_FROM_END}) == []
    assert await found(4, group="g") == [4, 5, 6, 7, 8, 9]
    assert await found(4, group="g") == [4, 5, 6, 7, 8, 9]


async def test_an_offset_for_a_partition_that_is_not_there_is_refused(place):
    name = await filled(place, 3)
    for group in (None, "g"):
        topic = place.topic(name, group=group, offset={0: 0, 7: 0})
        with pytest.raises(TopicError, match=r"partitions \[7\] of .* has \[0, 1, 2\]"):
            await Stream(topic).run()


async def test_an_offset_that_is_not_there_is_reset_and_counted(place):
    name = await filled(place, 5, partitions=1)
    topic = place.topic(name, partitions=1, offset=1000)
    assert numbers(await Stream(topic).collect()) == [0, 1, 2, 3, 4]
    assert topic.stats().resets == 1
    topic = place.topic(name, partitions=1, offset=1000, reset="latest")
    assert await Stream(topic).collect() == []
    assert topic.stats().resets == 1
    with pytest.raises(TopicError, match=r"\{0: 1000\}.* out of range"):
        await Stream(place.topic(name, partitions=1, offset=1000, reset="none")).collect()


async def test_an_empty_topic_is_drained_at_once(place):
    assert await Stream(place.topic()).collect() == []
    assert await Stream(place.topic(group="g")).collect() == []


async def test_a_topic_is_endless_unless_it_ends_when_drained(place):
    with pytest.raises(rivulet.EndlessError):
        await Stream(place.topic(drained=False)).collect()


async def test_a_topic_that_is_read_waits_for_what_is_written(place):
    name = await filled(place, 1)
    topic = place.topic(name, drained=False)
    got = []
    run = Stream(topic).to(got).start()
    await until(lambda: len(got) == 1)
    await Stream([("a", "v1")]).to(place.topic(name)).run()
    await until(lambda: len(got) == 2)
    await run.stop()
    assert numbers(got) == [0, 1]


async def test_async_for_reads_a_topic(place):
    name = await filled(place, 10)
    got = []
    async for record in place.topic(name, drained=False):
        got.append(record)
        if len(got) == 10:
            break
    assert numbers(got) == list(range(10))
    topic = place.topic(name, group="g", drained=False)
    async with Stream(topic).open() as records:
        async for record in records:
            if record.offset == 1:
                break
    assert sum(offset or 0 for offset in (await topic.committed()).values()) >= 1


# Offsets of a group


async def test_a_group_goes_on_where_it_was(place):
    name = await filled(place, 20)
    assert numbers(await Stream(place.topic(name, group="g")).collect()) == list(range(20))
    assert await Stream(place.topic(name, group="g")).collect() == []
    await Stream([("a", "v20"), ("b", "v21")]).to(place.topic(name)).run()
    assert numbers(await Stream(place.topic(name, group="g")).collect()) == [20, 21]
    assert numbers(await Stream(place.topic(name, group="other")).collect()) == list(range(22))


async def test_a_group_that_begins_at_the_end_misses_nothing_afterwards(place):
    name = await filled(place, 5)
    assert await Stream(place.topic(name, group="g", reset="latest")).collect() == []
    await Stream([("a", "v5")]).to(place.topic(name)).run()
    assert numbers(await Stream(place.topic(name, group="g", reset="latest")).collect()) == [5]


async def test_committed_offsets_can_be_read(place):
    topic = place.topic(await filled(place, 9, partitions=1), partitions=1, group="g")
    assert await topic.committed() == {0: None}
    await Stream(topic).collect()
    assert await topic.committed() == {0: 9}
    with pytest.raises(GraphError, match="no group_id"):
        await place.topic().committed()


async def test_a_record_whose_handler_raises_is_read_again_after_a_restart(place):
    name = await filled(place, 10, partitions=1)
    seen = []

    def handle(record):
        seen.append(record.value)
        if record.value == "v6":
            raise ValueError("no")

    topic = place.topic(name, partitions=1, group="g")
    with pytest.raises(ValueError, match="no"):
        await Stream(topic).to(handle).run()
    assert seen == [f"v{i}" for i in range(7)]
    assert await topic.committed() == {0: 6}
    assert values(await Stream(place.topic(name, partitions=1, group="g")).collect()) == [
        "v6",
        "v7",
        "v8",
        "v9",
    ]


async def test_a_record_in_hand_of_a_cancelled_run_is_read_again(place):
    name = await filled(place, 10, partitions=1)
    entered = asyncio.Event()

    async def handle(record):
        if record.value == "v4":
            entered.set()
            await asyncio.sleep(3600)

    run = Stream(place.topic(name, partitions=1, group="g")).to(handle).start()
    await entered.wait()
    with suppress(asyncio.CancelledError):
        await run.cancel()
    found = values(await Stream(place.topic(name, partitions=1, group="g")).collect())
    assert found == [f"v{i}" for i in range(4, 10)]


async def test_a_run_that_is_stopped_commits_what_it_has_handled(place):
    name = await filled(place, 100, partitions=1)
    got = []

    async def handle(record):
        await asyncio.sleep(0.001)
        got.append(record)

    run = Stream(place.topic(name, partitions=1, group="g", drained=False)).to(handle).start()
    await until(lambda: len(got) >= 10)
    await run.stop()
    rest = await Stream(place.topic(name, partitions=1, group="g")).collect()
    assert numbers(got + rest) == list(range(100))


async def test_a_run_that_takes_only_some_commits_only_those(place):
    name = await filled(place, 10, partitions=1)
    got = await Stream(place.topic(name, partitions=1, group="g")).take(4).collect()
    assert values(got) == ["v0", "v1", "v2", "v3"]
    rest = await Stream(place.topic(name, partitions=1, group="g")).collect()
    assert values(rest) == [f"v{i}" for i in range(4, 10)]


async def test_offsets_are_committed_while_a_topic_is_read(place):
    name = await filled(place, 10)
    topic = place.topic(name, group="g", drained=False, commit_interval=0.1)
    got = []
    run = Stream(topic).to(got).start()
    await until(lambda: len(got) == 10)
    assert sum(topic.positions().values()) == 10
    while sum(offset or 0 for offset in (await topic.committed()).values()) < 10:
        await asyncio.sleep(0.05)
    assert topic.stats().commits >= 1
    await run.stop()


async def test_items_that_were_handed_to_another_task_are_committed_when_they_have_left_it(place):
    name = await filled(place, 10, partitions=1)
    gate = asyncio.Event()
    entered = []

    async def handle(record):
        entered.append(record)
        await gate.wait()

    topic = place.topic(name, partitions=1, group="g", drained=False, commit_interval=0.05)
    run = Stream(topic).map(handle, concurrency=4).start()
    await until(lambda: len(entered) == 4)
    await asyncio.sleep(0.3)
    # At most where the group began.
    assert (await topic.committed())[0] in {None, 0}
    gate.set()
    await until(lambda: len(entered) == 10)
    while await topic.committed() != {0: 10}:
        await asyncio.sleep(0.05)
    await run.stop()


async def test_items_on_their_way_in_a_cancelled_run_are_read_again(place):
    name = await filled(place, 10, partitions=1)
    entered = []

    async def handle(record):
        entered.append(record)
        await asyncio.sleep(3600)

    run = Stream(place.topic(name, partitions=1, group="g")).map(handle, concurrency=4).start()
    await until(lambda: len(entered) == 4)
    with suppress(asyncio.CancelledError):
        await run.cancel()
    assert numbers(await Stream(place.topic(name, partitions=1, group="g")).collect()) == list(
        range(10)
    )


async def test_a_run_with_other_tasks_commits_everything_at_its_end(place):
    name = await filled(place, 50)

    async def slowly(record):
        await asyncio.sleep(0.001)
        return record

    topic = place.topic(name, group="g")
    got = await Stream(topic).map(slowly, concurrency=8).buffer(16).collect()
    assert numbers(got) == list(range(50))
    assert sum((await topic.committed()).values()) == 50


async def test_two_branches_read_a_topic_once(place):
    topic = place.topic(await filled(place, 20), group="g")
    odd, even = [], []
    records = Stream(topic)
    await rivulet.run(
        Stream(topic).filter(lambda r: int(r.value[1:]) % 2).to(odd),
        records.filter(lambda r: int(r.value[1:]) % 2 == 0).to(even),
    )
    assert numbers(odd) == list(range(1, 20, 2))
    assert numbers(even) == list(range(0, 20, 2))
    assert topic.stats().read == 20


# Pause and seek


async def test_a_paused_topic_gives_nothing_and_goes_on_within_100_ms(place):
    topic = place.topic(await filled(place, 1, partitions=1), partitions=1, drained=False)
    got = []
    run = Stream(topic).to(lambda r: got.append((r, asyncio.get_running_loop().time()))).start()
    await until(lambda: len(got) == 1)
    topic.pause()
    await Stream([("a", "v1")]).to(place.topic(topic.name, partitions=1)).run()
    await asyncio.sleep(0.5)
    assert len(got) == 1
    resumed = asyncio.get_running_loop().time()
    topic.resume()
    await until(lambda: len(got) == 2)
    assert got[1][1] - resumed < 0.1
    await run.stop()


async def test_a_topic_that_is_not_read_can_not_be_paused(place):
    with pytest.raises(RunError, match="isn't being read"):
        place.topic().pause()


async def test_a_seek_takes_effect_with_the_next_record(place):
    name = await filled(place, 20, partitions=1)
    got = []
    topic = place.topic(name, partitions=1)

    async def handle(record):
        got.append(record)
        if len(got) == 5:
            await topic.seek({0: 2})
        if len(got) == 10:
            await topic.seek(17)

    await Stream(topic).to(handle).run()
    assert values(got) == [f"v{i}" for i in [0, 1, 2, 3, 4, 2, 3, 4, 5, 6, 17, 18, 19]]


async def test_a_seek_from_outside_while_paused_is_obeyed(place):
    topic = place.topic(await filled(place, 5, partitions=1), partitions=1, drained=False)
    got = []
    run = Stream(topic).to(got).start()
    await until(lambda: len(got) == 5)
    topic.pause()
    await topic.seek(3)
    await asyncio.sleep(0.2)
    assert len(got) == 5
    topic.resume()
    await until(lambda: len(got) == 7)
    await topic.seek(READ_FROM_START)
    await until(lambda: len(got) == 12)
    await topic.seek(READ_FROM_END)
    await Stream([("a", "v5")]).to(place.topic(topic.name, partitions=1)).run()
    await until(lambda: len(got) == 13)
    await run.stop()
    assert values(got) == [f"v{i}" for i in [0, 1, 2, 3, 4, 3, 4, 0, 1, 2, 3, 4, 5]]


async def test_a_seek_before_the_run_says_where_the_next_one_begins(place):
    topic = place.topic(await filled(place, 5, partitions=1), partitions=1)
    await topic.seek({0: 3})
    assert values(await Stream(topic).collect()) == ["v3", "v4"]
    assert values(await Stream(topic).collect()) == [f"v{i}" for i in range(5)]


async def test_what_was_sought_is_committed(place):
    name = await filled(place, 10, partitions=1)
    topic = place.topic(name, partitions=1, group="g")
    await Stream(topic).collect()
    await topic.seek(4)
    await Stream(topic).take(2).collect()
    assert await topic.committed() == {0: 6}


async def test_a_seek_to_what_is_no_offset_is_refused(place):
    topic = place.topic()
    for wrong in (-3, 1.5, "start", {0: None}, {"0": 1}, True):
        with pytest.raises(GraphError, match="is no (offset|partition)"):
            await topic.seek(wrong)


async def test_a_seek_in_a_partition_that_is_not_there_is_refused(place):
    topic = place.topic(await filled(place, 1), drained=False)
    got = []
    run = Stream(topic).to(got).start()
    await until(lambda: got)
    with pytest.raises(RunError, match=r"partitions \[7\]"):
        await topic.seek({7: 0})
    await run.stop()


async def test_offsets_are_found_by_time(place):
    topic = place.topic(partitions=2)
    async with topic:
        for i, stamp in enumerate((1000, 2000, 3000)):
            await topic("a", f"v{i}", partition=0, timestamp_ms=stamp)
    found = await topic.offsets_for_times(1500)
    assert (found[0].offset, found[0].timestamp) == (1, 2000)
    assert found[1] is None
    assert await topic.offsets_for_times({0: 3001}) == {0: None}
    at = datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)
    assert (await topic.offsets_for_times({0: at}))[0].offset == 1
    assert await topic.beginning_offsets() == {0: 0, 1: 0}
    assert await topic.end_offsets() == {0: 3, 1: 0}
    with pytest.raises(GraphError, match="time zone"):
        await topic.offsets_for_times(datetime(2024, 1, 1))


# Failures


async def test_a_record_that_can_not_be_decoded_is_an_item_that_failed(place):
    name = place.name()
    raw = place.topic(name, partitions=1)
    await Stream([("a", "1"), ("b", "{broken"), ("c", "3")]).to(raw).run()
    topic = place.topic(name, partitions=1, codec=JsonCodec(), group="g")
    with pytest.raises(CodecError) as caught:
        await Stream(topic).collect()
    assert f"topic {name!r}, partition 0, offset 1" in caught.value.__notes__
    assert await topic.committed() == {0: 1}
    records = Stream(topic).on_error("skip")
    bad, good = [], []
    await rivulet.run(records.to(good), records.errors.to(bad))
    assert values(good) == [3]
    assert (bad[0].item.offset, bad[0].item.value) == (1, b"{broken")
    assert await topic.committed() == {0: 3}


async def test_text_that_is_no_text_names_its_record(place):
    topic = place.topic(partitions=1)
    await Stream([("a", b"\xff")]).to(topic).run()
    with pytest.raises(CodecError, match="no text"):
        await Stream(topic).collect()


async def test_failures_can_go_to_another_topic(place):
    topic, dead = place.topic(partitions=1), place.topic(partitions=1)
    await Stream([("a", "1"), ("b", "x"), ("c", "3")]).to(topic).run()

    def letter(failure):
        return failure.item.key, repr(failure.error)

    numbers_ = Stream(topic).map(lambda r: int(r.value)).on_error("skip")
    # The failures are a stream like any other.
    await rivulet.run(numbers_.to([]), numbers_.errors.map(letter).to(dead))
    (record,) = await Stream(dead).collect()
    assert record.key == "b"
    assert "invalid literal" in record.value


# Groups


async def test_members_share_the_partitions_and_lose_nothing(place):
    name, written = place.name(), itertools.count()
    got = defaultdict(list)

    async def write(n):
        items = [(f"k{i % 10}", f"v{i}") for i in itertools.islice(written, n)]
        await Stream(items).to(place.topic(name, partitions=4)).run()

    def member(who):
        topic = place.topic(name, partitions=4, group="g", drained=False, commit_interval=0.2)

        async def handle(record):
            got[who].append(record)
            await asyncio.sleep(0.0005)

        return Stream(topic).to(handle).start()

    await write(300)
    runs = []
    for who in "abc":
        runs.append(member(who))
        # Who comes finds something to do, however fast the others are.
        while len(got[who]) < 5:
            await write(20)
            await asyncio.sleep(0.01)
    await runs.pop(0).stop()
    n = next(written)
    await until(lambda: len({(r.partition, r.offset) for g in got.values() for r in g}) == n)
    for run in runs:
        await run.stop()
    found = Counter((r.partition, r.offset) for g in got.values() for r in g)
    assert len(found) == n
    # Partitions are handed over with everything that was read of them committed.
    assert set(found.values()) == {1}


async def test_a_member_more_than_partitions_has_nothing_to_do(place):
    name = await filled(place, 10, partitions=1)
    one = place.topic(name, partitions=1, group="g", drained=False)
    got = []
    run = Stream(one).to(got).start()
    await until(lambda: len(got) == 10)
    assert await Stream(place.topic(name, partitions=1, group="g")).collect() == []
    await run.stop()


async def test_a_static_member_that_comes_back_in_time_moves_nothing(place):
    name = await filled(place, 10, partitions=2)

    def member(who):
        conf = {"group_instance_id": who, "session_timeout_ms": 6000}
        topic = place.topic(name, partitions=2, group="g", drained=False, conf=conf)
        got = []
        return topic, got, Stream(topic).to(got).start()

    one, got_one, run_one = member("one")
    await until(lambda: len(got_one) == 10)
    other, got_other, run_other = member("other")
    await until(lambda: one.stats().rebalances == 1 and other.positions())
    await run_other.stop()
    other, got_other, run_other = member("other")
    await (
        Stream([(f"k{i}", f"v{i}") for i in range(10, 20)])
        .to(place.topic(name, partitions=2))
        .run()
    )
    await until(lambda: len(got_one) + len(got_other) == 20)
    assert one.stats().rebalances == 1
    await run_one.stop()
    await run_other.stop()
    assert numbers(got_one + got_other) == list(range(20))


async def test_a_topic_with_an_instance_id_is_read_once_at_a_time(place):
    topic = place.topic(group="g", drained=False, conf={"group_instance_id": "one"})
    run = Stream(topic).to([]).start()
    await until(lambda: topic.positions())
    with pytest.raises(RunError, match="being read already"):
        await Stream(topic).to([]).run()
    await run.stop()


# Transactions


async def test_a_transaction_counts_results_and_offsets_together(place):
    source = await filled(place, 20)
    results = place.topic(conf={"transactional_id": place.name()})
    topic = place.topic(source, group="g")
    await Stream(topic).map(lambda r: (r.key, r.value)).to(results).run()
    reader = place.topic(results.name, conf={"isolation_level": "read_committed"})
    assert numbers(await Stream(reader).collect()) == list(range(20))
    assert sum((await topic.committed()).values()) == 20


async def test_what_a_failed_run_wrote_in_a_transaction_is_not_seen(place):
    source = await filled(place, 10, partitions=1)
    results = place.topic(partitions=1, conf={"transactional_id": place.name()})

    def check(record):
        if record.value == "v5":
            raise ValueError("no")
        return record.key, record.value

    topic = place.topic(source, partitions=1, group="g")
    with pytest.raises(ValueError, match="no"):
        await Stream(topic).map(check).to(results).run()
    committed = {"isolation_level": "read_committed"}
    reader = place.topic(results.name, partitions=1, conf=committed)
    assert await Stream(reader).collect() == []
    assert await topic.committed() == {0: None}
    again = place.topic(source, partitions=1, group="g")
    await Stream(again).map(lambda r: (r.key, r.value)).to(results).run()
    assert numbers(await Stream(reader).collect()) == list(range(10))


async def test_two_topics_are_written_in_one_transaction(place):
    transaction = {"transactional_id": place.name()}
    one, other = place.topic(conf=transaction), place.topic(conf=transaction)
    source = place.topic(await filled(place, 10), group="g")
    await Stream(source).map(lambda r: (r.key, r.value)).to(one, other).run()
    for written in (one, other):
        reader = place.topic(written.name, conf={"isolation_level": "read_committed"})
        assert numbers(await Stream(reader).collect()) == list(range(10))


async def test_a_transaction_over_two_read_topics_is_refused(place):
    one = place.topic(await filled(place, 1), group="g")
    other = place.topic(await filled(place, 1), group="g")
    results = place.topic(conf={"transactional_id": place.name()})
    both = Stream(one).merge(Stream(other)).map(lambda r: (r.key, r.value))
    with pytest.raises(RunError, match="several topics"):
        await both.to(results).run()


async def test_a_list_is_written_in_a_transaction_too(place):
    results = place.topic(conf={"transactional_id": place.name()})
    await Stream([("a", "v0"), ("b", "v1")]).to(results).run()
    reader = place.topic(results.name, conf={"isolation_level": "read_committed"})
    assert numbers(await Stream(reader).collect()) == [0, 1]


# Gates


async def test_a_gate_takes_a_topic_back_to_what_went_out_too_early(place):
    topic = place.topic(partitions=1, drained=False, codec=JsonCodec())
    await Stream([(None, {"at": at}) for at in (1, 2, 3, 4)]).to(topic).run()
    checkpoint = Checkpoint("walks", dependencies=[Dependency("weather", None, 0)])
    weather = Stream.channel()
    out = []
    gated = Stream(topic).gate(
        checkpoint,
        marker=lambda r: r.value["at"],
        hold="after",
        state=lambda r: {r.partition: r.offset},
        replay=True,
    )
    run = rivulet.start(
        Stream(weather).beat(checkpoint, marker=lambda hour: hour),
        gated.to(lambda r: out.append(r.value["at"])),
    )
    await weather.send(1)
    await until(lambda: out == [1, 2])
    await weather.send(9)
    await until(lambda: len(out) == 5)
    await run.stop()
    assert out == [1, 2, 2, 3, 4]


# Memory


async def test_a_large_backlog_is_read_in_no_more_memory_than_a_small_one(place):
    if place.conf["bootstrap_servers"].startswith("memory:"):
        return  # the log itself is in memory

    async def peak(megabytes):
        items = [("k", "x" * 1000)] * (1000 * megabytes)
        name = place.name()
        await Stream(items).to(place.topic(name, partitions=1)).run()
        conf = {"max_partition_fetch_bytes": 200_000}
        topic = place.topic(name, partitions=1, conf=conf)
        gc.collect()
        tracemalloc.start()
        assert await Stream(topic).count() == len(items)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    await peak(1)
    small, large = await peak(1), await peak(10)
    assert large < 1.25 * small, (small, large)


async def test_a_topic_takes_the_failures_of_an_on_error_as_they_were_read(place):
    topic, dead = place.topic(partitions=1), place.topic(partitions=1)
    await Stream([("a", "1"), ("b", "{broken", {"h": b"x"})]).to(topic).run()
    async with dead:
        read = place.topic(topic.name, partitions=1, codec=JsonCodec())
        assert values(await Stream(read).on_error(dead).collect()) == [1]
    (record,) = await Stream(dead).collect()
    assert (record.key, record.value) == ("b", "{broken")
    headers = dict(record.headers)
    assert headers["h"] == b"x"
    assert headers["error"].startswith(b"CodecError(")
    assert headers["operator"] == b"decode(JsonCodec)"
