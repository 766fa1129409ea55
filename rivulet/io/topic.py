"""``Topic``: records in a log, embedded or Kafka's, as a source and a sink."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self, cast, final
from warnings import warn
from weakref import WeakKeyDictionary

from rivulet.codecs import Codec
from rivulet.core.checks import check_choice, check_whole
from rivulet.core.durations import Duration, seconds
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Node, Unary, frozen
from rivulet.core.stage import Apply, Effect, Produce
from rivulet.core.text import shortened
from rivulet.errors import CodecError, GraphError, RunError, SinkError, TopicError
from rivulet.io.delivery import Shared
from rivulet.io.reading import Reading
from rivulet.io.records import (
    READ_FROM_END,
    READ_FROM_START,
    Headers,
    OffsetAndTimestamp,
    Record,
    RecordMetadata,
)
from rivulet.io.settings import Settings
from rivulet.io.transport import Consumer, Owner, Producer
from rivulet.io.writing import split, writing
from rivulet.ops.source import Source
from rivulet.stream import Stream

__all__ = ["Topic", "TopicStats"]

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_record: Final = cast("Callable[..., Record]", cast("Any", tuple).__new__)
_Encoded = tuple[bytes | None, bytes | None, int | None, int | None, Headers]


@dataclass(slots=True)
class TopicStats:
    """What a topic has counted in this process.

    Attributes:
        read: records that were read.
        written: records that were taken to be written.
        commits: how often offsets were committed.
        rebalances: how often the group has taken partitions to deal them anew.
        resets: how often an offset was out of range, and ``auto_offset_reset`` was used.
    """

    read: int = 0
    written: int = 0
    commits: int = 0
    rebalances: int = 0
    resets: int = 0


class Topic:
    """A topic: named records in order, in a log that outlives its readers; a source and a sink.

    Where the log is, ``bootstrap_servers`` says: ``"memory://name"`` is in this process, shared by
    name; ``"file:path"`` is kept in a folder, for one process at a time; ``"host:port"`` is a
    Kafka broker (extra ``kafka``). All three work in the same way.

    As a stream, ``Stream(topic)``, it gives each ``Record``: ``topic``, ``partition``, ``offset``,
    ``timestamp``, ``key``, ``value``, ``headers``. As a sink, ``.to(topic)``, it takes pairs
    ``(key, value)``, ``(key, value, headers)`` or records, and of an ``on_error`` their failures,
    with the error as a header. Equal keys go to the same partition,
    and within one the order is kept.

    With a ``group_id`` the partitions are shared by all who read with the same, and the group keeps
    where it is: a record is committed when it has left every sink of the run and what was made of
    it is written. So nothing is lost in a crash, and what came after the last commit comes again.
    What operators hold in memory, such as an open window, counts as handled. On a rebalance the
    record in hand is finished and committed before partitions are handed over.

    With a ``transactional_id`` (of a topic that is written) what was made of the records and
    their offsets count together: who reads with ``isolation_level="read_committed"`` sees each
    result once, through any crash of this process and the same ``transactional_id`` afterwards.
    That covers one read topic, topics of the same cluster, and partitions that stay with their
    member: give each member a ``group_instance_id`` and a ``transactional_id`` of its own. It
    doesn't cover other sinks, nor a partition that another member takes over in the middle.

    Args:
        name: letters, digits, ``.``, ``_`` and ``-``.
        conf: the settings, named as aiokafka names them. Offsets are never committed by a timer
            alone, sends are idempotent, and ``auto_offset_reset`` is ``"latest"``, if nothing else
            is said.
        offset: where each run begins, whatever the group has committed: a number,
            ``READ_FROM_START`` (-2), ``READ_FROM_END`` (-1), or one for each partition in a dict.
        codec: how values become bytes. Without it they are text (or bytes, when written), as keys
            are, unless there are serializers in ``conf``. None stays None.
        dry: write nothing.
        partitions: how many a new topic gets; 1 if nothing is said, in Kafka what the broker says.
        end: ``"drained"`` to end when everything is read; otherwise it never ends.
        commit_interval: how often offsets, or transactions, are committed.
        connect_timeout: how long a broker is tried for.

    Raises:
        GraphError: a setting is unknown or can't be.
        MissingExtraError: it is in Kafka, and aiokafka isn't installed.
        TopicError: while running, if it can't be read or written.

    Example:
        >>> from rivulet import JsonCodec, Topic
        >>> conf = {"bootstrap_servers": "memory://doc", "auto_offset_reset": "earliest"}
        >>> walks = Topic("walks", conf, codec=JsonCodec(), end="drained")
        >>> await Stream([("ana", {"km": 3}), ("bo", {"km": 5})]).to(walks).run()
        >>> await Stream(walks).map(lambda r: (r.offset, r.key, r.value["km"])).collect()
        [(0, 'ana', 3), (1, 'bo', 5)]

    Source: the interface of Slipstream's ``Topic``, whose settings are aiokafka's.
    """

    def __init__(
        self,
        name: str,
        conf: Mapping[str, Any] | None = None,
        offset: int | Mapping[int, int] | None = None,
        codec: Codec | None = None,
        dry: bool = False,
        *,
        partitions: int | None = None,
        end: Literal["drained"] | None = None,
        commit_interval: Duration = 5.0,
        connect_timeout: Duration = 30.0,
    ) -> None:
        _check_name(name)
        self.name = name
        self.settings = Settings.of(name, conf)
        self.conf = self.settings.given
        self.codec = codec
        self.dry = dry
        self.starting_offset = None if offset is None else _offsets(offset)
        if partitions is not None:
            check_whole(partitions, "Topic", "partitions")
        if end is not None:
            check_choice(end, "Topic", "end", ("drained",))
        self.partitions = partitions
        self.ends_drained = end is not None
        self.commit_interval = seconds(commit_interval, "Topic(commit_interval)")
        self.connect_timeout = seconds(connect_timeout, "Topic(connect_timeout)")
        self.counts = TopicStats()
        self._encode_key, self._encode_value = _encoders(self)
        self._largest = self.settings.largest
        self.decode = _decoder(self)
        self._warned = False
        self._sought: dict[int, int] | int | None = None
        self._readings: list[Reading] = []
        self._shared: WeakKeyDictionary[asyncio.AbstractEventLoop, Shared] = WeakKeyDictionary()
        self._held: WeakKeyDictionary[
            asyncio.AbstractEventLoop, tuple[Shared, AsyncGenerator[None]]
        ] = WeakKeyDictionary()
        self.node: Node = Decode(Deliver(Reads(self), self), self)

    def __repr__(self) -> str:
        return f"<Topic {self.name!r} at {self.settings.address}>"

    # As a source

    def __aiter__(self) -> AsyncIterator[Record]:
        """The records, as ``Stream(topic)`` gives them."""
        return aiter(cast("Stream[Record]", Stream(self.node)))

    @property
    def endless(self) -> bool:
        """Whether its end isn't known."""
        return not self.ends_drained

    def pause(self) -> None:
        """Hold before the next record. The group isn't left, however long it takes.

        Raises:
            RunError: it isn't being read.
        """
        for reading in self._being_read("pause"):
            reading.pause()

    def resume(self) -> None:
        """Go on after ``pause``.

        Raises:
            RunError: it isn't being read.
        """
        for reading in self._being_read("resume"):
            reading.resume()

    async def seek(self, offset: int | Mapping[int, int]) -> None:
        """Go on reading at another place; if it isn't being read, begin there next time.

        Args:
            offset: a number, ``READ_FROM_START`` or ``READ_FROM_END``, or one for each partition in
                a dict; a number that isn't there is treated as ``auto_offset_reset`` says.

        Raises:
            GraphError: it is none of these.
            RunError: a partition is read by another member of the group.
        """
        wanted = _offsets(offset)
        readings = [reading for reading in self._readings if reading.partitions]
        if not readings:
            self._sought = wanted
            return
        if isinstance(wanted, dict):
            here = frozenset[int]().union(*(reading.partitions for reading in readings))
            if missing := sorted(wanted.keys() - here):
                raise RunError(
                    f"{self!r} can't be sought in the partitions {missing}: here "
                    f"{sorted(here)} are read"
                )
        for reading in readings:
            given = dict.fromkeys(reading.partitions, wanted) if isinstance(wanted, int) else wanted
            await reading.seek(given)

    def positions(self) -> dict[int, int]:
        """By partition, the offset of the first record that isn't handled yet."""
        found: dict[int, int] = {}
        for reading in self._readings:
            found.update(reading.done)
        return found

    def _being_read(self, what: str) -> list[Reading]:
        if not self._readings:
            raise RunError(f"can't {what} {self!r}: it isn't being read")
        return list(self._readings)

    # As a sink

    async def __call__(
        self,
        key: Any,
        value: Any,
        headers: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
        *,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> RecordMetadata | None:
        """Write a record, and wait until it is written; None if the topic is dry.

        One record at a time is slow with a broker; ``.to(topic)`` has many on their way.

        Raises:
            CodecError: the key or the value can't become bytes.
            SinkError: there is neither key nor value.
            TopicError: it can't be written.
        """
        given = self.encoded(key, value, headers, timestamp_ms, partition)
        if given is None:
            return None
        producer = await self._direct()
        self.counts.written += 1
        return await producer.send(self.name, *given)

    async def take_item(self, item: Any) -> None:
        """Write a pair, a record or a list of them, as a sink, and wait until it is written."""
        for one in cast("list[Any]", item if isinstance(item, list) else [item]):
            key, value, headers, timestamp = split(self, one)
            await self(key, value, headers, timestamp_ms=timestamp)

    def take_in_run(self, context: Context) -> Logic:
        """What takes items in one run, many on their way at once."""
        return writing(self, context)

    def encoded(
        self,
        key: Any,
        value: Any,
        headers: Any,
        timestamp: int | None,
        partition: int | None = None,
    ) -> _Encoded | None:
        """A record in bytes; None if the topic is dry."""
        if key is None and value is None:
            raise SinkError(f"{self!r} needs a key or a value, and got neither")
        if key is not None:
            key = self._encode_key(key)
        if value is not None:
            value = self._encode_value(value)
        headers = _headers(self, headers) if headers else ()
        size = 70 + (len(key) if key else 0) + (len(value) if value else 0)
        if headers:
            size += sum(len(name) + len(content) + 10 for name, content in headers)
        if size > self._largest:
            raise TopicError(
                f"a record for {self!r} has {size:,} bytes, and max_request_size is "
                f"{self._largest:,}"
            )
        if self.dry:
            self._warn_dry()
            return None
        return key, value, partition, timestamp, headers

    def _warn_dry(self) -> None:
        if not self._warned:
            self._warned = True
            warn(f"{self!r} is dry: nothing is written to it", UserWarning, stacklevel=2)

    # Offsets

    async def beginning_offsets(self) -> dict[int, int]:
        """By partition, the offset of the first record that is kept."""
        async with self._looking() as consumer:
            return await consumer.begin(await consumer.all_partitions())

    async def end_offsets(self) -> dict[int, int]:
        """By partition, the offset that the next record will get."""
        async with self._looking() as consumer:
            return await consumer.end(await consumer.all_partitions())

    async def committed(self) -> dict[int, int | None]:
        """By partition, where the group goes on after a restart; None where it has no offset.

        Raises:
            GraphError: it has no ``group_id``.
        """
        if self.settings.group is None:
            raise GraphError(f"{self!r} has no group_id, so nothing is committed")
        async with self._looking() as consumer:
            return await consumer.committed(await consumer.all_partitions())

    async def offsets_for_times(
        self, times: datetime | float | Mapping[int, datetime | float]
    ) -> dict[int, OffsetAndTimestamp | None]:
        """By partition, the first record at or after a time; None where there is none.

        Args:
            times: aware datetimes, or milliseconds since 1970; one, or one for each partition.
        """
        async with self._looking() as consumer:
            if not isinstance(times, Mapping):
                times = dict.fromkeys(await consumer.all_partitions(), times)
            return await consumer.at_times({p: _milliseconds(t) for p, t in times.items()})

    def stats(self) -> TopicStats:
        """Counts, as they are now."""
        return replace(self.counts)

    # Closing

    async def close(self) -> None:
        """Let the producer go that writes outside of runs. Runs close what they use by themselves.

        Raises:
            TopicError: something can't be written.
        """
        held = self._held.pop(asyncio.get_running_loop(), None)
        if held is not None:
            await held[1].aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # For runs

    def begin(self, reading: Reading) -> None:
        """A run reads it.

        Raises:
            RunError: another does, and as the same member of the group.
        """
        if self._readings and self.settings.get("group_instance_id"):
            raise RunError(
                f"{self!r} is being read already, and with a group_instance_id it can be read only "
                f"once at a time"
            )
        self._readings.append(reading)

    def leave(self, reading: Reading) -> None:
        """A run reads it no more."""
        if reading in self._readings:
            self._readings.remove(reading)

    def starting_offsets(self, partitions: Collection[int]) -> dict[int, int]:
        """Where a run begins, as far as anything was said, in whichever partitions."""
        found: dict[int, int] = {}
        for given in (self.starting_offset, self._sought):
            if isinstance(given, int):
                found.update(dict.fromkeys(partitions, given))
            elif given is not None:
                found.update(given)
        self._sought = None
        return found

    def consumer_for(self, owner: Owner) -> Consumer:
        """What reads it."""
        address = self.settings.address
        if address.kind == "kafka":
            from rivulet.io.kafka import KafkaConsumer

            return KafkaConsumer(self, owner)
        from rivulet.io.embedded import EmbeddedConsumer

        log, release = _embedded(address.kind, address.name)
        try:
            log.require(self.name, self.partitions)
        except BaseException:
            release()
            raise
        return EmbeddedConsumer(log, self.name, self.settings, owner, release)

    def shared(self) -> Shared:
        """What writes to it in this event loop; with a ``transactional_id``, to others too."""
        loop = asyncio.get_running_loop()
        transaction: str | None = self.settings.get("transactional_id")
        if transaction is not None:
            of_loop = _transactional.setdefault(loop, {})
            shared = of_loop.get((str(self.settings.address), transaction))
        else:
            shared = self._shared.get(loop)
        if shared is None or shared.stopped or shared.producer.failed:
            shared = Shared(self._producer(), transactional=transaction is not None)
            if transaction is not None:
                _transactional[loop][str(self.settings.address), transaction] = shared
            else:
                self._shared[loop] = shared
        return shared

    def _producer(self) -> Producer:
        address = self.settings.address
        if address.kind == "kafka":
            from rivulet.io.kafka import KafkaProducer

            return KafkaProducer(self)
        from rivulet.io.embedded import EmbeddedProducer

        log, release = _embedded(address.kind, address.name)
        return EmbeddedProducer(log, self.settings, release)

    async def _direct(self) -> Producer:
        """What writes outside of runs, kept open until ``close`` or the end of the event loop."""
        loop = asyncio.get_running_loop()
        held = self._held.get(loop)
        if held is None or held[0].producer.failed:
            if held is not None:
                await self.close()
            shared = self.shared()
            holding = _hold(shared)
            await anext(holding)
            held = self._held[loop] = (shared, holding)
            await shared.producer.require(self.name, self.partitions)
        return held[0].producer

    @asynccontextmanager
    async def _looking(self) -> AsyncGenerator[Consumer]:
        """A consumer to ask for offsets: that of a run, if there is one."""
        for reading in self._readings:
            if reading.consumer is not None and reading.partitions:
                yield reading.consumer
                return
        consumer = self.consumer_for(_Nobody())
        await consumer.look()
        try:
            yield consumer
        finally:
            await consumer.stop()


async def _hold(shared: Shared) -> AsyncGenerator[None]:
    """Use a producer until this is closed; an event loop closes its generators when it ends."""
    await shared.acquire()
    try:
        yield
    finally:
        await shared.release(flush=not shared.producer.failed)


_transactional: Final[
    WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], Shared]]
] = WeakKeyDictionary()


