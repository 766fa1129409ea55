"""What a topic needs of the log that it is in, whichever that is.

Three things are one: ``memory.py`` and ``file.py`` keep records by themselves, behind the groups
and positions of ``embedded.py``; ``kafka.py`` asks a broker. Keys and values are bytes here, and a
partition is its number, as a reader is of one topic.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping, Sequence
from typing import Protocol

from rivulet.io.records import Headers, OffsetAndTimestamp, Record, RecordMetadata

__all__ = ["Consumer", "LostError", "NoPositionError", "OutOfRangeError", "Owner", "Producer"]


class NoPositionError(Exception):
    """Nothing says where to begin to read some partitions."""

    def __init__(self, partitions: Collection[int]) -> None:
        super().__init__(f"no offset is known for the partitions {sorted(partitions)}")
        self.partitions = partitions


class OutOfRangeError(Exception):
    """Partitions don't have the offsets at which they were to be read."""

    def __init__(self, offsets: Mapping[int, int]) -> None:
        super().__init__(f"these offsets are out of range: {dict(offsets)}")
        self.offsets = offsets


class LostError(Exception):
    """The group has given the partitions to another member."""


class Owner(Protocol):
    """What a consumer tells about its partitions."""

    async def revoked(self) -> None:
        """All partitions are about to be taken: the last moment to commit."""
        ...

    async def assigned(self, partitions: Collection[int]) -> None:
        """These are the partitions from now on."""
        ...


class Consumer(Protocol):
    """Reads one topic, alone or as a member of a group."""

    async def start(self) -> None:
        """Connect, and join the group."""
        ...

    async def look(self) -> None:
        """Connect, only to ask for offsets."""
        ...

    async def stop(self) -> None:
        """Leave the group, and let everything go."""
        ...

    async def poll(self, timeout: float, /) -> Sequence[tuple[int, list[Record]]]:
        """Wait for records; gives none when there are none for so many seconds.

        Raises:
            NoPositionError: some partitions have no position, neither committed nor sought.
            OutOfRangeError: some have one that isn't there.
            TopicError: the topic can't be read.
        """
        ...

    async def touch(self) -> None:
        """Say that the reader is alive, though it takes nothing at the moment."""
        ...

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that are assigned."""
        ...

    def seek(self, partition: int, offset: int, /) -> None:
        """Read on from there. Nothing read before comes any more."""
        ...

    async def position(self, partition: int, /) -> int:
        """The offset of the record that is read next.

        Raises:
            LostError: the partition is another member's by now.
        """
        ...

    async def commit(self, offsets: Mapping[int, int], /) -> None:
        """Keep, for the group, where to read on.

        Raises:
            LostError: the partitions are another member's by now.
        """
        ...

    async def committed(self, partitions: Collection[int], /) -> dict[int, int | None]:
        """What the group has kept."""
        ...

    async def begin(self, partitions: Collection[int], /) -> dict[int, int]:
        """The offsets of the first records that are kept."""
        ...

    async def end(self, partitions: Collection[int], /) -> dict[int, int]:
        """The offsets after the last records."""
        ...

    async def at_times(self, times: Mapping[int, int], /) -> dict[int, OffsetAndTimestamp | None]:
        """The first records at or after these times, in milliseconds."""
        ...

    async def all_partitions(self) -> list[int]:
        """All partitions of the topic, whoever reads them."""
        ...


class Producer(Protocol):
    """Writes to the topics of one log.

    Attributes:
        failed: something can't be written, so nothing more will be.
    """

    failed: bool

    async def start(self) -> None:
        """Connect. With a ``transactional_id``, end what an earlier one has left open."""
        ...

    async def require(self, topic: str, partitions: int | None, /) -> None:
        """See that a topic is there, with so many partitions if that is said.

        Raises:
            TopicError: it isn't.
        """
        ...

    async def stop(self, *, flush: bool = True) -> None:
        """Let everything go, after what was put is written."""
        ...

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
        """Have a record written; gives something to await where there is no room just now."""
        ...

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
        """Write a record, and wait until it is."""
        ...

    async def flush(self) -> None:
        """Wait until all that was put is written.

        Raises:
            TopicError: some of it can't be.
        """
        ...

    async def commit(self, group: str | None, topic: str, offsets: Mapping[int, int], /) -> None:
        """End the transaction: what was put, and a group's offsets, count from now on."""
        ...

    async def abort(self) -> None:
        """End the transaction: nothing of it counts."""
        ...
