"""A boundary that reads two inputs in step: the one that is behind in event time first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, final

from rivulet.core.entries import IDLE, MARK
from rivulet.core.time import FOREVER, NEVER
from rivulet.run.inbox import Inbox, Lane

__all__ = ["SteppedInbox"]

Entry = tuple[int, Any, int]


@final
class _Side:
    """What waits in one lane, and how far event time is there.

    Attributes:
        lane: the lane.
        entries: what waits.
        error: what ended it.
        given: how many turns it was given in vain since it spoke.
    """

    __slots__ = ("_marks", "_seen", "_taken", "_told", "entries", "error", "given", "lane")

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.entries: list[Entry] = []
        self.error: BaseException | None = None
        self.given = 0
        self._seen = NEVER
        self._taken = 0
        self._told = NEVER
        self._marks: deque[tuple[int, int]] = deque()
        """After how many entries the clock was how far, looked up when there were so many."""

    @property
    def position(self) -> int:
        """How far the clock is after all that waits."""
        lane = self.lane
        return max(lane.watermark, NEVER if lane.clock is None else lane.clock.watermark)

    def look(self) -> None:
        """Before entries are taken: what waits is a sign of life, and its end a place in time."""
        if not self.entries:
            return
        self.lane.idle = False
        self.given = 0
        mark = self._taken + len(self.entries), self.position
        if not self._marks or self._marks[-1] != mark:
            self._marks.append(mark)

    @property
    def is_silent(self) -> bool:
        """Whether nothing is to be expected of it for now, when it is empty."""
        if self.lane.closed or self.lane.idle:
            return True
        if (position := self.position) > self._seen:
            self._seen = position
            self.given = 0
        return self.given >= self.lane.turns

    def take(self, until: int, taken: list[Entry]) -> None:
        """Take entries up to a time."""
        entries = self.entries
        end = len(entries)
        if until != FOREVER:
            end = next((i for i, entry in enumerate(entries) if entry[2] >= until), end)
        taken += entries[:end]
        del entries[:end]

    def took(self, count: int) -> int | None:
        """After entries were taken: how far the clock is there, if that is news."""
        self._taken += count
        mark = self._told
        while self._marks and self._marks[0][0] <= self._taken:
            mark = self._marks.popleft()[1]
        if not self.entries:
            if self.lane.closed and self.error is None:
                mark = FOREVER
            else:
                mark = IDLE if self.lane.idle else self.position
        if mark == self._told:
            return None
        self._told = mark
        return mark


@final
class SteppedInbox(Inbox):
    """Entries of two lanes in the order of their stamps, as far as they are there.

    Where one lane is empty and what the other has is ahead of it, it is given the turns of the
    event loop that its writer needs to go on. If nothing comes of that, it is silent: its writer
    waits for something outside, and isn't waited for until it speaks. So sources that needn't wait
    are read in step, and a silent one holds nobody.

    Watermarks cost nothing per item: they are looked up when entries are taken. Only while the
    reader waits do writers tell them.
    """

    looks = True

    def __init__(self, *, rejoins: bool = False) -> None:
        super().__init__(rejoins=rejoins)
        self.wants: Callable[[], Iterable[int]] = lambda: (0, 1)
        self._sides: list[_Side] = []
        self._failed: BaseException | None = None
        self._turning = False

    def putter(self, lane: Lane) -> Callable[..., bool]:
        side = _Side(lane)
        self._sides.append(side)
        entries, index, limit = side.entries, lane.index, lane.limit
        append = entries.append

        def put(x: Any, t: int) -> bool:
            append((index, x, t))
            getter = self._getter
            if getter is not None and not getter.done():
                getter.set_result(None)
            return len(entries) >= limit

        return put

    def add(self, lane: Lane, entry: Any) -> bool:
        side = self._sides[lane.index]
        index, x, t = entry
        side.entries.append((index, x, side.position if t is None else t))
        self.wake()
        return len(side.entries) >= lane.limit

    def waiting(self, lane: Lane) -> int:
        return len(self._sides[lane.index].entries)

    def mark(self, lane: Lane, watermark: int) -> None:
        lane.idle = watermark == IDLE
        if not lane.idle:
            lane.watermark = max(lane.watermark, watermark)
        self.wake()

    def end(self, lane: Lane, error: BaseException | None) -> None:
        self._sides[lane.index].error = error
        self.wake()

    def awaited(self) -> Sequence[Lane]:
        return [lane for lane in self.lanes if not lane.closed]

    @property
    def busy(self) -> bool:
        return self._turning

    def due(self) -> int:
        return NEVER if self._getter is not None and not self._getter.done() else FOREVER

    # Reading

    def pull(self) -> Iterator[Any] | None:
        if self._failed is not None:
            raise self._failed
        taken = self._take()
        if taken is None:
            return None
        if taken:
            return iter(taken)
        if self._failed is not None:
            raise self._failed
        for lane in self.lanes:
            if lane.clock is not None:
                lane.clock.call_at(NEVER)
        return None

    def _take(self) -> list[Entry] | None:
        """What can be read now; None if one lane is given a turn."""
        self._turning = False
        taken: list[Entry] = []
        one, other = self._sides
        one.look()
        other.look()
        waiting = len(one.entries), len(other.entries)
        wanted = (0, 1) if self.rejoins else tuple(self.wants())
        if len(wanted) == 2:
            _in_step(one.entries, other.entries, taken)
        for side, behind in (one, other), (other, one):
            if side.entries and side.lane.index in wanted:
                waits = behind.lane.index in wanted and not behind.is_silent
                side.take(behind.position if waits else FOREVER, taken)
                if waits and not taken:
                    self._give_turn(behind)
                    return None
        for side, before in zip(self._sides, waiting, strict=True):
            mark = side.took(before - len(side.entries))
            if mark is not None:
                taken.append((side.lane.index, MARK, mark))
            if side.error is not None and not side.entries:
                # What the other lane has now still goes through, and no more.
                self._failed = side.error
            side.lane.wake()
        return taken

    def _give_turn(self, side: _Side) -> None:
        side.given += 1
        self._turning = True
        self._loop.call_soon(self.wake)


def _in_step(one: list[Entry], other: list[Entry], taken: list[Entry]) -> None:
    """Take entries in the order of stamps until a lane is empty."""
    if not (one and other):
        return
    add, ones, others = taken.append, iter(one), iter(other)
    head = next(others)
    limit = head[2]
    for entry in ones:
        while entry[2] >= limit:
            add(head)
            if (head := next(others, None)) is None:
                one[:] = (entry, *ones)
                other.clear()
                return
            limit = head[2]
        add(entry)
    one.clear()
    other[:] = (head, *others)
