"""Record what happens in time while a graph runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, tzinfo
from typing import Any, Literal, TypeVar, cast

from rivulet.core.callables import is_awaitable, name_of
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Leaf, Nary, Node, Unary, ancestors, frozen, has_stamps, parts
from rivulet.core.stage import Channel, Combine, Expand, Produce, Stage, Stamp, Test
from rivulet.core.time import FOREVER, NEVER, SECOND, micros
from rivulet.errors import SourceError
from rivulet.notebook.brief import cut
from rivulet.ops.beat import Beat
from rivulet.ops.gate import Gate
from rivulet.ops.join import Join
from rivulet.ops.join_asof import JoinAsof, JoinTable
from rivulet.ops.join_interval import JoinInterval
from rivulet.ops.source import Source
from rivulet.ops.window import Late, Windows
from rivulet.windows.window import Window

__all__ = ["Event", "Kind", "Lane", "Recording", "Watched", "recorded"]

N = TypeVar("N", bound=Node)

Kind = Literal[
    "item",
    "late",
    "window",
    "match",
    "alone",
    "revision",
    "beat",
    "hold",
    "pass",
    "stale",
    "down",
    "up",
    "out",
]
Role = Literal["items", "late", "windows", "join", "gate", "beats", "out"]

JOINS = (JoinAsof, JoinInterval, Join)


@dataclass(slots=True, eq=False)
class Event:
    """Something that happened in a run.

    Attributes:
        number: which one it was, from 1.
        kind: what it was:
            ``item``, one came; ``late``, it came when its windows were closed;
            ``window``, a window gave a result;
            ``match``, a join gave two items; ``alone``, one without a partner; ``revision``, the
            correction of such a result;
            ``beat``, a stream told how far it is; ``hold``, a gate began to hold an item;
            ``pass``, it let it go; ``stale``, it gave it up; ``down``, an outage began, ``up``,
            it was over; ``out``, something came out at the end.
        lane: where.
        item: the item, or what was given.
        time: when it happened, in microseconds of event time; None if it has no time.
        at: seconds since the run began.
        watermark: how far event time was there after it.
        cause: what it was brought about by; of ``late``, the item.
        why: what it was brought about by, if that was no item: ``end``, ``silence``, ``waited``.
        left: of a join, the item on the left; of a gate, the item that is held.
        right: of a join, the item on the right.
        instead: of a correction, the item on the right that was given before.
        since: of a gate, how far the stream was that is waited for.
        age: of a join, how much earlier the right item happened, in microseconds.
        held: seconds for which a gate held it.
        names: of a gate, the streams that were waited for.
        key: of an item, the key of its windows or its match.
    """

    number: int
    kind: Kind
    lane: str
    item: Any
    time: int | None
    at: float
    watermark: int | None = None
    cause: Event | None = None
    why: str = ""
    left: Event | None = None
    right: Event | None = None
    instead: Event | None = None
    since: int | None = None
    age: int | None = None
    held: float | None = None
    names: tuple[str, ...] = ()
    key: Any = None

    def __repr__(self) -> str:
        return f"<#{self.number} {self.kind} in {self.lane}>"


@dataclass(slots=True, eq=False)
class Lane:
    """A place of the graph where something is recorded.

    Attributes:
        name: what it is called.
        role: what is recorded there.
        label: the operator as it was written.
        inputs: of a join, its sides; of windows and gates, where their items are from.
        ended: how many events there were when its input ended.
        full: so many items came as were asked for.
    """

    name: str
    role: Role
    label: str
    inputs: tuple[str, ...] = ()
    ended: int | None = None
    full: bool = False


@dataclass(slots=True, eq=False)
class Recording:
    """What happens in one run, as what looks on in its graph writes it down.

    Attributes:
        events: what happened, in order.
        lanes: where, by name.
        current: the item that is on its way; None when input has ended.
        limit: so many items of each input are read.
        zone: the zone of all items that were stamped, if it is one.
    """

    limit: int | None = None
    events: list[Event] = field(default_factory=list[Event])
    lanes: dict[str, Lane] = field(default_factory=dict[str, Lane])
    current: Event | None = None
    zone: tzinfo = UTC
    _known: dict[int, list[Event]] = field(default_factory=dict[int, list[Event]])
    _began: float | None = None

    def lane(self, name: str, role: Role, label: str, inputs: Iterable[str] = ()) -> Lane:
        """A lane with a name that no other has."""
        unique, count = name, 1
        while unique in self.lanes:
            count += 1
            unique = f"{name} ({count})"
        lane = self.lanes[unique] = Lane(unique, role, label, tuple(inputs))
        return lane

    def add(self, kind: Kind, lane: Lane, item: Any, time: int | None, **more: Any) -> Event:
        """Write down an event."""
        now = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = now
        if time is not None and not NEVER < time < FOREVER:
            time = None
        event = Event(len(self.events) + 1, kind, lane.name, item, time, now - self._began, **more)
        self.events.append(event)
        self._known.setdefault(id(item), []).append(event)
        return event

    def arrive(self, lane: Lane, item: Any, time: int | None, kind: Kind = "item") -> Event:
        """Write down that an item has come: what follows is because of it."""
        self.current = self.add(kind, lane, item, time)
        return self.current

    def known(self, item: Any, lanes: Collection[str]) -> list[Event]:
        """The events of this very item in some lanes."""
        return [event for event in self._known.get(id(item), ()) if event.lane in lanes]

    def has_shown(self, item: Any) -> bool:
        """Whether this very item is there as what an operator gave."""
        shown = ("windows", "join", "gate")
        events = self._known.get(id(item), ())
        return any(self.lanes[event.lane].role in shown for event in events)

    def end(self, lane: Lane) -> None:
        """Nothing more comes in a lane."""
        lane.ended = len(self.events)
        self.current = None


@frozen
class Watched(Nary):
    """Node: another one, with something in its stage that looks on."""

    inner: Node
    change: Callable[[Any], Stage]

    def stage(self) -> Stage:
        return self.change(self.inner.stage())

    def endless(self, inputs: Sequence[bool]) -> bool:
        return self.inner.endless(inputs)

    def ports(self) -> tuple[str, ...]:
        return self.inner.ports()

    def applies(self) -> bool:
        return True

    def revises(self, corrected: bool) -> bool:
        return self.inner.has_revisions

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def label(self) -> str:
        return self.inner.label


@frozen
class First(Unary):
    """Node: the first items. It counts what comes, also where a source goes back."""

    limit: int

    def stage(self) -> Test:
        return Test(make=self.make, ends=True)

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        left = self.limit

        def call(_: Any) -> bool:
            nonlocal left
            left -= 1
            if not left:
                context.end()
            return left >= 0

        return Logic(call=call)

    def applies(self) -> bool:
        return True


@frozen
class Recorder(Unary):
    """Node: writes down what comes by."""

    write: Callable[[Context, Any, int | None], None]
    stamped: bool
    end: Callable[[], None] | None = None

    def stage(self) -> Expand:
        return Expand(make=self.make, stamps="need" if self.stamped else "own")

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        write, end = self.write, self.end

        def call(item: Any, t: int | None) -> Iterable[tuple[Any, int | None]]:
            write(context, item, t)
            return ((item, t),)

        def on_end() -> Iterable[Any]:
            if end is not None:
                end()
            return ()

        return Logic(call=call, on_end=on_end)

    def applies(self) -> bool:
        return True

    @property
    def label(self) -> str:
        return "record()"


def recorded(
    targets: Sequence[Node], limit: int | None, names: Mapping[Node, str]
) -> tuple[list[Node], Recording]:
    """The same graph with what looks on in it, and further branches that record what is late.

    Args:
        targets: what is run; what comes out of the first is recorded.
        limit: how many items of each input are read; None for all.
        names: what the user calls some of the streams.
    """
    return _Copy(targets, names, Recording(limit)).run()


class _Copy:
    """Makes the copy of one graph."""

    def __init__(
        self, targets: Sequence[Node], names: Mapping[Node, str], recording: Recording
    ) -> None:
        self.targets = targets
        self.names = names
        self.recording = recording
        self.copies: dict[Node, Node] = {}
        self.also: list[Node] = []
        self.lanes: dict[Node, Lane] = {}
        """Where the items of a node are recorded first."""
        self.nodes = sorted(_all(targets), key=lambda node: node.serial)
        self.readers: dict[Node, int] = {}
        for node in self.nodes:
            for up in node.inputs():
                self.readers[up] = self.readers.get(up, 0) + 1
        self.stages = {node: node.stage() for node in self.nodes}
        # One item ahead, so that items are seen to come in the order in which they are used.
        self.in_step = any(isinstance(stage, Combine) for stage in self.stages.values())
        self.replays = any(isinstance(node, Gate) and node.replay for node in self.nodes)
        self.by_join = self._seen_by_joins()

    def run(self) -> tuple[list[Node], Recording]:
        """The copies of the targets, and what else is to be run."""
        zones = {stage.tz for stage in self.stages.values() if isinstance(stage, Stamp)}
        if len(zones) == 1:
            self.recording.zone = zones.pop()
        for node in self.nodes:
            self.copies[node] = self._copy(node)
        first, *beside = self.targets
        others = (self.copies[node] for node in beside)
        return [self._out(first), *others, *self.also], self.recording

    def _copy(self, node: Node) -> Node:
        from rivulet.notebook import watching

        copy = _over(node, self.copies, always=not isinstance(node, Leaf))
        match node:
            case Windows():
                return self._windows(node, copy)
            case JoinAsof() | JoinInterval() | Join():
                sides = [self._side(node, index) for index in (0, 1)]
                lane = self._lane(node, "join", node.label, (side.name for side in sides))
                seen = [self._above(up) for up in node.inputs()]
                return _watched(copy, watching.join(node, self.recording, lane, sides, seen))
            case JoinTable():
                lane = self._lane(node, "join", node.label, self._above(node.up))
                return _watched(copy, watching.table_join(node, self.recording, lane))
            case Gate():
                name = self._name(node.up, "items", self.names.get(node))
                lane = self._lane(node, "gate", name)
                limited = self._limited(copy, node)
                return _watched(limited, watching.gate(node, self.recording, lane, self.lanes))
            case Beat():
                name = node.dependency if not node.silent else self._name(node.up, "on")
                lane = self._lane(node, "beats", name)
                return _watched(self._limited(copy, node), watching.beat(self.recording, lane))
            case _:
                match self.stages[node]:
                    case Stamp():
                        return self._stamped(node, copy)
                    case Produce() if self.in_step and not self.replays:
                        return _watched(copy, _one_by_one)
                    case _:
                        return copy

    # Items

    def _stamped(self, node: Node, copy: Node) -> Node:
        if node in self.by_join:
            unlimited = self.recording.limit is None or self.by_join[node]
            return copy if unlimited else First(copy, cast("int", self.recording.limit))
        lane = self._lane(node, "items", self._name(node, "items"))
        recording = self.recording

        def looking_on(stage: Stamp) -> Stamp:
            def ts(item: Any) -> Any:
                moment = stage.ts(item)
                with suppress(SourceError):
                    recording.arrive(lane, item, micros(moment, stage.tz))
                return moment

            return replace(stage, ts=ts)

        def has_moved(context: Context, item: Any, _: int | None) -> None:
            event = recording.current
            if event is not None and event.item is item:
                event.watermark = _mark(context.clock.watermark)

        watched: Node = _watched(copy, looking_on)
        if recording.limit is not None:
            watched = First(watched, recording.limit)
        return Recorder(watched, has_moved, stamped=True, end=lambda: recording.end(lane))

    def _limited(self, copy: N, node: N) -> N:
        """A gate or a beat over no more items than asked for, unless they are limited above."""
        limit = self.recording.limit
        above = ancestors(node)
        if limit is None or any(isinstance(self.stages.get(up), Stamp) for up in above):
            return copy
        (name,) = (
            spec.name for spec in fields(copy) if getattr(copy, spec.name) is copy.inputs()[0]
        )
        return replace(copy, **{name: First(copy.inputs()[0], limit)})

    def _out(self, node: Node) -> Node:
        """What is asked for, with a record of what comes out."""
        copy = self.copies[node]
        if self.recording.limit is not None and not any(
            lane.role in ("items", "gate", "beats") for lane in self.recording.lanes.values()
        ):
            copy = First(copy, self.recording.limit)
        name = self.names.get(node, "out")
        lane: Lane | None = None
        recording = self.recording

        def write(_: Context, item: Any, t: int | None) -> None:
            nonlocal lane
            if recording.has_shown(item):
                return
            if lane is None:
                lane = recording.lane(name, "out", node.label)
            recording.add("out", lane, item, t, cause=recording.current)

        return Recorder(copy, write, has_stamps(copy))

    # Windows

    def _windows(self, node: Windows, copy: Node) -> Node:
        assert isinstance(copy, Windows)
        recording, spec = self.recording, node.spec
        inputs = self._above(node.up)
        if not inputs:
            copy, inputs = self._unstamped(node, copy)
        lane = self._lane(node, "windows", node.label, inputs)
        if spec.by_time and not spec.processing:
            self._late(node, copy, inputs)
        direct = not self._crosses(node.up)
        by_join = any(isinstance(up, JOINS) for up in ancestors(node))

        def write(_: Context, item: Any, t: int | None) -> None:
            window = cast("Window[Any, Any]", item)
            event = recording.add("window", lane, window, t, cause=recording.current)
            by_clock = spec.by_time and (
                spec.emit == "close"
                or isinstance(spec.emit, int)
                or (spec.emit == "update" and window.final and window.value is not None)
            )
            if not by_clock:
                return
            if not direct and window._end is not None:
                until = window._end + spec.grace
                event.cause, event.why = _closer(recording, inputs, until)
            elif event.cause is None:
                event.why = "end"
            elif event.cause.watermark is not None and not by_join:
                # The item has gone through everything by now.
                event.cause, event.why = None, "silence"

        stamped = spec.by_time and has_stamps(copy)
        return Recorder(_watched(copy, self._keys_of(inputs)), write, stamped)

    def _keys_of(self, inputs: tuple[str, ...]) -> Callable[[Any], Stage]:
        """Write down the keys that items of some lanes are given."""
        recording = self.recording

        def told(select: Callable[[Any], Any]) -> Callable[[Any], Any]:
            def key_of(item: Any) -> Any:
                key = select(item)
                for event in recording.known(item, inputs)[-1:]:
                    event.key = None if is_awaitable(key) else key
                return key

            return key_of

        def changed(stage: Expand) -> Expand:
            return replace(stage, select=tuple(map(told, stage.select)))

        return changed

    def _unstamped(self, node: Windows, copy: Windows) -> tuple[Windows, tuple[str, ...]]:
        """Windows that don't go by event time, over a record of what comes."""
        recording, by_wall = self.recording, node.spec.processing and node.spec.by_time
        lane = recording.lane(self._name(node.up, "items"), "items", node.up.label)

        def write(context: Context, item: Any, _: int | None) -> None:
            recording.arrive(lane, item, round(context.wall() * SECOND) if by_wall else None)

        up = copy.up if recording.limit is None else First(copy.up, recording.limit)
        seen = Recorder(up, write, stamped=False, end=lambda: recording.end(lane))
        return replace(copy, up=seen), (lane.name,)

    def _late(self, node: Windows, copy: Windows, inputs: tuple[str, ...]) -> None:
        recording = self.recording
        lane = recording.lane(f"{node.label} late", "late", node.label, inputs)
        late = Late(copy.up, node.spec, node.by, lane.name)

        def write(context: Context, item: Any, t: int | None) -> None:
            found = recording.known(item.item, inputs)
            mark = _mark(context.clock.watermark)
            cause = found[-1] if found else None
            recording.add("late", lane, item, t, cause=cause, watermark=mark)

        self.also.append(Recorder(late, write, stamped=True))

    def _crosses(self, node: Node) -> bool:
        """Whether a node is behind a boundary that isn't looked at, and its items were not seen."""
        while node not in self.lanes:
            stage = self.stages[node]
            if isinstance(stage, Channel | Combine | Produce):
                return True
            node = node.inputs()[0]
        return False

    # Lanes

    def _lane(self, node: Node, role: Role, name: str, inputs: Iterable[str] = ()) -> Lane:
        lane = self.lanes[node] = self.recording.lane(name, role, node.label, inputs)
        return lane

    def _side(self, node: Node, index: int) -> Lane:
        """The lane of one side of a join, of the items that weren't seen before."""
        up = node.inputs()[index]
        return self.recording.lane(self._name(up, ("left", "right")[index]), "items", up.label)

    def _above(self, node: Node) -> tuple[str, ...]:
        """The nearest lanes above."""
        if node in self.lanes:
            return (self.lanes[node].name,)
        return tuple(
            dict.fromkeys(
                name for up in parts(node) if up in self.copies for name in self._above(up)
            )
        )

    def _name(self, node: Node, otherwise: str, variable: str | None = None) -> str:
        """What the user calls a stream, or what it leads to, or where its items are from."""
        while node not in self.names:
            inputs = node.inputs()
            if len(inputs) == 1:
                (node,) = inputs
            elif variable is not None or inputs:
                return variable or otherwise
            elif isinstance(node, Source):
                return cut(name_of(node.source), 24) if callable(node.source) else otherwise
            else:
                return cut(node.label, 24)
        return self.names[node]

    def _seen_by_joins(self) -> dict[Node, bool]:
        """What is stamped for one side of a join alone is recorded where the join takes it.

        Gives whether it is read no longer than the other side, so that it needs no limit: with one
        it would seem to have ended.
        """
        found: dict[Node, bool] = {}
        for node in self.nodes:
            if isinstance(node, JOINS):
                follows = isinstance(node, JoinAsof) or node.how in ("inner", "left")
                for index, up in enumerate(node.inputs()):
                    at = up
                    while self.readers[at] == 1 and at not in self.targets:
                        if isinstance(self.stages[at], Stamp):
                            found[at] = index == 1 and follows
                            break
                        if len(at.inputs()) != 1 or isinstance(at, Windows | JoinTable | Gate):
                            break
                        (at,) = at.inputs()
        return found


