"""One subscription of a graph for several readers, each at its own pace."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from functools import partial
from typing import Any, final

from rivulet.core.stage import Channel, Sharing
from rivulet.run.channels import channel
from rivulet.run.ending import end_tasks
from rivulet.run.inbox import Inbox, Lane
from rivulet.run.stuck import Party

__all__ = ["Hub"]


@final
class Hub(Party):
    """Reads a graph once and hands each entry to every reader.

    It begins with the first reader and ends with the last, whichever runs they belong to.
    """

    def __init__(self, sharing: Sharing, *, stamped: bool) -> None:
        self.stamped = stamped
        self._sharing = sharing
        self._last: deque[Any] = deque(maxlen=sharing.replay)
        self._readers: list[Inbox] = []
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, sharing: Sharing, *, stamped: bool) -> Hub:
        """The hub that reads now in this event loop, or a new one."""
        key = (asyncio.get_running_loop(), stamped)
        hub = sharing.hubs.get(key)
        if hub is None:
            hub = sharing.hubs[key] = cls(sharing, stamped=stamped)
        return hub

    def subscribe(self, title: str) -> Inbox:
        """A reader's end: it gets the last entries, and all that come from now on."""
        stage = Channel(size=self._sharing.size, overflow=self._sharing.overflow)
        inbox = channel(stage, title, stamped=self.stamped, rejoins=True)
        lane = inbox.lanes[0]
        lane.writer = self
        lane.on_left = partial(self._leave, inbox)
        inbox.on_close = self._close
        for entry in self._last:
            self._put(lane, entry)
        self._readers.append(inbox)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._pump())
        return inbox

    def _put(self, lane: Lane, entry: Any) -> bool:
        return lane.put(*entry) if self.stamped else lane.put(entry)

    async def _pump(self) -> None:
        from rivulet.run.execution import Reading

        reading = Reading(self._sharing.node, nested=True, stamps=self.stamped)
        try:
            async with aclosing(reading.entries) as entries:
                async for entry in entries:
                    self._last.append(entry)
                    for inbox in list(self._readers):
                        lane = inbox.lanes[0]
                        if self._put(lane, entry):
                            await lane.room()
        except Exception as error:  # noqa: BLE001  # it is the readers who raise it
            self._end(error)
        else:
            self._end(None)

    def _end(self, error: BaseException | None) -> None:
        self._forget()
        for inbox in self._readers:
            inbox.lanes[0].close(error)

    def _forget(self) -> None:
        key = (asyncio.get_running_loop(), self.stamped)
        if self._sharing.hubs.get(key) is self:
            del self._sharing.hubs[key]

    def _leave(self, inbox: Inbox) -> None:
        if inbox in self._readers:
            self._readers.remove(inbox)

    async def _close(self) -> None:
        """A reader is gone: the last one ends the subscription."""
        if self._readers or self._task is None:
            return
        self._forget()
        await end_tasks([self._task])
