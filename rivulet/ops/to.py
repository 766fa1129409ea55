"""``to``: items into sinks."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable, MutableMapping, MutableSequence, MutableSet
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, cast

from rivulet.core.callables import check_callable, is_awaitable, name_of, plain
from rivulet.core.checks import check_choice, check_whole
from rivulet.core.durations import Duration, seconds
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Channel, Effect, Work
from rivulet.core.text import shortened
from rivulet.errors import GraphError, SinkError
from rivulet.ops.revisions import written

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


class ItemSink(Protocol):
    """A sink that says itself how it takes an item, such as a ``Cache``."""

    def take_item(self, item: Any, /) -> object:
        """Take an item; an awaitable is awaited.

        One that has to be opened, or may have many items on their way, has ``take_in_run`` too,
        which makes the logic that takes the items of one run.
        """
        ...


Sink = (
    Callable[[Any], object]
    | ItemSink
    | MutableSequence[Any]
    | MutableSet[Any]
    | MutableMapping[Any, Any]
    | asyncio.Queue[Any]
)


@frozen
class To(Unary):
    """Node: items into a sink."""

    sink: Sink
    concurrency: int = 1
    revisions: Literal["new", "both"] | None = None

    def stage(self) -> Effect | Channel:
        if self.has_revisions and self.revisions == "new":
            return Effect(fn=written(writer(self.sink)))
        if (make := _maker(self.sink)) is not None:
            return Effect(make=make, awaits=True)  # it has many on their way by itself
        if self.concurrency == 1:
            return Effect(fn=writer(self.sink))
        work = Work(fn=_passing(writer(self.sink)), concurrency=self.concurrency)
        return Channel(size=self.concurrency, work=work)

    def applies(self) -> bool:
        return self.revisions is not None and self.concurrency == 1

    @property
    def label(self) -> str:
        """The sink's name, or what it is: never all that it holds."""
        by_type = not callable(self.sink) or hasattr(self.sink, "take_item")
        name = type(self.sink).__name__ if by_type else name_of(self.sink)
        more = "" if self.concurrency == 1 else f", concurrency={self.concurrency}"
        more += "" if self.revisions is None else f", revisions={self.revisions!r}"
        return f"to({name}{more})"


def _maker(sink: Any) -> Callable[[Context], Logic] | None:
    """What makes the logic of a sink that has to be opened for a run; None for others."""
    return getattr(sink, "take_in_run", None)


def writer(sink: Sink) -> Callable[[Any], object]:
    """The function that puts one item into a sink.

    Raises:
        GraphError: it is no sink.
    """
    if inspect.iscoroutine(sink):
        check_callable(sink, "to", "sink")
    if callable(take := getattr(sink, "take_item", None)):
        return take
    if isinstance(sink, asyncio.Queue):
        return cast("asyncio.Queue[Any]", sink).put
    if isinstance(sink, MutableSequence | deque):
        return cast("MutableSequence[Any]", sink).append
    if isinstance(sink, MutableSet):
        return cast("MutableSet[Any]", sink).add
    if isinstance(sink, MutableMapping):
        return _setter(cast("MutableMapping[Any, Any]", sink))
    if not callable(sink) and callable(send := getattr(sink, "send", None)):
        return send
    if not callable(sink):
        raise GraphError(
            f"a sink must be a function, a list, a set, a dict, a queue, a Cache or a Channel, not "
            f"{sink!r:.100} ({type(sink).__name__})"
        )
    return sink


def _setter(mapping: MutableMapping[Any, Any]) -> Callable[[Any], None]:
    def put(item: Any) -> None:
        if not _is_pair(item):
            raise SinkError(
                f"a {type(mapping).__name__} takes pairs (key, value), not {shortened(item)}"
            )
        mapping[item[0]] = item[1]

    return put


def _is_pair(item: object) -> bool:
    return isinstance(item, tuple) and len(cast("tuple[Any, ...]", item)) == 2


def to(
    source: Stream[T],
    /,
    *sinks: Sink,
    batch: int | None = None,
    within: Duration | None = None,
    concurrency: int = 1,
    revisions: Literal["new", "both"] | None = None,
) -> Stream[T]:
    """Put each item into sinks, and give it on.

    A sink is a function, sync or async, a list, a set, an ``asyncio.Queue`` or a ``Channel``; a
    dict, a ``Cache`` or a ``Topic`` takes pairs ``(key, value)``. To look at items on their way,
    use ``tap``.

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
        revisions: has to be said below a join that corrects what it gave (``revise=True``):
            ``"both"`` gives the sinks each ``Revision(old, new)``, ``"new"`` only what is right, in
            place of which nothing is written where nothing is. Item by item only.

    Raises:
        GraphError: at build, if no sink is given, one isn't any of these, or a number is less
            than 1.
        SinkError: while running, if an item for a dict, a cache or a topic is no pair.

    Example:
        >>> rows, last = [], {}
        >>> await Stream.of(("a", 1), ("b", 2), ("a", 3)).to(rows, last).run()
        >>> rows, last
        ([('a', 1), ('b', 2), ('a', 3)], {'a': 3, 'b': 2})
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
    if revisions is not None:
        check_choice(revisions, "to", "revisions", ("new", "both"))
    if batch is not None or within is not None:
        lists = source.batch(batch, within=within)
        return lists.to(*cast("Any", sinks), concurrency=concurrency).flatten()
    stream = source
    for sink in sinks:
        stream = stream.via(To(stream.node, sink, concurrency, revisions))
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
