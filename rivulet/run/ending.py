"""Wait for tasks that were told to end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

__all__ = ["end_tasks"]


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until all have ended, also when the wait itself is cancelled.

    What they raise is taken as seen.
    """
    left: set[asyncio.Task[Any]] = {task for task in tasks if not task.done()}
    ended = set(left)
    interrupted: asyncio.CancelledError | None = None
    for task in left:
        # One that was cancelled before is cleaning up, and may take its time.
        if not task.cancelling():
            task.cancel()
    while left:
        try:
            await asyncio.wait(left)
            left.clear()
        except asyncio.CancelledError as error:
            # Asked again to hurry: so are they, but none is left behind.
            interrupted = error
            left = {task for task in left if not task.done()}
            for task in left:
                task.cancel()
    for task in ended:
        if not task.cancelled():
            task.exception()
    if interrupted is not None:
        raise interrupted
