"""One subscription of a graph for several readers, each at its own pace."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import Any, final

from rivulet.core.entries import MARK
from rivulet.core.stage import Channel, Sharing
from rivulet.plan.graph import gives_time
from rivulet.run.channels import channel
from rivulet.run.ending import end_tasks
from rivulet.run.inbox import Inbox, Lane
from rivulet.run.stuck import Party

__all__ = ["Hub"]


@final
class Hub(Party):
    """Reads a graph once and hands each entry to every reader.

    It begins with the first reader and ends with the last, whichever runs they belong to. Entries
    carry stamps where the graph has any, as a later reader may need them.
    """

    def __init__(self, sharing: Sharing, *, stamped: bool) -> None:
        from rivulet.run.execution import Reading

        self.stamped = stamped or gives_time(sharing.node)
        self._sharing = sharing
        self._reading = Reading(sharing.node, nested=True, stamps=self.stamped)
        self._last: deque[Any] = deque(maxlen=sharing.replay)
        self._mark: Any = None
        self._readers: dict[Inbox, Callable[[Any], bool]] = {}
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, sharing: Sharing, *, stamped: bool) -> Hub:
        """The hub that reads now in this event loop, or a new one.

        Raises:
            GraphError: stamps are wanted and the graph has none.
        """
        loop = asyncio.get_running_loop()
        hub = sharing.hubs.get(loop)
        if hub is None or (stamped and not hub.stamped):
            hub = sharing.hubs[loop] = cls(sharing, stamped=stamped)
        return hub

    def subscribe(self, title: str, *, stamped: bool) -> Inbox:
        """A reader's end: it gets the last entries, and all that come from now on."""
        stage = Channel(size=self._sharing.size, overflow=self._sharing.overflow)
        inbox = channel(stage, title, stamped=stamped, rejoins=True)
        lane = inbox.lanes[0]
        lane.writer = self
        lane.on_left = partial(self._leave, inbox)
        inbox.on_stop = partial(self._stop, inbox)
        inbox.on_close = self._close
        inbox.preload(self._replayed(stamped=stamped))
        self._readers[inbox] = self._putter(lane, stamped=stamped)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._pump())
        return inbox

    def _replayed(self, *, stamped: bool) -> list[Any]:
        if self.stamped and not stamped:
            return [x for x, _ in self._last]
        return [*self._last] if self._mark is None else [*self._last, self._mark]

    def _putter(self, lane: Lane, *, stamped: bool) -> Callable[[Any], bool]:
        if not self.stamped:
            return lane.put

        def put(entry: Any) -> bool:
            x, t = entry
            if x is not MARK:
                return lane.put(x, t) if stamped else lane.put(x)
            if stamped:
                lane.mark(t)
            return False

        return put

    async def _pump(self) -> None:
        try:
            async with aclosing(self._reading.entries) as entries:
                async for entry in entries:
                    if self.stamped and entry[0] is MARK:
                        self._mark = entry
                    else:
                        self._last.append(entry)
                    for inbox, put in list(self._readers.items()):
                        if put(entry):
                            await inbox.lanes[0].room()
        except Exception as error:  # noqa: BLE001  # it is the readers who raise it
            self._end(error)
        else:
            self._end(None)

    def _end(self, error: BaseException | None) -> None:
        self._forget()
        for inbox in self._readers:
            inbox.lanes[0].close(error)

    def _forget(self) -> None:
        loop = asyncio.get_running_loop()
        if self._sharing.hubs.get(loop) is self:
            del self._sharing.hubs[loop]

    def _leave(self, inbox: Inbox) -> None:
        self._readers.pop(inbox, None)

    def _stop(self, inbox: Inbox, *, drain: bool) -> None:
        """A reader's run is stopped: what was read for it is still given, and nothing more."""
        if len(self._readers) == 1 and self._reading.stop(drain=drain):
            self._forget()
            return
        self._leave(inbox)
        inbox.lanes[0].close()

    async def _close(self) -> None:
        """A reader is gone: the last one ends the subscription."""
        if self._readers or self._task is None:
            return
        self._forget()
        await end_tasks([self._task])
