"""``to``: items into sinks."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable, MutableSequence, MutableSet
from typing import TYPE_CHECKING, Any, TypeVar, cast

from rivulet.core.callables import check_callable, is_awaitable, plain
from rivulet.core.checks import check_whole
from rivulet.core.durations import Duration, seconds
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Channel, Effect, Work
from rivulet.errors import GraphError

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")

Sink = Callable[[Any], object] | MutableSequence[Any] | MutableSet[Any] | asyncio.Queue[Any]


@frozen
class To(Unary):
    """Node: items into a sink."""

    sink: Sink
    concurrency: int = 1

    def stage(self) -> Effect | Channel:
        if self.concurrency == 1:
            return Effect(fn=writer(self.sink))
        work = Work(fn=_passing(writer(self.sink)), concurrency=self.concurrency)
        return Channel(size=self.concurrency, work=work)


def writer(sink: Sink) -> Callable[[Any], object]:
    """The function that puts one item into a sink.

    Raises:
        GraphError: it is no sink.
    """
    if inspect.iscoroutine(sink):
        check_callable(sink, "to", "sink")
    if isinstance(sink, asyncio.Queue):
        return cast("asyncio.Queue[Any]", sink).put
    if isinstance(sink, MutableSequence | deque):
        return cast("MutableSequence[Any]", sink).append
    if isinstance(sink, MutableSet):
        return cast("MutableSet[Any]", sink).add
    if not callable(sink) and callable(send := getattr(sink, "send", None)):
        return send
    if not callable(sink):
        raise GraphError(
            f"a sink must be a function, a list, a set, a queue or a Channel, not {sink!r:.100} "
            f"({type(sink).__name__})"
        )
    return sink


def to(
    source: Stream[T],
    /,
    *sinks: Sink,
    batch: int | None = None,
    within: Duration | None = None,
    concurrency: int = 1,
) -> Stream[T]:
    """Put each item into sinks, and give it on.

    A sink is a function, sync or async, a list, a set, an ``asyncio.Queue`` or a ``Channel``. To
    look at items on their way, use ``tap``.

    Emits:      each item, when all sinks have taken it.
    Waits:      for each sink in turn, item by item; with ``concurrency=n``, for one of n.
    Completes:  when the source does.
    State:      none; with ``batch`` or ``within``, one list.
    Time:       none; items keep their time. Processing time for ``within``.

    Args:
        sinks: where items go, in this order.
        batch: give the sinks lists of up to so many items.
        within: give them a list at the latest this long after its first item.
        concurrency: how many items (or lists) may be on their way into each sink at once.

    Raises:
        GraphError: at build, if no sink is given, one isn't any of these, or a number is less
            than 1.

    Example:
        >>> rows = []
        >>> await Stream.of(1, 2, 3).to(rows).run()
        >>> rows
        [1, 2, 3]
        >>> lists = []
        >>> await Stream.of(1, 2, 3).to(lists, batch=2).run()
        >>> lists
        [[1, 2], [3]]

    Source: the sinks of Slipstream's handlers.
    """
    if not sinks:
        raise GraphError("to needs at least one sink, as in to(print)")
    for sink in sinks:
        writer(sink)
    check_whole(concurrency, "to", "concurrency")
    if batch is not None:
        check_whole(batch, "to", "batch")
    if within is not None:
        seconds(within, "to(within)")
    if batch is not None or within is not None:
        lists = source.batch(batch, within=within)
        return lists.to(*cast("Any", sinks), concurrency=concurrency).flatten()
    stream = source
    for sink in sinks:
        stream = stream.via(To(stream.node, sink, concurrency))
    return stream


def _passing(write: Callable[[Any], object]) -> Callable[[Any], Any]:
    """A function that writes an item and gives it on."""
    write = plain(write)

    async def put(item: Any) -> Any:
        result: Any = write(item)
        if is_awaitable(result):
            await result
        return item

    return put
