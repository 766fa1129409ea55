"""A log without a broker: what memory and files have in common.

Groups work as Kafka's do, with members in one process: whenever one comes or goes, all hand over
what they have, and the partitions are dealt anew.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final, Protocol, final

from rivulet.errors import TopicError
from rivulet.io.partitioner import partition_of
from rivulet.io.records import Headers, OffsetAndTimestamp, Record, RecordMetadata
from rivulet.io.settings import Settings
from rivulet.io.transport import LostError, NoPositionError, OutOfRangeError, Owner
from rivulet.state.updates import wake

__all__ = ["Commit", "EmbeddedConsumer", "EmbeddedProducer", "Entry", "Log", "Storage"]

Entry = tuple[str, int, int, bytes | None, bytes | None, Headers]
"""What is written: topic, partition, timestamp, key, value, headers."""
Commit = tuple[str, str, Mapping[int, int]]
"""A group, a topic, and the offsets that the group has reached there."""

AT_ONCE: Final = 500
"""How many records are read, or written to a file, at once, if nothing else is said."""

_serial = itertools.count(1)


class Storage(Protocol):
    """Keeps records and the offsets of groups. It is used by one thread at a time.

    Attributes:
        gathers: many records written at once cost much less than one by one.
    """

    gathers: bool

    def partitions(self, topic: str, /) -> int:
        """How many partitions a topic has; 0 where there is no such topic."""
        ...

    def create(self, topic: str, partitions: int, /) -> None:
        """Make a topic, or give it more partitions."""
        ...

    def write(self, entries: Sequence[Entry], commit: Commit | None = None, /) -> list[int]:
        """Write records and a group's offsets, all or nothing; gives the records' offsets."""
        ...

    def read(self, topic: str, partition: int, offset: int, limit: int, /) -> list[Record]:
        """Up to so many records from an offset on."""
        ...

    def bounds(self, topic: str, partition: int, /) -> tuple[int, int]:
        """The offset of the first record, and the one after the last."""
        ...

    def at_time(self, topic: str, partition: int, time: int, /) -> OffsetAndTimestamp | None:
        """The first record at or after a time."""
        ...

    def committed(self, group: str, topic: str, /) -> dict[int, int]:
        """The offsets of a group."""
        ...

    def close(self) -> None:
        """Let everything go."""
        ...


@final
class Log:
    """Topics in one place, for all that use them in this process.

    Args:
        name: as errors call it.
        storage: where the records are.
    """

    def __init__(self, name: str, storage: Storage) -> None:
        self.name = name
        self.storage = storage
        self.lock = threading.RLock()
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._groups: dict[tuple[str, str], Group] = {}

    def group(self, name: str, topic: str) -> Group:
        """The members of a group that read a topic."""
        with self.lock:
            return self._groups.setdefault((name, topic), Group(self, topic))

    def require(self, topic: str, partitions: int | None) -> int:
        """See that a topic is there, with so many partitions; tells how many it has.

        Raises:
            TopicError: it is there with another number.
        """
        with self.lock:
            found = self.storage.partitions(topic)
            if found and partitions in (None, found):
                return found
            wanted = partitions or 1
            if found and (wanted < found or any(map(self._used, [topic] * found, range(found)))):
                raise TopicError(
                    f"the topic {topic!r} in {self.name} has {found} partitions, not {partitions}"
                )
            self.storage.create(topic, wanted)
            for (_, of), group in self._groups.items():
                if of == topic:
                    group.changed()
        self.tell(topic)
        return wanted

    def _used(self, topic: str, partition: int) -> bool:
        return self.storage.bounds(topic, partition)[1] > 0

    def write(self, entries: Sequence[Entry], commit: Commit | None = None) -> list[int]:
        """Write records and offsets, all or nothing."""
        with self.lock:
            offsets = self.storage.write(entries, commit)
        for topic in {entry[0] for entry in entries}:
            self.tell(topic)
        return offsets

    def tell(self, topic: str) -> None:
        """Let those look again who wait for something of a topic."""
        if not self._waiters.get(topic):
            return
        with self.lock:
            waiters = self._waiters.pop(topic, ())
        for waiter in waiters:
            with suppress(RuntimeError):  # its loop is closed, so nobody waits
                wake(waiter)

    @contextmanager
    def waiter(self, topic: str) -> Generator[asyncio.Future[None]]:
        """A future that is done when something of a topic has changed since."""
        future = asyncio.get_running_loop().create_future()
        with self.lock:
            self._waiters.setdefault(topic, set()).add(future)
        try:
            yield future
        finally:
            with self.lock:
                self._waiters.get(topic, set()).discard(future)


@final
class Group:
    """The members of a consumer group, and which partitions each has.

    Attributes:
        generation: counts the changes of members.
        settled: the generation in which all members know their partitions.
    """

    def __init__(self, log: Log, topic: str) -> None:
        self.generation = 0
        self.settled = 0
        self._log = log
        self._topic = topic
        self._members: dict[str, EmbeddedConsumer] = {}
        self._ready: set[str] = set()
        self._away: dict[str, float] = {}
        self._shares: dict[str, list[int]] = {}

    def join(self, member: EmbeddedConsumer) -> None:
        """Have one more member. One that was only away gets back what it had."""
        with self._log.lock:
            self._away.pop(member.name, None)
            back = self._members.get(member.name)
            self._members[member.name] = member
            if back is not None and self.generation == self.settled:
                return
            self.changed()
        self._log.tell(self._topic)

    def leave(self, member: EmbeddedConsumer, until: float | None = None) -> None:
        """Have one less; one that may come back is missed only after that time."""
        with self._log.lock:
            if self._members.get(member.name) is not member:
                return
            if until is not None:
                self._away[member.name] = until
                return
            del self._members[member.name]
            self._shares.pop(member.name, None)
            self.changed()
        self._log.tell(self._topic)

    def has(self, member: EmbeddedConsumer) -> bool:
        """Whether it is a member."""
        return self._members.get(member.name) is member

    def changed(self) -> None:
        """Everything has to be dealt anew."""
        self.generation += 1
        self._ready.clear()

    def miss(self, now: float) -> None:
        """Look whether one that was away is away for too long."""
        gone = [name for name, until in self._away.items() if until <= now]
        with self._log.lock:
            for name in gone:
                del self._away[name]
                self._members.pop(name, None)
                self.changed()
        if gone:
            self._log.tell(self._topic)

    def is_settled(self, member: EmbeddedConsumer) -> bool:
        """Say that a member has handed over what it had; tells whether all have."""
        with self._log.lock:
            self._ready.add(member.name)
            if not self._ready >= self._members.keys() - self._away.keys():
                return False
            if self.settled != self.generation:
                self.settled = self.generation
                self._deal()
        self._log.tell(self._topic)
        return True

    def evict(self, generation: int) -> None:
        """Go on without the members that have not handed over in time."""
        with self._log.lock:
            if generation != self.generation or self.settled == generation:
                return
            for name in self._members.keys() - self._ready - self._away.keys():
                del self._members[name]
            self.generation += 1
            self._ready.clear()
        self._log.tell(self._topic)

    def _deal(self) -> None:
        names = sorted(self._members)
        self._shares = {name: [] for name in names}
        for partition in range(self._log.storage.partitions(self._topic)):
            self._shares[names[partition % len(names)]].append(partition)

    def share(self, member: EmbeddedConsumer) -> frozenset[int]:
        """The partitions of a member."""
        return frozenset(self._shares.get(member.name, ()))


@final
class EmbeddedConsumer:
    """Reads a topic of an embedded log."""

    def __init__(
        self, log: Log, topic: str, settings: Settings, owner: Owner, release: Callable[[], None]
    ) -> None:
        self._log = log
        self._topic = topic
        self._owner = owner
        self._release = release
        self._limit: int = settings.get("max_poll_records", AT_ONCE)
        self._group = None if settings.group is None else log.group(settings.group, topic)
        self._group_name = settings.group
        instance: str | None = settings.get("group_instance_id")
        self.name = f"instance {instance}" if instance else f"member {next(_serial):06}"
        self._session = settings.get("session_timeout_ms", 10_000) / 1000 if instance else None
        self._patience = settings.rebalance_timeout
        self._generation = 0
        self._partitions: frozenset[int] = frozenset()
        self._positions: dict[int, int] = {}
        self._first = 0
        self._stopped = False

    async def start(self) -> None:
        """Join the group."""
        if self._group is None:
            self._partitions = frozenset(range(self._log.storage.partitions(self._topic)))
            await self._owner.assigned(self._partitions)
        else:
            self._group.join(self)
            await self._settle(self._group)

    async def look(self) -> None:
        """Nothing has to be connected."""

    async def stop(self) -> None:
        """Leave the group."""
        if self._stopped:
            return
        self._stopped = True
        if self._group is not None:
            away = (
                None if self._session is None else asyncio.get_running_loop().time() + self._session
            )
            self._group.leave(self, away)
        self._release()

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that are assigned."""
        return self._partitions

    async def _settle(self, group: Group) -> None:
        """Until the group is settled, hand over and take."""
        while True:
            with self._log.waiter(self._topic) as waiter:
                group.miss(asyncio.get_running_loop().time())
                if self._generation == group.generation and group.has(self):
                    return
                await self._hand_over(group)
                generation = group.generation
                if group.is_settled(self):
                    self._partitions = group.share(self)
                    self._positions.clear()
                    self._generation = group.settled
                    await self._owner.assigned(self._partitions)
                elif not (await asyncio.wait([waiter], timeout=self._patience))[0]:
                    group.evict(generation)

    async def _hand_over(self, group: Group) -> None:
        """Give up the partitions; one that the group went on without comes back as a new one."""
        if self._generation:
            await self._owner.revoked()
            self._partitions = frozenset()
            self._generation = 0
        if not group.has(self):
            if self._session is not None:
                raise TopicError(
                    f"another reader uses group_instance_id={self.name.removeprefix('instance ')!r}"
                    f": each member of a group needs its own"
                )
            group.join(self)

    async def poll(self, timeout: float, /) -> Sequence[tuple[int, list[Record]]]:
        """Wait for records, at most so many seconds."""
        while True:
            if self._group is None:
                self._partitions = frozenset(range(self._log.storage.partitions(self._topic)))
            else:
                await self._settle(self._group)
            if found := self._read():
                return found
            with self._log.waiter(self._topic) as waiter:
                if found := self._read():
                    return found
                if not (await asyncio.wait([waiter], timeout=timeout))[0]:
                    return ()

    def _read(self) -> list[tuple[int, list[Record]]]:
        found: list[tuple[int, list[Record]]] = []
        storage, topic, left = self._log.storage, self._topic, self._limit
        partitions = sorted(self._partitions)
        if not partitions:
            return found
        # Not always the same one first.
        self._first = (self._first + 1) % len(partitions)
        with self._log.lock:
            self._check_positions(partitions)
            for partition in partitions[self._first :] + partitions[: self._first]:
                position = self._positions[partition]
                if records := storage.read(topic, partition, position, left):
                    self._positions[partition] = records[-1].offset + 1
                    found.append((partition, records))
                    left -= len(records)
                    if left <= 0:
                        break
        return found

    def _check_positions(self, partitions: Collection[int]) -> None:
        missing = [p for p in partitions if p not in self._positions]
        if missing and self._group_name is not None:
            kept = self._log.storage.committed(self._group_name, self._topic)
            self._positions.update({p: kept[p] for p in missing if p in kept})
            missing = [p for p in missing if p not in kept]
        if missing:
            raise NoPositionError(missing)
        wrong: dict[int, int] = {}
        for partition in partitions:
            begin, end = self._log.storage.bounds(self._topic, partition)
            if not begin <= self._positions[partition] <= end:
                wrong[partition] = self._positions[partition]
        if wrong:
            raise OutOfRangeError(wrong)

    async def touch(self) -> None:
        """Nothing has to be told: a member is gone when it says so."""

    def seek(self, partition: int, offset: int, /) -> None:
        """Read on from there."""
        self._positions[partition] = offset

    async def position(self, partition: int, /) -> int:
        """The offset of the record that is read next."""
        with self._log.lock:
            self._check_positions([partition])
        return self._positions[partition]

    async def commit(self, offsets: Mapping[int, int], /) -> None:
        """Keep where to read on."""
        group, name = self._group, self._group_name
        assert group is not None
        assert name is not None
        with self._log.lock:
            if not group.has(self) or self._generation != group.settled:
                raise LostError
            self._log.write((), (name, self._topic, offsets))

    async def committed(self, partitions: Collection[int], /) -> dict[int, int | None]:
        """What the group has kept."""
        assert self._group_name is not None
        with self._log.lock:
            kept = self._log.storage.committed(self._group_name, self._topic)
        return {partition: kept.get(partition) for partition in partitions}

    async def begin(self, partitions: Collection[int], /) -> dict[int, int]:
        """The offsets of the first records."""
        with self._log.lock:
            return {p: self._log.storage.bounds(self._topic, p)[0] for p in partitions}

    async def end(self, partitions: Collection[int], /) -> dict[int, int]:
        """The offsets after the last records."""
        with self._log.lock:
            return {p: self._log.storage.bounds(self._topic, p)[1] for p in partitions}

    async def at_times(self, times: Mapping[int, int], /) -> dict[int, OffsetAndTimestamp | None]:
        """The first records at or after these times."""
        with self._log.lock:
            return {p: self._log.storage.at_time(self._topic, p, t) for p, t in times.items()}

    async def all_partitions(self) -> list[int]:
        """All partitions of the topic."""
        return list(range(self._log.storage.partitions(self._topic)))


