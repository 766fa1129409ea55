"""Record what happens in time while a graph runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeVar, cast

from rivulet.core.logic import Context, Logic
from rivulet.core.node import Node, Unary, ancestors, frozen, require_stamps
from rivulet.core.stage import Expand, Stamp
from rivulet.core.time import FOREVER, NEVER
from rivulet.errors import GraphError
from rivulet.ops.take import Take
from rivulet.ops.window import Late, Windows

__all__ = ["Event", "Kind", "Recording", "recorded"]

N = TypeVar("N", bound=Node)

Kind = Literal["item", "late", "window", "out"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a run.

    Attributes:
        number: which event it was.
        kind: an item that was stamped (``item``), one that came too late for its windows
            (``late``), a window's result (``window``), or what came out at the end (``out``).
        lane: where it happened, as the operator is shown.
        item: the item.
        time: its stamp in microseconds; None if it has none.
        watermark: how far event time was there; None before the first item.
        at: seconds since the run began.
    """

    number: int
    kind: Kind
    lane: str
    item: Any
    time: int | None
    watermark: int | None
    at: float


class Recording:
    """The events of one run, as recorders in its graph write them down."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.lanes: dict[str, Kind] = {}
        self.ended = False
        self._began: float | None = None

    def lane(self, label: str, kind: Kind) -> str:
        """A name for a lane that no other has."""
        name, count = label, 1
        while name in self.lanes:
            count += 1
            name = f"{label} ({count})"
        self.lanes[name] = kind
        return name

    def add(self, kind: Kind, lane: str, item: Any, t: int | None, context: Context) -> None:
        """Write down an event."""
        now = context.now()
        if self._began is None:
            self._began = now
        mark = context.clock.watermark if t is not None else None
        known = None if mark is None or mark in (NEVER, FOREVER) else mark
        self.events.append(
            Event(len(self.events) + 1, kind, lane, item, t, known, now - self._began)
        )


@frozen
class Recorder(Unary):
    """Node: writes down what comes by."""

    recording: Any
    kind: Kind
    lane: str
    stamped: bool

    def stage(self) -> Expand:
        return Expand(make=self.make, stamps="need" if self.stamped else "own")

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        recording, kind, lane = cast("Recording", self.recording), self.kind, self.lane

        def call(item: Any, t: int | None) -> Iterable[tuple[Any, int | None]]:
            recording.add(kind, lane, item, t, context)
            return ((item, t),)

        return Logic(call=call)

    @property
    def label(self) -> str:
        return "record()"


def recorded(node: Node, limit: int | None) -> tuple[list[Node], Recording]:
    """The same graph with recorders in it, and further branches that record what is late.

    Args:
        node: what the graph gives.
        limit: how many items of each stamped stream are read; None for all.
    """
    recording = Recording()
    copies: dict[Node, Node] = {}
    also: list[Node] = []
    for old in ancestors(node):
        new = _with_inputs(old, copies)
        if isinstance(old.stage(), Stamp):
            limited = new if limit is None else Take(new, limit)
            new = _recorder(limited, recording, "item", old.label)
        elif isinstance(old, Windows):
            if old.spec.by_time and not old.spec.processing:
                late = Late(new.inputs()[0], old.spec, old.by, f"{old.label} late")
                also.append(_recorder(late, recording, "late", late.label))
            new = _recorder(new, recording, "window", old.label)
        elif old is node:
            new = _recorder(new, recording, "out", old.label)
        copies[old] = new
    return [copies[node], *also], recording


def _recorder(up: Node, recording: Recording, kind: Kind, label: str) -> Recorder:
    try:
        require_stamps(up, "timeline")
        stamped = True
    except GraphError:
        stamped = False
    return Recorder(up, recording, kind, recording.lane(label, kind), stamped)


def _with_inputs(node: N, copies: dict[Node, Node]) -> N:
    """The same node over copies of its inputs, or itself where they are the same."""
    changes: dict[str, Any] = {}
    for spec in fields(node):
        value = getattr(node, spec.name)
        if isinstance(value, Node):
            changes[spec.name] = copies.get(value, value)
        elif isinstance(value, tuple):
            parts = cast("tuple[Any, ...]", value)
            changes[spec.name] = tuple(
                copies.get(one, one) if isinstance(one, Node) else one for one in parts
            )
    if all(getattr(node, name) == value for name, value in changes.items()):
        return node
    copy = replace(node, **changes)
    object.__setattr__(copy, "where", node.where)
    return copy
