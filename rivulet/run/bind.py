"""What the names in a region's code stand for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, cast

from rivulet.core.callables import is_awaitable, mode_of, plain
from rivulet.core.entries import Failure
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Node
from rivulet.core.stage import Combine, Effect, Group, Guard, Stamp, Step, Transform
from rivulet.core.time import FOREVER, NEVER, Clock, stamper
from rivulet.plan.graph import Deliver, Plan, Put, Region
from rivulet.plan.writer import Shape, Writer, base
from rivulet.run.clocks import SourceClock
from rivulet.run.groups import Groups
from rivulet.run.inbox import Lane
from rivulet.run.pipe import Pipe
from rivulet.run.timers import Timers

__all__ = ["Bound", "bind", "retried"]

HOOKS = ("again", "on_start", "on_time", "on_timer", "on_mark", "on_end", "after", "passes")


class Bound:
    """The objects of one run of a region: logic, clocks, pipes, and all names of its code."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.logics: dict[Node, Logic] = {}
        self.clocks: dict[Node, Clock] = {}
        self.pipes: dict[Node, Pipe] = {}
        self.groups: dict[Node, Groups] = {}
        self.is_timed = False


def bind(loop: Host, plan: Plan, region: Region, shape: Shape) -> None:
    """Make the logic of every stage, and give each name of the code what it stands for."""
    _Binder(loop, plan, region, shape).run()


class Host(Protocol):
    """What the bound names need of the loop that they belong to."""

    bound: Bound
    timers: Timers
    lanes: dict[Put, Lane]
    failures: dict[Node, int]

    def context(self, node: Node, *, grouped: bool = False) -> Context:
        """What a stage sees of the run."""
        ...

    def now(self) -> float:
        """The run's clock."""
        ...

    def end(self, node: Node) -> None:
        """A stage wants no more items."""
        ...

    def caught(self, node: Node, item: Any, error: BaseException) -> Failure[Any]:
        """A stage failed."""
        ...

    async def over_inside(self, node: Node) -> bool:
        """Whether nothing below wants more."""
        ...

    async def over_inside_pipe(self, node: Node, this: asyncio.Task[Any]) -> bool:
        """The same in the loop of a stepped pipe."""
        ...


