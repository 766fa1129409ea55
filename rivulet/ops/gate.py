"""``gate``: hold a stream until those that it depends on have come as far."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, final

from rivulet.core.callables import Selector, selector
from rivulet.core.checks import check_choice, check_flag
from rivulet.core.durations import Duration, seconds
from rivulet.core.entries import CLOSED
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Binary, Node, Output, Unary, frozen
from rivulet.core.stage import Channel, Combine, Port, Stamp, Step, Test
from rivulet.errors import GraphError, SinkError
from rivulet.gates.checkpoint import Checkpoint
from rivulet.gates.dependency import Dependency, given
from rivulet.ops.beat import ONLY, Beat, Life, OfRun, OfUser, check_checkpoint
from rivulet.ops.source import Source, node_of

if TYPE_CHECKING:
    from rivulet.stream import Stream

__all__ = ["gate", "stale"]

T = TypeVar("T")

When = Literal["ahead", "after"]
EARLY = 1e-6
"""Seconds by which a timer may be early."""


@frozen
class Room(Unary):
    """Node: room for an item behind the one that a gate holds, where its loop has to go on."""

    at: OfRun | OfUser

    def stage(self) -> Channel:
        return Channel(size=1, only_for=self.at.signals())

    @property
    def label(self) -> str:
        return "room(1)"


@frozen
class Gate(Unary):
    """Node: items, each held until what it depends on has come as far."""

    at: OfRun | OfUser
    marker: Selector[Any]
    hold: When = "ahead"
    max_hold: Duration | None = None
    state: Selector[Any] | None = None
    replay: bool = False

    def stage(self) -> Test:
        select = [selector(self.marker, "gate", "marker")]
        if self.state is not None:
            select.append(selector(self.state, "gate", "state"))
        return Test(
            make=self.make,
            select=tuple(select),
            stamps="own",
            awaits=True,
            waits=self.at.signals(),
            replays=self.replay,
        )

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        return _Holding(self, self.at.of(context), context).logic()

    def ports(self) -> tuple[str, ...]:
        return () if self.max_hold is None else ("no",)


@frozen
class Stale(Output):
    """Node: what a gate held for too long."""

    @property
    def name(self) -> str:
        return "stale"

    @property
    def label(self) -> str:
        return ".stale"


@final
class _Holding:
    """What a gate does in one run."""

    def __init__(self, node: Gate, checkpoint: Checkpoint, context: Context) -> None:
        self._node = node
        self._checkpoint = checkpoint
        self._context = context
        self._limit = None if node.max_hold is None else seconds(node.max_hold, "max_hold")
        self._changed = asyncio.Event()
        self._unwatch: Callable[[], None] | None = None
        self._lives = [
            (dependency, Life.of(dependency, context))
            for dependency in checkpoint.dependencies.values()
        ]
        self._in_hand: list[tuple[Any, Any]] = []
        self._kept: list[tuple[Any, Any]] = []
        self._restored: list[tuple[Any, Any]] = []

    def logic(self) -> Logic:
        """Its parts."""
        ahead = self._node.hold == "ahead"
        return Logic(
            call=self.ahead if ahead else self.after,
            mode="async",
            after=None if ahead else self.pause,
            again=self.again,
            on_end=self.end,
            left=self.leave,
            snapshot=lambda: (*self._kept, *self._in_hand, *self._restored),
            restore=self.restore,
            open=self.open,
            close=self.close,
        )

    async def open(self) -> None:
        """The run begins; in an outage that is from before, nothing is read until it is over."""
        self._checkpoint.attach(self)
        self._unwatch = self._checkpoint.watch(self._changed.set)
        for dependency, life in self._lives:
            life.show(dependency)
        if self._node.hold == "after":
            await self._up()

    def leave(self) -> None:
        """Nothing more will come to it, and it won't go back."""
        if not (self._context.stopping or self._node.replay):
            self._checkpoint.detach(self, for_good=True)

    def end(self) -> Iterable[Any]:
        """Its source has ended."""
        self.leave()
        return ()

    def close(self, _: BaseException | None) -> None:
        """The run is over."""
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        self._checkpoint.detach(self)

    def restore(self, state: Iterable[tuple[Any, Any]]) -> None:
        """These items were in hand."""
        self._restored = list(state)

    def again(self) -> Iterator[tuple[Any, Any]]:
        """The items that were in hand, as if they came now."""
        while self._restored:
            yield self._restored.pop(0)

    # hold="ahead"

    async def ahead(self, item: Any, marker: Any, *more: Any) -> bool | None:
        """Hold an item until every dependency is as far: True then, False if it took too long."""
        checkpoint = self._checkpoint
        checkpoint.arrive(marker, self._state_of(item, more))
        self._changed.clear()
        if await checkpoint.passes():
            return True
        async with self._waiting((item, more[-1])) as late:
            while True:
                going = await self._wait()
                if await checkpoint.passes():
                    return True
                if not going:
                    self._kept += self._in_hand
                    return None
                if late():
                    return False

    # hold="after"

    async def after(self, item: Any, marker: Any, *more: Any) -> bool | None:
        """Let an item pass, unless an outage has begun before it."""
        if not await self._up((item, more[-1])):
            self._kept.append((item, more[-1]))
            return None
        await self._checkpoint.pulse(marker, self._state_of(item, more))
        return True

    def pause(self) -> Coroutine[Any, Any, bool] | None:
        """The item has gone all the way: wait until an outage is over that it has shown."""
        return self._up() if self._checkpoint.is_down else None

    async def _up(self, *items: tuple[Any, Any]) -> bool:
        """Wait for the end of an outage; False when that isn't to be waited for."""
        checkpoint = self._checkpoint
        self._changed.clear()
        await checkpoint.settle()
        if not checkpoint.paused:
            return True
        async with self._waiting(*items):
            going = True
            while going:
                going = await self._wait()
                await checkpoint.settle()
                if not checkpoint.paused:
                    return True
        return False

    @property
    def is_needed(self) -> bool:
        """Whether something may have gone out too early."""
        return self._node.hold == "after"

    async def go_back(self, dependency: Dependency) -> None:
        """Take the source back to before an outage."""
        if self._node.replay:
            await given(_origin(self._node.up).seek(dependency.checkpoint_state))

    # Waiting

    @asynccontextmanager
    async def _waiting(self, *items: tuple[Any, Any]) -> AsyncGenerator[Callable[[], bool]]:
        """Around a wait with items in hand: the source is paused if it can be.

        Gives a function that tells whether it takes too long.
        """
        source = self._context.source
        pauses = all(callable(getattr(source, name, None)) for name in ("pause", "resume"))
        limit, context = self._limit, self._context
        deadline = None if limit is None else context.now() + limit
        timer = None
        if limit is not None:
            timer = asyncio.get_running_loop().call_later(limit, self._changed.set)
        self._in_hand.extend(items)
        try:
            if pauses:
                await given(source.pause())
            yield lambda: deadline is not None and context.now() >= deadline - EARLY
        finally:
            self._in_hand.clear()
            if timer is not None:
                timer.cancel()
            if pauses:
                await given(source.resume())

    async def _wait(self) -> bool:
        """Wait until something has changed; False when that isn't to be waited for."""
        try:
            # With a limit it goes on by itself, so it can't be stuck.
            signals = self._signals() if self._limit is None else ()
            return await self._context.hold(self._changed, signals)
        finally:
            self._changed.clear()

    def _signals(self) -> tuple[object, ...]:
        """What is waited for."""
        if isinstance(self._node.at, OfRun):
            return self._node.at.signals()
        return tuple(d for d in self._checkpoint.behind() if not d.has_ended)

    def _state_of(self, item: Any, more: tuple[Any, ...]) -> Mapping[Any, Any]:
        """What is to be remembered of an item: the first of ``more``, if it was asked for."""
        if self._node.state is None:
            return {}
        state = more[0]
        if not isinstance(state, Mapping):
            raise SinkError(
                f"gate(state) must give a dict, such as {{partition: offset}}, not {state!r:.100}"
            )
        return cast("Mapping[Any, Any]", state)


