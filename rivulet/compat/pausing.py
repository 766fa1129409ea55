"""Sources that can be paused: by a signal, and by a checkpoint whose dependency is down."""

from __future__ import annotations

import asyncio
import dis
import inspect
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any, Protocol, final

from rivulet.compat.utils import Signal
from rivulet.core.callables import is_awaitable
from rivulet.core.iteration import close_iterator, each
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Node, Unary, frozen
from rivulet.core.stage import Effect, Port, Produce
from rivulet.gates.checkpoint import Checkpoint
from rivulet.ops.source import Source, node_of, opened
from rivulet.stream import Stream

__all__ = ["Bound", "PausableStream"]


class Holdable(Protocol):
    """What can be held between two items: a loop of a run."""

    def pause(self) -> None:
        """Hold."""
        ...

    def resume(self) -> None:
        """Go on."""
        ...


@final
class PausableStream:
    """A source that can be paused.

    ``send_signal(Signal.PAUSE)`` holds it before its next message, until ``Signal.RESUME``. An
    async generator that looks at what ``yield`` gives gets the signal there, and may answer
    ``Signal.SENTINEL`` while it waits.

    Args:
        it: what it reads: anything that a ``Stream`` can be made of but a stream.

    Attributes:
        signal: the last one.
        running: set unless it is paused.

    Example:
        >>> from rivulet.compat import PausableStream, Signal
        >>> numbers = PausableStream([1, 2])
        >>> numbers.send_signal(Signal.PAUSE)
        >>> numbers.running.is_set()
        False
        >>> numbers.send_signal(Signal.RESUME)
        >>> await Stream(numbers).collect()
        [1, 2]
    """

    def __init__(self, it: Any) -> None:
        self.signal: Any = None
        self.running = asyncio.Event()
        self.running.set()
        self._iterable = it
        self._loops: list[Holdable] = []
        self._readers: list[asyncio.Event] = []

    @property
    def iterable(self) -> Any:
        """What it reads."""
        return self._iterable

    def __repr__(self) -> str:
        state = "running" if self.running.is_set() else "paused"
        return f"<PausableStream of {self._iterable!r:.60}, {state}>"

    def send_signal(self, signal: Any) -> None:
        """Tell the source something; ``PAUSE`` holds it, ``RESUME`` lets it go on."""
        self.signal = signal
        if signal is Signal.PAUSE:
            self.running.clear()
            for loop in self._loops:
                loop.pause()
        elif signal is Signal.RESUME:
            self.running.set()
            for loop in self._loops:
                loop.resume()
        for changed in self._readers:
            changed.set()

    def attach(self, loop: Holdable) -> None:
        """A run reads it, and holds it by itself."""
        self._loops.append(loop)
        if not self.running.is_set():
            loop.pause()

    def detach(self) -> None:
        """No run reads it any more."""
        self._loops.clear()
        # An event belongs to the event loop in which something has waited for it.
        paused = not self.running.is_set()
        self.running = asyncio.Event()
        if not paused:
            self.running.set()

    async def __aiter__(self) -> AsyncIterator[Any]:
        """The messages; nothing is read while it is paused, unless the source sees to that."""
        changed = asyncio.Event()
        self._readers.append(changed)
        iterator: Any = None
        try:
            await self._until_running(changed)
            iterator = await _iterator(self._iterable)
            signal = None  # a generator that has not begun can be sent nothing else
            while True:
                item = await _next(iterator, signal)
                if item is Signal.STOP:
                    return
                if item is not Signal.SENTINEL:
                    await self._until_running(changed)
                    yield item
                elif self.running.is_set():
                    await asyncio.sleep(0)
                else:
                    await self._until_changed(changed)
                signal = self.signal
        finally:
            self._readers.remove(changed)
            await close_iterator(iterator)

    async def _until_running(self, changed: asyncio.Event) -> None:
        while not self.running.is_set():
            await self._until_changed(changed)

    async def _until_changed(self, changed: asyncio.Event) -> None:
        changed.clear()
        await changed.wait()


async def _iterator(source: Any) -> Any:
    found = opened(source)
    if is_awaitable(found):
        found = await found
    return aiter(found) if hasattr(found, "__aiter__") else each(found)


async def _next(iterator: Any, signal: Any) -> Any:
    """The next item; ``Signal.STOP`` when there is none."""
    try:
        if hasattr(iterator, "asend"):
            return await iterator.asend(signal)
        return await anext(iterator)
    except StopAsyncIteration:
        return Signal.STOP


