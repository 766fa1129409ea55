"""Boundaries: what loops hand over to another loop.

An inbox has one reader and a ``Lane`` for each writer. Entries are items in the form that the
reader's code expects, ``x``, ``(x, t)`` or ``(i, x, t)``, and between them signs: a watermark, a
failure, the end of a lane. ``SharedInbox`` gives them in the order of arrival, ``SelectiveInbox``
only from the lanes that its reader wants.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from operator import length_hint
from typing import Any, final

from rivulet.core.entries import CLOSED, IDLE, MARK, Failed, Failure
from rivulet.core.time import FOREVER, NEVER, Clock
from rivulet.run.stuck import Party, check_stuck

__all__ = ["Inbox", "Lane", "SelectiveInbox", "SharedInbox"]


@final
class Lane:
    """The end of an inbox that one loop writes to.

    Attributes:
        title: what errors call it.
        limit: how many entries may wait before the writer does.
        tagged: entries carry the lane's number.
        stamped: entries carry stamps.
        put: takes an item and tells whether the writer has to wait for room.
        closed: nothing more will be written.
        idle: silent for so long that its watermark isn't waited for.
        writer: the loop that writes, if it is one of this run.
        clock: the writer's event clock.
        turns: how many turns of the event loop an item may take to come through what is above.
        on_left: called when the reader wants no more.
    """

    __slots__ = (
        "clock",
        "closed",
        "idle",
        "inbox",
        "index",
        "limit",
        "on_left",
        "put",
        "stamped",
        "tagged",
        "title",
        "turns",
        "waiter",
        "watermark",
        "writer",
    )

    def __init__(
        self, inbox: Inbox, index: int, title: str, limit: int, *, tagged: bool, stamped: bool
    ) -> None:
        self.inbox = inbox
        self.index = index
        self.title = title
        self.limit = limit
        self.tagged = tagged
        self.stamped = stamped
        self.closed = False
        self.idle = False
        self.watermark = NEVER
        self.writer: Party | None = None
        self.clock: Clock | None = None
        self.turns = 1
        self.waiter: asyncio.Future[None] | None = None
        self.on_left: Callable[[], None] | None = None
        self.put: Callable[..., bool] = inbox.putter(self)

    @property
    def reader(self) -> Party | None:
        """The loop at the other end."""
        return self.inbox.reader

    @property
    def has_room(self) -> bool:
        """Whether the writer can go on."""
        return self.inbox.left or self.inbox.waiting(self) < self.limit

    @property
    def has_items(self) -> bool:
        """Whether the reader can go on."""
        return self.closed or self.inbox.waiting(self) > 0

    @property
    def looks(self) -> bool:
        """Whether the reader looks at the writer's clock by itself."""
        return self.inbox.looks

    def due(self) -> int:
        """The watermark at which it has to be told all the same."""
        return self.inbox.due()

    async def room(self) -> None:
        """Wait until there is room again."""
        writer = self.writer
        while not self.has_room:
            self.waiter = asyncio.get_running_loop().create_future()
            try:
                if writer is not None:
                    writer.waits_for_room = self
                    if self.inbox.rejoins or self.inbox.watched:
                        check_stuck(writer)
                await self.waiter
            finally:
                self.waiter = None
                if writer is not None:
                    writer.waits_for_room = None

    def wake(self) -> None:
        """Let the writer look again."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def entry(self, x: Any, t: Any = None) -> Any:
        """A sign in the form that the reader's code expects."""
        if self.tagged:
            return (self.index, x, t) if self.stamped else (self.index, x)
        return (x, t) if self.stamped else x

    def mark(self, watermark: int) -> None:
        """Say that no smaller stamp will come, or that nothing may come for long."""
        if not self.closed:
            self.inbox.mark(self, watermark)

    def fail(self, failure: Failure[Any], t: int | None = None) -> bool:
        """Hand over a failure; tells whether the writer has to wait for room."""
        return self.inbox.add(self, self.entry(Failed(failure), t))

    def close(self, error: BaseException | None = None) -> None:
        """Say that nothing more comes, or that an error does."""
        if not self.closed:
            self.closed = True
            self.inbox.end(self, error)


