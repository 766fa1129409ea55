"""Small helpers that the code of every region may use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, final

from rivulet.core.iteration import close_iterator

__all__ = ["Asynchronous", "Awaited", "Closing", "Turn"]

TURN_SECONDS = 0.005
TURN_ITEMS = 1024


class Awaited(dict[type, bool]):
    """For each class of results, whether they are to be awaited."""

    def __missing__(self, cls: type) -> bool:
        result = self[cls] = hasattr(cls, "__await__") and not hasattr(cls, "__aiter__")
        return result


class Asynchronous(dict[type, bool]):
    """For each class of results, whether a plain ``for`` can't iterate them but ``async`` can."""

    def __missing__(self, cls: type) -> bool:
        result = self[cls] = hasattr(cls, "__await__") or hasattr(cls, "__aiter__")
        return result


@final
class Closing:
    """Closes what a function gave, if that can be closed."""

    __slots__ = ("_iterator",)

    def __init__(self, iterator: Any) -> None:
        self._iterator = iterator

    async def __aenter__(self) -> Any:
        return self._iterator

    async def __aexit__(self, *_: object) -> None:
        await close_iterator(self._iterator)


@final
class Turn:
    """Gives the event loop a turn in between, so that other streams run beside a ready source.

    Args:
        clock: the run's clock.
        asked: not empty when something is to be done between two items.
        between: does it, and tells whether the loop is to be left.

    Attributes:
        items: how many items to take before the next turn: as many as take 5 ms, at most 1,024.
    """

    __slots__ = ("_asked", "_between", "_clock", "_then", "items")

    def __init__(
        self,
        clock: Callable[[], float],
        asked: list[str],
        between: Callable[[], Awaitable[bool]],
    ) -> None:
        self.items = 64
        self._clock = clock
        self._asked = asked
        self._between = between
        self._then = clock()

    async def __call__(self) -> bool:
        """Give the turn; tells whether the loop is to be left."""
        taken = self._clock() - self._then
        if taken < TURN_SECONDS / 2:
            self.items = min(TURN_ITEMS, self.items * 2)
        elif taken > TURN_SECONDS * 2:
            self.items = max(1, int(self.items * TURN_SECONDS / taken))
        await asyncio.sleep(0)
        self._then = self._clock()
        return bool(self._asked) and await self._between()
