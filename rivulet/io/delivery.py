"""What the topics of one run owe each other: outputs are written before inputs count as read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, final

from rivulet.core.logic import Context
from rivulet.errors import RunError
from rivulet.io.transport import Consumer, Producer

__all__ = ["Delivery", "Shared", "delivery_of", "hurries"]

_KEY: Final = "the topics of a run"


@final
class Shared:
    """A producer that several use, stopped when the last one leaves.

    Attributes:
        transactional: what it writes counts only when its transaction is committed.
    """

    def __init__(self, producer: Producer, *, transactional: bool) -> None:
        self.producer = producer
        self.transactional = transactional
        self.users = 0
        self.stopped = False
        self._lock = asyncio.Lock()
        self._started = False

    async def acquire(self) -> Producer:
        """Use it, started."""
        self.users += 1
        try:
            async with self._lock:
                if not self._started:
                    await self.producer.start()
                    self._started = True
        except BaseException:
            await self.release(flush=False)
            raise
        return self.producer

    async def release(self, *, flush: bool = True) -> None:
        """Use it no more."""
        self.users -= 1
        if not self.users and not self.stopped:
            self.stopped = True
            await self.producer.stop(flush=flush)


@final
class Delivery:
    """The topics of one run.

    Attributes:
        failed: something that was to be written can't be, so nothing counts as read any more.
    """

    def __init__(self) -> None:
        self.failed = False
        self._producers: dict[Shared, None] = {}
        self._transaction: Shared | None = None
        self._readers = 0
        self._users = 0

    def add_reader(self, group: str | None) -> None:
        """One more topic is read."""
        self._users += 1
        self._readers += group is not None
        self._check()

    async def add_producer(self, shared: Shared) -> Producer:
        """One more topic is written to."""
        self._users += 1
        if shared in self._producers:
            return shared.producer
        self._producers[shared] = None
        if shared.transactional:
            if self._transaction is not None:
                raise RunError(
                    "topics with different transactional_ids can't be written in one run, as there "
                    "is no transaction over both: give them the same"
                )
            self._transaction = shared
            self._check()
        try:
            return await shared.acquire()
        except BaseException:
            del self._producers[shared]
            raise

    def _check(self) -> None:
        if self._transaction is not None and self._readers > 1:
            raise RunError(
                "a topic with transactional_id is written in a run that reads several topics with "
                "a group_id: each must be read in a run of its own, so that its offsets are in the "
                "transaction with what was made of its records"
            )

    async def leave(self, error: BaseException | None) -> None:
        """One topic less. When none is left, the producers go."""
        self._users -= 1
        if self._users:
            return
        producers, self._producers = list(self._producers), {}
        flush = not (self.failed or hurries(error))
        for shared in producers:
            await shared.release(flush=flush)

    @property
    def transactional(self) -> bool:
        """Whether what is read and what is written count together."""
        return self._transaction is not None

    @property
    def alone(self) -> bool:
        """Whether there is a transaction, and nothing is read that says when it ends."""
        return self._transaction is not None and not self._readers

    async def flush(self) -> None:
        """Wait until all that was put is written.

        Raises:
            TopicError: some of it can't be.
        """
        try:
            for shared in self._producers:
                if not shared.transactional:
                    await shared.producer.flush()
        except Exception:
            self.failed = True
            raise

    async def commit(
        self, consumer: Consumer | None, group: str | None, topic: str, offsets: Mapping[int, int]
    ) -> None:
        """Let what was read and what was made of it count.

        Raises:
            TopicError: something can't be written.
            LostError: the partitions are another member's by now.
        """
        await self.flush()
        if self._transaction is not None:
            try:
                await self._transaction.producer.commit(group, topic, offsets)
            except Exception:
                self.failed = True
                raise
        elif consumer is not None and group is not None and offsets:
            await consumer.commit(offsets)

    async def abort(self) -> None:
        """Let what was made since the last commit not count."""
        if self._transaction is not None and self._transaction in self._producers:
            await self._transaction.producer.abort()


def hurries(error: BaseException | None) -> bool:
    """Whether a run that is being closed failed or was cancelled, so that nobody waits for more."""
    task = asyncio.current_task()
    return error is not None or (task is not None and task.cancelling() > 0)


def delivery_of(context: Context) -> Delivery:
    """The one of a run."""
    return context.common(_KEY, Delivery)
