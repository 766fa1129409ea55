"""What one stage sees of the run."""

from __future__ import annotations

from asyncio import Event
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, final

from rivulet.core.logic import Context
from rivulet.core.node import Node
from rivulet.core.time import Watermark

if TYPE_CHECKING:
    from rivulet.run.loop import Loop

__all__ = ["StageContext"]

T = TypeVar("T")


@final
class StageContext(Context):
    """The context of one stage in one run.

    Args:
        loop: the region that the stage is in.
        node: the stage.
        grouped: it is that of one key of a group, which can't end the stage for the other keys.
    """

    def __init__(self, loop: Loop, node: Node, *, grouped: bool) -> None:
        self._loop = loop
        self._node = node
        self._grouped = grouped

    @property
    def stamped(self) -> bool:
        return self._node in self._loop.plan.stamped

    @property
    def stopping(self) -> bool:
        return self._loop.execution.suspended

    @property
    def paused(self) -> bool:
        return self._loop.paused

    @property
    def clock(self) -> Watermark:
        return self._loop.clock_above(self._node)

    def wall(self) -> float:
        return self._loop.wall()

    def now(self) -> float:
        return self._loop.now()

    def wake_at(self, when: float) -> None:
        self._loop.timers.wake_at(self._node, when)

    def end(self) -> None:
        if not self._grouped:
            self._loop.end(self._node)

    def spawn(self, work: Callable[[], Coroutine[Any, Any, None]], /) -> None:
        self._loop.execution.spawn(work)

    @property
    def source(self) -> Any:
        return self._loop.opened

    @property
    def hands_on(self) -> bool:
        return bool(self._loop.lanes)

    @property
    def is_settled(self) -> bool:
        return self._loop.is_settled

    async def settle(self) -> None:
        while not self._loop.is_settled:
            await self._loop.execution.rest()

    async def hold(self, event: Event, signals: Collection[object], /) -> bool:
        return await self._loop.hold(self._node, event, signals)

    def common(self, key: object, make: Callable[[], T], /) -> T:
        return self._loop.execution.common(key, make)

    def subscribe(self, node: Node, /) -> AsyncGenerator[Any, None]:
        return self._loop.subscribe(node, self._node)
