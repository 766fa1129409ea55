"""One run of a graph: its loops, the boundaries between them, and one task group around."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar, final

from rivulet.core.entries import Failure
from rivulet.core.node import Node, ancestors
from rivulet.core.stage import Channel, Combine, Group, Produce, Step, Transform
from rivulet.core.text import shortened
from rivulet.errors import GraphError
from rivulet.plan.code import write
from rivulet.plan.graph import Plan, plan
from rivulet.plan.writer import Shape
from rivulet.run.bind import retried
from rivulet.run.channels import channel
from rivulet.run.ending import end_tasks
from rivulet.run.inbox import Inbox, SelectiveInbox, SharedInbox
from rivulet.run.interrupt import interruptible
from rivulet.run.loop import Loop
from rivulet.run.notes import annotate, described, note
from rivulet.run.stepped import SteppedInbox
from rivulet.run.stuck import Hold
from rivulet.run.work import work

__all__ = ["Execution", "Reading", "items"]

T = TypeVar("T")

AHEAD = 256
"""How many entries a boundary holds where the sources could be read again."""
AHEAD_OF_READER = 16
"""How many a reader outside of the graph is read ahead for."""


@final
class Execution:
    """One run of a plan.

    Args:
        plan: what to run.
        deliver: takes each result.
        counted: count the items of each operator.
        held: it may be paused.

    Attributes:
        error: what ended it.
        suspended: it was asked to stop before the end of input.
        seen: how many items passed each operator, by its number.
        loops: the regions while they run.
        inboxes: the boundaries between them.
        outlet: where a reader outside takes the results, if there is one.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        deliver: Callable[[Any], object] | None = None,
        counted: bool = False,
        held: bool = False,
    ) -> None:
        self.plan = plan
        self.deliver = deliver
        self.counted = counted
        self.held = held
        self.error: BaseException | None = None
        self.suspended = False
        self.seen = [0] * (len(plan.nodes) + 1)
        self.loops = [Loop(self, region) for region in plan.regions]
        self.inboxes: dict[Node, Inbox] = {}
        self.outlet: Inbox | None = None
        self._group: asyncio.TaskGroup | None = None
        self._beside: set[asyncio.Task[None]] = set()
        self._common: dict[object, Any] = {}
        self._resting: asyncio.Future[None] | None = None
        self._signalling: dict[object, list[tuple[str, Loop]]] = {}
        for loop in self.loops:
            for node in loop.region.nodes:
                stage = plan.stages.get(node)
                for signal in stage.signals if isinstance(stage, Step) else ():
                    bringing = self._signalling.setdefault(signal, [])
                    bringing.append((self._title(node), loop))

    @property
    def label(self) -> str:
        """What is run, in a few words."""
        return ", ".join(node.label for node in self.plan.targets)

    def prepare(self, *, yields: bool = False) -> None:
        """Make the boundaries and the logic of all stages. Nothing is opened."""
        for node in self.plan.nodes:
            stage = self.plan.stages[node]
            if isinstance(stage, Channel | Combine):
                self.inboxes[node] = self._inbox(node, stage)
                self.inboxes[node].watched = bool(self._signalling)
                self.inboxes[node].on_rest = self.rested
        for loop in self.loops:
            inbox = self.inboxes.get(loop.region.root)
            if inbox is not None:
                loop.source, inbox.reader = inbox, loop
            for put in loop.region.puts:
                to = self._outlet() if put.to is None else self.inboxes[put.to]
                lane = to.lanes[put.index]
                lane.writer = loop
                lane.on_left = partial(loop.end, put)
                loop.lanes[put] = lane
        for loop in self.loops:
            loop.prepare(
                Shape(
                    source="async" if loop.source is None else "inbox",
                    counted=self.counted,
                    held=self.held and loop.source is None,
                    results="yield" if yields else "none" if self.deliver is None else "call",
                )
            )
            if isinstance(loop.source, SelectiveInbox | SteppedInbox):
                wants = loop.bound.logics[loop.region.root].wants
                if wants is not None:
                    loop.source.wants = wants

        self._check_replays()

    def _check_replays(self) -> None:
        """What goes back to earlier items needs stages that don't remember those."""
        for loop in self.loops:
            for node in loop.region.nodes:
                stage = self.plan.stages.get(node)
                if not isinstance(stage, Step) or not stage.replays:
                    continue
                if loop.region.root in self.inboxes:
                    raise GraphError(
                        f"{node.label} goes back to earlier items, but its source is read by the "
                        f"loop that also reads what it waits for, which would go back as well"
                    )
                for other in self.plan.nodes:
                    if self._remembers(other) and loop.region.root in ancestors(other):
                        raise GraphError(
                            f"{node.label} goes back to earlier items, and {other.label} would "
                            f"count them twice: only operators without state can share its source"
                        )

    def _remembers(self, node: Node) -> bool:
        """Whether a stage keeps something of the items that it had."""
        match self.plan.stages[node]:
            case Transform() | Group(leave=""):
                return True
            case Combine(make=make):
                return make is not None
            case Step(fold="", waits=waits):
                logics = (loop.bound.logics.get(node) for loop in self.loops)
                return not waits and any(x is not None and x.snapshot is not None for x in logics)
            case Step():
                return True
            case _:
                return False

    def _inbox(self, node: Node, stage: Channel | Combine) -> Inbox:
        stamped = node in self.plan.stamped
        rejoins = node in self.plan.rejoining
        title = self._title(node)
        if isinstance(stage, Combine):
            inbox = _kind(stage)(rejoins=rejoins)
            for index, up in enumerate(node.inputs()):
                limit = AHEAD if rejoins or self.plan.replayable(up) else 1
                lane = inbox.lane(
                    f"input {index + 1} of {title}",
                    limit,
                    tagged=stage.make is not None,
                    stamped=stamped,
                )
                lane.turns = 2 + 3 * self.plan.boundaries(up)
                lane.idle = index in stage.silent
            return inbox
        if stage.work is None:
            return channel(stage, title, stamped=stamped, rejoins=bool(self.plan.rejoining))
        fn = retried(self.plan, node, stage.work.fn)
        failed = partial(self._failed, node)
        return work(replace(stage.work, fn=fn), title, failed, stamped=stamped)

    def _outlet(self) -> Inbox:
        if self.outlet is None:
            target = self.plan.targets[0]
            limit = AHEAD_OF_READER if self.plan.replayable(target) else 1
            self.outlet = SharedInbox()
            self.outlet.on_rest = self.rested
            self.outlet.lane("the reader", limit, stamped=self.plan.stamps)
        return self.outlet

    def _title(self, node: Node) -> str:
        return f"{node.label} [#{self.plan.numbers[node]}]"

    def _failed(self, node: Node, error: BaseException, item: Any) -> Failure[Any] | None:
        """The work of a channel failed on an item: a failure if a policy below takes it."""
        if self.plan.takes(node, error):
            return Failure(item, error, node.label)
        what = described(node, self.plan.numbers[node])
        note(error, f"rivulet: in {what}, on item {shortened(item)}")
        return None

    # Rest

    def rested(self) -> None:
        """A loop has done with all that it took."""
        if self._resting is not None:
            self._resting.set_result(None)
            self._resting = None

    async def rest(self) -> None:
        """Wait until some loop has done with all that it took."""
        if self._resting is None:
            self._resting = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._resting)

    # Running

    async def run(self) -> None:
        """Run to the end. Nothing goes on running when this returns or raises."""
        errors: Sequence[BaseException] = ()
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                loops = [
                    group.create_task(self._run(x), name=f"the loop of {x.region.root.label}")
                    for x in self.loops
                ]
                await asyncio.wait(loops)
                for task in self._beside:
                    task.cancel()
        except BaseExceptionGroup as group:
            errors = list(dict.fromkeys(group.exceptions))
        except asyncio.CancelledError:
            await self._close()
            raise
        self.error = _joined(errors)
        closing = await self._close()
        if self.error is None:
            self.error = closing
        elif closing is not None:
            self.error = _joined([*errors, closing])
        if self.error is not None:
            raise self.error
        if not all(loop.finished for loop in self.loops):
            raise RuntimeError("a loop has ended though nobody stopped the run")

    async def _run(self, loop: Loop) -> None:
        """Run a loop. Its error goes down to its readers, behind the items before it."""
        try:
            await loop.run()
        except Exception as error:
            readers = [lane for lane in loop.lanes.values() if not lane.inbox.left]
            if not readers:
                raise
            for lane in readers:
                lane.close(error)
            loop.leave()
            loop.finished = True
            loop.failure = error
            self._release()
            return
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and not task.cancelling():
                raise _unasked() from error
            raise
        await loop.close()

    def spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None] | None:
        """Run something beside the loops; it is cancelled when they have all ended.

        Gives None when the run is ending already.
        """
        assert self._group is not None
        coroutine = _uncancelled(work)
        try:
            task = self._group.create_task(coroutine)
        except RuntimeError:
            coroutine.close()
            return None
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
        return task

    def common(self, key: object, make: Callable[[], T]) -> T:
        """What several stages have in common."""
        if key not in self._common:
            self._common[key] = make()
        return self._common[key]

    def holding(self, node: Node, event: asyncio.Event, signals: Collection[object]) -> Hold:
        """That a stage waits, and for what."""
        awaited = [self._signalling.get(signal, ()) for signal in signals]
        return Hold(self._title(node), event, awaited)

    def _release(self) -> None:
        for loop in self.loops:
            loop.release()

    async def _close(self) -> BaseException | None:
        """Close what the loops opened, readers first and sources last."""
        errors: list[BaseException] = []
        for loop in reversed(self.loops):
            try:
                await loop.close()
            except BaseException as error:  # noqa: BLE001  # the others are to be closed as well
                errors.append(error)
        return _joined(errors)

    # Stopping

    def stop(self, *, drain: bool = False) -> None:
        """Stop the sources; what was read goes through to the end."""
        self.suspended = not drain
        for loop in self.loops:
            if loop.region.root not in self.inboxes:
                loop.stop()
        self._release()

    def pause(self) -> None:
        """Hold every loop between two items."""
        for loop in self.loops:
            loop.pause()

    def resume(self) -> None:
        """Go on."""
        for loop in self.loops:
            loop.resume()

    # Nested graphs

    def reading(self, node: Node, *, stamps: bool, guarded: bool) -> Reading:
        """A nested graph, to be read by a source of this one."""
        return Reading(node, nested=True, stamps=stamps, guarded=guarded)

    def can_yield(self, *, nested: bool) -> bool:
        """Whether its only loop can be an async generator that is read in place."""
        loop = self.loops[0]
        if len(self.loops) > 1 or self.inboxes or not loop.can_be_generator:
            return False
        if nested and any("on_end" in hooks for hooks in loop.shape.hooks.values()):
            return False
        # Whatever the source turns out to be; the loop over an iterable is nested one deeper.
        shape = replace(loop.shape, source="sync")
        return write(self.plan, loop.region, shape).yields


