"""``event_time``: the time at which things happened."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from rivulet.core.callables import Selector, selector
from rivulet.core.checks import check_choice, plain_selector
from rivulet.core.durations import Duration, seconds
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Stamp
from rivulet.core.time import SECOND, zone
from rivulet.errors import GraphError

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class EventTime(Unary):
    """Node: from here on items carry the time at which they happened."""

    ts: Selector[Any]
    max_delay: Duration = 0
    idle: Duration | None = None
    on_idle: Literal["exclude", "advance"] = "exclude"
    partition: Selector[Any] | None = None
    tz: str | tzinfo = "UTC"

    def stage(self) -> Stamp:
        delay = seconds(self.max_delay, "event_time(max_delay)", zero=True)
        return Stamp(
            ts=selector(self.ts, "event_time", "ts"),
            tz=zone(self.tz),
            max_delay=round(delay * SECOND),
            partition=None
            if self.partition is None
            else selector(self.partition, "event_time", "partition"),
            idle=None if self.idle is None else seconds(self.idle, "event_time(idle)"),
            advance=self.on_idle == "advance",
        )


def event_time(
    source: Stream[T],
    ts: Callable[[T], datetime | float] | str | int,
    /,
    *,
    max_delay: Duration = 0,
    idle: Duration | None = None,
    on_idle: Literal["exclude", "advance"] = "exclude",
    partition: Selector[T] | None = None,
    tz: str | tzinfo = "UTC",
) -> Stream[T]:
    """Say when items happened, so that operators below can go by that rather than by arrival.

    The stamp travels with an item through every operator that has one input item for an output
    item. It doesn't pass an opaque ``pipe``. Where nothing below needs it, ``ts`` isn't called.

    Emits:      each item, at once, with its time.
    Waits:      never.
    Completes:  when the source does; its clock then goes to the end of time.
    State:      the latest time of each partition.
    Time:       event time, in whole microseconds. The watermark is the smallest, over partitions
                that aren't idle, of (latest time - ``max_delay``): no item before it is expected.

    Args:
        ts: gives an item's time: an aware ``datetime``, a naive one read in ``tz``, or POSIX
            seconds. A function, a key or an attribute.
        max_delay: by how much an item may come later than one that happened after it.
        idle: leave out a partition, or the whole input where it meets others, that was silent for
            this long (processing time), until it speaks again.
        on_idle: ``"advance"`` lets the clock of a silent input go on with the time that passes, so
            that the last window closes too.
        partition: gives the part of the source that an item is from, each with a clock of its own.
        tz: the zone of naive datetimes.

    Raises:
        GraphError: at build, if an argument is wrong.
        SourceError: while running, if ``ts`` gives no time; the note names the item.

    Example:
        >>> from rivulet.testing import stamps
        >>> clicks = Stream.of({"at": 1.5}, {"at": 3}).event_time("at", max_delay="1s")
        >>> await stamps(clicks)
        [({'at': 1.5}, 1.5), ({'at': 3}, 3.0)]

    Source: watermarks with bounded out-of-orderness and idleness of Flink; wall time moves the
        clock only with ``on_idle="advance"``, unlike in Bytewax.
    """
    check_choice(on_idle, "event_time", "on_idle", ("exclude", "advance"))
    if on_idle == "advance" and idle is None:
        raise GraphError(
            'event_time(on_idle="advance") needs idle=, the silence after which it does'
        )
    plain_selector(ts, "event_time", "ts")
    node = EventTime(source.node, ts, max_delay, idle, on_idle, partition, tz)
    node.stage()
    return source.via(node)