class Inbox(ABC):
    """What one loop reads of others.

    Attributes:
        looks: it looks at the clocks of its writers by itself.
        watched: stages of the run wait for each other, so that loops may.
        on_rest: called when the reader begins to wait, or wants no more.
    """

    looks = False

    def __init__(self, *, rejoins: bool = False) -> None:
        """Make an inbox without lanes.

        Args:
            rejoins: the lanes come from one source, so that loops may wait for each other.
        """
        self.lanes: list[Lane] = []
        self.reader: Party | None = None
        self.rejoins = rejoins
        self.watched = False
        self.left = False
        self.on_stop: Callable[..., None] | None = None
        self.on_close: Callable[[], Awaitable[None]] | None = None
        self.on_rest: Callable[[], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._batch: Iterator[Any] = iter(())
        self._getter: asyncio.Future[None] | None = None
        self._watermark = NEVER

    def lane(self, title: str, limit: int, *, tagged: bool = False, stamped: bool = False) -> Lane:
        """One more end to write to."""
        lane = Lane(self, len(self.lanes), title, limit, tagged=tagged, stamped=stamped)
        self.lanes.append(lane)
        return lane

    @abstractmethod
    def putter(self, lane: Lane) -> Callable[..., bool]:
        """A function that takes an item and tells whether its writer has to wait for room."""

    @abstractmethod
    def add(self, lane: Lane, entry: Any) -> bool:
        """Add a sign; tells whether the writer has to wait for room."""

    @abstractmethod
    def waiting(self, lane: Lane) -> int:
        """How many entries wait as far as this lane is concerned."""

    @abstractmethod
    def mark(self, lane: Lane, watermark: int) -> None:
        """A lane's watermark has moved."""

    @abstractmethod
    def end(self, lane: Lane, error: BaseException | None) -> None:
        """A lane has ended."""

    @abstractmethod
    def awaited(self) -> Sequence[Lane]:
        """The lanes from which an entry would let the reader go on."""

    @abstractmethod
    def pull(self) -> Iterator[Any] | None:
        """What can be read now; None if there is nothing.

        Raises:
            BaseException: what ended a lane.
        """

    @property
    def busy(self) -> bool:
        """Whether something is on its way that needs no loop to go on."""
        return False

    def preload(self, entries: Iterable[Any]) -> None:
        """Give these first, whatever the limit."""
        self._batch = iter(list(entries))

    async def take(self) -> Iterator[Any] | None:
        """Wait for entries; None at the end. What is left of the last ones is given again."""
        if length_hint(self._batch):
            return self._batch
        reader = self.reader
        while (batch := self.pull()) is None:
            if all(lane.closed for lane in self.lanes) and not self.busy:
                return None
            self._getter = self._loop.create_future()
            try:
                if reader is not None:
                    reader.waits_for_items = self
                    if self.rejoins or self.watched:
                        check_stuck(reader)
                if self.on_rest is not None:
                    self.on_rest()
                await self._getter
            finally:
                self._getter = None
                if reader is not None:
                    reader.waits_for_items = None
        self._batch = batch
        return batch

    @property
    def waits(self) -> bool:
        """Whether the reader has done with all that it took, and waits for more."""
        return self._getter is not None and not self._getter.done()

    def wake(self) -> None:
        """Let the reader look again."""
        getter = self._getter
        if getter is not None and not getter.done():
            getter.set_result(None)

    def leave(self) -> None:
        """The reader wants no more: the writers are told."""
        if self.left:
            return
        self.left = True
        for lane in self.lanes:
            lane.wake()
            if lane.on_left is not None and not lane.closed:
                lane.on_left()
        if self.on_rest is not None:
            self.on_rest()

    def has_ended(self, lane: Lane) -> bool:
        """Whether the end of a lane has come as far as the reader."""
        return lane.closed

    def due(self) -> int:
        """The watermark at which it has to be told, where it looks at clocks by itself."""
        return NEVER

    async def close(self) -> None:
        """The reader is gone: end what works for it."""
        self.leave()
        if self.on_close is not None:
            on_close, self.on_close = self.on_close, None
            await on_close()

    def lowest(self) -> int | None:
        """The watermark of the lanes together, where it has moved."""
        watermark = min(
            (lane.watermark for lane in self.lanes if not lane.idle and not self.has_ended(lane)),
            default=FOREVER,
        )
        if self._watermark < watermark < FOREVER:
            self._watermark = watermark
            return watermark
        return None


class SharedInbox(Inbox):
    """Entries in the order of arrival; every lane is wanted."""

    def __init__(self, *, most: int | None = None, rejoins: bool = False) -> None:
        """Make an inbox without lanes.

        Args:
            most: how many entries are taken at once.
            rejoins: the lanes come from one source, so that loops may wait for each other.
        """
        super().__init__(rejoins=rejoins)
        self._most = most
        self._entries: list[Any] = []
        self._error: BaseException | None = None
        self._before_error = 0

    def putter(self, lane: Lane) -> Callable[..., bool]:
        entries, index, limit, tagged = self._entries, lane.index, lane.limit, lane.tagged
        append = entries.append

        def put(x: Any) -> bool:
            append(x)
            getter = self._getter
            if getter is not None and not getter.done():
                getter.set_result(None)
                return len(entries) > limit
            return len(entries) >= limit

        def put_tagged(x: Any) -> bool:
            return put((index, x))

        def put_stamped(x: Any, t: int) -> bool:
            lane.idle = False
            return put((index, x, t) if tagged else (x, t))

        return put_stamped if lane.stamped else put_tagged if tagged else put

    def add(self, lane: Lane, entry: Any) -> bool:
        self._entries.append(entry)
        self.wake()
        return len(self._entries) >= lane.limit

    def waiting(self, lane: Lane) -> int:
        return len(self._entries)

    def mark(self, lane: Lane, watermark: int) -> None:
        if watermark == IDLE:
            lane.idle = True
        else:
            lane.watermark = max(lane.watermark, watermark)
        self._mark(lane)

    def _mark(self, lane: Lane) -> None:
        if (watermark := self.lowest()) is None:
            return
        entries = self._entries
        if entries and len(entries) > self._before_error and entries[-1][-2] is MARK:
            entries.pop()
        self.add(lane, lane.entry(MARK, watermark))

    def end(self, lane: Lane, error: BaseException | None) -> None:
        if error is None:
            if lane.stamped:
                self._mark(lane)
            if lane.tagged:
                self._entries.append(lane.entry(CLOSED))
        elif self._error is None:
            self._error, self._before_error = error, len(self._entries)
        self.wake()

    def awaited(self) -> Sequence[Lane]:
        return [lane for lane in self.lanes if not lane.closed]

    def pull(self) -> Iterator[Any] | None:
        entries, most = self._entries, self._most
        if self._error is not None:
            if not self._before_error:
                raise self._error
            most = min(most or self._before_error, self._before_error)
            self._before_error -= most
        elif not entries:
            return None
        batch = entries[:most]
        del entries[:most]
        for lane in self.lanes:
            if lane.waiter is not None:
                lane.wake()
        return iter(batch)


@final
class SelectiveInbox(Inbox):
    """Entries only from the lanes that the reader wants, one at a time."""

    def __init__(self, *, rejoins: bool = False) -> None:
        super().__init__(rejoins=rejoins)
        self.wants: Callable[[], Iterable[int]] = lambda: range(len(self.lanes))
        self._entries: list[deque[Any]] = []
        self._errors: dict[int, BaseException] = {}
        self._read: set[int] = set()

    def lane(self, title: str, limit: int, *, tagged: bool = True, stamped: bool = False) -> Lane:
        self._entries.append(deque())
        return super().lane(title, limit, tagged=tagged, stamped=stamped)

    def putter(self, lane: Lane) -> Callable[..., bool]:
        entries, index, limit = self._entries[lane.index], lane.index, lane.limit
        append = entries.append

        def put(x: Any) -> bool:
            append((index, x))
            if self._getter is not None:
                self.wake()
            return len(entries) >= limit

        def put_stamped(x: Any, t: int) -> bool:
            append((index, x, t))
            if self._getter is not None:
                self.wake()
            return len(entries) >= limit

        return put_stamped if lane.stamped else put

    def add(self, lane: Lane, entry: Any) -> bool:
        entries = self._entries[lane.index]
        entries.append(entry)
        self.wake()
        return len(entries) >= lane.limit

    def waiting(self, lane: Lane) -> int:
        return len(self._entries[lane.index])

    def mark(self, lane: Lane, watermark: int) -> None:
        entries = self._entries[lane.index]
        if entries and entries[-1][1] is MARK:
            entries.pop()
        self.add(lane, lane.entry(MARK, watermark))

    def end(self, lane: Lane, error: BaseException | None) -> None:
        if error is None:
            self._entries[lane.index].append(lane.entry(CLOSED))
        else:
            self._errors[lane.index] = error
        self.wake()

    def awaited(self) -> Sequence[Lane]:
        return [lane for index in self.wants() if not (lane := self.lanes[index]).closed]

    def pull(self) -> Iterator[Any] | None:
        for lane, entries in zip(self.lanes, self._entries, strict=True):
            mark = self._read_marks(lane, entries)
            if mark is not None:
                return iter((mark,))
        wanted = list(self.wants())
        for index in wanted:
            # Not before it is wanted: what came before it may still wait for another lane. But
            # before the end of another, which mustn't hide it.
            if index in self._errors and not self._entries[index]:
                raise self._errors[index]
        for lane, entries in zip(self.lanes, self._entries, strict=True):
            if entries and entries[0][1] is CLOSED:
                return self._read_end(lane, entries)
        for index in wanted:
            if self._entries[index]:
                return self._pop(self.lanes[index], self._entries[index])
        if self._errors and all(lane.closed for lane in self.lanes):
            raise next(iter(self._errors.values()))
        return None

    def has_ended(self, lane: Lane) -> bool:
        return lane.index in self._read

    def _read_end(self, lane: Lane, entries: deque[Any]) -> Iterator[Any]:
        self._read.add(lane.index)
        end = entries.popleft()
        watermark = self.lowest() if lane.stamped else None
        if watermark is None:
            return iter((end,))
        return iter((end, lane.entry(MARK, watermark)))

    def _pop(self, lane: Lane, entries: deque[Any]) -> Iterator[Any]:
        entry = entries.popleft()
        lane.idle = False
        lane.wake()
        return iter((entry,))

    def _read_marks(self, lane: Lane, entries: deque[Any]) -> Any:
        """Take the marks in front of a lane; a mark of all lanes together if that has moved."""
        if not entries or entries[0][1] is not MARK:
            return None
        while entries and entries[0][1] is MARK:
            watermark = entries.popleft()[2]
            lane.idle = watermark == IDLE
            if not lane.idle:
                lane.watermark = max(lane.watermark, watermark)
        lane.wake()
        watermark = self.lowest()
        return None if watermark is None else lane.entry(MARK, watermark)