@final
class EmbeddedProducer:
    """Writes to the topics of an embedded log.

    Attributes:
        failed: something can't be written, so nothing more will be.
    """

    def __init__(self, log: Log, settings: Settings, release: Callable[[], None]) -> None:
        self._log = log
        self._release = release
        self._in_transaction = settings.get("transactional_id") is not None
        self._gathers = self._in_transaction or log.storage.gathers
        self._entries: list[Entry] = []
        self.failed = False
        self._error: BaseException | None = None
        self._planned: asyncio.Handle | None = None
        self._counts: dict[str, int] = {}
        self._turns: dict[str, itertools.cycle[int]] = {}
        self._wall: Callable[[], float] = time.time
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Take the clock of the loop that it is used in."""
        self._loop = asyncio.get_running_loop()
        self._wall = getattr(self._loop, "wall_time", time.time)

    async def require(self, topic: str, partitions: int | None, /) -> None:
        """See that a topic is there."""
        if topic not in self._counts:
            count = self._counts[topic] = self._log.require(topic, partitions)
            self._turns[topic] = itertools.cycle(range(count))

    async def stop(self, *, flush: bool = True) -> None:
        """Write what is left."""
        try:
            if flush and not self._in_transaction:
                self._write()
        finally:
            self._forget()
            self._release()

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
        """Have a record written, at the latest when the event loop has a turn."""
        entry = self._entry(topic, key, value, partition, timestamp, headers)
        if not self._gathers:
            self._log.write((entry,))
            return
        if self._error is not None:
            raise self._error
        self._entries.append(entry)
        if self._in_transaction:
            return
        if len(self._entries) >= AT_ONCE:
            self._write()
        elif self._planned is None:
            assert self._loop is not None
            self._planned = self._loop.call_soon(self._write_later)
        return

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
        """Write a record, after those that were put."""
        entry = self._entry(topic, key, value, partition, timestamp, headers)
        if not self._in_transaction:
            self._write()
        offset = self._log.write((entry,))[0]
        return RecordMetadata(topic, entry[1], offset, entry[2])

    async def flush(self) -> None:
        """Write what was put."""
        if self._error is not None:
            raise self._error
        if not self._in_transaction:
            self._write()

    async def commit(self, group: str | None, topic: str, offsets: Mapping[int, int], /) -> None:
        """Write what was put, and a group's offsets, all or nothing."""
        entries, self._entries = self._entries, []
        commit = None if group is None or not offsets else (group, topic, offsets)
        if entries or commit:
            self._log.write(entries, commit)

    async def abort(self) -> None:
        """Forget what was put."""
        self._forget()

    def _forget(self) -> None:
        self._entries = []
        if self._planned is not None:
            self._planned.cancel()
            self._planned = None

    def _write(self) -> None:
        entries = self._entries
        self._forget()
        if entries:
            self._log.write(entries)

    def _write_later(self) -> None:
        try:
            self._write()
        except Exception as error:  # noqa: BLE001  # it is raised to who puts or flushes next
            self.failed, self._error = True, error

    def _entry(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: int | None,
        headers: Headers,
    ) -> Entry:
        count = self._counts[topic]
        if partition is None:
            partition = next(self._turns[topic]) if key is None else partition_of(key, count)
        elif not 0 <= partition < count:
            raise TopicError(
                f"the topic {topic!r} in {self._log.name} has the partitions 0 to {count - 1}, and "
                f"not {partition}"
            )
        if timestamp is None:
            timestamp = int(self._wall() * 1000)
        return (topic, partition, timestamp, key, value, headers)


def sizes(key: bytes | None, value: bytes | None) -> tuple[int, int]:
    """How many bytes keys and values have, as records say it."""
    return -1 if key is None else len(key), -1 if value is None else len(value)
