"""Event clocks of sources: which stamps have been seen, and of which parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from rivulet.core.entries import IDLE
from rivulet.core.stage import Stamp
from rivulet.core.time import FOREVER, NEVER, SECOND, Clock

__all__ = ["SourceClock"]


@final
class SourceClock(Clock):
    """The clock of an ``event_time``: the smallest of its active parts' largest stamp less delay.

    Without ``partition`` the generated loop keeps ``top`` itself. With it, ``top`` is the watermark
    and ``observe`` gives it.
    """

    __slots__ = ("_advance", "_after", "_heard", "_now", "_tops", "_wait", "_wake", "last_delay")

    def __init__(
        self, stage: Stamp, now: Callable[[], float], wake: Callable[[float], None]
    ) -> None:
        super().__init__(stage.max_delay if stage.partition is None else 0)
        self.last_delay = stage.max_delay
        self._tops: dict[Any, int] = {}
        self._heard: dict[Any, float] = {}
        self._wait = stage.idle
        self._advance = stage.advance
        self._after: tuple[float, int] | None = None
        self._now = now
        self._wake = wake

    def at(self, top: int) -> int:
        """The watermark for a newest stamp."""
        return max(top - self.delay, self.floor)

    def observe(self, part: Any, t: int) -> int:
        """An item of a part came: the watermark."""
        if t > self._tops.get(part, NEVER):
            self._tops[part] = t
        return max(self._lowest(), self.floor)

    def _lowest(self) -> int:
        tops = self._tops
        if self._wait is not None:
            active = [t for part, t in tops.items() if part in self._heard]
        else:
            active = list(tops.values())
        return min(active, default=NEVER + self.last_delay) - self.last_delay

    def heard(self, part: Any = None) -> None:
        """An item came, of this part if there are parts."""
        assert self._wait is not None
        now = self._now()
        if not self._heard:
            self._wake(now + self._wait)
        self._heard[part] = now
        self._after = None

    def silent(self, now: float) -> int:
        """A timer is due: the watermark that silence brings, ``IDLE``, or ``NEVER`` for none."""
        assert self._wait is not None
        for part, heard in list(self._heard.items()):
            if now - heard >= self._wait - 1e-6:
                del self._heard[part]
        if self._heard:
            self._wake(min(self._heard.values()) + self._wait)
            return self._lowest() if self._tops else NEVER
        if not self._advance:
            return IDLE
        if self._after is None:
            newest = max(self._tops.values()) if self._tops else self.top
            self._after = (now, newest)
        since, newest = self._after
        self._wake(self._next_look(now, since, newest))
        return newest + round((now - since) * SECOND)

    def _next_look(self, now: float, since: float, newest: int) -> float:
        """When time that goes on by itself has to be looked at again."""
        assert self._wait is not None
        if NEVER < self.due < FOREVER:
            due = since + (self.due - self.delay - newest) / SECOND
            if due > now:
                return min(due, now + self._wait)
        return now + self._wait
