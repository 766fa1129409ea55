"""Windows that last as long as items keep coming: sessions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from datetime import tzinfo
from heapq import heappop, heappush
from operator import attrgetter
from typing import Any

from rivulet.core.checks import unhashable
from rivulet.core.logic import Context, Logic
from rivulet.core.time import FOREVER, NEVER, Watermark
from rivulet.windows.aligned import OnLate, Result
from rivulet.windows.folding import Folding, required_merge
from rivulet.windows.window import Window

__all__ = ["Sessions"]


class _Session:
    """Items of one key, each closer than the gap to the next.

    Attributes:
        number: which session it is, in the order in which they began.
        given: how often a result was given; 0 if never.
        due: the watermark at which it is looked at again.
        over: it was closed, or has become a part of another.
    """

    __slots__ = ("due", "given", "kept", "key", "last", "number", "over", "start")

    def __init__(self, number: int, key: Any, t: int, kept: Any) -> None:
        self.number = number
        self.key = key
        self.start = self.last = t
        self.kept = kept
        self.given = 0
        self.due = t
        self.over = False


_start = attrgetter("start")


class Sessions:
    """The state of sessions, ``[first, last + gap)``.

    Args:
        context: the run.
        clock: the clock that closes them.
        gap: an item that comes so long after the one before begins another.
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
        gap: int,
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
        self._gap = gap
        self._how = how
        self._merge = required_merge(how)
        self._on_late = on_late
        self._keep = gap + grace
        self._grace = grace
        self._emit = emit
        self._updates = updates
        self._tz = tz
        self._by_key: dict[Any, list[_Session]] = {}
        # When to look at a session again; it may have grown by then.
        self._due: list[tuple[int, int, _Session]] = []
        self._begun = 0

    def logic(self) -> Logic:
        """What the run calls."""
        return Logic(
            call=self._caller(),
            on_time=self.on_time,
            on_end=self.on_end,
            deadline=lambda: self._due[0][0] if self._due else FOREVER,
            passes=self.passes,
            snapshot=self.snapshot,
            restore=self.restore,
        )

    def _caller(self) -> Any:
        """The hot path: most items go into the last session of their key."""
        by_key, gap, add, other = self._by_key, self._gap, self._how.add, self._other
        updates = self._updates

        def call(item: Any, key: Any, t: int) -> Iterable[Result]:
            try:
                own = by_key.get(key)
            except TypeError:
                raise unhashable(key) from None
            if own is not None:
                session = own[-1]
                last = session.last
                if session.start <= t < last + gap:
                    if t > last:
                        session.last = t
                    add(session.kept, item, t)
                    return (self._output(session, final=False),) if updates else ()
            return other(own, item, key, t)

        return call

    def _other(self, own: list[_Session] | None, item: Any, key: Any, t: int) -> Iterable[Result]:
        """An item that doesn't just go on with the last session of its key."""
        gap = self._gap
        met = [s for s in own or () if t < s.last + gap and s.start < t + gap]
        if own is not None and met:
            return self._joined(own, met, item, t)
        at = t
        if t + self._keep <= self._clock.watermark:
            moved = self._on_late(item, t)
            if moved is None:
                return ()
            if own is not None:
                return self._added(own[0], item, t)
            at = moved
        self._begun += 1
        session = _Session(self._begun, key, at, self._how.init())
        own = self._by_key.setdefault(key, [])
        own.append(session)
        own.sort(key=_start)
        close = at + self._keep
        self._look_at(session, close if self._emit is None else min(at + self._emit, close))
        return self._added(session, item, t)

    def _added(self, session: _Session, item: Any, t: int) -> Iterable[Result]:
        self._how.add(session.kept, item, t)
        return (self._output(session, final=False),) if self._updates else ()

    def _joined(
        self, own: list[_Session], met: list[_Session], item: Any, t: int
    ) -> Iterable[Result]:
        """An item by which one session grows, or several grow together."""
        first, *others = met
        given: list[Result] = []
        if t < first.start:
            given += self._taken_back(first)
            first.start = t
        for session in others:
            given += self._taken_back(session)
            first.kept = self._merge(first.kept, session.kept)
            first.last = max(first.last, session.last)
            session.over = True
            own.remove(session)
        first.last = max(first.last, t)
        return [*given, *self._added(first, item, t)]

    def _taken_back(self, session: _Session) -> list[Result]:
        if not session.given:
            return []
        end = session.last + self._gap
        window = Window(session.key, session.start, end, None, session.given, True, self._tz)
        session.given = 0
        return [(window, end - 1)]

    def _output(self, session: _Session, *, final: bool) -> Result:
        end = session.last + self._gap
        value = self._how.result(session.kept)
        window = Window(session.key, session.start, end, value, session.given, final, self._tz)
        session.given += not final
        return window, end - 1

    def _look_at(self, session: _Session, when: int) -> None:
        session.due = when
        heappush(self._due, (when, session.number, session))
        self._clock.call_at(when)

    def on_time(self, watermark: int) -> Iterator[Result]:
        """What the watermark releases: results of sessions that are over, and early ones."""
        while self._due and self._due[0][0] <= watermark:
            when, _, session = heappop(self._due)
            if session.over:
                continue
            close = session.last + self._keep
            if self._emit is not None and when < close:
                self._look_at(session, min(max(when + self._emit, watermark + 1), close))
                if watermark < close:
                    yield self._output(session, final=False)
            elif when < close:
                self._look_at(session, close)
            else:
                session.over = True
                own = self._by_key[session.key]
                own.remove(session)
                if not own:
                    del self._by_key[session.key]
                yield self._output(session, final=True)

    def on_end(self) -> Iterable[Result]:
        """The results of what is open: final at the end of input, not where a run is stopped."""
        if not self._context.stopping:
            return self.on_time(FOREVER)
        found = [session for own in self._by_key.values() for session in own]
        found.sort(key=lambda session: (session.last, session.start))
        return [self._output(session, final=False) for session in found]

    def passes(self, watermark: int) -> int:
        """The watermark to pass on: every session that is open, or can be, ends after it."""
        return watermark if watermark in (NEVER, FOREVER) else watermark - self._grace

    def snapshot(self) -> Any:
        """The state as plain data."""
        return [
            (s.number, s.key, s.start, s.last, deepcopy(s.kept), s.given, s.due)
            for own in self._by_key.values()
            for s in own
        ]

    def restore(self, saved: Any) -> None:
        """Take a state that ``snapshot`` gave."""
        self._by_key.clear()
        self._due.clear()
        for number, key, start, last, kept, given, due in saved:
            session = _Session(number, key, start, deepcopy(kept))
            self._begun = max(self._begun, number)
            session.last, session.given = last, given
            self._by_key.setdefault(key, []).append(session)
            self._look_at(session, due)
