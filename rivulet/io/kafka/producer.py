"""A producer of a Kafka cluster.

aiokafka's ``send`` costs more for each record than all else together, so batches are filled here:
one for each partition is open, one on its way, and a few full ones wait in between.
"""

# pyright: reportMissingTypeStubs=false
from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from rivulet.errors import TopicError
from rivulet.io.kafka.cluster import LOOK, STOPPING, Presence, own_error, own_errors, pace, reach
from rivulet.io.partitioner import partition_of
from rivulet.io.records import Headers, RecordMetadata

if TYPE_CHECKING:
    from rivulet.io.topic import Topic

__all__ = ["KafkaProducer"]

BATCH: Final = 65536
"""Bytes of a batch, if nothing else is said."""
FULL: Final = 4
"""How many full batches may wait for one partition."""
LEAVING: Final = 2.0
"""Seconds that a producer has to write what is left where nobody waits for it any more."""

_Producer: Any = AIOKafkaProducer


@final
class _Line:
    """The batches for one partition.

    Attributes:
        open: the one that is being filled.
        full: those that wait.
        sending: the one on its way.
        room: done when there is room again, where somebody waits for that.
    """

    __slots__ = ("full", "open", "partition", "planned", "room", "sending", "topic")

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.open: Any = None
        self.full: deque[Any] = deque()
        self.sending: asyncio.Task[None] | None = None
        self.planned: asyncio.Handle | None = None
        self.room: asyncio.Future[None] | None = None

    def make_room(self) -> None:
        """Let go on who waits for room."""
        room, self.room = self.room, None
        if room is not None and not room.done():
            room.set_result(None)


