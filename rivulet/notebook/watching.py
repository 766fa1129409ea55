"""Look on at what joins and gates do, from outside of their state."""

from __future__ import annotations

from asyncio import Event as Signal
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from rivulet.core.durations import seconds
from rivulet.core.entries import CLOSED, GONE, IDLE, Revision
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Node
from rivulet.core.stage import Combine, Stage
from rivulet.core.time import FOREVER, NEVER, SECOND, micros
from rivulet.errors import RivuletError
from rivulet.gates.checkpoint import Checkpoint
from rivulet.gates.dependency import Dependency
from rivulet.joins.waiting import same_key
from rivulet.notebook.recording import Event, Kind, Lane, Recording
from rivulet.ops.beat import Beat
from rivulet.ops.gate import Gate
from rivulet.ops.join import Join
from rivulet.ops.join_asof import JoinAsof, JoinTable
from rivulet.ops.join_interval import JoinInterval

__all__ = ["beat", "gate", "join", "table_join"]

Change = Callable[[Any], Stage]
Results = Iterable[tuple[Any, int]]


class _Matches:
    """Finds the events of the items that a join gives together.

    Args:
        node: the join.
        recording: where they are written.
        lane: the lane of the join.
    """

    def __init__(self, node: Node, recording: Recording, lane: Lane) -> None:
        self._node = node
        self._recording = recording
        self._lane = lane
        self._came: tuple[dict[int, list[Event]], dict[int, list[Event]]] = ({}, {})
        self._given: dict[Event, Event | None] = {}
        """For each left item the last right one that was given with it."""
        self._pairs: set[tuple[Event, Event]] = set()

    def came(self, side: int, item: Any, event: Event) -> None:
        """An item of one side has come."""
        self._came[side].setdefault(id(item), []).append(event)

    def write(self, results: Results, why: str) -> None:
        """Write down what the join gives."""
        for result, t in results:
            corrected = isinstance(result, Revision)
            pair = cast("Revision[Any]", result).new if corrected else result
            if pair is GONE:
                continue
            left, right = self._both(pair[0], pair[1], t, again=corrected)
            instead = self._given.get(left) if corrected and left is not None else None
            if left is not None:
                self._given[left] = right
            kind: Kind = "revision" if corrected else "match"
            if not corrected and (pair[0] is None or pair[1] is None):
                kind = "alone"
            event = self._recording.add(
                kind,
                self._lane,
                result,
                t,
                left=left,
                right=right,
                instead=instead,
                cause=None if why else self._recording.current,
                why=why,
            )
            event.age = self._age(left, right, pair[1])

    def _both(
        self, left: Any, right: Any, t: int, *, again: bool
    ) -> tuple[Event | None, Event | None]:
        lefts = self._came[0].get(id(left), []) if left is not None else []
        rights = self._came[1].get(id(right), []) if right is not None else []
        if isinstance(self._node, JoinAsof | JoinTable):
            of_time = [event for event in lefts if event.time == t] or lefts
            fresh = [event for event in of_time if (event in self._given) == again] or of_time
            found = fresh[0] if fresh else None
            return found, self._best(found, rights or self._equal(right))
        for one in lefts or [None]:
            for other in rights or [None]:
                if one is None or other is None:
                    return one, other
                if (one, other) not in self._pairs and self._may_meet(one, other, t):
                    self._pairs.add((one, other))
                    return one, other
        return (lefts[0] if lefts else None), (rights[0] if rights else None)

    def _may_meet(self, left: Event, right: Event, t: int) -> bool:
        """Where one item came several times: whether the result can be of these two."""
        times = [event.time for event in (left, right) if event.time is not None]
        return max(times, default=t) <= t

    def _best(self, left: Event | None, rights: Sequence[Event]) -> Event | None:
        """The right item that the join took, of those that are the same object."""
        assert isinstance(self._node, JoinAsof | JoinTable)
        rule, best = self._node.join.rule, None
        for event in rights:
            if left is None or left.time is None or event.time is None:
                return event
            if rule.better(left.time, event.time, None if best is None else best.time):
                best = event
        return best

    def _equal(self, right: Any) -> list[Event]:
        """A table gives a copy of what was put."""
        if right is None or self._table is None:
            return []
        every = [event for events in self._came[1].values() for event in events]
        return [event for event in every if _equals(event.item, right)]

    @property
    def _table(self) -> Any:
        node = self._node
        return node.join.table if isinstance(node, JoinAsof | JoinTable) else None

    def _age(self, left: Event | None, right: Event | None, row: Any) -> int | None:
        """How much earlier the right item happened."""
        if left is None or left.time is None or row is None:
            return None
        if right is not None:
            return None if right.time is None else left.time - right.time
        if self._table is None:
            return None
        # What others have put there has not come by.
        assert isinstance(self._node, JoinAsof | JoinTable)
        join = self._node.join
        key = same_key if join.by is None else join.by[0]
        found = join.rows().find(key(left.item), left.time)
        return None if found is None else left.time - found[0]