def _kind(stage: Combine) -> Callable[..., Inbox]:
    if stage.stepped:
        return SteppedInbox
    return SelectiveInbox if stage.selective else SharedInbox


def _joined(errors: Sequence[BaseException]) -> BaseException | None:
    match errors:
        case []:
            return None
        case [error]:
            return error
        case _:
            return BaseExceptionGroup("several parts of the run failed", list(errors))


def _unasked() -> RuntimeError:
    return RuntimeError(
        "CancelledError was raised inside of the run, though nobody cancelled the run"
    )


async def _uncancelled(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        await work()
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and not task.cancelling():
            raise _unasked() from error
        raise


def items(target: Node) -> AsyncGenerator[Any, None]:
    """Run the graph above a node and give its items.

    A single loop without timers is iterated in place; anything else runs in a task of its own and
    hands its items over. No task group spans a ``yield``.
    """
    stage = target.stage()
    if isinstance(stage, Produce) and stage.is_feed:
        return stage.one_shot
    return Reading(target).entries


@final
class Reading:
    """A graph that something outside of it reads.

    Args:
        target: the node whose items are wanted.
        nested: another run reads it, which may be stopped in order.
        stamps: entries carry stamps.
        guarded: entries may be failures, as the reader has a policy for them.
    """

    def __init__(
        self, target: Node, *, nested: bool = False, stamps: bool = False, guarded: bool = False
    ) -> None:
        if not stamps and not guarded:
            execution = Execution(plan(target))
            execution.prepare(yields=True)
            if execution.can_yield(nested=nested):
                self._execution = None
                self.entries = _in_place(execution)
                return
        self._execution = Execution(plan(target, handover=True, stamps=stamps, guarded=guarded))
        self.entries = _handed_over(self._execution)

    @property
    def is_open(self) -> bool:
        """Whether it has not come to its end."""
        return getattr(self.entries, "ag_frame", None) is not None

    def stop(self, *, drain: bool = False) -> bool:
        """Stop in order; tells whether that is done, or the reader's wait has to be cancelled."""
        if self._execution is None:
            return False
        self._execution.stop(drain=drain)
        return True


async def _in_place(execution: Execution) -> AsyncGenerator[Any, None]:
    loop = execution.loops[0]
    try:
        await loop.open_logics()
        await loop.open_source()
        loop.compile()
        while True:
            async with aclosing(loop.begin()) as results:
                with loop.pulse(), interruptible():
                    async for item in results:
                        yield item
            if not loop.is_left():
                return
    except GeneratorExit:
        raise
    except BaseException as error:
        annotate(error, loop)
        execution.error = None if isinstance(error, asyncio.CancelledError) else error
        raise
    finally:
        await loop.close()


async def _handed_over(execution: Execution) -> AsyncGenerator[Any, None]:
    execution.prepare()
    outlet = execution.outlet
    assert outlet is not None
    task = asyncio.get_running_loop().create_task(execution.run())

    def over(task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        outlet.lanes[0].close(error)

    task.add_done_callback(over)
    try:
        with interruptible():
            while (batch := await outlet.take()) is not None:
                for item in batch:
                    yield item
    finally:
        outlet.leave()
        await end_tasks([task])