@frozen
class Follow(Binary):
    """Node: items, while another stream is read for what it does by itself."""

    def stage(self) -> Combine:
        return Combine(make=self.make, silent=(1,))

    def make(self, context: Context) -> Logic:
        """The state of one run."""

        def call(index: int, item: Any, t: int | None) -> Iterable[tuple[Any, int | None]]:
            if index:
                return ()
            if item is not CLOSED:
                return ((item, t),)
            context.end()
            return ()

        return Logic(call=call)

    def endless(self, inputs: Sequence[bool]) -> bool:
        return inputs[0]


def gate(
    source: Stream[T],
    checkpoint: Checkpoint | None = None,
    /,
    *,
    on: AsyncIterable[Any] | Iterable[Any] | None = None,
    marker: Selector[T] | Callable[[T], Any] | tuple[Selector[T], Selector[Any]],
    hold: When = "ahead",
    threshold: Duration | None = None,
    max_hold: Duration | None = None,
    state: Selector[T] | Callable[[T], Any] | None = None,
    replay: bool = False,
) -> Stream[T]:
    """Hold a stream until those that it depends on have come as far.

    A stream that is enriched with what another one has put into a cache depends on that one: an
    item that passes too early is enriched with stale data. ``beat`` says how far a dependency is;
    each has a marker and a threshold in the ``Checkpoint``, which also has the callbacks, and can
    be kept in a ``Cache``. In one run with one dependency, ``on=`` is enough.

    Emits:      with ``hold="ahead"``, an item if and only if the marker of every dependency has
                reached its own minus the threshold; nothing is assumed of a dependency that has not
                spoken. With ``hold="after"``, as in Slipstream, every item, but after the first for
                which a dependency is down none until all are up again; one that has not spoken is
                taken to be as far as the first item. ``.stale`` gives what was held too long.
    Waits:      holding one item. The source isn't read meanwhile; one that has ``pause()`` and
                ``resume()`` is told, unless it is read in another task. Where the same loop reads a
                dependency it goes on, with room for one more item; put ``buffer(n)`` before the
                gate for more.
    Completes:  when the source does. A dependency that has ended holds nothing back.
    State:      the item in hand; what the checkpoint keeps.
    Time:       none; items keep their time. Processing time for ``max_hold``.

    Args:
        checkpoint: what it depends on. It is for one gate at a time.
        on: the only dependency, in place of a checkpoint. It is read along, and items count when
            they come out of it: give the stream behind its sinks, as in ``on=weather.to(cache)``.
        marker: how far an item is: a selector, sync or async, that gives a ``datetime`` or a number
            such as POSIX seconds. With ``on``, one for both streams or a pair.
        hold: ``"ahead"``, or ``"after"`` the first item that is too early.
        threshold: with ``on``: how far the dependency may be behind; default 0. In a checkpoint
            each ``Dependency`` has its own, by default 10 minutes.
        max_hold: how long an item is held before it goes to ``.stale``; default for ever. Items
            are held one after another, each for its own time.
        state: what the checkpoint is to remember of an item, to be able to go back to it: a
            selector that gives a dict, such as ``lambda m: {m.partition: m.offset}``.
        replay: at the end of an outage, take the source back to the state from before it:
            ``source.seek(state)``, after a restart before it is read. Needs ``hold="after"`` and
            ``state``, nothing in between that reads ahead, and only operators without state on what
            the source feeds.

    Raises:
        GraphError: at build, if arguments don't go together or the source can't go back; when it is
            run, if gates wait for each other.
        TypeError: while running, if a marker is neither a ``datetime`` nor a number.
        StuckError: while running, if the room is full and the dependency waits for it.
        RunError: while running, if another gate uses the checkpoint.

    Example:
        >>> weather = marbles("a--b--|", values={"a": 10, "b": 12})
        >>> walks = marbles("-xyz|", values={"x": 9, "y": 11, "z": 13})
        >>> await timed(walks.gate(on=weather, marker=lambda hour: hour))
        [(1.0, 9), (3.0, 11), (6.0, 13)]
        >>> checkpoint = Checkpoint("walks", dependencies=[Dependency("weather", None, 1)])
        >>> seen = []
        >>> await rivulet.run(
        ...     weather.beat(checkpoint, marker=lambda hour: hour).to(seen),
        ...     walks.gate(checkpoint, marker=lambda hour: hour).to(seen),
        ... )
        >>> seen
        [10, 9, 11, 12, 13]

    Source: the ``Checkpoint`` of Slipstream, which is ``hold="after"``.
    """
    check_flag(replay, "gate", "replay")
    if hold not in ("ahead", "after"):
        check_choice(hold, "gate", "hold", ("ahead", "after"))
    if max_hold is not None:
        seconds(max_hold, "gate(max_hold)")
        if hold == "after":
            raise GraphError(
                'gate(max_hold) is for hold="ahead": with hold="after" no item is held, the stream '
                "is paused"
            )
    if state is not None:
        selector(state, "gate", "state")
    if on is not None:
        if checkpoint is not None:
            raise GraphError("gate needs a checkpoint or on=, not both")
        if hold == "after" or replay or state is not None:
            raise GraphError(
                'gate(on=) is for hold="ahead", and remembers nothing: for hold="after", state= '
                "and replay= give it a Checkpoint"
            )
        return _gate_on(source, node_of(on), marker, threshold, max_hold)
    if checkpoint is None:
        raise GraphError(
            "gate needs a Checkpoint, or on= with the stream to wait for, as in gate(on=weather, "
            'marker="timestamp")'
        )
    at = OfUser(check_checkpoint(checkpoint, "gate"))
    if threshold is not None:
        raise GraphError(
            "gate(threshold) is for on=: in a checkpoint each dependency has its own, as in "
            f"Dependency(..., downtime_threshold={threshold!r})"
        )
    if isinstance(marker, tuple):
        raise GraphError(
            "gate(marker) is one selector: with a checkpoint, each beat has a marker of its own"
        )
    selector(marker, "gate", "marker")
    if hold == "ahead" and not checkpoint.pause_dependent:
        raise GraphError(
            f"the checkpoint {checkpoint.name!r} has pause_dependent=False, so nothing is to be "
            f'held: use hold="after", which then only calls its callbacks'
        )
    if replay:
        _check_replay(source.node, checkpoint, hold, state)
    node = Gate(Room(source.node, at), at, marker, hold, max_hold, state, replay)
    return source.via(node)