class _Binder:
    def __init__(self, loop: Host, plan: Plan, region: Region, shape: Shape) -> None:
        self.loop = loop
        self.plan = plan
        self.region = region
        self.shape = shape
        self.writer = Writer(plan, region, shape)
        self.bound = loop.bound
        self.bound.is_timed = bool(self.writer.timed)

    def run(self) -> None:
        stages = [n for n in self.region.nodes if not isinstance(n, Put | Deliver)]
        for node in stages:
            if self.writer.is_clock(node):
                self.clock(node)
        for node in stages:
            self.stage(node)
        for put in self.region.puts:
            self.put(put)
        for node in self.bound.clocks:
            retime = self.retimer(node)
            self.set("_retime", node, retime)
            retime()

    def set(self, suffix: str, node: Node, value: Any) -> None:
        self.bound.names[base(self.plan, node) + suffix] = value

    def callable(self, suffix: str, node: Node, fn: Callable[..., Any]) -> None:
        """A function of the user's: its name is bound, and what looking at it tells is kept."""
        self.set(suffix, node, plain(fn))
        self.shape.modes.setdefault(base(self.plan, node) + suffix, mode_of(fn))

    def stage(self, node: Node) -> None:
        stage = self.plan.stages[node]
        match stage:
            case Step():
                self.step(node, stage)
            case Combine(make=make) if make is not None:
                for number, select in enumerate(stage.select):
                    self.callable(f"_by{number}", node, select)
                self.logic(node, make(self.loop.context(node)))
            case Transform(fn=fn):
                self.pipe(node, fn)
            case Stamp():
                self.stamp(node, stage)
            case Guard():
                self.guard(node, stage)
            case Group() if not stage.leave:
                self.group(node, stage)
            case _:
                pass
        self.set("_caught", node, partial(self.loop.caught, node))
        over = self.loop.over_inside_pipe if isinstance(stage, Transform) else self.loop.over_inside
        self.set("_over", node, partial(over, node))

    def step(self, node: Node, stage: Step) -> None:
        for number, select in enumerate(stage.select):
            self.callable(f"_by{number}", node, select)
        if node in self.writer.slots:
            assert stage.make is not None
            logic = stage.make(self.loop.context(node, grouped=True))
            self.shape.hooks[node] = _hooks(logic)
            if stage.fn is None:
                self.shape.modes[base(self.plan, node)] = logic.mode
        elif stage.make is not None:
            self.logic(node, stage.make(self.loop.context(node)))
        if stage.lines is not None:
            for name, value in stage.lines.names.items():
                self.set(f"_{name}", node, value)
        if stage.fn is None:
            return
        self.callable("", node, retried(self.plan, node, stage.fn))
        name = base(self.plan, node)
        if isinstance(stage, Effect) and self.shape.modes[name] == "unknown":
            self.shape.modes[name] = "mixed"

    def logic(self, node: Node, logic: Logic) -> None:
        self.bound.logics[node] = logic
        self.shape.hooks[node] = _hooks(logic)
        if (
            self.plan.stages[node].__class__ is Combine
            or getattr(self.plan.stages[node], "fn", None) is None
        ):
            self.set("", node, logic.call)
            self.shape.modes[base(self.plan, node)] = logic.mode
        self.set("_state", node, logic.cell)
        for hook in HOOKS:
            self.set(f"_{hook}", node, getattr(logic, hook))
        if logic.passes is None:
            self.set("_passes", node, _unchanged)

    def pipe(self, node: Node, fn: Callable[[Any], Any]) -> None:
        pipe = Pipe(fn, partial(self.loop.timers.poke, node), partial(self.loop.end, node))
        self.bound.pipes[node] = pipe
        self.set("_pipe", node, pipe)
        self.set("_task", node, pipe.identity)
        self.set("_wait", node, pipe.wait)

    def clock(self, node: Node) -> None:
        stage = self.plan.stages[node]
        wake = partial(self.loop.timers.wake_at, node)
        clock = SourceClock(stage, self.loop.now, wake) if isinstance(stage, Stamp) else Clock()
        self.bound.clocks[node] = clock
        self.set("_clock", node, clock)

    def stamp(self, node: Node, stage: Stamp) -> None:
        self.set("", node, stage.ts)
        self.set("_micros", node, stamper(stage.tz))
        if stage.partition is not None:
            self.callable("_partition", node, stage.partition)
        clock = self.bound.clocks.get(node)
        if isinstance(clock, SourceClock):
            self.set("_observe", node, clock.observe)
            self.set("_heard", node, clock.heard)
            self.set("_silent", node, clock.silent)

    def retimer(self, clock: Node) -> Callable[[], None]:
        """A function that says when the branch of a clock has to be told the time again."""
        deadlines: list[Callable[[], int]] = []
        always = False
        for node in self.writer.branch(clock):
            if self.clock_of(node) is not clock or not self.writer.is_told(node):
                continue
            if isinstance(node, Put) and self.loop.lanes[node].looks:
                deadlines.append(self.loop.lanes[node].due)
                continue
            logic = self.bound.logics.get(node)
            if logic is None or logic.deadline is None or self.writer.is_clock(node):
                always = True
            else:
                deadlines.append(logic.deadline)
        state = self.bound.clocks[clock]

        def retime() -> None:
            state.due = FOREVER
            for deadline in deadlines:
                state.call_at(deadline())

        def never() -> None:
            pass

        if always:
            state.due = NEVER
            return never
        return retime

    def clock_of(self, node: Node) -> Node | None:
        """The clock that a node is told the time by."""
        return next((n for n in self.writer.above(node) if n in self.bound.clocks), None)

    def guard(self, node: Node, stage: Guard) -> None:
        handle = stage.handle

        def handled(failure: Failure[Any]) -> Any:
            self.loop.failures[node] = self.loop.failures.get(node, 0) + 1
            return None if handle is None else handle(failure)

        self.set("", node, handled)

    def group(self, node: Node, stage: Group) -> None:
        assert stage.key is not None
        self.callable("", node, stage.key)
        inside = [n for n in self.writer.slots if self.writer.group_of(n) is node]
        makes = [(n, cast("Step", self.plan.stages[n]).make) for n in inside]
        size = max((self.writer.slots[n] for n in inside), default=-2) + 3

        def make(key: Any) -> list[Any]:
            group: list[Any] = [None] * size
            group[0] = key
            for child, make_logic in makes:
                assert make_logic is not None
                logic = make_logic(self.loop.context(child, grouped=True))
                slot = self.writer.slots[child]
                group[slot] = logic.call if logic.cell is None else logic.cell
                group[slot + 1] = logic.on_end
                group[slot + 2] = logic.passes or _unchanged
            return group

        groups = Groups(
            make,
            max_keys=stage.max_keys,
            idle=stage.idle,
            now=self.loop.now,
            wake=partial(self.loop.timers.wake_at, node),
        )
        self.bound.groups[node] = groups
        for child in inside:
            if self.writer.is_clock(child):
                self.set("_passes", child, groups.passes(self.writer.slots[child]))
        self.set("_state", node, groups.getter())
        self.set("_spare", node, groups.spare)
        self.set("_idle", node, groups.idle)
        self.set("_all", node, groups.all)

    def put(self, put: Put) -> None:
        lane = self.loop.lanes[put]
        lane.clock = self.bound.clocks.get(self.clock_of(put) or put)
        self.set("", put, lane.put)
        self.set("_room", put, lane.room)
        self.set("_mark", put, lane.mark)
        self.set("_fail", put, lane.fail)
        self.set("_close", put, lane.close)
        to = None if put.to is None else self.plan.stages[put.to]
        work = getattr(to, "work", None)
        if work is not None and work.by is not None:
            self.callable("_by0", put, work.by)


def _unchanged(watermark: int) -> int:
    return watermark


def _hooks(logic: Logic) -> frozenset[str]:
    found = {hook for hook in HOOKS if getattr(logic, hook) is not None}
    if logic.cell is not None and not logic.cell:
        found.add("first")
    return frozenset(found)


def retried(plan: Plan, node: Node, fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function; where a policy below says so, one that tries a failed call again."""
    guard = next(
        (
            stage
            for below in plan.reach[node].guards
            if isinstance(stage := plan.stages.get(below), Guard) and stage.retries
        ),
        None,
    )
    if guard is None:
        return fn
    fn = plain(fn)

    async def call(*args: Any) -> Any:
        for attempt in range(1, guard.retries + 1):
            try:
                result = fn(*args)
                return await result if is_awaitable(result) else result
            except guard.types:
                if guard.backoff is not None and (pause := guard.backoff(attempt)):
                    await asyncio.sleep(pause)
        result = fn(*args)
        return await result if is_awaitable(result) else result

    return call
