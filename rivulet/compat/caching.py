"""Slipstream's ``caching``: ``Cache``, and ``Proxy``, which passes messages on."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncIterator
from itertools import count
from typing import Any, Final, final
from weakref import WeakValueDictionary

from rivulet.core.checks import check_whole
from rivulet.errors import StuckError
from rivulet.state.cache import WAITING, Cache

__all__ = ["MB", "MINUTES", "Cache", "Proxy"]

MB: Final = 1024 * 1024
MINUTES: Final = 60


@final
class Proxy:
    """Passes messages on to all that read it. It stores nothing and never ends.

    ``await proxy(message)`` waits where a reader has ``size`` messages waiting. While nobody reads,
    the newest ``size`` messages wait for the first that does.

    Args:
        size: how many messages may wait for each reader.

    Example:
        >>> from rivulet.compat import Proxy
        >>> proxy = Proxy()
        >>> await proxy("moss")
        >>> async for word in proxy:
        ...     print(word)
        ...     break
        moss
    """

    def __init__(self, size: int = WAITING) -> None:
        check_whole(size, "Proxy", "size")
        self.size = size
        self._early: deque[Any] = deque(maxlen=size)
        self._readers: WeakValueDictionary[int, _Reader] = WeakValueDictionary()
        self._numbers = count()

    endless = True

    def __repr__(self) -> str:
        return f"<Proxy, {len(self._readers)} readers>"

    async def __call__(self, message: Any) -> None:
        """Pass a message on.

        Raises:
            StuckError: a reader has no room, and would have to read what it waits to pass on.
        """
        readers = [weakref.ref(reader) for reader in self._readers.values() if not reader.closed]
        if not readers:
            self._early.append(message)
        for ref in readers:
            # One that is forgotten meanwhile must not be waited for, so it isn't held here.
            while (room := _full(ref)) is not None:
                await room
            if (reader := ref()) is not None:
                reader.take(message)
                del reader

    def __aiter__(self) -> AsyncIterator[Any]:
        """The messages from now on."""
        reader = _Reader(self._early, self.size)
        self._early.clear()
        self._readers[next(self._numbers)] = reader
        return reader


def _full(ref: weakref.ref[_Reader]) -> asyncio.Future[None] | None:
    """What to wait for before a reader can take another message."""
    reader = ref()
    return None if reader is None else reader.full()


@final
class _Reader(AsyncIterator[Any]):
    """One reader of a proxy; one that isn't referred to any more is forgotten.

    Attributes:
        closed: it gets no more.
    """

    def __init__(self, early: deque[Any], size: int) -> None:
        self._messages = deque(early)
        self._size = size
        self._item: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._task: asyncio.Task[Any] | None = None
        self.closed = False

    def full(self) -> asyncio.Future[None] | None:
        """What to wait for before it can take another message; None if it can now.

        Raises:
            StuckError: who asks is who reads.
        """
        if self.closed or len(self._messages) < self._size:
            return None
        if self._task is asyncio.current_task():
            raise StuckError(
                f"{self._size} messages of a Proxy wait for the task that passes on another, so "
                f"it would wait for itself: give Proxy(size=...) room for all of them"
            )
        if self._room is None:
            self._room = asyncio.get_running_loop().create_future()
        return asyncio.shield(self._room)

    def take(self, message: Any) -> None:
        """Get a message."""
        if not self.closed:
            self._messages.append(message)
            self._item = _let_go(self._item)

    async def __anext__(self) -> Any:
        self._task = asyncio.current_task()
        while not self._messages:
            if self.closed:
                raise StopAsyncIteration
            self._item = item = asyncio.get_running_loop().create_future()
            try:
                await item
            except BaseException:
                del self  # the traceback must not keep a reader that nobody else has
                raise
        self._room = _let_go(self._room)
        return self._messages.popleft()

    async def aclose(self) -> None:
        """Get no more."""
        self.closed = True
        self._item, self._room = _let_go(self._item), _let_go(self._room)

    def __del__(self) -> None:
        _let_go(self._room)


def _let_go(waiter: asyncio.Future[None] | None) -> None:
    """Let go on what waits."""
    if waiter is not None and not waiter.done() and not waiter.get_loop().is_closed():
        waiter.set_result(None)