def _gate_on(
    source: Stream[T],
    on: Node,
    marker: Selector[T] | Callable[[T], Any] | tuple[Selector[T], Selector[Any]],
    threshold: Duration | None,
    max_hold: Duration | None,
) -> Stream[T]:
    """A gate that reads its only dependency along."""
    pair = cast("tuple[Any, ...]", marker if isinstance(marker, tuple) else (marker, marker))
    if len(pair) != 2:
        raise GraphError(f"gate(marker) must be one selector or a pair of them, not {pair!r}")
    for one in pair:
        selector(one, "gate", "marker")
    limit = 0 if threshold is None else threshold
    seconds(limit, "gate(threshold)", zero=True)
    at = OfRun(limit)
    node = Gate(Room(source.node, at), at, pair[0], "ahead", max_hold)
    return source.via(Follow(node, Beat(on, at, pair[1], ONLY, silent=True)))


def _origin(node: Node) -> Any:
    """What the user gave as the source of a node, with nothing between that may read ahead."""
    while isinstance(node, Room) or isinstance(node.stage(), Step | Stamp | Port):
        node = node.inputs()[0]
    return node.source if isinstance(node, Source) else None


def _check_replay(
    node: Node, checkpoint: Checkpoint, hold: When, state: Selector[Any] | None
) -> None:
    """Refuse to go back where that is of no use or can't be.

    Raises:
        GraphError: it is.
    """
    if hold != "after":
        raise GraphError(
            'gate(replay=True) needs hold="after": with hold="ahead" nothing goes out too early, '
            "so there is nothing to go back for"
        )
    if state is None:
        raise GraphError(
            "gate(replay=True) needs state=, what to go back to, such as "
            "lambda m: {m.partition: m.offset}"
        )
    if not checkpoint.pause_dependent:
        raise GraphError(
            f"gate(replay=True) needs a pause to go back in, and the checkpoint "
            f"{checkpoint.name!r} has pause_dependent=False"
        )
    origin = _origin(node)
    if isinstance(origin, type) or not callable(getattr(origin, "seek", None)):
        raise GraphError(
            f"gate(replay=True) takes its source back with source.seek(state), and what is before "
            f"it, {node.label}, may read ahead or has no such method: put the gate right after a "
            f"source that has it, or go back in the recovery_callback of the Checkpoint"
        )


def stale(source: Stream[T], /) -> Stream[T]:
    """The items that the ``gate`` right before held for longer than its ``max_hold``.

    Emits:      each of them, when its time is over.
    Waits:      never.
    Completes:  when the gate does.
    State:      none.
    Time:       none; items keep their time.

    Raises:
        GraphError: at build, if the operator right before is no gate, or has no ``max_hold``.

    Example:
        >>> gated = marbles("ab|").gate(on=Stream.never(), marker=len, max_hold=3)
        >>> await timed(gated.stale)
        [(3.0, 'a'), (6.0, 'b')]

    Source: the side outputs of Flink.
    """
    node: Node = source.node
    found = node.up if isinstance(node, Follow) else node
    if not isinstance(found, Gate):
        raise GraphError(
            f".stale is a stream of what a gate held too long, but the operator right before is "
            f"{node.label}: write .gate(..., max_hold=...).stale"
        )
    if found.max_hold is None:
        raise GraphError(
            f"{found.label} holds items for as long as it takes: give it max_hold= to have .stale"
        )
    output = Stale(found, "no")
    return source.via(Follow(output, node.other) if isinstance(node, Follow) else output)
