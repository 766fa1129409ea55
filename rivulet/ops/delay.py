"""``delay``: items some time later."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from rivulet.core.checks import check_whole
from rivulet.core.durations import Duration, seconds
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Channel

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class Delay(Unary):
    """Node: items some time later."""

    duration: Duration
    limit: int = 1024

    def stage(self) -> Channel:
        return Channel(size=self.limit, delay=seconds(self.duration, "delay"))


def delay(source: Stream[T], duration: Duration, /, *, limit: int = 1024) -> Stream[T]:
    """Give each item some time after it came; order and distances stay.

    To space items out, use ``rate_limit``.

    Emits:      each item, ``duration`` after it came.
    Waits:      when ``limit`` items are on their way.
    Completes:  ``duration`` after the source does.
    State:      the items on their way.
    Time:       processing time; items keep their own.

    Args:
        duration: how much later.
        limit: how many items may be on their way, 1 or more.

    Raises:
        GraphError: at build, if ``duration`` is no duration or ``limit`` is less than 1.

    Example:
        >>> from rivulet.testing import timed
        >>> await timed(Stream.timer(1).take(2).delay(10))
        [(11.0, 0), (12.0, 1)]

    Source: ``delay`` of ReactiveX.
    """
    seconds(duration, "delay")
    check_whole(limit, "delay", "limit")
    return source.via(Delay(source.node, duration, limit))
