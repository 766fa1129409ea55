"""A consumer of a Kafka cluster."""

# pyright: reportMissingTypeStubs=false, reportIncompatibleMethodOverride=false
from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast, final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from rivulet.io.kafka.cluster import LOOK, STOPPING, Presence, own_error, own_errors, pace, reach
from rivulet.io.records import OffsetAndTimestamp, Record
from rivulet.io.transport import LostError, NoPositionError, OutOfRangeError, Owner

if TYPE_CHECKING:
    from rivulet.io.topic import Topic

__all__ = ["KafkaConsumer"]

_Consumer: Any = AIOKafkaConsumer
_NONE: Final = TopicPartition("", -1)


@final
class KafkaConsumer(ConsumerRebalanceListener):
    """Reads a topic of a cluster."""

    def __init__(self, topic: Topic, owner: Owner) -> None:
        self._topic = topic
        self._name = topic.name
        self._owner = owner
        self._client: Any = None
        self._ready = asyncio.Event()
        self._error: BaseException | None = None
        self._presence = Presence(
            self._name,
            topic.settings.address,
            lambda: self._client.partitions_for_topic(self._name),
        )
        self._has_partitions = False

    def _make(self) -> Any:
        settings = self._topic.settings
        client = _Consumer(
            **{
                "client_id": "rivulet",
                "rebalance_timeout_ms": int(settings.rebalance_timeout * 1000),
                **settings.reading,
            },
            enable_auto_commit=False,
            auto_offset_reset="none",
        )
        pace(client._client, lambda: (self._name,))
        return client

    async def start(self) -> None:
        """Connect, and join the group."""
        await reach(self._topic, self._name, self._topic.partitions)
        client = self._client = self._make()
        client.subscribe([self._name], listener=self)
        try:
            with own_errors(self._topic, "read"):
                await client.start()
            if self._topic.settings.group is None:
                await self._owner.assigned(self.partitions)
                return
            await self._ready.wait()
            self._raise()
        except BaseException:
            await self.stop()
            raise

    async def look(self) -> None:
        """Connect, only to ask for offsets."""
        await reach(self._topic, self._name, self._topic.partitions)
        self._client = self._make()
        try:
            with own_errors(self._topic, "read"):
                await self._client.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Leave the group, unless it is a static member, and disconnect."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            async with asyncio.timeout(STOPPING):
                with suppress(KafkaError):
                    await client.stop()
        except TimeoutError:  # the broker doesn't answer; it will miss us
            await client._client.close()
        except asyncio.CancelledError:
            await client._client.close()
            raise

    # Groups: aiokafka calls these, and only logs what they raise.

    async def on_partitions_revoked(self, revoked: Collection[Any]) -> None:
        """The group is about to deal the partitions anew."""
        self._ready.clear()
        if not self._has_partitions:
            return
        self._has_partitions = False
        del revoked
        try:
            await self._owner.revoked()
        except Exception as error:  # noqa: BLE001  # raised with the next poll
            self._error = error

    async def on_partitions_assigned(self, assigned: Collection[Any]) -> None:
        """The group has dealt."""
        client = self._client
        self._has_partitions = True
        # Records are given while this runs; none may come from before where reading begins.
        client.pause(*assigned)
        try:
            await self._owner.assigned([part.partition for part in assigned])
        except Exception as error:  # noqa: BLE001  # raised with the next poll
            self._error = error
        finally:
            client.resume(*[part for part in assigned if part in client.assignment()])
            self._ready.set()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    # Reading

    async def poll(self, timeout: float, /) -> Sequence[tuple[int, list[Record]]]:
        """Wait for records, at most so many seconds."""
        self._raise()
        try:
            found = await self._client.getmany(timeout_ms=int(timeout * 1000))
        except NoOffsetForPartitionError as error:
            raise NoPositionError([error.args[0].partition]) from None
        except OffsetOutOfRangeError as error:
            raise OutOfRangeError({p.partition: o for p, o in error.args[0].items()}) from None
        except KafkaError as error:
            if error.retriable:
                return ()
            raise own_error(error, self._topic, "read") from error
        if not found:
            self._presence.check()
            return ()
        new: Any = cast("Any", tuple).__new__
        return [
            (part.partition, [new(Record, record.__dict__.values()) for record in records])
            for part, records in found.items()
        ]

    async def touch(self) -> None:
        """Poll for nothing, so that the client doesn't leave the group."""
        self._raise()
        with own_errors(self._topic, "read"):
            await self._client.getmany(_NONE, timeout_ms=0)

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that are assigned."""
        if self._client is None:
            return frozenset()
        return frozenset(part.partition for part in self._client.assignment())

    def _part(self, partition: int) -> TopicPartition:
        return TopicPartition(self._name, partition)

    def _parts(self, partitions: Collection[int]) -> list[TopicPartition]:
        return [TopicPartition(self._name, partition) for partition in partitions]

    def seek(self, partition: int, offset: int, /) -> None:
        """Read on from there."""
        with suppress(IllegalStateError):  # it isn't ours any more
            self._client.seek(self._part(partition), offset)

    async def position(self, partition: int, /) -> int:
        """The offset of the record that is read next."""
        with own_errors(self._topic, "read"):
            try:
                return await self._client.position(self._part(partition))
            except IllegalStateError as error:
                raise LostError from error

    async def commit(self, offsets: Mapping[int, int], /) -> None:
        """Keep where to read on."""
        given = {self._part(p): offset for p, offset in offsets.items()}
        committing = asyncio.ensure_future(self._client.commit(given))
        try:
            # The client tries for ever; that does for brokers, and not for a topic that is gone.
            while not (await asyncio.wait([committing], timeout=LOOK))[0]:
                self._presence.check()
            committing.result()
        except (CommitFailedError, IllegalStateError) as error:
            raise LostError from error
        except KafkaError as error:
            raise own_error(error, self._topic, "read") from error
        finally:
            committing.cancel()

    async def committed(self, partitions: Collection[int], /) -> dict[int, int | None]:
        """What the group has kept."""
        with own_errors(self._topic, "read"):
            return {p: await self._client.committed(self._part(p)) for p in partitions}

    async def begin(self, partitions: Collection[int], /) -> dict[int, int]:
        """The offsets of the first records."""
        with own_errors(self._topic, "read"):
            found = await self._client.beginning_offsets(self._parts(partitions))
        return {part.partition: offset for part, offset in found.items()}

    async def end(self, partitions: Collection[int], /) -> dict[int, int]:
        """The offsets after the last records."""
        with own_errors(self._topic, "read"):
            found = await self._client.end_offsets(self._parts(partitions))
        return {part.partition: offset for part, offset in found.items()}

    async def at_times(self, times: Mapping[int, int], /) -> dict[int, OffsetAndTimestamp | None]:
        """The first records at or after these times."""
        wanted = {self._part(p): t for p, t in times.items()}
        with own_errors(self._topic, "read"):
            found = await self._client.offsets_for_times(wanted)
        return {
            part.partition: None if at is None else OffsetAndTimestamp(at.offset, at.timestamp)
            for part, at in found.items()
        }

    async def all_partitions(self) -> list[int]:
        """All partitions of the topic."""
        with own_errors(self._topic, "read"):
            return sorted(await self._client._client._wait_on_metadata(self._name))