@final
class KafkaProducer:
    """Writes to the topics of a cluster.

    Attributes:
        failed: something can't be written, so nothing more will be.
    """

    def __init__(self, topic: Topic) -> None:
        settings = topic.settings
        self.failed = False
        self._topic = topic
        self._client: Any = None
        self._error: BaseException | None = None
        self._linger: float = settings.get("linger_ms", 0) / 1000
        self._choose: Callable[..., int] | None = settings.get("partitioner")
        self._lines: dict[tuple[str, int], _Line] = {}
        self._counts: dict[str, int] = {}
        self._turns: dict[str, int] = {}
        self._known: dict[str, Presence] = {}
        self._transactional = settings.get("transactional_id") is not None
        self._begun = False
        self._beginning = asyncio.Lock()
        self._loop = asyncio.get_running_loop()

    async def start(self) -> None:
        """Connect."""
        await self._reach(self._topic.name, self._topic.partitions)
        settings = {"client_id": "rivulet", "max_batch_size": BATCH}
        client = self._client = _Producer(**{**settings, **self._topic.settings.writing})
        # A batch whose partition has no leader would be given up after request_timeout_ms.
        client._message_accumulator._batch_ttl = math.inf
        pace(client.client, lambda: self._known)
        try:
            with own_errors(self._topic, "write"):
                await client.start()
            await self._count(self._topic.name)
        except BaseException:
            await self.stop(flush=False)
            raise

    async def require(self, topic: str, partitions: int | None, /) -> None:
        """See that a topic is there."""
        if topic not in self._counts:
            await self._reach(topic, partitions)
            await self._count(topic)

    async def _reach(self, topic: str, partitions: int | None) -> None:
        await reach(self._topic, topic, partitions)
        self._known[topic] = Presence(
            topic,
            self._topic.settings.address,
            lambda: self._client.client.cluster.partitions_for_topic(topic),
        )

    async def _count(self, topic: str) -> None:
        with own_errors(self._topic, "write"):
            self._counts[topic] = len(await self._client.partitions_for(topic))

    async def stop(self, *, flush: bool = True) -> None:
        """Disconnect, after what was put is written."""
        client = self._client
        if client is None:
            return
        try:
            if flush:
                await self.flush()
        finally:
            self._forget()
            sending = [line.sending for line in self._lines.values() if line.sending is not None]
            for task in sending:
                task.cancel()
            await _stop(client)
            await asyncio.gather(*sending, return_exceptions=True)
            self._client = None

    def _forget(self) -> None:
        """Drop what isn't on its way yet."""
        for line in self._lines.values():
            line.open = None
            line.full.clear()
            line.make_room()
            if line.planned is not None:
                line.planned.cancel()
                line.planned = None

    # Writing

    def put(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None = None,
        timestamp: int | None = None,
        headers: Headers = (),
        /,
    ) -> Awaitable[None] | None:
        """Have a record written."""
        if partition is None:
            if self._choose is None and key is not None:
                partition = partition_of(key, self._counts[topic])
            else:
                partition = self._partition(topic, key)
        line = self._lines.get((topic, partition))
        if line is not None and line.open is not None:
            given = line.open.append(
                timestamp=timestamp, key=key, value=value, headers=list(headers)
            )
            if given is not None:
                return None
        return self._put(topic, partition, timestamp, key, value, headers)

    async def _put(
        self,
        topic: str,
        partition: int,
        timestamp: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
    ) -> None:
        """Put a record into a new batch, when there is room for one."""
        if self._transactional and not self._begun:
            await self._begin()
        line = self._line(topic, partition)
        while True:
            self._raise()
            if line.open is not None:
                if line.open.append(
                    timestamp=timestamp, key=key, value=value, headers=list(headers)
                ):
                    return
                line.full.append(line.open)
                line.open = None
                self._plan(line)
            if len(line.full) < FULL:
                line.open = self._client.create_batch()
                self._plan(line)
            else:
                line.room = line.room or self._loop.create_future()
                await self._until(line.room)

    def _line(self, topic: str, partition: int) -> _Line:
        line = self._lines.get((topic, partition))
        if line is None:
            if not 0 <= partition < self._counts[topic]:
                raise TopicError(
                    f"the topic {topic!r} at {self._topic.settings.address} has the partitions 0 "
                    f"to {self._counts[topic] - 1}, and not {partition}"
                )
            line = self._lines[topic, partition] = _Line(topic, partition)
        return line

    def _partition(self, topic: str, key: bytes | None) -> int:
        """The partition that the user's function gives, or, without a key, one for each batch."""
        cluster = self._client.client.cluster
        every = list(range(self._counts[topic]))
        if self._choose is not None:
            available = sorted(cluster.available_partitions_for_topic(topic) or every)
            return self._choose(key, every, available)
        line = self._lines.get((topic, self._turns.get(topic, -1)))
        if line is None or line.open is None:
            available = sorted(cluster.available_partitions_for_topic(topic) or every)
            self._turns[topic] = random.choice(available)  # noqa: S311  # no secret
        return self._turns[topic]

    def _plan(self, line: _Line) -> None:
        """Send when the event loop has a turn: until then more may come."""
        if line.sending is not None or line.planned is not None:
            return
        if line.full or not self._linger:
            line.planned = self._loop.call_soon(self._send_next, line)
        else:
            line.planned = self._loop.call_later(self._linger, self._send_next, line)

    def _send_next(self, line: _Line) -> None:
        if line.planned is not None:
            line.planned.cancel()
            line.planned = None
        if line.sending is not None or self._error is not None:
            return
        if line.full:
            batch = line.full.popleft()
        elif line.open is not None and line.open.record_count():
            batch, line.open = line.open, None
        else:
            return
        line.make_room()
        line.sending = self._loop.create_task(self._send(line, batch))

    async def _send(self, line: _Line, batch: Any) -> None:
        try:
            sent = await self._client.send_batch(batch, line.topic, partition=line.partition)
            await sent
        except Exception as error:  # noqa: BLE001  # it is raised to who puts or flushes next
            self.failed = True
            self._error = self._error or error
        finally:
            line.sending = None
            line.make_room()
        count = self._client.client.cluster.partitions_for_topic(line.topic)
        if count:
            self._counts[line.topic] = len(count)
        self._send_next(line)

    def _raise(self) -> None:
        if isinstance(self._error, KafkaError):
            raise own_error(self._error, self._topic, "write") from self._error
        if self._error is not None:
            raise self._error

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None = None,
        timestamp: int | None = None,
        headers: Headers = (),
        /,
    ) -> RecordMetadata:
        """Write a record, and wait until it is; in a transaction of its own if there is none."""
        alone = self._transactional and not self._begun
        if alone:
            await self._begin()
        else:
            await self.flush()
        if partition is None:
            partition = (
                partition_of(key, self._counts[topic])
                if self._choose is None and key is not None
                else self._partition(topic, key)
            )
        self._line(topic, partition)
        with own_errors(self._topic, "write"):
            sent = await self._client.send(topic, value, key, partition, timestamp, list(headers))
            await self._until(sent)
            written = sent.result()
        if alone:
            await self.commit(None, topic, {})
        return RecordMetadata(topic, written.partition, written.offset, written.timestamp)

    async def flush(self) -> None:
        """Wait until all that was put is written."""
        for line in self._lines.values():
            self._send_next(line)
        while self._error is None:
            sending = [line.sending for line in self._lines.values() if line.sending is not None]
            if not sending:
                return
            await self._until(*sending)
        self._raise()

    async def _until(self, *futures: asyncio.Future[Any]) -> None:
        """Wait for the brokers, however long that takes, unless a topic is gone."""
        while not (await asyncio.wait(futures, timeout=LOOK))[0]:
            for presence in self._known.values():
                presence.check()

    # Transactions

    async def _begin(self) -> None:
        async with self._beginning:
            if not self._begun:
                with own_errors(self._topic, "write"):
                    await self._client.begin_transaction()
                self._begun = True

    async def commit(self, group: str | None, topic: str, offsets: Mapping[int, int], /) -> None:
        """End the transaction with the offsets of a group."""
        if not self._begun and not (group and offsets):
            return
        try:
            if not self._begun:
                await self._begin()
            await self.flush()
            with own_errors(self._topic, "write"):
                if group and offsets:
                    parts = {TopicPartition(topic, p): offset for p, offset in offsets.items()}
                    await self._client.send_offsets_to_transaction(parts, group)
                await self._client.commit_transaction()
        except TopicError:
            await self.abort()
            raise
        self._begun = False

    async def abort(self) -> None:
        """End the transaction without effect."""
        self._forget()
        if not self._begun:
            return
        self._begun = False
        with suppress(Exception):  # the brokers end it by themselves
            async with asyncio.timeout(STOPPING):
                await self._client.abort_transaction()


async def _stop(client: Any) -> None:
    """Stop a producer, also one that still has records for brokers that don't answer."""
    stopping = asyncio.create_task(client.stop())
    try:
        await asyncio.wait([stopping], timeout=LEAVING)
    finally:
        if not stopping.done():
            sender = client._sender.sender_task
            while sender is not None and not sender.done():
                # It waits for its requests, one by one, and hands each cancellation on to them.
                sender.cancel()
                await asyncio.wait([sender], timeout=0.01)
            sent = client._message_accumulator
            batches = {
                *sent._pending_batches,
                *(batch for some in sent._batches.values() for batch in some),
            }
            sent._pending_batches.update(batches)
            for batch in batches:
                batch.future.cancel()
            await asyncio.wait([stopping], timeout=LEAVING)
        with suppress(KafkaError, asyncio.CancelledError):
            if stopping.done():
                stopping.result()
