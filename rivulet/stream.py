"""``Stream``: a lazy, immutable handle on one node of a graph. No logic of its own."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from rivulet import ops, terminals
from rivulet.core.entries import Failure
from rivulet.core.node import Node
from rivulet.keyed import KeyedStream
from rivulet.notebook.show import explain, repr_mimebundle, repr_text, svg, timeline
from rivulet.ops.source import node_of

__all__ = ["Stream"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class Stream(Generic[T_co]):
    """A stream of items: where they come from, and what is done with them.

    Building one runs nothing and opens nothing. The same stream may be used in several places and
    run many times. ``run``, ``collect``, ``start``, ``await`` and ``async for`` set it going.

    Args:
        source: an iterable; an async iterable; a function without arguments that gives one, called
            in each run; an ``asyncio.Queue``; an awaitable (one item); another stream. What can be
            read only once, such as a generator, can be run only once: pass the function.

    Raises:
        GraphError: it is none of these.

    Example:
        >>> await Stream([1, 2, 3]).map(lambda x: x * 2).filter(lambda x: x > 2).collect()
        [4, 6]
    """

    __slots__ = ("node",)

    node: Node

    @overload
    def __init__(
        self, source: Callable[[], Awaitable[Iterable[T_co] | AsyncIterable[T_co]]], /
    ) -> None: ...
    @overload
    def __init__(
        self,
        source: Iterable[T_co]
        | AsyncIterable[T_co]
        | Callable[[], Iterable[T_co] | AsyncIterable[T_co]],
        /,
    ) -> None: ...
    @overload
    def __init__(self, source: Awaitable[T_co], /) -> None: ...
    @overload
    def __init__(self, source: Node, /) -> None: ...
    def __init__(self, source: Any, /) -> None:
        object.__setattr__(self, "node", node_of(source))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Stream can't be changed: {name!r} can't be set")

    def via(self, node: Node, /) -> Stream[Any]:
        """A stream of another node; for operators of your own."""
        return Stream(node)

    def keyed(self, node: Node, /) -> KeyedStream[Any, Any]:
        """A stream of a node whose state is kept per key; for operators of your own."""
        return KeyedStream(node, Stream)

    # Create
    of = classmethod(ops.of)
    empty = classmethod(ops.empty)
    never = classmethod(ops.never)
    fail = classmethod(ops.fail)
    timer = classmethod(ops.timer)
    channel = classmethod(ops.channel)
    using = classmethod(ops.using)

    # Transform
    map = ops.map
    starmap = ops.starmap
    filter = ops.filter
    flat_map = ops.flat_map
    flatten = ops.flatten
    switch_map = ops.switch_map
    scan = ops.scan
    stateful_map = ops.stateful_map
    enumerate = ops.enumerate
    pairwise = ops.pairwise
    pipe = ops.pipe
    __or__ = ops.pipe
    __getitem__ = ops.item

    # Select
    take = ops.take
    skip = ops.skip
    take_while = ops.take_while
    skip_while = ops.skip_while
    take_until = ops.take_until
    take_last = ops.take_last
    distinct = ops.distinct
    changes = ops.changes
    default = ops.default

    # Combine
    merge = ops.merge
    merge_sorted = ops.merge_sorted
    zip = ops.zip
    combine_latest = ops.combine_latest
    with_latest_from = ops.with_latest_from
    concat = ops.concat
    __add__ = ops.concat
    start_with = ops.start_with

    # Join by time
    join_asof = ops.join_asof
    join_interval = ops.join_interval
    join = ops.join
    lookup = ops.lookup

    # Batch, time, rate
    batch = ops.batch
    buffer = ops.buffer
    debounce = ops.debounce
    throttle = ops.throttle
    rate_limit = ops.rate_limit
    delay = ops.delay
    timeout = ops.timeout
    keep_alive = ops.keep_alive
    repeat = ops.repeat
    event_time = ops.event_time
    reorder = ops.reorder
    window = ops.window

    # Key, route, share
    group_by = ops.group_by
    partition = ops.partition
    route = ops.route
    share = ops.share

    # Gate
    gate = ops.gate
    beat = ops.beat

    @property
    def stale(self) -> Stream[T_co]:
        """The items that the ``gate`` right before held for too long, as a stream."""
        return ops.stale(self)

    # Errors and effects
    on_error = ops.on_error

    @property
    def errors(self) -> Stream[Failure[Any]]:
        """The failures that the ``on_error`` right before took, as a stream."""
        return ops.errors(self)

    catch = ops.catch
    retry = ops.retry
    attempt = ops.attempt
    tap = ops.tap
    hooks = ops.hooks
    to = ops.to

    # One value
    fold = ops.fold
    reduce = ops.reduce
    count = ops.count
    first = terminals.first

    # Run
    run = terminals.run
    run_sync = terminals.run_sync
    collect = terminals.collect
    head = terminals.head
    for_each = terminals.for_each
    start = terminals.start
    open = terminals.open
    __aiter__ = terminals.iterate
    if not TYPE_CHECKING:
        __iter__ = terminals.not_iterable
    __await__ = terminals.awaited

    # Look at it
    explain = explain
    timeline = timeline
    svg = svg
    _repr_mimebundle_ = repr_mimebundle

    def __repr__(self) -> str:
        return repr_text(self)
