"""``rate_limit``: slow down without loss."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.checks import check_whole
from rivulet.core.durations import Duration, seconds
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Effect

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class RateLimit(Unary):
    """Node: items at a limited rate."""

    n: int
    per: Duration = 1
    burst: int = 1

    def stage(self) -> Effect:
        return Effect(make=self.make, awaits=True)

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        interval = seconds(self.per, "per") / self.n
        ahead = interval * (self.burst - 1)
        # The time at which the next item may pass if items had always come evenly.
        even = float("-inf")

        def call(_: Any) -> Awaitable[None] | None:
            nonlocal even
            now = context.now()
            wait = even - ahead - now
            even = max(even, now) + interval
            return asyncio.sleep(wait) if wait > 0 else None

        return Logic(call=call)


def rate_limit(source: Stream[T], n: int, /, per: Duration = 1, *, burst: int = 1) -> Stream[T]:
    """Let at most ``n`` items pass in a time, and hold the source when there are more.

    For services that allow so many calls. ``throttle`` drops what is too much.

    Emits:      every item, no sooner than allowed.
    Waits:      until the next item is allowed.
    Completes:  when the source does.
    State:      a time.
    Time:       processing time; items keep their own.

    Args:
        n: how many items, 1 or more.
        per: in which time; default one second.
        burst: how many may pass at once after a pause; 1 spaces them evenly.

    Raises:
        GraphError: at build, if a number is less than 1 or ``per`` is no duration.

    Example:
        >>> from rivulet.testing import timed
        >>> await timed(Stream("abc").rate_limit(1, per=2))
        [(0.0, 'a'), (2.0, 'b'), (4.0, 'c')]

    Source: the generic cell rate algorithm, as ``throttle`` with shaping in Pekko.
    """
    check_whole(n, "rate_limit", "n")
    check_whole(burst, "rate_limit", "burst")
    seconds(per, "rate_limit(per)")
    return source.via(RateLimit(source.node, n, per, burst))