@final
class _Nobody:
    """The owner of a consumer that only asks."""

    async def revoked(self) -> None:
        """It has no partitions."""

    async def assigned(self, partitions: Collection[int]) -> None:
        """It reads none."""


@frozen
class Reads(Source):
    """Node: the records of a topic, in bytes."""

    def stage(self) -> Produce:
        return Produce(open=lambda context: _reading(self.source, context).open())

    @property
    def label(self) -> str:
        return f"Stream(Topic({self.source.name!r}))"


@frozen
class Deliver(Unary):
    """Node: records; each counts as read when it has left what is below."""

    topic: Topic

    def stage(self) -> Effect:
        return Effect(make=self.make)

    def make(self, context: Context) -> Logic:
        """The reading of one run."""
        reading = _reading(self.topic, context)
        return Logic(call=reading.take, after=reading.finish, close=reading.close)

    @property
    def label(self) -> str:
        group = self.topic.settings.group
        return "deliver()" if group is None else f"deliver(group={group!r})"


@frozen
class Decode(Unary):
    """Node: records with keys and values as the codec reads them."""

    topic: Topic

    def stage(self) -> Apply:
        return Apply(make=self.make)

    def make(self, _: Context) -> Logic:
        """Nothing is kept."""
        return Logic(call=self.topic.decode)

    @property
    def label(self) -> str:
        codec = self.topic.codec
        return f"decode({'text' if codec is None else type(codec).__name__})"


