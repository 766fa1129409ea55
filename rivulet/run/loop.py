"""One running region: its loop, and what happens between two items."""

from __future__ import annotations

import asyncio
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Collection,
    Coroutine,
    Iterator,
)
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from types import CoroutineType
from typing import TYPE_CHECKING, Any, cast, final

from rivulet.core.callables import is_awaitable
from rivulet.core.entries import CLOSED, END, IDLE, MARK, NEED, OUT, Failed, Failure
from rivulet.core.iteration import close_iterator, each
from rivulet.core.logic import Context
from rivulet.core.node import Node
from rivulet.core.stage import Expand, Produce
from rivulet.core.time import Clock
from rivulet.plan.code import Code, compiled, write
from rivulet.plan.graph import Deliver, Put, Region
from rivulet.plan.writer import Shape, Writer, base
from rivulet.run.bind import Bound, bind
from rivulet.run.calls import Calls
from rivulet.run.context import StageContext
from rivulet.run.hub import Hub
from rivulet.run.inbox import Inbox, Lane
from rivulet.run.notes import annotate
from rivulet.run.pipe import current
from rivulet.run.pulse import pulse
from rivulet.run.services import Asynchronous, Awaited, Closing, Turn
from rivulet.run.stuck import Party, check_stuck
from rivulet.run.timers import Timers

if TYPE_CHECKING:
    from rivulet.run.execution import Execution, Reading

__all__ = ["Loop"]


