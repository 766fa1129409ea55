"""What goes wrong with a broker, and what is said of it."""

from __future__ import annotations

import asyncio
import gc
import time
import uuid
import warnings

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.protocol.admin import CreateAclsRequest

import rivulet.io.kafka.cluster
from rivulet import Stream, Topic, TopicError
from tests.kafka.brokers import SECRET, free_ports
from tests.kafka.conftest import OTHER, started

pytestmark = [pytest.mark.kafka, pytest.mark.real_time]


def name():
    return f"e-{uuid.uuid4().hex[:8]}"


def reader(servers, topic, **conf):
    conf = {"bootstrap_servers": servers, "auto_offset_reset": "earliest", **conf}
    return Topic(topic, conf, end="drained", connect_timeout=5)


def writer(servers, topic, *, partitions=1, **conf):
    conf = {"bootstrap_servers": servers, **conf}
    return Topic(topic, conf, partitions=partitions, connect_timeout=5)


async def test_no_broker_is_one_clear_line_after_the_time_given(capfd):
    port = free_ports(1)[0]
    topic = Topic("x", {"bootstrap_servers": f"127.0.0.1:{port}"}, connect_timeout=1)
    for use in (Stream(topic).run, Stream([("a", "b")]).to(topic).run):
        begun = time.monotonic()
        with pytest.raises(TopicError) as caught:
            await use()
        assert 0.4 < time.monotonic() - begun < 5
        assert str(caught.value).startswith(
            f"no broker of Kafka answers at 127.0.0.1:{port} for 'x' within 1 s: "
        )
        assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


async def test_a_topic_that_is_not_there_is_said_so(servers):
    topic = Topic(name(), {"bootstrap_servers": servers}, connect_timeout=1)
    with pytest.raises(TopicError, match=r"there is no topic .* make it, or give"):
        await Stream(topic).run()


async def test_a_deleted_topic_ends_its_readers(servers, monkeypatch):
    monkeypatch.setattr(rivulet.io.kafka.cluster, "MISSED", 0.5)
    topic = writer(servers, name())
    await Stream([("a", "b")]).to(topic).run()
    got = []
    conf = {"bootstrap_servers": servers, "auto_offset_reset": "earliest", "group_id": name()}
    run = Stream(Topic(topic.name, conf)).to(got).start()
    while not got:
        await asyncio.sleep(0.01)
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.delete_topics([topic.name])
    await admin.close()
    with pytest.raises(TopicError, match="it was deleted"):
        await run.wait(40)


async def test_a_deleted_topic_ends_its_writers(servers, monkeypatch, caplog):
    monkeypatch.setattr(rivulet.io.kafka.cluster, "MISSED", 0.5)
    topic = writer(servers, name())
    source = Stream.channel()
    run = Stream(source).to(topic).start()
    await source.send(("a", "b"))
    while not topic.stats().written:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.delete_topics([topic.name])
    await admin.close()
    await source.send(("a", "c"))
    while topic.stats().written < 2:
        await asyncio.sleep(0.01)
    with pytest.raises(TopicError, match="it was deleted"):
        await run.stop(timeout=60)
    # It is looked for again and again meanwhile, with pauses.
    assert 0 < caplog.text.count("not found in cluster metadata") < 300


async def test_a_record_too_large_for_the_broker_fails_the_run_before_anything_is_committed(
    servers,
):
    one, other, group = name(), name(), name()
    await Stream([("a", "b"), ("a", "c")]).to(writer(servers, one)).run()
    large = writer(servers, other, max_request_size=8_000_000)
    source = reader(servers, one, group_id=group)
    with pytest.raises(TopicError, match="larger than the broker takes"):
        await Stream(source).map(lambda r: (r.key, "x" * 4_000_000)).to(large).run()
    assert await reader(servers, one, group_id=group).committed() == {0: None}


