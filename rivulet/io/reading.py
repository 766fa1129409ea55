"""One run's reading of a topic: a task that polls, a loop that takes, and what counts as done."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final, final

from rivulet.core.logic import Context
from rivulet.errors import RunError, TopicError
from rivulet.io.delivery import delivery_of, hurries
from rivulet.io.records import READ_FROM_END, READ_FROM_START, Record
from rivulet.io.transport import Consumer, LostError, NoPositionError, OutOfRangeError

if TYPE_CHECKING:
    from rivulet.io.topic import Topic

__all__ = ["Reading"]

POLL: Final = 1.0
"""Seconds that one poll waits for records."""
POLL_DRAINING: Final = 0.2
"""The same where the end is to be noticed."""
ALIVE: Final = 1.0
"""Seconds between two signs of life while nothing is taken."""
LAST: Final = 5.0
"""Seconds that a run which fails has left to commit what it did before."""


@final
class Reading:
    """Reads a topic in one run.

    Records come in batches, of one partition each, and go into the loop one by one. One counts as
    done when it has left everything below; ``done`` is where to read on in each partition. This is
    committed between two records, when everything that was made of them is written: every
    ``commit_interval``, before partitions are handed over, and at the end.

    Attributes:
        done: by partition, the offset after the last record that is done with.
    """

    def __init__(self, topic: Topic, context: Context) -> None:
        self.done: dict[int, int] = {}
        self._topic = topic
        self._context = context
        self._delivery = delivery_of(context)
        self._consumer: Consumer | None = None
        self._group = topic.settings.group
        self._kept: dict[int, int] = {}
        self._batches: deque[tuple[int, list[Record]]] = deque()
        self._now_at: int | None = None
        self._in_hand: Record | None = None
        self._void: Record | None = None
        self._asked = False
        self._paused = False
        self._due = False
        self._ended = False
        self._error: BaseException | None = None
        self._poller: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._rest: asyncio.Future[None] | None = None
        self._committing = asyncio.Lock()
        self._first = True
        self._moving = False
        self._joined = False
        self._closed = False

    # For the loop

    async def open(self) -> Reading:
        """Connect and begin to poll."""
        topic = self._topic
        topic.begin(self)
        self._joined = True
        self._delivery.add_reader(self._group)
        consumer = self._consumer = topic.consumer_for(self)
        try:
            await consumer.start()
        except BaseException:
            self._consumer = None
            await consumer.stop()
            raise
        self._poller = asyncio.create_task(self._poll(), name=f"the reader of {topic.name!r}")
        self._plan_commit()
        return self

    def take(self, record: Record) -> None:
        """The loop has a record in hand."""
        self._in_hand = record

    def finish(self) -> None:
        """The record in hand has left everything below it in its loop."""
        record = self._in_hand
        if record is None:
            return
        self._in_hand = None
        if record is not self._void:
            self.done[record.partition] = record.offset + 1
        if self._rest is not None and not self._rest.done():
            self._rest.set_result(None)

    async def __aiter__(self) -> AsyncGenerator[Record, None]:
        """The records, one by one; what was asked for in between is done between two of them."""
        while (batch := await self._next()) is not None:
            self._now_at, records = batch
            for record in records:
                yield record
                if self._asked and not await self._goes_on():
                    break
            self._now_at = None

    async def _goes_on(self) -> bool:
        """Do what was asked for; tells whether the batch in hand still counts."""
        self._asked = False
        if self._due and self._counts:
            await self._commit_in_time()
        while self._paused and self._counts:
            await self._wait()
            if self._due:
                await self._commit_in_time()
        return self._counts

    @property
    def _counts(self) -> bool:
        """Whether the batch in hand wasn't taken away meanwhile."""
        return self._now_at is not None

    async def _next(self) -> tuple[int, list[Record]] | None:
        while True:
            self._asked = False
            if self._due:
                await self._commit_in_time()
            if self._batches and not self._paused:
                batch = self._batches.popleft()
                if not self._batches:
                    _set(self._room)
                return batch
            if self._error is not None:
                raise self._error
            if self._ended and not self._batches:
                return None
            await self._wait()

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        self._asked = True
        _set(self._waiter)

    # Polling

    async def _poll(self) -> None:
        try:
            while True:
                await self._poll_once()
        except Exception as error:  # noqa: BLE001  # it is raised in the loop, behind what was read
            self._error = error
            self._wake()

    async def _poll_once(self) -> None:
        consumer = self._consumer
        assert consumer is not None
        while self._batches or self._ended:
            self._room = asyncio.get_running_loop().create_future()
            has_room = (await asyncio.wait([self._room], timeout=ALIVE))[0]
            self._room = None
            if not has_room:
                await consumer.touch()
        drains = self._topic.ends_drained
        try:
            found = await consumer.poll(POLL_DRAINING if drains else POLL)
        except NoPositionError as error:
            await self._place(error.partitions, known={})
            return
        except OutOfRangeError as error:
            self._topic.counts.resets += len(error.offsets)
            await self._place(error.offsets, known=error.offsets)
            return
        if found:
            self._batches.extend(found)
            self._topic.counts.read += sum(len(records) for _, records in found)
            _set(self._waiter)
        elif drains and await self._is_drained(consumer):
            self._ended = True
            self._wake()

    async def _is_drained(self, consumer: Consumer) -> bool:
        """Whether everything was read, and everything done that may have written more."""
        if self._waiter is None or self._in_hand is not None or self._paused:
            return False
        if not self._context.is_settled:
            return False
        await self._delivery.flush()
        ends = await consumer.end(consumer.partitions)
        try:
            for partition, end in ends.items():
                if await consumer.position(partition) < end:
                    return False
        except LostError:
            return False
        return not (self._batches or self._moving)

    async def _place(self, partitions: Collection[int], known: Mapping[int, int]) -> None:
        """Begin to read where ``auto_offset_reset`` says."""
        consumer, topic = self._consumer, self._topic
        assert consumer is not None
        match topic.settings.reset:
            case "earliest":
                offsets = await consumer.begin(partitions)
            case "latest":
                offsets = await consumer.end(partitions)
            case _ if known:
                raise TopicError(
                    f"the offsets {dict(known)} of {topic!r} are out of range, and "
                    f"auto_offset_reset is 'none': seek to others, or use 'earliest' or 'latest'"
                )
            case _:
                raise TopicError(
                    f"the group {self._group!r} has no offsets for the partitions "
                    f"{sorted(partitions)} of {topic!r}, and auto_offset_reset is 'none'"
                )
        for partition, offset in offsets.items():
            self._seek(partition, offset)

    # Pause and seek

    def pause(self) -> None:
        """Hold before the next record. The group isn't left, however long it takes."""
        self._paused = True
        self._asked = True

    def resume(self) -> None:
        """Go on."""
        self._paused = False
        self._wake()

    async def seek(self, offsets: Mapping[int, int]) -> None:
        """Go on reading there: numbers, ``READ_FROM_START`` or ``READ_FROM_END``."""
        consumer = self._consumer
        if consumer is None:
            raise RunError(f"{self._topic!r} is not read any more, so it can't be sought")
        mine = {p: offset for p, offset in offsets.items() if p in consumer.partitions}
        found = {p: offset for p, offset in mine.items() if offset >= 0}
        if starts := [p for p, offset in mine.items() if offset == READ_FROM_START]:
            found.update(await consumer.begin(starts))
        if ends := [p for p, offset in mine.items() if offset == READ_FROM_END]:
            found.update(await consumer.end(ends))
        for partition, offset in found.items():
            if partition in consumer.partitions:
                self._seek(partition, offset)

    def _seek(self, partition: int, offset: int) -> None:
        assert self._consumer is not None
        self._consumer.seek(partition, offset)
        self.done[partition] = offset
        self._drop(partition)

    def _drop(self, partition: int | None = None) -> None:
        """Forget what was read, of one partition or of all, and isn't done yet."""
        for batch in list(self._batches):
            if partition in (None, batch[0]):
                self._batches.remove(batch)
        if partition is None or self._now_at == partition:
            self._now_at = None
        hand = self._in_hand
        if hand is not None and partition in (None, hand.partition):
            self._void = hand
        self._ended = False
        if not self._batches:
            _set(self._room)
        self._wake()

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that it has at the moment."""
        return frozenset() if self._consumer is None else self._consumer.partitions

    @property
    def consumer(self) -> Consumer | None:
        """What it reads with."""
        return self._consumer

    # Groups

    async def assigned(self, partitions: Collection[int]) -> None:
        """These partitions are read from now on."""
        consumer, topic = self._consumer, self._topic
        assert consumer is not None
        self._moving = False
        self.done.clear()
        self._kept.clear()
        if self._group is not None:
            kept = await consumer.committed(partitions)
            self._kept = {p: offset for p, offset in kept.items() if offset is not None}
            self.done.update(self._kept)
        if not self._first:
            return
        self._first = False
        sought = topic.starting_offsets(partitions)
        if others := sought.keys() - set(partitions):
            # Those of other members may be named; then each member takes what is its own.
            known = await consumer.all_partitions()
            if missing := sorted(others - set(known)):
                raise TopicError(
                    f"an offset is given for the partitions {missing} of {topic!r}, which has "
                    f"{known}"
                )
        await self.seek(sought)

    async def revoked(self) -> None:
        """All partitions are taken: finish the record in hand, commit, and forget the others."""
        self._moving = True
        self._topic.counts.rebalances += 1
        limit = asyncio.get_running_loop().time() + self._topic.settings.rebalance_timeout * 0.8
        self._batches.clear()
        self._now_at = None
        self._wake()
        if await self._rested(limit):
            with suppress(LostError):
                await self._commit()
        self._drop()
        self.done.clear()
        self._kept.clear()

    async def _rested(self, limit: float) -> bool:
        """Wait until nothing is on its way; tells whether offsets can be committed as they are."""
        now = asyncio.get_running_loop().time
        while self._in_hand is not None and now() < limit:
            self._rest = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._rest], timeout=max(0.0, limit - now()))
            self._rest = None
        if self._in_hand is not None and self._delivery.transactional:
            # What was made of it is in the transaction, though it will be made again elsewhere.
            await self._delivery.abort()
            return False
        return await self._settled(limit)

    async def _settled(self, limit: float | None) -> bool:
        """Wait until what was handed on to other loops has left those too, at most until then."""
        if not self._context.hands_on:
            return True
        try:
            async with asyncio.timeout_at(limit):
                await self._context.settle()
        except TimeoutError:
            return False
        return True

    # Committing

    def _plan_commit(self) -> None:
        interval = self._topic.commit_interval
        self._timer = asyncio.get_running_loop().call_later(interval, self._set_due)

    def _set_due(self) -> None:
        self._due = True
        self._wake()

    async def _commit_in_time(self) -> None:
        """Commit between two records, unless the loops below need too long to let go of them."""
        self._due = False
        limit = asyncio.get_running_loop().time() + self._topic.commit_interval
        try:
            if await self._settled(limit):
                with suppress(LostError):  # the group tells what comes next
                    await self._commit()
        finally:
            if not self._closed:
                self._plan_commit()

    async def _commit(self) -> None:
        async with self._committing:
            offsets = {p: o for p, o in self.done.items() if self._kept.get(p) != o}
            grouped = offsets if self._group is not None else {}
            await self._delivery.commit(self._consumer, self._group, self._topic.name, grouped)
            if grouped:
                self._kept.update(grouped)
                self._topic.counts.commits += 1

    # The end

    async def close(self, error: BaseException | None) -> None:
        """Commit what is done, and let everything go."""
        self._closed = True
        try:
            if self._consumer is not None:
                await self._close(error)
        finally:
            if self._joined:
                self._topic.leave(self)
                await self._delivery.leave(error)

    async def _close(self, error: BaseException | None) -> None:
        assert self._consumer is not None
        if self._timer is not None:
            self._timer.cancel()
        try:
            await self._commit_at_end(error)
        finally:
            consumer, self._consumer = self._consumer, None
            try:
                await self._stop_polling()
            finally:
                await consumer.stop()

    async def _stop_polling(self) -> None:
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.wait([self._poller])

    async def _commit_at_end(self, error: BaseException | None) -> None:
        if self._delivery.failed:
            return
        done = self._in_hand is None
        if self._delivery.transactional and not (done and error is None):
            await self._delivery.abort()
        elif not hurries(error):
            # What this loop has handed on may still be on its way; that ends, or fails.
            await self._settled(None)
            with suppress(LostError):
                await self._commit()
        elif not self._context.hands_on:
            with suppress(LostError, TimeoutError, TopicError):
                async with asyncio.timeout(LAST):
                    await self._commit()


def _set(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
