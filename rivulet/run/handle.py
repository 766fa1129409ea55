"""Run a graph in the foreground, in the background, or from a plain script."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, Literal, TypeVar, final

from rivulet.core.durations import Duration, seconds
from rivulet.core.node import Node
from rivulet.errors import RunError
from rivulet.plan.graph import plan
from rivulet.run.execution import Execution
from rivulet.run.interrupt import interruptible
from rivulet.run.stats import Stats, gathered

__all__ = ["Run", "run_nodes", "run_nodes_sync"]

T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")

TICK = 0.1
"""Seconds between two looks at whether Ctrl-C was pressed while a thread runs a stream."""
PATIENCE = 10.0
"""Seconds that a run gets to stop in order before it is cancelled."""

State = Literal["running", "paused", "stopping", "finished", "failed", "cancelled"]

_active: set[Run[Any]] = set()
"""Runs in the background; the event loop itself holds its tasks only weakly."""


async def run_nodes(
    nodes: Sequence[Node], *, deliver: Callable[[Any], object] | None = None
) -> None:
    """Run some nodes to their end in the foreground."""
    execution = Execution(plan(*nodes), deliver=deliver)
    execution.prepare()
    task = asyncio.get_running_loop().create_task(execution.run())
    with interruptible():
        try:
            await task
        except asyncio.CancelledError as error:
            # Without the frames in which the run was waiting: in a notebook they fill a screen.
            raise asyncio.CancelledError(*error.args) from None


def run_nodes_sync(
    nodes: Sequence[Node], *, deliver: Callable[[Any], object] | None = None
) -> None:
    """Run some nodes to their end from plain code."""
    if _in_event_loop():
        _in_thread(run_nodes(nodes, deliver=deliver))
    else:
        with asyncio.Runner() as runner:
            runner.run(_with_signals(nodes, deliver))


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _with_signals(nodes: Sequence[Node], deliver: Callable[[Any], object] | None) -> None:
    """Run, and stop in order on SIGINT and SIGTERM; a second one stops at once."""
    execution = Execution(plan(*nodes), deliver=deliver)
    execution.prepare()
    loop = asyncio.get_running_loop()
    task = loop.create_task(execution.run())
    received: list[int] = []

    def stop(number: int) -> None:
        received.append(number)
        if len(received) > 1:
            task.cancel()
            return
        execution.stop()
        loop.call_later(PATIENCE, task.cancel)

    handled: list[int] = []
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):
                loop.add_signal_handler(number, stop, number)
                handled.append(number)
    try:
        await asyncio.wait([task])
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
    if received:
        raise KeyboardInterrupt if received[0] == signal.SIGINT else SystemExit(128 + received[0])
    await task


def _in_thread(main: Coroutine[Any, Any, R]) -> R:
    """Run a coroutine in a thread with a loop of its own; an interrupt cancels it."""
    started: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[R]]] = []
    result: list[R] = []
    failure: list[BaseException] = []

    async def wrapped() -> R:
        task = asyncio.ensure_future(main)
        started.append((asyncio.get_running_loop(), task))
        return await task

    def target() -> None:
        try:
            result.append(asyncio.run(wrapped()))
        except BaseException as error:  # noqa: BLE001  # it is raised in the thread that waits
            failure.append(error)

    caller = asyncio.current_task()
    thread = threading.Thread(target=target, name="rivulet-run", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(TICK)
            _check_interrupted(caller)
    except BaseException:
        for loop, task in started:
            loop.call_soon_threadsafe(task.cancel)
        thread.join()
        raise
    if failure:
        raise failure[0]
    return result[0]


def _check_interrupted(caller: asyncio.Task[Any] | None) -> None:
    """See whether ``asyncio.run`` cancelled its task on Ctrl-C while that was held by a thread."""
    if caller is not None and caller.cancelling():
        raise asyncio.CancelledError


@final
class Run(Generic[T_co]):
    """A stream that runs in the background, as ``start`` gives it.

    ``await run`` waits for its end and raises what it failed with. ``async with run:`` stops it at
    the end of the block.
    """

    def __init__(self, nodes: Sequence[Node], *, keep: int = 100) -> None:
        self._last: deque[T_co] = deque(maxlen=keep)
        self._execution = Execution(
            plan(*nodes), deliver=self._last.append, counted=True, held=True
        )
        self._execution.prepare()
        self._loop = asyncio.get_running_loop()
        self._begun = time.monotonic()
        self._ended: float | None = None
        self._state: State = "running"
        self._waiters = 0
        self._seen = False
        self._task = self._loop.create_task(self._execution.run())
        self._task.add_done_callback(self._done)
        _active.add(self)

    @property
    def state(self) -> State:
        """What it is doing."""
        return self._state

    def stop(self, *, drain: bool = False, timeout: Duration = PATIENCE) -> Run[T_co]:
        """Stop the sources and let what was read go through; give the run, to be awaited.

        Args:
            drain: treat it as the end of input, so that everything held is given as final.
            timeout: after this long it is cancelled.
        """
        limit = seconds(timeout, "stop(timeout)", zero=True)
        if not self._task.done() and self._state != "stopping":
            self._state = "stopping"
            self._execution.resume()
            self._execution.stop(drain=drain)
            timer = self._loop.call_later(limit, self._task.cancel)
            self._task.add_done_callback(lambda _: timer.cancel())
        return self

    def cancel(self) -> Run[T_co]:
        """End it at once: what was read but not finished is dropped, all is closed."""
        self._task.cancel()
        return self

    def pause(self) -> None:
        """Hold before the next item; what is held for a time still goes out in time.

        Raises:
            RunError: it has ended.
        """
        self._need("pause")
        self._state = "paused"
        self._execution.pause()

    def resume(self) -> None:
        """Go on after ``pause``.

        Raises:
            RunError: it has ended.
        """
        self._need("resume")
        self._state = "running"
        self._execution.resume()

    def _need(self, what: str) -> None:
        if self._task.done():
            raise RunError(f"can't {what} a run that has ended ({self._state}): start it again")

    async def wait(self, timeout: Duration | None = None) -> None:
        """Wait for the end. The run goes on if the wait is cancelled or times out.

        Args:
            timeout: how long to wait at most.

        Raises:
            TimeoutError: it is still running after ``timeout``.
            BaseException: what the run failed with.
        """
        limit = None if timeout is None else seconds(timeout, "wait(timeout)", zero=True)
        self._waiters += 1
        try:
            with interruptible():
                await asyncio.wait([self._task], timeout=limit)
        finally:
            self._waiters -= 1
        if not self._task.done():
            raise TimeoutError(f"the run is still {self._state} after {limit:g} s")
        self._seen = True
        error = self.exception()
        if error is not None:
            raise error

    def __await__(self) -> Generator[Any, None, None]:
        return self.wait().__await__()

    async def __aenter__(self) -> Run[T_co]:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop().wait()

    def exception(self) -> BaseException | None:
        """What it failed with; None while it runs, and after a good end."""
        if not self._task.done() or self._task.cancelled():
            return None
        return self._task.exception()

    def last(self, n: int = 10) -> list[T_co]:
        """The newest results, oldest first; up to 100 are kept."""
        return list(self._last)[-n:] if n > 0 else []

    def stats(self) -> Stats:
        """Counts of each operator, as they are now."""
        end = self._ended if self._ended is not None else time.monotonic()
        return gathered(self._execution, self._state, end - self._begun)

    def _done(self, task: asyncio.Task[None]) -> None:
        _active.discard(self)
        self._ended = time.monotonic()
        if task.cancelled():
            self._state = "cancelled"
        elif task.exception() is None:
            self._state = "finished"
        else:
            self._state = "failed"
            if not self._waiters and "ipykernel" in sys.modules:
                self._report()

    def _report(self) -> None:
        """Say that it failed, as nobody waits for it."""
        self._seen = True
        self._loop.call_exception_handler(
            {
                "message": f"rivulet: {self!r}, and nobody awaited it",
                "exception": self.exception(),
                "task": self._task,
            }
        )

    def __del__(self) -> None:
        if getattr(self, "_state", None) == "failed" and not self._seen:
            self._report()

    def __repr__(self) -> str:
        stats = self.stats()
        text = f"<Run {self._execution.label} {self._state} after {stats.elapsed:.1f} s"
        error = self.exception()
        if error is not None:
            text += f": {type(error).__name__}: {error}"
            text += "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
        return f"{text}, {stats.items:,} items read>"