def _all(targets: Sequence[Node]) -> list[Node]:
    """The nodes and all that they are made of, also what they subscribe to by themselves."""
    found: dict[Node, None] = {}
    todo = list(targets)
    while todo:
        node = todo.pop()
        if node not in found:
            found[node] = None
            todo.extend(parts(node))
    return list(found)


def _mark(watermark: int) -> int | None:
    return watermark if NEVER < watermark < FOREVER else None


def _one_by_one(stage: Produce) -> Produce:
    return replace(stage, replayable=False)


def _closer(recording: Recording, inputs: tuple[str, ...], until: int) -> tuple[Event | None, str]:
    """The item after which the watermarks of all inputs were as far as that."""
    lanes = [recording.lanes[name] for name in inputs]
    marks = {lane.name: NEVER for lane in lanes}
    for event in recording.events:
        for lane in lanes:
            if lane.ended is not None and lane.ended < event.number:
                marks[lane.name] = FOREVER
        if event.lane in marks and event.watermark is not None:
            marks[event.lane] = max(marks[event.lane], event.watermark)
            if min(marks.values()) >= until:
                return event, ""
    return None, "end" if all(lane.ended is not None for lane in lanes) else ""


def _watched(node: Node, change: Callable[[Any], Stage]) -> Watched:
    watched = Watched(node.inputs(), node, change)
    object.__setattr__(watched, "where", node.where)
    return watched


def _over(node: N, copies: Mapping[Node, Node], *, always: bool) -> N:
    """The same node over copies of its inputs; or itself, if it may be, where they are the same."""
    changes: dict[str, Any] = {}
    for spec in fields(node):
        value = getattr(node, spec.name)
        if isinstance(value, Node):
            changes[spec.name] = copies.get(value, value)
        elif isinstance(value, tuple):
            several = cast("tuple[Any, ...]", value)
            if any(isinstance(one, Node) for one in several):
                changes[spec.name] = tuple(copies.get(one, one) for one in several)
    if not always and all(getattr(node, name) == value for name, value in changes.items()):
        return node
    copy = replace(node, **changes)
    object.__setattr__(copy, "where", node.where)
    return copy