@final
class Loop(Party):
    """One region while it runs.

    The generated loop is left between two items when its code can be made more special (a function
    is settled, a branch has ended), and another goes on over the same source: all state is outside
    of it.

    Attributes:
        asked: not empty when something is to be done between two items.
        timers: when which stages have to be looked at.
        over: the loop is to read no more.
        stopped: it was told to, and what its source has read is still to come.
        finished: it has ended as it should.
        opened: what its source was opened as.
        failures: how many failures each policy took.
    """

    def __init__(self, execution: Execution, region: Region) -> None:
        self.execution = execution
        self.plan = execution.plan
        self.region = region
        self.lanes: dict[Put, Lane] = {}
        self.asked: list[str] = []
        self.timers = Timers(self, region.nodes)
        self.over = False
        self.stopped = False
        self.paused = False
        self.finished = False
        self.source: Any = None
        self.opened: Any = None
        self.failures: dict[Node, int] = {}
        self.shape = Shape()
        self.bound = Bound()
        self.code: Code | None = None
        self._events = asyncio.get_running_loop()
        self._task: asyncio.Task[Any] | None = None
        self._running: Any = None
        self._functions: dict[str, Any] = {}
        self._names: dict[str, Any] = {}
        self._ended: list[Node] = []
        self._stale = False
        self._cut = False
        self._attending = False
        self._resumed: asyncio.Future[None] | None = None
        self._readings: list[Reading] = []
        self._held: set[asyncio.Event] = set()
        self._closed = False

    def __repr__(self) -> str:
        return f"<Loop of {self.region.root.label}>"

    # Setting up

    def prepare(self, shape: Shape) -> None:
        """Make the logic of every stage, and all that the code's names stand for."""
        self.shape = shape
        bind(self, self.plan, self.region, shape)
        calls = Calls(shape, self.bound.names, self._changed)
        self._names = {
            **self.bound.names,
            "CLOSED": CLOSED,
            "END": END,
            "Failed": Failed,
            "IDLE": IDLE,
            "MARK": MARK,
            "NEED": NEED,
            "OUT": OUT,
            "asked": self.asked,
            "asynchronous": Asynchronous(),
            "awaited": Awaited(),
            "between": self.between,
            "closing": Closing,
            "coroutine": CoroutineType,
            "current": current,
            "each": each,
            "finishing": self._finishing,
            "held": self.held,
            "here": self._events,
            "islice": islice,
            "result": self.execution.deliver,
            "seen": self.execution.seen,
            "settle": calls.settle,
            "stray": calls.stray,
            "turn": Turn(self._events.time, self.asked, self.between),
            "walked": self.timers.walked,
            "walking": self.timers.walking,
        }

    def compile(self) -> None:
        """Write and compile the functions for what is known now."""
        code = self.code = write(self.plan, self.region, self.shape)
        module: dict[str, Any] = {}
        exec(compiled(code.text), module)  # noqa: S102  # text from fixed templates only
        functions = module["region"](*(self._names[name] for name in code.names))
        self._functions = dict(zip(code.functions, functions, strict=True))
        self._stale = False

    def _finishing(self) -> None:
        """All input was read, by a loop that also sends on what the stages hold."""
        self.finished = True
        self.execution.rested()

    def _changed(self) -> None:
        """The code can be made more special."""
        self._stale = True
        self.ask("compile")

    def context(self, node: Node, *, grouped: bool = False) -> Context:
        """What a stage sees of the run."""
        return StageContext(self, node, grouped=grouped)

    def clock_above(self, node: Node) -> Clock:
        """The event clock that a stage is under."""
        at = self.region.parent.get(node, node)
        while at not in self.bound.clocks and at in self.region.parent:
            at = self.region.parent[at]
        return self.bound.clocks.setdefault(at, Clock())

    def now(self) -> float:
        """The run's clock."""
        return self._events.time()

    def wall(self) -> float:
        """The time of day; a virtual loop has its own."""
        return getattr(self._events, "wall_time", time.time)()

    @property
    def can_be_generator(self) -> bool:
        """Whether nothing in it has to run beside an async generator of its results."""
        return not self.bound.is_timed and not self._ended

    # Running

    async def run(self) -> None:
        """Run the loop to its end."""
        self._task = asyncio.current_task()
        try:
            await self.open_logics()
            await self._begin()
            if not self.over:
                await self.open_source()
            self.compile()
            self.timers.start()
            while not self.over:
                await self._loop_once()
                if not self.is_left():
                    break
            await self._finish()
        except BaseException as error:
            annotate(error, self)
            raise
        finally:
            self.timers.stop()

    async def open_logics(self) -> None:
        """Open what stages have to open."""
        for node, logic in self.bound.logics.items():
            if logic.open is None:
                continue
            try:
                opened = logic.open()
                if is_awaitable(opened):
                    await opened
            except BaseException as error:
                annotate(error, self, node)
                raise

    async def _begin(self) -> None:
        """Send what comes before the first item; a stage may want no items at all."""
        early = Writer(self.plan, self.region, self.shape).starts
        if early or self._ended:
            self.compile()
        if early:
            await self._functions["start"]()
        self.shape.begun = True
        if self._ended:
            await self._prune()

    async def open_source(self) -> None:
        """Open the source, where it isn't a boundary."""
        if self.source is not None:
            return
        root = self.region.root
        stage = self.plan.stages[root]
        assert isinstance(stage, Produce)
        if stage.sharing is not None:
            hub = Hub.of(stage.sharing, stamped=root in self.plan.stamped)
            self.source = hub.subscribe(root.label, stamped=root in self.plan.stamped)
            self.source.reader = self
            self.shape.source = "inbox"
            return
        assert stage.open is not None
        try:
            opened = stage.open(self.context(root))
            if is_awaitable(opened):
                opened = await opened
            self.opened = opened
            if isinstance(opened, AsyncIterable):
                self.source = aiter(cast("AsyncIterable[Any]", opened))
            else:
                self.source = iter(opened)
                self.shape.source = "sync"
        except BaseException as error:
            annotate(error, self, root)
            raise

    async def _loop_once(self) -> None:
        try:
            with self.pulse():
                await self.begin()
        except asyncio.CancelledError:
            assert self._task is not None
            if not self._cut or self._task.uncancel():
                raise
            self.over = True
        finally:
            self._cut = False

    def begin(self) -> Any:
        """The loop over what is left of the source: to be awaited, or iterated if it yields."""
        self._stale = False
        self._running = self._functions["loop"](self.source)
        self.shape.begun = True
        return self._running

    def is_left(self) -> bool:
        """Whether another loop, made for what is known now, has to go on."""
        if self._stale and not (self.over or self.finished):
            self.compile()
            return True
        return False

    def pulse(self) -> AbstractContextManager[None]:
        """Turns for a loop that might never wait; a virtual clock has no use for them."""
        endless = self.shape.source == "async" or any(
            isinstance(self.plan.stages.get(node), Expand) for node in self.region.nodes
        )
        if endless and not getattr(self._events, "is_virtual", False):
            return pulse.watching(self)
        return nullcontext()

    async def _finish(self) -> None:
        """Input has ended: send on what the stages hold, once no timer is at it."""
        self.timers.stop()
        await self.timers.walked()
        if self._ended:
            await self._prune()
        if self._stale:
            self.compile()
        await self._functions["finish"]()
        self.finished = True
        self.execution.rested()

    # Where it is

    @property
    def is_settled(self) -> bool:
        """Whether the loops below have done with all that this one has handed on.

        One that waits for entries has done with those before.
        """
        todo: list[Loop] = [self]
        seen: set[Inbox] = set()
        while todo:
            for lane in todo.pop().lanes.values():
                inbox = lane.inbox
                if inbox in seen:
                    continue
                seen.add(inbox)
                reader = cast("Loop | None", inbox.reader)
                over = inbox.left or (reader is not None and reader.finished)
                if inbox.busy or not (over or inbox.waits):
                    return False
                if reader is not None:
                    todo.append(reader)
        return True

    @property
    def is_running(self) -> bool:
        """Whether the loop is computing at this moment rather than waiting."""
        running = self._running
        return running is not None and bool(
            getattr(running, "cr_running", False) or getattr(running, "ag_running", False)
        )

    def _line(self) -> int:
        """The line in which the loop is suspended; -1 when it isn't. Costs nothing per item."""
        running = self._running
        if running is None or self.is_running:
            return -1
        frame = getattr(running, "cr_frame", None) or getattr(running, "ag_frame", None)
        return -1 if frame is None else frame.f_lineno

    def _at_source(self) -> bool:
        return self.code is not None and self._line() == self.code.source_line > 0

    def busy(self) -> frozenset[Node] | None:
        """The stages with timers in whose branch the loop is; None where it can't be left alone."""
        if self.code is None or self._attending:
            return None
        found = self.code.busy.get(self._line())
        return None if found is None else frozenset(found)

    # Between two items

    def ask(self, what: str) -> None:
        """Have something done between two items."""
        self.asked.append(what)
        if self._resumed is not None and not self._resumed.done():
            self._resumed.set_result(None)

    async def between(self) -> bool:
        """Do what was asked for; tells whether the loop is to be left."""
        while True:
            turn = "turn" in self.asked
            self.asked.clear()
            if turn:
                await asyncio.sleep(0)
            await self._attend()
            if self.asked:
                continue
            if self.over or not self.paused:
                return self.over or self._stale
            await self._until_resumed()

    async def _attend(self) -> None:
        """Walk what is due, and take out what has ended."""
        await self.timers.walked()
        self._attending = True
        try:
            if self.timers.due():
                await self.timers.walk()
            if self._ended:
                await self._prune()
        finally:
            self._attending = False

    async def held(self) -> None:
        """An item came while a pause was on: keep it until that is over."""
        while self.paused and not self.over:
            await self.timers.walked()
            await self._until_resumed()

    async def _until_resumed(self) -> None:
        self._resumed = self._events.create_future()
        try:
            await self._resumed
        finally:
            self._resumed = None

    async def over_inside(self, node: Node) -> bool:
        """In an inner loop: give a turn if it is time; tells whether nothing below wants more."""
        if "turn" in self.asked:
            self.asked[:] = [what for what in self.asked if what != "turn"]
            await asyncio.sleep(0)
        return bool(self._ended) and not self._wanted(node, set(self._ended))

    async def over_inside_pipe(self, node: Node, this: asyncio.Task[Any]) -> bool:
        """The same in the loop of a stepped pipe, which may be the current task."""
        pipe, current[self._events] = current[self._events], this
        over = await self.over_inside(node)
        if not over:
            current[self._events] = pipe
        return over

    def _wanted(self, node: Node, ended: set[Node]) -> bool:
        """Whether some branch below a node still wants items."""
        return any(
            isinstance(child, Deliver)
            or not self.region.children[child]
            or self._wanted(child, ended)
            for child in self.region.children[node]
            if child not in self.shape.dead and child not in ended
        )

    # Stages that wait for others

    async def hold(self, node: Node, event: asyncio.Event, signals: Collection[object]) -> bool:
        """A stage waits for an event; tells whether it is still to be waited for."""
        if self.execution.suspended:
            return False
        hold = self.execution.holding(node, event, signals)
        # Another task than the loop's walks a timer, while the loop itself may go on.
        waiting = self if asyncio.current_task() is self._task else None
        self._held.add(event)
        try:
            if waiting is not None:
                waiting.waits_for_signals = hold
                check_stuck(waiting)
            if hold.failure is None:
                await event.wait()
        finally:
            self._held.discard(event)
            if waiting is not None:
                waiting.waits_for_signals = None
        if hold.failure is not None:
            raise hold.failure
        return not self.execution.suspended

    def release(self) -> None:
        """Let the stages that wait look again."""
        for event in self._held:
            event.set()

    # Timers

    async def tick(self, node: Node, now: float) -> None:
        """Walk the branch of a stage whose time has come."""
        walk = self._functions.get(f"tick_{base(self.plan, node)}")
        if walk is not None and node not in self.shape.dead:
            try:
                await walk(now)
            except BaseException as error:
                annotate(error, self)
                raise

    async def after_walk(self) -> None:
        """A walk beside the loop may have changed what it wants, while it waits for its source."""
        if isinstance(self.source, Inbox):
            self.source.wake()
        if self._ended and not self.over and self._at_source():
            await self._prune()
            if self.over:
                self._leave_source()

    def beside(self, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None] | None:
        """Run something beside the loop."""
        return self.execution.spawn(work)

    # Ending

    def end(self, node: Node) -> None:
        """A stage, or the reader behind a boundary, wants no more items."""
        if node in self.shape.dead or node in self._ended:
            return
        self._ended.append(node)
        self.ask("prune")
        self._events.call_soon(self._on_ended)

    def _on_ended(self) -> None:
        """Take an ended branch out now if the loop waits in its source; else it does so itself."""
        timers = self.timers
        if self._ended and timers.is_running and not timers.walking and self._at_source():
            timers.walk_beside()

    async def _prune(self) -> None:
        """Take the branches that have ended out of the loop, and end it when none is left."""
        while self._ended:
            node = self._ended.pop(0)
            if self._is_dead(node):
                continue
            finish = self._functions.get(f"ended_{base(self.plan, node)}")
            if finish is not None and not isinstance(node, Put):
                await finish()
            self._bury(node)
            self._stale = True
        if self.region.root in self.shape.dead:
            self.over = True

    def _is_dead(self, node: Node) -> bool:
        """Whether a node, or one above it, has ended, and so has everything below that."""
        at: Node | None = node
        while at is not None and at not in self.shape.dead:
            at = self.region.parent.get(at)
        return at is not None

    def _bury(self, node: Node) -> None:
        """A node wants no more items, and so don't those above it that have no other branch."""
        dead = self.shape.dead
        at: Node | None = node
        while at is not None and at not in dead:
            dead.add(at)
            at = self.region.parent.get(at)
            if at is not None and any(child not in dead for child in self.region.children[at]):
                return
            logic = None if at is None else self.bound.logics.get(at)
            if logic is not None and logic.left is not None:
                logic.left()

    def stop(self) -> None:
        """End the loop: at once if it waits for its source, else after the item in hand.

        What the source itself reads is stopped in the same way, and the loop ends when that has.
        """
        if self.stopped:
            return
        self.stopped = True
        if not self._stop_source():
            self.over = True
            self.ask("stop")
            self._leave_source()

    def _leave_source(self) -> None:
        """Leave the wait for the source, if the loop is in it and it can be left."""
        if self._cut or self._task is None or not self._at_source():
            return
        if not self._stop_source():
            self._cut = True
            self._task.cancel()

    def _stop_source(self) -> bool:
        """Stop what the source reads, if it can be; then its end will be that of the source."""
        drain = not self.execution.suspended
        if isinstance(self.source, Inbox) and self.source.on_stop is not None:
            self.source.on_stop(drain=drain)
            return True
        stopped = [r.stop(drain=drain) for r in self._readings if r.is_open]
        return any(stopped)

    def pause(self) -> None:
        """Hold between two items. Timers go on."""
        self.paused = True
        self.ask("pause")

    def resume(self) -> None:
        """Go on."""
        self.paused = False
        self.ask("resume")

    def caught(self, node: Node, item: Any, error: BaseException) -> Failure[Any]:
        """A stage failed: raise the error again unless every branch below has a policy for it."""
        if not self.plan.takes(node, error):
            raise error
        return Failure(item, error, node.label)

    # Nested graphs

    def subscribe(self, node: Node, for_node: Node) -> AsyncGenerator[Any, None]:
        """Run a nested graph and give its entries; nothing once the run is being stopped."""
        if self.over or self.stopped:
            return each(())
        stage = self.plan.stages[for_node]
        assert isinstance(stage, Produce)
        reading = self.execution.reading(
            node,
            stamps=for_node in self.plan.stamped,
            guarded=stage.guards and self.plan.has_policy(for_node),
        )
        self._readings = [*(before for before in self._readings if before.is_open), reading]
        return reading.entries

    # Closing

    def leave(self) -> None:
        """Want no more of a boundary, so that what writes to it can end."""
        if isinstance(self.source, Inbox):
            self.source.leave()

    async def close(self) -> None:
        """Close pipes and source. What fails in closing is raised when all is closed."""
        if self._closed:
            return
        self._closed = True
        self.timers.stop()
        errors: list[BaseException] = []
        for closing in self._closings():
            try:
                await closing
            except BaseException as error:  # noqa: BLE001  # the others are to be closed as well
                errors.append(error)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise BaseExceptionGroup("several sources failed in closing", errors)

    def _closings(self) -> Iterator[Coroutine[Any, Any, None]]:
        for logic in self.bound.logics.values():
            if logic.close is not None:
                yield _call_close(logic.close, self.execution.error)
        for pipe in self.bound.pipes.values():
            yield pipe.close()
        if isinstance(self.source, Inbox):
            yield self.source.close()
        elif self.source is not None:
            yield close_iterator(self.source)


async def _call_close(
    close: Callable[[BaseException | None], Any], error: BaseException | None
) -> None:
    result = close(error)
    if is_awaitable(result):
        await result
