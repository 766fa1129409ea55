"""Sliding windows: for each item the stretch of time up to it, ``[t - size, t]``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import tzinfo
from heapq import heapify, heappop, heappush
from typing import Any

from rivulet.core.checks import unhashable
from rivulet.core.logic import Context, Logic
from rivulet.core.time import FOREVER, NEVER, Watermark
from rivulet.windows.aligned import OnLate, Result
from rivulet.windows.folding import Folding
from rivulet.windows.sliding import Slider, Sliding
from rivulet.windows.window import Window

__all__ = ["Trailing"]


class Trailing:
    """The state of sliding windows.

    Args:
        context: the run.
        clock: the clock that closes them.
        size: how long they are.
        how: what comes of their items.
        on_late: takes an item that is late.
        grace: how long a window takes late items.
        arrival: whether results come at once, from what has come, or when they are certain.
        tz: the zone in which results tell their bounds.
    """

    def __init__(
        self,
        context: Context,
        clock: Watermark,
        size: int,
        how: Folding,
        *,
        on_late: OnLate,
        grace: int,
        arrival: bool,
        tz: tzinfo,
    ) -> None:
        self._context = context
        self._clock = clock
        self._size = size
        self._after = how.after
        self._take = how.take
        self._sliding = Sliding(how.parts, size)
        self._on_late = on_late
        self._grace = grace
        self._arrival = arrival
        self._tz = tz
        self._sliders: dict[Any, Slider] = {}
        self._waiting: list[tuple[int, int, Any]] = []
        self._came = 0
        self._sweep = FOREVER

    def logic(self) -> Logic:
        """What the run calls."""
        return Logic(
            call=self.call,
            on_time=self.on_time,
            on_end=self.on_end,
            deadline=self._deadline,
            passes=self.passes,
            snapshot=self.snapshot,
            restore=self.restore,
        )

    def call(self, item: Any, key: Any, t: int) -> Iterable[Result]:
        """An item, and the result for it where that comes at once."""
        at = t
        if t + self._grace < self._clock.watermark:
            moved = self._on_late(item, t)
            if moved is None:
                return ()
            at = moved
        try:
            slider = self._sliders.get(key)
        except TypeError:
            raise unhashable(key) from None
        if slider is None:
            slider = self._sliders[key] = Slider(self._sliding)
            if self._sweep == FOREVER:
                self._sweep = at + self._grace + self._size + 1
                self._clock.call_at(self._sweep)
        part = item if self._take is None else self._take(item)
        if self._arrival:
            return (self._window(key, at, slider.slide(at, part), final=True),)
        slider.add(at, part)
        self._came += 1
        heappush(self._waiting, (at, self._came, key))
        self._clock.call_at(at + self._grace + 1)
        return ()

    def _output(self, key: Any, t: int, *, final: bool) -> Result:
        return self._window(key, t, self._sliders[key].result_at(t), final=final)

    def _window(self, key: Any, t: int, found: dict[str, Any], *, final: bool) -> Result:
        value = found if self._after is None else self._after(found)
        return Window(key, t - self._size, t, value, 0, final, self._tz), t

    def on_time(self, watermark: int) -> Iterator[Result]:
        """What the watermark releases: results that no further item can change."""
        waiting, grace = self._waiting, self._grace
        while waiting and waiting[0][0] + grace < watermark:
            t, _, key = heappop(waiting)
            yield self._output(key, t, final=True)
        if watermark >= self._sweep:
            self._expire(watermark - grace - self._size)
            self._sweep = watermark + self._size + 1 if self._sliders else FOREVER

    def _expire(self, before: int) -> None:
        """Forget what no window reaches back to any more."""
        for key, slider in list(self._sliders.items()):
            slider.expire(before)
            if slider.is_empty:
                del self._sliders[key]

    def _deadline(self) -> int:
        due = self._waiting[0][0] + self._grace + 1 if self._waiting else FOREVER
        return min(due, self._sweep)

    def on_end(self) -> Iterable[Result]:
        """The results that wait: final at the end of input, not where a run is stopped."""
        if not self._context.stopping:
            return self.on_time(FOREVER)
        return [
            self._output(key, t, final=False)
            for t, _, key in sorted(self._waiting, key=lambda one: one[:2])
        ]

    def passes(self, watermark: int) -> int:
        """The watermark to pass on: no window ends before it."""
        return watermark if watermark in (NEVER, FOREVER) else watermark - self._grace

    def snapshot(self) -> Any:
        """The state as plain data."""
        sliders = [(key, slider.snapshot()) for key, slider in self._sliders.items()]
        return sliders, list(self._waiting), self._came, self._sweep

    def restore(self, saved: Any) -> None:
        """Take a state that ``snapshot`` gave."""
        sliders, waiting, self._came, self._sweep = saved
        self._sliders.clear()
        for key, state in sliders:
            slider = self._sliders[key] = Slider(self._sliding)
            slider.restore(state)
        self._waiting = list(waiting)
        heapify(self._waiting)
        self._clock.call_at(self._deadline())