def listens(source: Any) -> bool:
    """Whether a source looks at what it is sent: then it is read with ``asend``.

    Most async generators throw away what ``yield`` gives; they need not be sent anything.
    """
    if not inspect.isasyncgen(source):
        return hasattr(source, "asend") and not inspect.isasyncgenfunction(source)
    instructions = [i.opname for i in dis.get_instructions(source.ag_code) if i.opname != "RESUME"]
    # What an await gives to the event loop is yielded too, in a loop that begins with SEND.
    return any(
        name == "YIELD_VALUE" and before != "SEND" and after != "POP_TOP"
        for before, name, after in zip(
            instructions, instructions[1:], instructions[2:], strict=False
        )
    )


@frozen
class Feed(Source):
    """Node: the messages of a source that can be paused.

    An iterator that has ended stays so: a second run goes on without it, as in Slipstream.
    """

    pausable: PausableStream

    def stage(self) -> Produce:
        stage = Source.stage(self)
        return replace(stage, is_async=True) if listens(self.source) else stage

    def open(self, _: Context) -> Any:
        if isinstance(self.source, PausableStream):
            return aiter(self.source)
        return aiter(self.pausable) if listens(self.source) else opened(self.source)

    @property
    def name(self) -> str:
        return "source"


@frozen
class Watched(Unary):
    """Node: messages of a source that checkpoints may depend on, or hold."""

    bound: Bound

    def stage(self) -> Effect | Port:
        if self.bound.depending or self.bound.is_held:
            return Effect(make=self.make, awaits=True)
        return Port(name="")

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        ended: dict[str, Checkpoint] = {}

        async def open_() -> None:
            for checkpoint, name in self.bound.depending:
                checkpoint[name].has_ended = False
            await self._until_held_no_more(context)

        def left() -> None:
            if context.stopping:
                return
            for checkpoint, name in self.bound.depending:
                ended[name] = checkpoint
                checkpoint.end(name)
                context.spawn(checkpoint.settle)

        def on_end() -> Iterable[Any]:
            left()
            return ()

        async def close(error: BaseException | None) -> None:
            if error is None:
                for checkpoint in ended.values():
                    await checkpoint.settle()

        return Logic(call=_nothing, left=left, on_end=on_end, open=open_, close=close)

    async def _until_held_no_more(self, context: Context) -> None:
        """After a restart in an outage nothing is read before it is over."""
        changed = asyncio.Event()
        leave = [checkpoint.watch(changed.set) for checkpoint in self.bound.holding]
        try:
            for checkpoint in self.bound.holding:
                await checkpoint.settle()
            while self.bound.is_held and await context.hold(changed, ()):
                changed.clear()
        finally:
            for done in leave:
                done()

    @property
    def label(self) -> str:
        return "watched()"


def _nothing(_: Any) -> None:
    pass


@final
class Bound:
    """A source that handlers are bound to.

    Args:
        source: as the user gave it.

    Attributes:
        pausable: what signals are sent to.
        stream: the stream that all of its handlers share.
        holding: the checkpoints whose dependent stream it is.
        depending: those of which it is a dependency, each with that one's name.
    """

    def __init__(self, source: Any) -> None:
        self.source = source
        own = isinstance(source, PausableStream)
        self.pausable = source if own else PausableStream(source)
        self.holding: list[Checkpoint] = []
        self.depending: list[tuple[Checkpoint, str]] = []
        self._pauses = False  # a pause of the user's is left to the user
        node = node_of(source)
        self._holds_itself = False
        if isinstance(node, Source) and node.source is source:
            node = Feed(source, self.pausable)
            self._holds_itself = own or listens(source)
        self._mark = Watched(node, self)
        self.stream: Stream[Any] = Stream(self._mark)

    @property
    def is_held(self) -> bool:
        """Whether a checkpoint holds it."""
        return any(checkpoint.paused for checkpoint in self.holding)

    @property
    def mark(self) -> Node:
        """By which its loop is found."""
        return self._mark

    def attach(self, loop: Holdable) -> None:
        """Have a loop held by signals, unless the source itself sees to that."""
        if not self._holds_itself:
            self.pausable.attach(loop)

    def bind(self, checkpoints: Iterable[Checkpoint]) -> None:
        """Look which checkpoints it has to do with."""
        self.holding = []
        self.depending = []
        for checkpoint in checkpoints:
            if checkpoint.dependent is not None and checkpoint.dependent is self.source:
                self.holding.append(checkpoint)
            self.depending += [
                (checkpoint, dependency.name)
                for dependency in checkpoint.dependencies.values()
                if dependency.dependency is not None and dependency.dependency is self.source
            ]

    def signal(self) -> None:
        """A checkpoint has changed: pause, or go on."""
        held = self.is_held
        if held and self.pausable.running.is_set():
            self._pauses = True
            self.pausable.send_signal(Signal.PAUSE)
        elif not held and self._pauses:
            self._pauses = False
            self.pausable.send_signal(Signal.RESUME)