def _equals(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001  # it is the user's own, and only looked at
        return False


def join(
    node: Node,
    recording: Recording,
    lane: Lane,
    sides: Sequence[Lane],
    above: Sequence[Collection[str]],
) -> Change:
    """Look on at a join of two streams.

    Args:
        node: the join.
        recording: where it is written.
        lane: the lane of the join.
        sides: the lanes of its sides.
        above: the lanes in which items of each side may have been seen before.
    """

    def changed(stage: Combine) -> Combine:
        make = stage.make
        assert make is not None

        def watched(context: Context) -> Logic:
            return _watched_join(make(context))

        return replace(stage, make=watched)

    def _watched_join(logic: Logic) -> Logic:
        matches, by = _Matches(node, recording, lane), _keys(node)
        marks: list[int | None] = [None, None]
        last: list[Event | None] = [None, None]
        call, on_mark, on_timer = logic.call, logic.on_mark, logic.on_timer
        assert call is not None
        assert on_mark is not None

        def called(side: int, item: Any, t: int, *more: Any) -> Results:
            if item is CLOSED:
                return call(side, item, t, *more)
            known = [event for event in recording.known(item, above[side]) if event.time == t]
            if known:
                event = recording.current = known[-1]
            else:
                event = recording.arrive(sides[side], item, t)
                event.watermark = marks[side]
            last[side] = event
            matches.came(side, item, event)
            results = tuple(call(side, item, t, *more))
            event.key = None if by is None else by[side](item)
            matches.write(results, "")
            return results

        def marked(side: int, watermark: int) -> Results:
            why = ""
            if watermark == FOREVER:
                recording.end(sides[side])
                why = f"as {sides[side].name} ended"
            elif watermark == IDLE:
                why = f"as {sides[side].name} is silent"
            elif watermark != NEVER:
                marks[side] = watermark
                event = recording.current = last[side]
                if event is not None:
                    event.watermark = max(watermark, event.watermark or watermark)
            results = tuple(on_mark(side, watermark))
            matches.write(results, why)
            return results

        def timed(now: float) -> Results:
            assert on_timer is not None
            results = tuple(on_timer(now))
            matches.write(results, "as it had waited")
            return results

        logic.call, logic.on_mark = called, marked
        if on_timer is not None:
            logic.on_timer = timed
        return logic

    return changed


def _keys(node: Node) -> Any:
    """What takes the keys of both sides of a join; None if there are none."""
    if isinstance(node, JoinInterval | Join):
        return node.join().by
    return node.join.by if isinstance(node, JoinAsof) else None


def table_join(node: JoinTable, recording: Recording, lane: Lane) -> Change:
    """Look on at a join with a table."""

    def changed(stage: Any) -> Stage:
        make = stage.make
        assert make is not None

        def watched(context: Context) -> Logic:
            return looked_at(make(context))

        return replace(stage, make=watched)

    def looked_at(logic: Logic) -> Logic:
        matches, call = _Matches(node, recording, lane), logic.call
        assert call is not None

        def called(item: Any, t: int) -> Results:
            event = recording.current
            if event is not None:
                matches.came(0, item, event)
            results = tuple(call(item, t))
            matches.write(results, "")
            return results

        logic.call = called
        return logic

    return changed


# Gates


class _Context:
    """The context of a gate, which tells when it waits."""

    def __init__(self, context: Context, waits: Callable[[], None]) -> None:
        self._context = context
        self._waits = waits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def hold(self, event: Signal, signals: Collection[object], /) -> bool:
        """Wait, and tell it first."""
        self._waits()
        return await self._context.hold(event, signals)


def gate(node: Gate, recording: Recording, lane: Lane, lanes: Mapping[Node, Lane]) -> Change:
    """Look on at a gate.

    Args:
        node: the gate.
        recording: where it is written.
        lane: its lane.
        lanes: those of the streams that it may wait for.
    """

    def changed(stage: Any) -> Stage:
        make = stage.make
        assert make is not None

        def watched(context: Context) -> Logic:
            looking = _Gate(node, recording, lane, lanes, context)
            logic = make(cast("Context", _Context(context, looking.waits)))
            call, after = logic.call, logic.after
            assert call is not None

            async def called(item: Any, marker: Any, *more: Any) -> Any:
                looking.comes(item, marker, more[-1])
                verdict = await call(item, marker, *more)
                looking.goes(verdict)
                return verdict

            async def paused(pause: Any) -> None:
                await pause
                looking.is_up()

            def went() -> Any:
                assert after is not None
                pause = after()
                return None if pause is None else paused(pause)

            logic.call = called
            if after is not None:
                logic.after = went
            return logic

        return replace(stage, make=watched)

    return changed


class _Gate:
    """What a gate does in one run."""

    def __init__(
        self,
        node: Gate,
        recording: Recording,
        lane: Lane,
        lanes: Mapping[Node, Lane],
        context: Context,
    ) -> None:
        self._node = node
        self._recording = recording
        self._lane = lane
        self._lanes = lanes
        self._checkpoint: Checkpoint = node.at.of(context)
        self._item: Event | None = None
        self._wait: Event | None = None

    def comes(self, item: Any, marker: Any, t: int | None) -> None:
        """An item has come to the gate."""
        time = t if t is not None else _moment(marker)
        self._item = self._recording.arrive(self._lane, item, time)

    def waits(self) -> None:
        """The gate begins to wait, or goes on to."""
        if self._wait is not None:
            return
        behind = self._checkpoint.behind()
        if self._node.hold == "ahead" and not behind:
            return
        item = self._item
        if item is None:
            return
        markers = [_moment(dependency.checkpoint_marker) for dependency in behind]
        known = [marker for marker in markers if marker is not None]
        self._wait = self._recording.add(
            "hold" if self._node.hold == "ahead" else "down",
            self._lane,
            item.item,
            item.time,
            left=item,
            since=min(known) if len(known) == len(markers) and known else None,
            names=tuple(map(self._named, behind)),
        )

    def goes(self, verdict: bool | None) -> None:
        """The gate has let the item go, or has given it up."""
        if verdict is None:
            return
        if self._node.hold == "ahead":
            self._over("pass" if verdict else "stale")

    def is_up(self) -> None:
        """The outage is over."""
        self._over("up")

    def _over(self, kind: Kind) -> None:
        wait, self._wait = self._wait, None
        if wait is None:
            return
        event = self._recording.add(
            kind,
            self._lane,
            wait.item,
            wait.time,
            left=wait.left,
            since=wait.since,
            names=wait.names,
        )
        event.held = event.at - wait.at
        if kind != "stale":
            event.cause = self._released_by(wait)
            if event.cause is None:
                event.why = "end"
        self._recording.current = wait.left

    def _released_by(self, wait: Event) -> Event | None:
        """What a stream that was waited for said last before all were far enough."""
        found = [
            event
            for dependency in self._checkpoint.dependencies.values()
            if (event := self._reached(dependency, wait)) is not None
        ]
        return max(found, key=lambda event: event.number, default=None)

    def _reached(self, dependency: Dependency, wait: Event) -> Event | None:
        """When a stream was far enough."""
        name, needed = self._named(dependency), NEVER
        if name not in wait.names:
            return None
        if dependency.compares and wait.time is not None:
            back = round(seconds(dependency.downtime_threshold, "threshold", zero=True) * SECOND)
            needed = wait.time + 1 if wait.kind == "down" else wait.time - back
        events = self._recording.events
        for event in (events[number] for number in range(wait.number, len(events))):
            if event.kind == "beat" and event.lane == name and (event.time or NEVER) >= needed:
                return event
        return None

    def _named(self, dependency: Dependency) -> str:
        """The name of the lane of a dependency."""
        for node, lane in self._lanes.items():
            if isinstance(node, Beat):
                told = node.at.signals(node.dependency)
                if dependency in told or self._node.at in told:
                    return lane.name
        return dependency.name


def beat(recording: Recording, lane: Lane) -> Change:
    """Look on at how far a stream says it is."""

    def changed(stage: Any) -> Stage:
        make = stage.make
        assert make is not None

        def watched(context: Context) -> Logic:
            logic = make(context)
            call = logic.call
            assert call is not None

            def called(item: Any, marker: Any) -> Any:
                recording.arrive(lane, item, _moment(marker), "beat")
                return call(item, marker)

            logic.call = called
            return logic

        return replace(stage, make=watched)

    return changed


def _moment(marker: Any) -> int | None:
    """A marker as a moment in time, if it is one."""
    try:
        return micros(marker)
    except (RivuletError, OverflowError):
        return None
