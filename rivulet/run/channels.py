"""Boundaries with one writer: buffers that drop, and items that are kept for a while."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, final

from rivulet.core.entries import MARK
from rivulet.core.stage import Channel
from rivulet.errors import BufferFullError
from rivulet.run.inbox import Inbox, Lane, SharedInbox

__all__ = ["DelayInbox", "OverflowInbox", "channel"]

AT_ONCE = 256
"""How many items are taken out of a buffer at once, at most; they count as held while in hand."""
_RESOLUTION = 1e-6
"""Seconds by which a loop may call a timer early."""


def channel(stage: Channel, title: str, *, stamped: bool, rejoins: bool) -> Inbox:
    """The inbox of a channel without work, with its one lane."""
    if stage.delay:
        inbox: Inbox = DelayInbox(stage.delay)
        inbox.lane(title, stage.size, stamped=stamped)
    elif stage.overflow != "wait":
        inbox = OverflowInbox(stage.overflow, stage.size)
        inbox.lane(title, stage.size, stamped=stamped)
    else:
        most = min(max(1, stage.size // 4), AT_ONCE)
        inbox = SharedInbox(most=most, rejoins=rejoins)
        inbox.lane(title, stage.size - most + 1, stamped=stamped)
    return inbox


@final
class _Broken:
    """In place of an entry: what ended the lane; None is its proper end."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _OneLane(Inbox):
    """An inbox with one lane."""

    def awaited(self) -> Sequence[Lane]:
        return [lane for lane in self.lanes if not lane.closed]

    def mark(self, lane: Lane, watermark: int) -> None:
        self.add(lane, lane.entry(MARK, watermark))

    def end(self, lane: Lane, error: BaseException | None) -> None:
        if error is not None:
            self.add(lane, _Broken(error))
        self.wake()


@final
class OverflowInbox(_OneLane):
    """A buffer that never holds its writer up: what is too much is dropped, and counted."""

    def __init__(self, overflow: str | Callable[[Any, Any], Any], size: int) -> None:
        super().__init__()
        self.dropped = 0
        self._overflow = overflow
        self._size = size
        self._items = 0
        self._entries: deque[Any] = deque()

    def putter(self, lane: Lane) -> Callable[..., bool]:
        def put(x: Any) -> bool:
            self._put(x, x)
            return False

        def put_stamped(x: Any, t: int) -> bool:
            self._put(x, (x, t))
            return False

        return put_stamped if lane.stamped else put

    def _put(self, x: Any, entry: Any) -> None:
        if self._items < self._size:
            self._items += 1
            self._entries.append((True, entry))
            self.wake()
            return
        match self._overflow:
            case "drop_oldest":
                self._drop_oldest()
                self._entries.append((True, entry))
            case "drop_newest":
                pass
            case "error":
                raise BufferFullError(
                    f"the buffer is full ({self._size} items): make it larger, or give overflow= "
                    f'as "wait", "drop_oldest", "drop_newest" or a function'
                )
            case merge:
                assert callable(merge)
                self._merge(merge, x, entry)
        self.dropped += 1

    def _drop_oldest(self) -> None:
        for position, (is_item, _) in enumerate(self._entries):
            if is_item:
                del self._entries[position]
                return

    def _merge(self, merge: Callable[[Any, Any], Any], x: Any, entry: Any) -> None:
        for position in range(len(self._entries) - 1, -1, -1):
            is_item, newest = self._entries[position]
            if is_item:
                del self._entries[position]
                if self.lanes[0].stamped:
                    self._entries.append((True, (merge(newest[0], x), entry[1])))
                else:
                    self._entries.append((True, merge(newest, x)))
                return

    def add(self, lane: Lane, entry: Any) -> bool:
        self._entries.append((False, entry))
        self.wake()
        return False

    def waiting(self, lane: Lane) -> int:
        return 0

    @property
    def busy(self) -> bool:
        return bool(self._entries)

    def pull(self) -> Iterator[Any] | None:
        if not self._entries:
            return None
        is_item, entry = self._entries.popleft()
        self._items -= is_item
        if type(entry) is _Broken and entry.error is not None:
            raise entry.error
        return iter((entry,))


@final
class DelayInbox(_OneLane):
    """Each entry is kept for some time, and so is the end; order and distances stay."""

    def __init__(self, delay: float) -> None:
        super().__init__()
        self._delay = delay
        self._entries: deque[tuple[float, Any]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def putter(self, lane: Lane) -> Callable[..., bool]:
        def put(x: Any, t: int | None = None) -> bool:
            return self.add(lane, lane.entry(x, t))

        return put

    def add(self, lane: Lane, entry: Any) -> bool:
        self._entries.append((self._loop.time() + self._delay, entry))
        self._arm()
        return len(self._entries) >= lane.limit

    def end(self, lane: Lane, error: BaseException | None) -> None:
        self.add(lane, _Broken(error))

    def _arm(self) -> None:
        if self._timer is None and self._entries:
            self._timer = self._loop.call_at(self._entries[0][0], self._due)

    def _due(self) -> None:
        self._timer = None
        self.wake()

    def waiting(self, lane: Lane) -> int:
        return len(self._entries)

    @property
    def busy(self) -> bool:
        return bool(self._entries)

    def pull(self) -> Iterator[Any] | None:
        entries, now = self._entries, self._loop.time()
        ready: list[Any] = []
        while entries and entries[0][0] <= now + _RESOLUTION:
            entry = entries[0][1]
            if type(entry) is not _Broken:
                ready.append(entry)
            elif entry.error is not None:
                if not ready:
                    raise entry.error
                break
            entries.popleft()
        self._arm()
        if not ready:
            return None
        self.lanes[0].wake()
        return iter(ready)

    def leave(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().leave()