def _reading(topic: Topic, context: Context) -> Reading:
    return context.common(topic, lambda: Reading(topic, context))


def _embedded(kind: str, name: str) -> Any:
    """An embedded log, and what gives it back."""
    if kind == "memory":
        from rivulet.io.memory import memory_log

        return memory_log(name), lambda: None
    from rivulet.io.file import close_log, open_log

    path = Path(name)
    log, given = open_log(path), [path]

    def release() -> None:
        if given:
            close_log(given.pop())

    return log, release


# Checks and codecs


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in (".", ".."):
        raise GraphError(
            f"a topic's name has 1 to 249 letters, digits, '.', '_' and '-', and {name!r:.100} "
            f"isn't one"
        )


def _offsets(offset: Any) -> int | dict[int, int]:
    """Offsets as the user may give them.

    Raises:
        GraphError: they are none.
    """
    if isinstance(offset, Mapping):
        given = cast("Mapping[Any, Any]", offset)
        return {_whole(p, "partition", 0): _whole(o, "offset", -2) for p, o in given.items()}
    return _whole(offset, "offset", -2)


def _whole(value: Any, what: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        special = (
            f", READ_FROM_START ({READ_FROM_START}) or READ_FROM_END ({READ_FROM_END})"
            if least < 0
            else ""
        )
        raise GraphError(f"{value!r:.60} is no {what}: give a whole number{special}")
    return value


def _milliseconds(time: Any) -> int:
    if isinstance(time, datetime):
        if time.tzinfo is None:
            raise GraphError(f"{time!r} has no time zone: give an aware datetime")
        return round(time.timestamp() * 1000)
    if isinstance(time, bool) or not isinstance(time, int | float) or time < 0:
        raise GraphError(f"{time!r:.60} is no time: give a datetime, or milliseconds since 1970")
    return int(time)


def _headers(topic: Topic, given: Any) -> Headers:
    pairs: Any = cast("Mapping[str, Any]", given).items() if isinstance(given, Mapping) else given
    try:
        found = [(name, value) for name, value in pairs]
    except (TypeError, ValueError):
        found = [(None, None)]
    headers: list[tuple[str, bytes]] = []
    for name, value in found:
        content = value.encode() if isinstance(value, str) else value
        if not isinstance(name, str) or not isinstance(content, bytes):
            raise SinkError(
                f"headers for {topic!r} are a dict, or pairs, of names and bytes (or text), not "
                f"{shortened(cast('object', given))}"
            )
        headers.append((name, content))
    return tuple(headers)


def _encoders(topic: Topic) -> tuple[Callable[[Any], bytes], Callable[[Any], bytes]]:
    """What makes bytes of keys and values.

    Raises:
        GraphError: there are two for the same.
    """
    codec, settings = topic.codec, topic.settings
    if codec is not None:
        if isinstance(codec, type) or not all(
            callable(getattr(codec, method, None)) for method in ("encode", "decode")
        ):
            raise GraphError(
                f"Topic(codec) must be an object with the methods encode and decode, such as "
                f"JsonCodec(), not {codec!r:.100}"
            )
        for setting in ("value_serializer", "value_deserializer"):
            if settings.get(setting) is not None:
                raise GraphError(f"Topic({topic.name!r}) has a codec and a {setting}: give one")
    value = codec.encode if codec is not None else settings.get("value_serializer")
    return (
        _encoder(topic, "key", settings.get("key_serializer")),
        _encoder(topic, "value", value),
    )


def _encoder(topic: Topic, what: str, make: Callable[[Any], Any] | None) -> Callable[[Any], bytes]:
    def encode(x: Any) -> bytes:
        if make is None:
            if x.__class__ is str:
                return x.encode()
            found = x
        else:
            try:
                found = make(x)
            except CodecError as error:
                error.add_note(f"A {what} for the topic {topic.name!r}")
                raise
        if found.__class__ is bytes:
            return found
        if isinstance(found, bytearray | memoryview):
            return bytes(cast("bytearray", found))
        if isinstance(found, str):
            return found.encode()
        hint = (
            f"what makes bytes of it gave {type(found).__name__}"
            if make is not None
            else "give the topic codec=JsonCodec(), or another"
            if what == "value"
            else "make it a str, or give a key_serializer"
        )
        raise CodecError(
            f"the {what} {shortened(x, 80)} ({type(x).__name__}) for the topic {topic.name!r} is "
            f"neither text nor bytes: {hint}"
        )

    return encode


def _decoder(topic: Topic) -> Callable[[Record], Record]:
    settings, codec = topic.settings, topic.codec
    key_of: Callable[[bytes], Any] = settings.get("key_deserializer", bytes.decode)
    value_of: Callable[[bytes], Any] = (
        codec.decode if codec is not None else settings.get("value_deserializer", bytes.decode)
    )

    def decode(record: Record) -> Record:
        name, partition, offset, time, kind, key, value, check, a, b, headers = record
        try:
            if key is not None:
                key = key_of(key)
            if value is not None:
                value = value_of(value)
        except UnicodeDecodeError as error:
            raise _noted(CodecError(f"the record is no text: {error}"), record) from error
        except Exception as error:
            _noted(error, record)
            raise
        fields = (name, partition, offset, time, kind, key, value, check, a, b, headers)
        return _record(Record, fields)

    return decode


def _noted(error: Exception, record: Record) -> Exception:
    error.add_note(f"topic {record.topic!r}, partition {record.partition}, offset {record.offset}")
    return error
