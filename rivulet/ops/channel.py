"""``Stream.channel``: items pushed from outside."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

from rivulet.core.checks import check_choice, check_whole
from rivulet.errors import BufferFullError, SinkError, SourceError
from rivulet.ops.buffer import OVERFLOWS, Overflow

if TYPE_CHECKING:
    from rivulet.stream import Stream

__all__ = ["Channel", "channel"]

T = TypeVar("T")


@final
class Channel(Generic[T]):
    """Items pushed from outside, to be read by one run at a time.

    It is a source, ``channel.stream``, and a sink, ``.to(channel)``. Use it in one event loop; from
    another thread, call ``loop.call_soon_threadsafe(channel.push, item)``.

    Attributes:
        dropped: how many items were dropped because it was full.
    """

    def __init__(
        self,
        stream: Callable[[Any], Stream[T]],
        size: int,
        overflow: Overflow | Callable[[T, T], T],
    ) -> None:
        self.dropped = 0
        self._stream = stream
        self._size = size
        self._overflow = overflow
        self._items: deque[T] = deque()
        self._closed = False
        self._error: BaseException | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writers: deque[asyncio.Future[None]] = deque()
        self._read = False

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<Channel {state}, {len(self._items)} of {self._size} items waiting>"

    @property
    def endless(self) -> bool:
        """Whether its end isn't known: it is open."""
        return not self._closed

    @property
    def stream(self) -> Stream[T]:
        """The stream of what is sent."""
        return self._stream(self)

    async def send(self, item: T) -> None:
        """Send an item; wait while the channel is full, with ``overflow="wait"``.

        Raises:
            SinkError: the channel is closed.
            BufferFullError: it is full, with ``overflow="error"``.
        """
        while self._overflow == "wait" and len(self._items) >= self._size and not self._closed:
            writer = asyncio.get_running_loop().create_future()
            self._writers.append(writer)
            try:
                await writer
            except asyncio.CancelledError:
                self._give_up(writer)
                raise
        self.push(item)

    def _give_up(self, writer: asyncio.Future[None]) -> None:
        """A writer was cancelled; if it was its turn, it is the next one's."""
        if not writer.cancelled():
            self._wake_writer()
        elif writer in self._writers:
            self._writers.remove(writer)

    def push(self, item: T) -> None:
        """Send an item without waiting.

        Raises:
            SinkError: the channel is closed.
            BufferFullError: it is full, with ``overflow="error"`` or ``"wait"``.
        """
        if self._closed:
            raise SinkError(f"the channel is closed and can't take {item!r:.100}")
        if len(self._items) < self._size:
            self._items.append(item)
        else:
            self._overflowed(item)
        self._wake(self._reader)

    def _overflowed(self, item: T) -> None:
        match self._overflow:
            case "drop_oldest":
                self._items.popleft()
                self._items.append(item)
            case "drop_newest":
                pass
            case "wait" | "error":
                raise BufferFullError(
                    f"the channel is full ({self._size} items): await send(item), make it larger, "
                    f'or give overflow= as "drop_oldest", "drop_newest" or a function'
                )
            case merge:
                assert callable(merge)
                self._items[-1] = merge(self._items[-1], item)
        self.dropped += 1

    def close(self, error: BaseException | None = None) -> None:
        """End the stream after the items that wait; with an error, fail then."""
        self._closed = True
        self._error = error
        self._wake(self._reader)
        for writer in self._writers:
            self._wake(writer)

    def _wake_writer(self) -> None:
        while self._writers:
            writer = self._writers.popleft()
            if not writer.done():
                writer.set_result(None)
                return

    @staticmethod
    def _wake(waiter: asyncio.Future[None] | None) -> None:
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def __aiter__(self) -> AsyncIterator[T]:
        if self._read:
            raise SourceError(
                "the channel is being read already: use one stream of it in several places, or "
                "channel.stream.share() for several runs"
            )
        self._read = True
        try:
            while True:
                while self._items:
                    item = self._items.popleft()
                    self._wake_writer()
                    yield item
                if self._closed:
                    break
                self._reader = asyncio.get_running_loop().create_future()
                await self._reader
            if self._error is not None:
                raise self._error
        finally:
            self._read = False
            self._reader = None


def channel(
    cls: type[Stream[Any]],
    /,
    size: int = 1,
    overflow: Overflow | Callable[[T, T], T] = "wait",
) -> Channel[T]:
    """A stream that is fed from outside: ``send`` items, read ``channel.stream``.

    Emits:      each item that is sent, in order.
    Waits:      ``send`` waits while ``size`` items are waiting.
    Completes:  after ``close()``.
    State:      ``size`` items.
    Time:       none.

    Args:
        size: how many items may wait to be read, 1 or more.
        overflow: what happens to an item that finds it full, as with ``buffer``.

    Raises:
        GraphError: if ``size`` is less than 1 or ``overflow`` isn't known.

    Example:
        >>> inbox = Stream.channel(10)
        >>> for word in ("hello", "world"):
        ...     inbox.push(word)
        >>> inbox.close()
        >>> await inbox.stream.map(str.upper).collect()
        ['HELLO', 'WORLD']

    Source: ``AsyncChannel`` of Swift Async Algorithms; the subjects of ReactiveX.
    """
    check_whole(size, "channel", "size")
    if not callable(overflow):
        check_choice(overflow, "channel", "overflow", OVERFLOWS)
    return Channel(cls, size, overflow)
