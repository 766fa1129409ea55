"""``throttle``: at most one item in each interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar

from rivulet.core.checks import check_choice
from rivulet.core.durations import Duration, seconds
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Expand, Test
from rivulet.ops.debounce import held_for

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class Throttle(Unary):
    """Node: at most one item in each interval."""

    interval: Duration
    edge: Literal["leading", "trailing"] = "leading"

    def stage(self) -> Test | Expand:
        if self.edge == "leading":
            return Test(make=self.make_leading)
        return Expand(make=self.make_trailing, stamps="own", holds=True, timed=True)

    def make_leading(self, context: Context) -> Logic:
        """The state of one run that gives the first item of an interval."""
        interval = seconds(self.interval, "throttle")
        over = float("-inf")

        def call(_: Any) -> bool:
            nonlocal over
            now = context.now()
            if now < over - 1e-6:
                return False
            over = now + interval
            return True

        return Logic(call=call)

    def make_trailing(self, context: Context) -> Logic:
        """The state of one run that gives the last item of an interval."""
        return held_for(context, seconds(self.interval, "throttle"), renewed=False)


def throttle(
    source: Stream[T],
    interval: Duration,
    /,
    *,
    edge: Literal["leading", "trailing"] = "leading",
) -> Stream[T]:
    """Give at most one item in each interval and drop the others.

    To slow down without losing items, use ``rate_limit``; for the last of a burst, ``debounce``.

    Emits:      ``leading``: an item at once, then none until the interval is over. ``trailing``:
                the last item of the interval that the first one began, when it is over.
    Waits:      never.
    Completes:  when the source does; with ``trailing`` an item still held is given then.
    State:      one item.
    Time:       processing time; items keep their own.

    Args:
        interval: how long an interval is.
        edge: which item of an interval is given.

    Raises:
        GraphError: at build, if ``interval`` is no duration or ``edge`` isn't known.

    Example:
        >>> await Stream.timer(1).take(7).throttle(3).collect()
        [0, 3, 6]
        >>> await Stream.timer(1).take(7).throttle(2.5, edge="trailing").collect()
        [2, 5, 6]

    Source: ``throttle_first`` and ``sample`` of ReactiveX; ``throttle`` of Combine.
    """
    seconds(interval, "throttle")
    check_choice(edge, "throttle", "edge", ("leading", "trailing"))
    return source.via(Throttle(source.node, interval, edge))