async def test_records_that_were_deleted_before_a_group_came_to_them_are_skipped_and_counted(
    servers,
):
    topic, group = name(), name()
    numbers = [("a", str(i)) for i in range(10)]
    await Stream(numbers).to(writer(servers, topic)).run()
    assert await Stream(reader(servers, topic, group_id=group)).take(2).count() == 2
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=6)})
    await admin.close()
    with pytest.raises(TopicError, match=r"\{0: 2\}.* out of range"):
        await Stream(reader(servers, topic, group_id=group, auto_offset_reset="none")).run()
    again = reader(servers, topic, group_id=group)
    assert [r.value for r in await Stream(again).collect()] == ["6", "7", "8", "9"]
    assert again.stats().resets == 1
    assert await again.beginning_offsets() == {0: 6}


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
async def test_compressed_records_come_back(servers, compression):
    topic = writer(servers, name(), compression_type=compression)
    values = [f"value {i} " * 50 for i in range(200)]
    await Stream([("k", value) for value in values]).to(topic).run()
    assert [r.value for r in await Stream(reader(servers, topic.name)).collect()] == values


async def test_encryption_with_a_broker_that_has_none_is_said_so(servers):
    topic = Topic(
        name(), {"bootstrap_servers": servers, "security_protocol": "SSL"}, connect_timeout=1
    )
    with pytest.raises(TopicError, match="no broker of Kafka answers"):
        await Stream(topic).run()


async def test_a_second_producer_with_a_transactional_id_fences_the_first(servers):
    topic, transaction = name(), name()
    one = writer(servers, topic, transactional_id=transaction)
    source = Stream.channel()
    run = Stream(source).to(one).start()
    await source.send(("a", "1"))
    while not one.stats().written:
        await asyncio.sleep(0.01)

    def other():
        topic_again = writer(servers, topic, transactional_id=transaction)
        asyncio.run(Stream([("b", "2")]).to(topic_again).run())

    await asyncio.to_thread(other)
    await source.send(("a", "3"))
    with pytest.raises(TopicError, match="has taken over"):
        await run.stop()
    found = await Stream(reader(servers, topic, isolation_level="read_committed")).collect()
    assert [r.value for r in found] == ["2"]


async def test_a_paused_topic_stays_in_its_group_beyond_max_poll_interval(servers):
    topic = name()
    conf = {
        "bootstrap_servers": servers,
        "group_id": f"group-{topic}",
        "auto_offset_reset": "earliest",
        "max_poll_interval_ms": 1000,
        "heartbeat_interval_ms": 200,
    }
    await Stream([("a", "1")]).to(writer(servers, topic)).run()
    read = Topic(topic, conf)
    got = []
    run = Stream(read).to(got).start()
    while not got:
        await asyncio.sleep(0.01)
    read.pause()
    await Stream([("a", "2")]).to(writer(servers, topic)).run()
    await asyncio.sleep(3.5)
    assert read.stats().rebalances == 0
    assert len(got) == 1
    resumed = time.monotonic()
    read.resume()
    while len(got) < 2:
        await asyncio.sleep(0.001)
    assert time.monotonic() - resumed < 0.1
    await run.stop()
    assert read.stats().rebalances == 0
    assert await read.committed() == {0: 2}


async def test_a_handler_may_take_longer_than_max_poll_interval(servers):
    topic = name()
    await Stream([("a", "1"), ("a", "2"), ("a", "3")]).to(writer(servers, topic)).run()
    read = reader(
        servers,
        topic,
        group_id=f"group-{topic}",
        max_poll_interval_ms=1000,
        heartbeat_interval_ms=200,
    )
    got = []

    async def slowly(record):
        await asyncio.sleep(1.2)
        got.append(record.value)

    await Stream(read).to(slowly).run()
    assert got == ["1", "2", "3"]
    assert read.stats().rebalances == 0


# Credentials


@pytest.fixture(scope="module")
def guarded_cluster():
    if OTHER:
        pytest.skip("RIVULET_KAFKA is set, and this needs a broker with users of our own")
    with started(sasl=True, tls=True) as cluster:
        yield cluster


