"""``reorder``: items in the order in which they happened."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.durations import Duration, seconds
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen, require_stamps
from rivulet.core.stage import Expand
from rivulet.core.time import FOREVER, NEVER

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class Reorder(Unary):
    """Node: items in the order in which they happened."""

    wait: Duration | None = None

    def stage(self) -> Expand:
        return Expand(make=self.make, stamps="need", holds=True, timed=self.wait is not None)

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        wait = None if self.wait is None else seconds(self.wait, "reorder(wait)")
        clock = context.clock
        held: list[tuple[int, int, Any]] = []
        came = 0
        # When each was taken, by its number; those that have gone are passed over.
        since: deque[tuple[float, int]] = deque()
        gone_to = NEVER

        def call(item: Any, t: int) -> Iterable[tuple[Any, int]]:
            nonlocal came
            came += 1
            heappush(held, (t, came, item))
            certain = max(gone_to, clock.watermark)
            if t <= certain:
                return on_time(certain)
            clock.call_at(t)
            if wait is not None:
                since.append((context.now(), came))
                if len(since) == 1:
                    context.wake_at(since[0][0] + wait)
            return ()

        def on_time(watermark: int) -> Iterable[tuple[Any, int]]:
            given: list[tuple[Any, int]] = []
            # An item of just that time may still come, and is given behind these.
            while held and held[0][0] <= watermark:
                t, _, item = heappop(held)
                given.append((item, t))
            return given

        def on_timer(now: float) -> Iterable[tuple[Any, int]]:
            """What has waited long enough goes, and what happened before it goes first."""
            nonlocal gone_to
            assert wait is not None
            there = {number: t for t, number, _ in held}
            top = NEVER
            while since and (since[0][1] not in there or now - since[0][0] >= wait - 1e-6):
                top = max(top, there.get(since.popleft()[1], NEVER))
            if since:
                context.wake_at(since[0][0] + wait)
            gone_to = max(gone_to, top)
            return on_time(top)

        def passes(watermark: int) -> int:
            return watermark

        def restore(state: Any) -> None:
            nonlocal came, gone_to
            held[:], came, gone_to = state
            heapify(held)
            since.clear()
            if held:
                clock.call_at(held[0][0])
                if wait is not None:
                    since.extend((context.now(), number) for _, number, _ in sorted(held))
                    context.wake_at(context.now() + wait)

        return Logic(
            call=call,
            on_time=on_time,
            on_timer=on_timer if wait is not None else None,
            on_end=lambda: on_time(FOREVER),
            deadline=lambda: held[0][0] if held else FOREVER,
            passes=passes,
            snapshot=lambda: (sorted(held, key=lambda one: one[:2]), came, gone_to),
            restore=restore,
        )


def reorder(source: Stream[T], /, *, wait: Duration | None = None) -> Stream[T]:
    """Give items in the order in which they happened, and those of one time as they came.

    For what goes by the order of items rather than by their time, such as ``pairwise``. Windows and
    joins need no order.

    Emits:      each item once no earlier one is expected. One that comes later than that is given
                at once, out of order.
    Waits:      for the watermark, which is ``max_delay`` behind the latest time.
    Completes:  when the source does; what is held is given then.
    State:      the items of ``max_delay``.
    Time:       event time; items keep theirs. Processing time for ``wait``.

    Args:
        wait: how long an item is held at most (processing time), for streams that may fall silent.

    Raises:
        GraphError: at build, if items have no time, or ``wait`` is no duration.

    Example:
        >>> readings = Stream.of(3, 1, 2, 9, 7).event_time(lambda t: t, max_delay=2)
        >>> await readings.reorder().collect()
        [1, 2, 3, 7, 9]

    Source: the sorting by event time of Flink's ``MATCH_RECOGNIZE`` and CEP library.
    """
    require_stamps(source.node, "reorder")
    if wait is not None:
        seconds(wait, "reorder(wait)")
    return source.via(Reorder(source.node, wait))
