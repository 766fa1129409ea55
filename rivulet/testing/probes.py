"""Sources and sinks that record what is done with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

from rivulet.core.durations import Duration, seconds
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen, require_stamps
from rivulet.core.stage import Effect
from rivulet.core.time import NEVER, SECOND
from rivulet.errors import GraphError

if TYPE_CHECKING:
    from rivulet.stream import Stream

__all__ = ["Recorder", "RecordingSource", "assert_closed", "stamps"]

T = TypeVar("T")


@final
class RecordingSource(Generic[T]):
    """A source that can be read many times and records how: ``Stream(RecordingSource([1, 2]))``.

    Args:
        items: what it gives.
        every: a pause before each item.
        error: what it raises after the last item.
        silent: it doesn't end after the last item.

    Attributes:
        opened: how often it was opened.
        closed: how often it was closed again.
        read: the items that were asked for.

    Raises:
        GraphError: ``every`` is no duration, or both ``error`` and ``silent`` are given.
    """

    def __init__(
        self,
        items: Iterable[T] = (),
        *,
        every: Duration = 0,
        error: BaseException | None = None,
        silent: bool = False,
    ) -> None:
        if silent and error is not None:
            raise GraphError(
                "RecordingSource(error=..., silent=True) is both: it fails, or is silent"
            )
        self.opened = 0
        self.closed = 0
        self.read: list[T] = []
        self._items = items
        self._every = seconds(every, "RecordingSource(every)", zero=True)
        self._error = error
        self._silent = silent

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        self.opened += 1
        try:
            for item in self._items:
                if self._every:
                    await asyncio.sleep(self._every)
                self.read.append(item)
                yield item
            if self._silent:
                await asyncio.get_running_loop().create_future()
            if self._error is not None:
                raise self._error
        finally:
            self.closed += 1

    def __repr__(self) -> str:
        return f"RecordingSource(opened={self.opened}, closed={self.closed}, read={len(self.read)})"


def assert_closed(*sources: RecordingSource[Any]) -> None:
    """Check that nothing was left behind: each source was closed, and no other task runs.

    Inside of a test that is async, or after ``testing.run``, which leaves no tasks itself.

    Args:
        sources: those that should have been closed as often as they were opened.

    Raises:
        AssertionError: something is open or runs; the message names it.

    Example:
        >>> source = RecordingSource([1, 2, 3])
        >>> await Stream(source).take(1).collect()
        [1]
        >>> assert_closed(source)
    """
    still_open = [source for source in sources if source.opened != source.closed]
    try:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
    except RuntimeError:  # no loop runs, so no task does
        tasks = set[asyncio.Task[Any]]()
    if still_open or tasks:
        names = [repr(source) for source in still_open] + [repr(task) for task in tasks]
        raise AssertionError(f"left open or running: {', '.join(names)}")


@frozen
class Recorded(Unary):
    """Node: items, recorded with their time; and how far the clock went."""

    recorder: Recorder

    def stage(self) -> Effect:
        return Effect(make=self.make, stamps="need")

    def applies(self) -> bool:
        return True

    def make(self, context: Context) -> Logic:
        """Record one run."""

        def call(item: Any, t: int) -> None:
            self.recorder.events.append((item, t / SECOND))

        def on_time(watermark: int) -> Iterable[Any]:
            self.recorder.watermarks.append(watermark / SECOND)
            return ()

        return Logic(call=call, on_time=on_time, deadline=lambda: NEVER)


@final
@dataclass(slots=True)
class Recorder:
    """Records what a time-aware operator would see.

    Attributes:
        events: items with their event time in seconds.
        watermarks: how far the clock went, in seconds, each time it was told.
    """

    events: list[tuple[Any, float]] = field(default_factory=list[tuple[Any, float]])
    watermarks: list[float] = field(default_factory=list[float])

    def watch(self, source: Stream[T], /) -> Stream[T]:
        """Record the items of a stream that has event time, and give them on.

        Raises:
            GraphError: nothing above gives them a time.
        """
        require_stamps(source.node, "Recorder.watch")
        return source.via(Recorded(source.node, self))


async def stamps(source: Stream[Any]) -> list[tuple[Any, float]]:
    """Run a stream that has event time, and give each item with its time in seconds.

    Raises:
        GraphError: nothing gives the items a time.
    """
    recorder = Recorder()
    await recorder.watch(source).run()
    return recorder.events
