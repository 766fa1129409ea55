"""An event loop whose time jumps: sleeps return at once, and a hang is an error."""

from __future__ import annotations

import asyncio
import linecache
import selectors
from collections.abc import Coroutine
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar, final

from rivulet.errors import StuckError

if TYPE_CHECKING:
    from rivulet.stream import Stream

__all__ = ["VirtualLoop", "run", "timed"]

T = TypeVar("T")


class _Jumping(selectors.SelectSelector):
    """Instead of waiting, sets the loop's clock to when the wait would be over."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise StuckError(_hang(self.loop))
        self.loop.jump(timeout)
        return []


@final
class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time: ``sleep(3600)`` returns at once, an hour later.

    The time of day begins at the epoch. When nothing can happen any more, ``StuckError`` tells
    which task waits where. Sockets, subprocesses and threads need real time and an ordinary loop.
    """

    is_virtual = True

    def __init__(self) -> None:
        self._now = 0.0
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


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time.

    Args:
        main: what to run.

    Raises:
        StuckError: nothing can happen any more; the message tells which task waits where.

    Example:
        >>> import time
        >>> begun = time.monotonic()
        >>> run(asyncio.sleep(3600))
        >>> time.monotonic() - begun < 60
        True
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


async def timed(source: Stream[T]) -> list[tuple[float, T]]:
    """Run a stream and give each item with the time in seconds at which it came.

    Example:
        >>> await timed(Stream.timer(2).take(2))
        [(2.0, 0), (4.0, 1)]
    """
    loop = asyncio.get_running_loop()
    begun = loop.time()
    rows: list[tuple[float, T]] = []
    await source.to(lambda item: rows.append((round(loop.time() - begun, 9), item))).run()
    return rows


def _hang(loop: asyncio.AbstractEventLoop) -> str:
    lines = [
        f"  {task.get_name()} waits in {_where(task)}"
        for task in sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
    ]
    return "\n".join(
        ["nothing can happen any more: no timer is set, and every task waits for another:", *lines]
    )


def _where(task: asyncio.Task[Any]) -> str:
    """The innermost place in which a task is suspended."""
    at: Any = task.get_coro()
    frame: FrameType | None = None
    while at is not None:
        for prefix in ("cr", "ag", "gi"):
            if (inner := getattr(at, f"{prefix}_frame", None)) is not None:
                frame = inner
                break
        else:
            break
        at = getattr(at, f"{prefix}_await", None) or getattr(at, f"{prefix}_yieldfrom", None)
    if frame is None:
        return repr(task.get_coro())
    name, number = frame.f_code.co_filename, frame.f_lineno
    line = linecache.getline(name, number).strip()
    return f"{frame.f_code.co_qualname} ({name}:{number}): {line}"
