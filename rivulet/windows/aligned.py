"""Windows that lie where they lie whatever the items are: tumbling, hopping, by the calendar."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import tzinfo
from heapq import heapify, heappop, heappush
from typing import Any

from rivulet.aggregators import compiled
from rivulet.core.checks import unhashable
from rivulet.core.logic import Context, Logic
from rivulet.core.stage import Lines
from rivulet.core.time import FOREVER, NEVER, Watermark
from rivulet.windows.folding import Folding
from rivulet.windows.spans import Spans
from rivulet.windows.window import Window

__all__ = ["Aligned", "OnLate", "Result", "adding"]

Result = tuple[Window[Any, Any], int]
"""A result and its stamp: the last microsecond inside the window."""
OnLate = Callable[[Any, int], int | None]
"""Takes a late item and its time, and gives the time that it is to count for, if any."""


class _Pane:
    """One stretch of time and what is kept of its items for each key."""

    __slots__ = ("changed", "end", "kept", "revisions", "start")

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.kept: dict[Any, Any] = {}
        self.revisions: dict[Any, int] = {}
        self.changed: set[Any] = set()


class Aligned:
    """The state of aligned windows.

    Args:
        context: the run.
        clock: the clock that closes them.
        spans: where they lie.
        how: what comes of their items.
        on_late: takes an item that is late for all of its windows.
        grace: how long after its end a window stays open.
        emit: how often there are early results.
        updates: whether there is a result after each item.
        tz: the zone in which results tell their bounds.
    """

    def __init__(
        self,
        context: Context,
        clock: Watermark,
        spans: Spans,
        how: Folding,
        *,
        on_late: OnLate,
        grace: int,
        emit: int | None,
        updates: bool,
        tz: tzinfo,
    ) -> None:
        self._context = context
        self._clock = clock
        self._spans = spans
        self._how = how
        self._on_late = on_late
        self._grace = grace
        self._emit = emit
        self._updates = updates
        self._tz = tz
        self._panes: dict[int, _Pane] = {}
        self._due: list[tuple[int, int]] = []
        self._last: _Last | None = None
        self._close: Callable[[_Pane, tzinfo], list[Result]] = self._closed

    def logic(self, *, inline: bool) -> Logic:
        """What the run calls, or with ``inline`` what its own lines work on."""
        if inline:
            self._last = _Last(self._taking, self._how.init)
            self._close = _closing(self._how)
        return Logic(
            call=self.call,
            cell=self._last,
            on_time=self.on_time,
            on_end=self.on_end,
            deadline=lambda: self._due[0][0] if self._due else FOREVER,
            passes=self.passes,
            snapshot=self.snapshot,
            restore=self.restore,
        )

    def _open_panes(self, t: int) -> list[_Pane]:
        """The windows of a moment that are open, or can be."""
        found: list[_Pane] = []
        for start, end in self._spans(t):
            pane = self._panes.get(start)
            if pane is None:
                close = end + self._grace
                if close <= self._clock.watermark:
                    continue
                pane = self._panes[start] = _Pane(start, end)
                when = close if self._emit is None else min(start + self._emit, close)
                heappush(self._due, (when, start))
                self._clock.call_at(when)
            found.append(pane)
        return found

    def _taking(self, item: Any, t: int) -> list[_Pane]:
        """The windows that take an item: of a late one none, or those that it is to count for."""
        found = self._open_panes(t)
        if not found:
            moved = self._on_late(item, t)
            if moved is not None:
                return self._open_panes(moved)
        return found

    def call(self, item: Any, key: Any, t: int) -> Iterable[Result]:
        """Add an item to its windows."""
        given: list[Result] = []
        for pane in self._taking(item, t):
            state = _state_of(key, pane.kept, self._how.init)
            self._how.add(state, item, t)
            if self._updates:
                given.append(self._output(pane, key, state, final=False))
            elif self._emit is not None:
                pane.changed.add(key)
        return given

    def _output(self, pane: _Pane, key: Any, state: Any, *, final: bool) -> Result:
        revision = pane.revisions.get(key, 0)
        if not final:
            pane.revisions[key] = revision + 1
        value = self._how.result(state)
        return Window(key, pane.start, pane.end, value, revision, final, self._tz), pane.end - 1

    def on_time(self, watermark: int) -> Iterable[Result]:
        """What the watermark releases: results of windows that close, and early ones."""
        due = self._due
        given: list[Result] = []
        while due and due[0][0] <= watermark:
            when, start = heappop(due)
            pane = self._panes[start]
            close = pane.end + self._grace
            if self._emit is not None and when < close:
                steps = (watermark - when) // self._emit + 1
                heappush(due, (min(when + steps * self._emit, close), start))
                if watermark < close:
                    given += self._early(pane)
            else:
                self._forget(start)
                given += self._close(pane, self._tz)
        return given

    def _forget(self, start: int) -> None:
        del self._panes[start]
        if self._last is not None:
            self._last.forget()

    def _early(self, pane: _Pane) -> list[Result]:
        changed = [key for key in pane.kept if key in pane.changed]
        pane.changed.clear()
        return [self._output(pane, key, pane.kept[key], final=False) for key in changed]

    def _closed(self, pane: _Pane, _tz: tzinfo) -> list[Result]:
        return [self._output(pane, key, state, final=True) for key, state in pane.kept.items()]

    def on_end(self) -> Iterable[Result]:
        """The results of what is open: final at the end of input, not where a run is stopped."""
        if not self._context.stopping:
            return self.on_time(FOREVER)
        return [
            self._output(pane, key, state, final=False)
            for pane in sorted(self._panes.values(), key=lambda pane: (pane.end, pane.start))
            for key, state in pane.kept.items()
        ]

    def passes(self, watermark: int) -> int:
        """The watermark to pass on: the earliest window that is open, or can be, ends after it."""
        if watermark in (NEVER, FOREVER):
            return watermark
        for _, end in self._spans(watermark - self._grace):
            return min(watermark, end - 1)
        return watermark

    def snapshot(self) -> Any:
        """The state as plain data."""
        return [
            (pane.start, pane.end, pane.kept, pane.revisions, pane.changed)
            for pane in self._panes.values()
        ], list(self._due)

    def restore(self, saved: Any) -> None:
        """Take a state that ``snapshot`` gave."""
        self._panes.clear()
        for start, end, kept, revisions, changed in saved[0]:
            pane = self._panes[start] = _Pane(start, end)
            pane.kept, pane.revisions, pane.changed = kept, revisions, changed
        self._due[:] = saved[1]
        heapify(self._due)
        if self._due:
            self._clock.call_at(self._due[0][0])
        if self._last is not None:
            self._last.forget()


class _Last:
    """The window that the last item fell into, where the loop itself adds to it.

    Args:
        taking: gives the windows that take an item.
        init: what is kept of no items.

    Attributes:
        start, end: the stretch of time that it is for; nothing, when it isn't known or closed.
        kept: what is kept of its items for each key.
    """

    __slots__ = ("_before", "_init", "_pane", "_taking", "end", "kept", "start")

    def __init__(self, taking: Callable[[Any, int], list[_Pane]], init: Callable[[], Any]) -> None:
        self._taking = taking
        self._init = init
        self.forget()

    def forget(self) -> None:
        """Know no window: one was closed."""
        self._pane = self._before = _Pane(0, 0)
        self.start = self.end = 0
        self.kept = self._pane.kept

    def new(self, item: Any, key: Any, t: int) -> Any:
        """What is kept for a new key, or in another window; None for a late item."""
        if not self.start <= t < self.end:
            pane = self._before
            # Where items come out of order, they go back and forth between two.
            if not pane.start <= t < pane.end:
                found = self._taking(item, t)
                if not found:
                    return None
                pane = found[0]
                if not pane.start <= t < pane.end:
                    return _state_of(key, pane.kept, self._init)
            self._before, self._pane = self._pane, pane
            self.start, self.end, self.kept = pane.start, pane.end, pane.kept
        try:
            state = self.kept.get(key)
        except TypeError:
            raise unhashable(key) from None
        if state is None:
            state = self.kept[key] = self._init()
        return state


# The window of the last item is in most cases that of the next.
_FINDING = "$a = $state.kept.get($v0) if $state.start <= $t < $state.end else None"
_ADDING = (
    "if $a is None: $a = $state.new($item, $v0, $t)",
    "if $a is not None:",
)
_CLOSING = """\
def make(Window, {names}):
    def close(pane, tz):
        first, last = pane.start, pane.end
        stamp = last - 1
        return [
            (Window(key, first, last, {value}, 0, True, tz), stamp)
            for key, a in pane.kept.items()
        ]
    return close
"""


def adding(how: Folding, *, keyed: bool) -> Lines:
    """What the loop does with an item that is in one window, whose result comes when it closes."""
    finding = [_FINDING]
    if keyed:
        finding = [f"try: {_FINDING}", "except TypeError: raise $unhashable($v0) from None"]
    return Lines(
        text=(*finding, *_ADDING, *(f"    {line}" for line in how.lines)),
        names={"unhashable": unhashable, **how.names},
    )


def _closing(how: Folding) -> Callable[[_Pane, tzinfo], list[Result]]:
    """A function that gives the results of a window, compiled so that each costs no call."""
    made: dict[str, Any] = {}
    text = _CLOSING.format(names=", ".join(how.names), value=how.value)
    exec(compiled(text), made)  # noqa: S102 - a template, and those of the aggregators
    return made["make"](Window, **how.names)


def _state_of(key: Any, kept: dict[Any, Any], init: Callable[[], Any]) -> Any:
    try:
        state = kept.get(key)
    except TypeError:
        raise unhashable(key) from None
    if state is None:
        state = kept[key] = init()
    return state
