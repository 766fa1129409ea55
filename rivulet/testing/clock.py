"""An event loop whose time jumps: sleeps return at once, and a hang is an error."""

from __future__ import annotations

import asyncio
import gc
import inspect
import linecache
import math
import selectors
from collections.abc import Callable, Coroutine, Iterator
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import TYPE_CHECKING, Any, TypeVar, final

from rivulet.errors import RunError, StuckError

if TYPE_CHECKING:
    from rivulet.stream import Stream

__all__ = ["VirtualLoop", "run", "timed"]

T = TypeVar("T")

RESOLUTION = 1e-9


class _Jumping(selectors.SelectSelector):
    """Instead of waiting, sets the loop's clock to when the wait would be over."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # A thread takes no time: what it gives is waited for before the clock goes on.
        ready = super().select(None if self.loop.threads and timeout != 0 else 0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            has_sockets = len(self.get_map()) > 1  # beside the one that wakes the loop
            raise StuckError(_hang(self.loop, has_sockets=has_sockets))
        self.loop.jump(timeout)
        return []


@final
class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time: ``sleep(3600)`` returns at once, an hour later.

    The time of day begins at the epoch. When nothing can happen any more, ``StuckError`` tells
    which task waits where. Work in an executor (``asyncio.to_thread``) takes no time: the clock
    stands until it is done, so a thread must not wait for a timer of the loop itself. Sockets and
    subprocesses need real time and an ordinary loop.

    Attributes:
        threads: how many pieces of work in executors are waited for.
    """

    is_virtual = True

    def __init__(self) -> None:
        self._now = 0.0
        self.threads = 0
        selector = _Jumping()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Seconds since the loop began."""
        return self._now

    def wall_time(self) -> float:
        """The time of day in POSIX seconds."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Let time pass."""
        # Rounded, so that ten steps of 0.1 s are 1 s.
        self._now = round(self._now + seconds, 9)
        # A timer is due before the time plus this; the sum has to be later also years from now.
        self._clock_resolution = max(RESOLUTION, math.ulp(self._now))

    def run_in_executor(
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Call a function in a thread; time stands still until it returns."""
        future = super().run_in_executor(executor, func, *args)
        self.threads += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _: asyncio.Future[Any]) -> None:
        self.threads -= 1

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for the threads to end."""
        self.threads += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self.threads -= 1


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time.

    Args:
        main: what to run.

    Raises:
        StuckError: nothing can happen any more; the message tells which task waits where.
        RunError: an event loop is running already, or ``main`` is no coroutine.

    Example:
        >>> import time
        >>> begun = time.monotonic()
        >>> run(asyncio.sleep(3600))
        >>> time.monotonic() - begun < 60
        True
    """
    given: object = main
    if not inspect.iscoroutine(given):
        raise RunError(
            f"testing.run needs a coroutine, not {given!r:.100}: pass stream.collect(), "
            f"stream.run(), or main() for an async def main"
        )
    if _has_loop():
        main.close()
        raise RunError(
            "testing.run can't begin where an event loop is running already, as in an async "
            "function or a notebook: await the coroutine there, or keep virtual time with "
            "await asyncio.to_thread(testing.run, coroutine)"
        )
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def timed(source: Stream[T]) -> list[tuple[float, T]]:
    """Run a stream and give each item with the time in seconds at which it came.

    Example:
        >>> await timed(Stream.timer(2).take(2))
        [(2.0, 0), (4.0, 1)]
    """
    loop = asyncio.get_running_loop()
    begun = loop.time()
    rows: list[tuple[float, T]] = []

    def record(item: Any) -> None:
        rows.append((round(loop.time() - begun, 9), item))

    await source.to(record, revisions="both").run()
    return rows


def _hang(loop: asyncio.AbstractEventLoop, *, has_sockets: bool) -> str:
    stacks = {task: list(_frames(task.get_coro())) for task in asyncio.all_tasks(loop)}
    # Tasks with a name of their own or in code of the user tell something; others run the run.
    telling = [
        task
        for task, stack in stacks.items()
        if not task.get_name().startswith("Task-") or any(_is_users(frame) for frame in stack)
    ]
    lines = [
        f"  {task.get_name()} waits in {_where(task, stacks[task])}"
        for task in sorted(telling or stacks, key=lambda task: task.get_name())
    ]
    if has_sockets:
        lines.append("  and a socket is open, which needs real time: use asyncio.run")
    return "\n".join(
        ["nothing can happen any more: no timer is set, and every task waits for another:", *lines]
    )


def _where(task: asyncio.Task[Any], stack: list[FrameType]) -> str:
    """The innermost place of the user's in which a task is suspended, or else of ours."""
    if not stack:
        return repr(task.get_coro())
    ours = [frame for frame in stack if _package(frame) != "asyncio"]
    users = [frame for frame in ours if _is_users(frame)]
    frame = (users or ours or stack)[-1]
    name, number = frame.f_code.co_filename, frame.f_lineno
    line = linecache.getline(name, number).strip()
    return f"{frame.f_code.co_qualname} ({name}:{number}): {line}"


def _frames(at: Any) -> Iterator[FrameType]:
    """The frames of a coroutine that is suspended, from the outermost to the innermost."""
    seen: list[Any] = []
    while at is not None and not any(at is other for other in seen):
        seen.append(at)
        kind = next((prefix for prefix in ("cr", "ag", "gi") if hasattr(at, f"{prefix}_frame")), "")
        if not kind:
            # ``__anext__()`` of an async generator leads to it for the garbage collector only.
            at = next(filter(_is_suspended, gc.get_referents(at)), None)
            continue
        if (frame := getattr(at, f"{kind}_frame")) is not None:
            yield frame
        at = getattr(at, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")


def _is_suspended(value: object) -> bool:
    return isinstance(value, CoroutineType | AsyncGeneratorType | GeneratorType)


def _is_users(frame: FrameType) -> bool:
    generated = frame.f_code.co_filename.startswith("<rivulet")
    return not generated and _package(frame) not in ("asyncio", "rivulet")


def _package(frame: FrameType) -> str:
    return frame.f_globals.get("__name__", "").partition(".")[0]
