"""The timers of a region: one ``call_at`` for all its stages.

When it is due and the loop waits somewhere else than in the branch of a stage that is due, a task
beside the loop walks that branch, and the loop waits for it before it enters the branch itself.
Otherwise the walk is made between two items. So a wait for the source is never raced, and a timer
also fires while the loop waits in a stage above.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, final

from rivulet.core.node import Node

__all__ = ["EARLY", "Timers", "Walker"]

EARLY = 1e-6
"""Seconds by which an event loop may call a timer early."""


class Walker(Protocol):
    """The loop, as far as its timers go."""

    def busy(self) -> frozenset[Node] | None:
        """The stages in whose branch the loop is; None where it can't be left alone."""
        ...

    async def tick(self, node: Node, now: float) -> None:
        """Walk the branch of a stage whose time has come."""
        ...

    async def after_walk(self) -> None:
        """Called at the end of a walk beside the loop."""
        ...

    def ask(self, what: str) -> None:
        """Have something done between two items."""
        ...

    def beside(self, work: Callable[[], Any]) -> asyncio.Task[None] | None:
        """Run something beside the loop; None when the run is ending."""
        ...


@final
class Timers:
    """When which stages of a region have to be looked at.

    Args:
        loop: what walks them.
        nodes: the stages in their order.

    Attributes:
        walking: the task of a walk beside the loop; empty when there is none.
    """

    def __init__(self, loop: Walker, nodes: Sequence[Node]) -> None:
        self.walking: list[asyncio.Task[None]] = []
        self._loop = loop
        self._nodes = nodes
        self._events = asyncio.get_running_loop()
        self._due: dict[Node, float] = {}
        self._handle: asyncio.TimerHandle | None = None
        self._running = False

    def start(self) -> None:
        """From now on timers fire."""
        self._running = True
        self._arm()

    def stop(self) -> None:
        """From now on none does."""
        self._running = False
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    @property
    def is_running(self) -> bool:
        """Whether timers fire."""
        return self._running

    def wake_at(self, node: Node, when: float) -> None:
        """Look at a stage at a time, or earlier if that was asked for before."""
        if when < self._due.get(node, float("inf")):
            self._due[node] = when
            self._arm()

    def poke(self, node: Node) -> None:
        """Look at a stage as soon as the loop isn't in its branch."""
        self.wake_at(node, self._events.time())

    def _arm(self) -> None:
        if not self._running or not self._due:
            return
        when = min(self._due.values())
        if self._handle is not None:
            if self._handle.when() <= when:
                return
            self._handle.cancel()
        self._handle = self._events.call_at(when, self._fire)

    def due(self) -> list[Node]:
        """The stages whose time has come."""
        now = self._events.time() + EARLY
        return [node for node, when in self._due.items() if when <= now]

    def _fire(self) -> None:
        self._handle = None
        if self.walking or not self._running:
            return
        due = self.due()
        if not due:
            # What it was set for has been walked between two items.
            self._arm()
            return
        busy = self._loop.busy()
        if busy is None or all(node in busy for node in due):
            self._loop.ask("timer")
        else:
            self.walk_beside(busy)

    def walk_beside(self, busy: frozenset[Node] = frozenset()) -> None:
        """Walk what is due in a task of its own, but not the branches that the loop is in."""
        task = self._loop.beside(partial(self._walk_beside, busy))
        if task is not None:
            self.walking.append(task)

    async def _walk_beside(self, busy: frozenset[Node]) -> None:
        try:
            await self.walk(busy)
            await self._loop.after_walk()
        finally:
            self.walking.clear()
            self._arm()
            if self.due():
                self._loop.ask("timer")

    async def walk(self, busy: frozenset[Node] = frozenset()) -> None:
        """Walk what is due, in the order of the stages."""
        for node in self._nodes:
            when = self._due.get(node)
            now = self._events.time()
            if when is not None and when <= now + EARLY and node not in busy:
                del self._due[node]
                await self._loop.tick(node, now)
        self._arm()

    async def walked(self) -> None:
        """Wait for a walk that is under way."""
        while self.walking:
            await asyncio.wait(self.walking)
