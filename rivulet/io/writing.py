"""One run's writing to a topic."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any, cast, final

from rivulet.core.entries import Failure
from rivulet.core.logic import Context, Logic
from rivulet.core.text import shortened
from rivulet.errors import SinkError
from rivulet.io.delivery import Delivery, delivery_of, hurries
from rivulet.io.records import Record
from rivulet.io.transport import Producer

if TYPE_CHECKING:
    from rivulet.io.topic import Topic

__all__ = ["split", "writing"]


def writing(topic: Topic, context: Context) -> Logic:
    """What takes the items of one run."""
    sink = _Writing(topic, delivery_of(context))
    return Logic(call=sink.take, mode="async", open=sink.open, close=sink.close)


@final
class _Writing:
    """A topic as the sink of one run."""

    def __init__(self, topic: Topic, delivery: Delivery) -> None:
        self._topic = topic
        self._delivery = delivery
        self._producer: Producer | None = None
        self._joined = False
        self._begun = 0.0

    async def open(self) -> None:
        """Connect."""
        self._joined = True
        producer = await self._delivery.add_producer(self._topic.shared())
        await producer.require(self._topic.name, self._topic.partitions)
        self._producer = producer
        self._begun = asyncio.get_running_loop().time()

    def take(self, item: Any) -> Awaitable[None] | None:
        """Have an item written."""
        if isinstance(item, list):
            return self._take_each(cast("list[Any]", item))
        topic, producer = self._topic, self._producer
        assert producer is not None
        if item.__class__ is tuple and len(item) == 2:
            given = topic.encoded(item[0], item[1], None, None)
        else:
            given = topic.encoded(*split(topic, item))
        if given is None:
            return None
        topic.counts.written += 1
        waiting = producer.put(topic.name, *given)
        if self._delivery.alone and self._is_time():
            return self._commit(waiting)
        return waiting

    async def _take_each(self, items: Iterable[Any]) -> None:
        for item in items:
            if (waiting := self.take(item)) is not None:
                await waiting

    def _is_time(self) -> bool:
        now = asyncio.get_running_loop().time()
        return now - self._begun >= self._topic.commit_interval

    async def _commit(self, waiting: Awaitable[None] | None) -> None:
        """Commit a transaction in a run that reads no topic."""
        if waiting is not None:
            await waiting
        await self._delivery.commit(None, None, self._topic.name, {})
        self._begun = asyncio.get_running_loop().time()

    async def close(self, error: BaseException | None) -> None:
        """Wait until everything is written."""
        if not self._joined:
            return
        try:
            if not hurries(error):
                await self._delivery.flush()
                if self._delivery.alone:
                    await self._commit(None)
            elif self._delivery.alone:
                await self._delivery.abort()
        finally:
            await self._delivery.leave(error)


def split(topic: Topic, item: Any) -> tuple[Any, Any, Any, int | None]:
    """Key, value, headers and timestamp of an item.

    Raises:
        SinkError: it is none of these, nor a failure of one.
    """
    if isinstance(item, Failure):
        failure = cast("Failure[Any]", item)
        key, value, headers, timestamp = split(topic, failure.item)
        why = (("error", repr(failure.error)), ("operator", failure.operator))
        return key, value, (*(headers or ()), *why), timestamp
    if isinstance(item, Record):
        return item.key, item.value, item.headers, item.timestamp
    given = cast("tuple[Any, ...]", item)
    if isinstance(item, tuple):
        if len(given) == 2:
            return (*given, None, None)
        if len(given) == 3:
            return (*given, None)
    raise SinkError(
        f"{topic!r} takes pairs (key, value), triples (key, value, headers) and records, not "
        f"{shortened(given)}: put .map(lambda x: (None, x)) before it"
    )