@pytest.fixture
def guarded(guarded_cluster, request):
    """A broker with users, over TLS.

    When a test's event loop is closed, TLS may still be about to say goodbye; asyncio warns of it.
    """
    request.node.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))
    yield guarded_cluster
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def credentials(cluster, user, password=SECRET):
    return {
        "bootstrap_servers": cluster.servers,
        "security_protocol": "SASL_SSL",
        "ssl_cafile": str(cluster.certificate),
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": user,
        "sasl_plain_password": password,
        "auto_offset_reset": "earliest",
    }


TOPIC, GROUP, TRANSACTION = 2, 3, 5
READ, WRITE = 3, 4
"""Kinds of resources and operations, as Kafka's protocol numbers them."""


async def grant(cluster, operation, kind, resource):
    """Give the user ana a right."""
    admin = AIOKafkaAdminClient(**cluster.client())
    await admin.start()
    allow, literally = 3, 3
    answer = await admin._send_to_controller(
        CreateAclsRequest(kind, resource, literally, "User:ana", "*", operation, allow)
    )
    await admin.close()
    assert [code for code, _ in answer.creation_responses] == [0]


async def test_a_user_with_a_password_reads_and_writes_over_an_encrypted_connection(guarded):
    conf = {**credentials(guarded, "admin"), "group_id": name()}
    topic = Topic(name(), conf, partitions=1, end="drained")
    await Stream([("a", "b")]).to(topic).run()
    assert [r.value for r in await Stream(topic).collect()] == ["b"]
    assert await topic.committed() == {0: 1}


async def test_a_wrong_password_is_said_at_once(guarded):
    topic = Topic(name(), credentials(guarded, "admin", "wrong"), connect_timeout=30)
    begun = time.monotonic()
    with pytest.raises(TopicError, match="refuses the credentials"):
        await Stream(topic).run()
    assert time.monotonic() - begun < 10


async def test_a_certificate_that_nobody_has_signed_is_said_at_once(guarded):
    conf = credentials(guarded, "admin")
    del conf["ssl_cafile"]
    begun = time.monotonic()
    with pytest.raises(TopicError, match="certificate.*ssl_cafile") as caught:
        await Stream(Topic(name(), conf, connect_timeout=30)).run()
    assert time.monotonic() - begun < 10
    assert "\n" not in str(caught.value)


async def test_a_user_without_rights_is_said_so(guarded):
    topic = Topic(name(), credentials(guarded, "admin"), partitions=1)
    await Stream([("a", "b")]).to(topic).run()
    denied = Topic(topic.name, credentials(guarded, "ana"), connect_timeout=10, end="drained")
    with pytest.raises(TopicError, match="no right to use the topic"):
        await Stream(denied).run()
    with pytest.raises(TopicError, match="no right to use the topic"):
        await Stream([("a", "b")]).to(denied).run()


async def test_each_right_that_is_missing_is_named(guarded):
    topic, group, transaction = Topic(name(), credentials(guarded, "admin"), partitions=1), "g", "t"
    await Stream([("a", "b")]).to(topic).run()
    conf = {**credentials(guarded, "ana"), "group_id": group, "transactional_id": transaction}
    mine = Topic(topic.name, conf, end="drained")
    pairs = Stream([("a", "c")])

    await grant(guarded, READ, TOPIC, topic.name)
    with pytest.raises(TopicError, match="no right to the group 'g'"):
        await Stream(mine).run()
    await grant(guarded, READ, GROUP, group)
    assert [r.value for r in await Stream(mine).collect()] == ["b"]

    with pytest.raises(TopicError, match="no right to the transactional_id 't'"):
        await pairs.to(mine).run()
    await grant(guarded, WRITE, TRANSACTION, transaction)
    with pytest.raises(TopicError, match="no right to write the topic"):
        await pairs.to(mine).run()
    await grant(guarded, WRITE, TOPIC, topic.name)
    await pairs.to(mine).run()
    assert [r.value for r in await Stream(mine).collect()] == ["c"]


def test_a_producer_that_nobody_closed_ends_with_its_event_loop(servers):
    topic = writer(servers, name())

    async def write():
        await topic("a", "b")

    asyncio.run(write())
    gc.collect()
    found = asyncio.run(collected(Stream(reader(servers, topic.name))))
    assert [r.value for r in found] == ["b"]


async def collected(stream):
    return await stream.collect()
