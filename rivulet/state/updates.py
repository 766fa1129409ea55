"""Updates of a cache as they are published, for any number of readers."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import count
from typing import Any, Literal, final
from weakref import WeakValueDictionary

from rivulet.core.checks import check_choice, check_whole
from rivulet.errors import BufferFullError

__all__ = ["Overflow", "Publisher", "Updates", "wake"]

Overflow = Literal["drop_oldest", "drop_newest", "error"]
OVERFLOWS = ("drop_oldest", "drop_newest", "error")

Update = tuple[Any, Any]


@final
class Publisher:
    """Hands updates to readers, in whichever threads and event loops they are.

    Attributes:
        dropped: how many updates readers missed because they were too slow.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self.closed = False
        self._readers: WeakValueDictionary[int, Reader] = WeakValueDictionary()
        self._numbers = count()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        """How many readers there are."""
        return len(self._readers)

    def subscribe(self, size: int, overflow: Overflow) -> Reader:
        """A reader of what is published from now on."""
        with self._lock:
            reader = Reader(self, next(self._numbers), size, overflow)
            self._readers[reader.number] = reader
        return reader

    def publish(self, update: Update) -> None:
        """Hand an update to each reader, in the order in which they came."""
        if self._readers:
            with self._lock:
                readers = list(self._readers.values())
            missed = sum(reader.take(update) for reader in readers)
            if missed:
                with self._lock:
                    self.dropped += missed

    def leave(self, reader: Reader) -> None:
        """Hand nothing more to a reader."""
        with self._lock:
            self._readers.pop(reader.number, None)

    def close(self) -> None:
        """End all readers, after what waits for them."""
        with self._lock:
            self.closed = True
            readers = list(self._readers.values())
        for reader in readers:
            reader.end()


@final
class Updates:
    """Updates of a cache, each ``(key, value)``, from when they are first asked for.

    Each ``async for`` gets all of them. A reader that isn't referred to any more is forgotten.
    """

    def __init__(self, publisher: Publisher, size: int, overflow: Overflow) -> None:
        check_whole(size, "updates", "size")
        check_choice(overflow, "updates", "overflow", OVERFLOWS)
        self._publisher = publisher
        self._size = size
        self._overflow: Overflow = overflow

    def __repr__(self) -> str:
        return f"<Updates, {self._size} waiting at most, {self._overflow}>"

    def __aiter__(self) -> AsyncIterator[Update]:
        return self._publisher.subscribe(self._size, self._overflow)

    @property
    def endless(self) -> bool:
        """Whether its end isn't known: the cache is open."""
        return not self._publisher.closed


@final
class Reader(AsyncIterator[Update]):
    """One reader of updates.

    Attributes:
        number: its place among those of its publisher.
        dropped: how many it missed because it was too slow.
    """

    def __init__(self, publisher: Publisher, number: int, size: int, overflow: Overflow) -> None:
        self.number = number
        self.dropped = 0
        self._publisher = publisher
        self._size = size
        self._overflow: Overflow = overflow
        self._updates: deque[Update] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._over = publisher.closed
        self._full = False
        self._lock = threading.RLock()

    async def __anext__(self) -> Update:
        while True:
            with self._lock:
                if self._updates:
                    return self._updates.popleft()
                if self._full:
                    self._publisher.leave(self)
                    raise BufferFullError(
                        f"{self._size} updates of the cache were waiting to be read: read faster, "
                        f'or ask for updates(size, overflow="drop_oldest")'
                    )
                if self._over:
                    raise StopAsyncIteration
                if self._waiter is not None and not self._waiter.done():
                    raise RuntimeError("this reader of updates is being read already")
                self._waiter = waiter = asyncio.get_running_loop().create_future()
            try:
                await waiter
            except BaseException:
                # The traceback must not keep a reader that nobody else has: it is to be forgotten
                # as soon as it is left, as by a client that has gone.
                del self
                raise

    async def aclose(self) -> None:
        """Get no more."""
        self._publisher.leave(self)
        self.end()

    def take(self, update: Update) -> bool:
        """Get an update; tells whether one was dropped."""
        with self._lock:
            if self._over or self._full:
                return False
            dropped = len(self._updates) >= self._size
            if dropped and self._overflow == "error":
                self._full, dropped = True, False
            elif not dropped or self._overflow == "drop_oldest":
                if dropped:
                    self._updates.popleft()
                self._updates.append(update)
            self.dropped += dropped
            self._wake()
        return dropped

    def end(self) -> None:
        """Stop when what waits is read."""
        with self._lock:
            self._over = True
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            return
        with suppress(RuntimeError):  # its loop is closed, and nobody waits any more
            wake(waiter)


def wake(waiter: asyncio.Future[None]) -> None:
    """Let go on what waits, from any thread.

    Raises:
        RuntimeError: its loop is closed.
    """
    loop = waiter.get_loop()
    if loop is asyncio._get_running_loop():
        _set(waiter)
    else:
        loop.call_soon_threadsafe(_set, waiter)


def _set(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
