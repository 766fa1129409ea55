"""Give the event loop a turn from loops that never wait.

An async source that never suspends would keep the event loop to itself. Counting its items costs
10 to 20 % (docs/decisions.md), so a thread looks every 5 ms whether a loop is computing and asks
it for a turn. The thread lives as long as such loops run, and looks rarely while they all wait.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol, final

__all__ = ["pulse"]

_OFTEN = 0.005
_RARELY = 0.05


class _Watched(Protocol):
    asked: list[str]

    @property
    def is_running(self) -> bool: ...


@final
class _Pulse:
    """The loops that are looked at, and the thread that does."""

    def __init__(self) -> None:
        self._loops: set[_Watched] = set()
        self._lock = threading.Lock()
        self._none_left = threading.Event()

    @contextmanager
    def watching(self, loop: _Watched) -> Generator[None]:
        """Look at a loop while this lasts."""
        self._watch(loop)
        try:
            yield
        finally:
            self._leave(loop)

    def _watch(self, loop: _Watched) -> None:
        with self._lock:
            self._loops.add(loop)
            if len(self._loops) == 1:
                self._none_left = threading.Event()
                threading.Thread(
                    target=self._look, args=(self._none_left,), name="rivulet-pulse", daemon=True
                ).start()

    def _leave(self, loop: _Watched) -> None:
        with self._lock:
            self._loops.discard(loop)
            if not self._loops:
                self._none_left.set()

    def _look(self, none_left: threading.Event) -> None:
        wait = _OFTEN
        while not none_left.wait(wait):
            with self._lock:
                running = [loop for loop in self._loops if loop.is_running]
            for loop in running:
                if not loop.asked:
                    loop.asked.append("turn")
            wait = _OFTEN if running else min(_RARELY, wait * 2)


pulse = _Pulse()
