"""One running region: its loop, its timers, and what happens between two items."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import islice
from types import CoroutineType
from typing import TYPE_CHECKING, Any, cast, final

from rivulet.core.callables import is_awaitable, may_stray, name_of
from rivulet.core.entries import CLOSED, END, IDLE, MARK, NEED, OUT, Failed, Failure
from rivulet.core.iteration import close_iterator, each
from rivulet.core.logic import Context
from rivulet.core.node import Node
from rivulet.core.stage import Expand, Produce
from rivulet.core.time import Clock, Watermark
from rivulet.errors import StrayAwaitableError
from rivulet.plan.code import Code, compiled, write
from rivulet.plan.graph import Deliver, Put, Region
from rivulet.plan.writer import Shape, base
from rivulet.run.bind import Bound, bind
from rivulet.run.hub import Hub
from rivulet.run.inbox import Inbox, Lane
from rivulet.run.notes import annotate
from rivulet.run.pipe import current
from rivulet.run.pulse import pulse
from rivulet.run.stuck import Party

if TYPE_CHECKING:
    from rivulet.run.execution import Execution, Reading

__all__ = ["Loop"]

TURN_SECONDS = 0.005
TURN_ITEMS = 256


class _Awaited(dict[type, bool]):
    """For each class of results, whether they are to be awaited."""

    def __missing__(self, cls: type) -> bool:
        result = self[cls] = hasattr(cls, "__await__") and not hasattr(cls, "__aiter__")
        return result


@final
class _Closing:
    """Closes what a function gave, if that can be closed."""

    __slots__ = ("_iterator",)

    def __init__(self, iterator: Any) -> None:
        self._iterator = iterator

    async def __aenter__(self) -> Any:
        return self._iterator

    async def __aexit__(self, *_: object) -> None:
        await close_iterator(self._iterator)


@final
class _Turn:
    """Gives the event loop a turn in between, so that other streams run beside a ready source."""

    __slots__ = ("_clock", "_loop", "_then", "items")

    def __init__(self, loop: Loop, clock: Callable[[], float]) -> None:
        self.items = 64
        self._loop = loop
        self._clock = clock
        self._then = clock()

    async def __call__(self) -> bool:
        """Give the turn; tells whether the loop is to be left."""
        taken = self._clock() - self._then
        if taken < TURN_SECONDS / 2:
            self.items = min(TURN_ITEMS, self.items * 2)
        elif taken > TURN_SECONDS * 2:
            self.items = max(1, int(self.items * TURN_SECONDS / taken))
        await asyncio.sleep(0)
        self._then = self._clock()
        return bool(self._loop.asked) and await self._loop.between()


@final
class _Context(Context):
    """What one stage sees of the run."""

    def __init__(self, loop: Loop, node: Node, *, grouped: bool) -> None:
        self._loop = loop
        self._node = node
        self._grouped = grouped

    @property
    def stamped(self) -> bool:
        return self._node in self._loop.plan.stamped

    @property
    def stopping(self) -> bool:
        return self._loop.execution.suspended

    @property
    def clock(self) -> Watermark:
        return self._loop.clock_above(self._node)

    def wall(self) -> float:
        return self._loop.wall()

    def now(self) -> float:
        return self._loop.now()

    def wake_at(self, when: float) -> None:
        self._loop.wake_at(self._node, when)

    def end(self) -> None:
        if not self._grouped:
            self._loop.end(self._node)

    def spawn(self, work: Callable[[], Coroutine[Any, Any, None]], /) -> None:
        self._loop.execution.spawn(work)

    def subscribe(self, node: Node, /) -> AsyncGenerator[Any, None]:
        return self._loop.subscribe(node, self._node)


@final
class Loop(Party):
    """One region while it runs.

    Attributes:
        asked: not empty when something is to be done between two items.
        walking: the task that walks the stages for a timer, while the loop waits elsewhere.
        over: the loop is to end.
        finished: it has ended as it should.
        failures: how many failures each policy took.
    """

    def __init__(self, execution: Execution, region: Region) -> None:
        self.execution = execution
        self.plan = execution.plan
        self.region = region
        self.lanes: dict[Put, Lane] = {}
        self.asked: list[str] = []
        self.walking: list[asyncio.Task[None]] = []
        self.over = False
        self.paused = False
        self.finished = False
        self.source: Any = None
        self.error: BaseException | None = None
        self.failures: dict[Node, int] = {}
        self.shape = Shape()
        self.bound = Bound()
        self.code: Code | None = None
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[Any] | None = None
        self._running: Any = None
        self._functions: dict[str, Any] = {}
        self._namespace: dict[str, Any] = {}
        self._ended: list[Node] = []
        self._stale = False
        self._cut = False
        self._attending = False
        self._halted = False
        self._resumed: asyncio.Future[None] | None = None
        self._due: dict[Node, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._open: Any = None
        self._readings: list[Reading] = []
        self._closed = False

    def __repr__(self) -> str:
        return f"Loop({self.region.root.label})"

    # Setting up

    def prepare(self, shape: Shape) -> None:
        """Make the logic of every stage, and the first code."""
        self.shape = shape
        bind(self, self.plan, self.region, shape)
        self._turn = _Turn(self, self._loop.time)
        self._namespace = {
            **self.bound.names,
            "CLOSED": CLOSED,
            "END": END,
            "Failed": Failed,
            "IDLE": IDLE,
            "MARK": MARK,
            "NEED": NEED,
            "OUT": OUT,
            "asked": self.asked,
            "awaited": _Awaited(),
            "between": self.between,
            "closing": _Closing,
            "coroutine": CoroutineType,
            "current": current,
            "each": each,
            "held": self.held,
            "here": self._loop,
            "islice": islice,
            "result": self.execution.deliver,
            "seen": self.execution.seen,
            "settle": self.settle,
            "stray": self.stray,
            "turn": self._turn,
            "walked": self.walked,
            "walking": self.walking,
        }

    def compile(self) -> Code:
        """Write and compile the functions for what is known now."""
        code = self.code = write(self.plan, self.region, self.shape)
        module: dict[str, Any] = {}
        exec(compiled(code.text), module)  # noqa: S102  # text from fixed templates only
        functions = module["region"](*(self._namespace[name] for name in code.names))
        self._functions = dict(zip(code.functions, functions, strict=True))
        self._stale = False
        return code

    def context(self, node: Node, *, grouped: bool = False) -> Context:
        """What a stage sees of the run."""
        return _Context(self, node, grouped=grouped)

    def clock_above(self, node: Node) -> Clock:
        """The event clock that a stage is under."""
        at = self.region.parent.get(node, node)
        while at not in self.bound.clocks and at in self.region.parent:
            at = self.region.parent[at]
        return self.bound.clocks.setdefault(at, Clock())

    def now(self) -> float:
        """The run's clock."""
        return self._loop.time()

    def wall(self) -> float:
        """The time of day; a virtual loop has its own."""
        return getattr(self._loop, "wall_time", time.time)()

    # Running

    async def open_logics(self) -> None:
        """Open what stages have to open."""
        for node, logic in self.bound.logics.items():
            if logic.open is not None:
                try:
                    opened = logic.open()
                    if is_awaitable(opened):
                        await opened
                except BaseException as error:
                    annotate(error, self, node)
                    raise

    async def open(self) -> None:
        """Open the source, where it isn't a boundary."""
        if self.source is not None:
            return
        stage = self.plan.stages[self.region.root]
        assert isinstance(stage, Produce)
        if stage.sharing is not None:
            stamped = self.region.root in self.plan.stamped
            self._read(Hub.of(stage.sharing, stamped=stamped).subscribe(self.region.root.label))
            return
        assert stage.open is not None
        try:
            opened = stage.open(self.context(self.region.root))
            if is_awaitable(opened):
                opened = await opened
            if isinstance(opened, AsyncIterable):
                self.source = aiter(cast("AsyncIterable[Any]", opened))
            else:
                self.source = iter(opened)
                self.shape.source = "sync"
        except BaseException as error:
            annotate(error, self, self.region.root)
            raise

    def _read(self, inbox: Inbox) -> None:
        inbox.reader = self
        self.source = inbox
        self.shape.source = "inbox"

    async def run(self) -> None:
        """Run the loop to its end."""
        self._task = asyncio.current_task()
        try:
            await self.open_logics()
            await self._begin()
            if not self.over:
                await self.open()
            self.compile()
            self._arm()
            while not self.over:
                await self._loop_once()
                if not self.is_left():
                    break
            await self._finish()
        except BaseException as error:
            self.error = error
            annotate(error, self)
            raise
        finally:
            self._halted = True
            self._cancel_timer()

    async def _begin(self) -> None:
        """Send what comes before the first item; a stage may want no items at all."""
        early = any("on_start" in hooks for hooks in self.shape.hooks.values())
        if early or self._ended:
            self.compile()
        if early:
            await self._functions["start"]()
        self.shape.begun = True
        if self._ended:
            await self._prune()

    async def _loop_once(self) -> None:
        self._running = self._functions["loop"](self.source)
        self._stale = False
        try:
            with self.pulse():
                await self._running
        except asyncio.CancelledError:
            assert self._task is not None
            if not self._cut or self._task.uncancel():
                raise
            self.over = True
        finally:
            self._cut = False

    def begin(self) -> Any:
        """The loop as an async generator of its results, from where it was left."""
        self._stale = False
        self._running = self._functions["loop"](self.source)
        self.shape.begun = True
        return self._running

    def is_left(self) -> bool:
        """Whether another loop, made for what is known now, has to go on."""
        if self._stale and not self.over:
            self.compile()
            return True
        return False

    def pulse(self) -> AbstractContextManager[None]:
        """Turns for a loop that might never wait; a virtual clock has no use for them."""
        endless = self.shape.source == "async" or any(
            isinstance(self.plan.stages.get(node), Expand) for node in self.region.nodes
        )
        if endless and not getattr(self._loop, "is_virtual", False):
            return pulse.watching(self)
        return nullcontext()

    async def _finish(self) -> None:
        """Input has ended: send on what the stages hold, once no timer is at it."""
        self._cancel_timer()
        await self.walked()
        if self._ended:
            await self._prune()
        if self._stale:
            self.compile()
        await self._functions["finish"]()
        self.finished = True

    @property
    def can_be_generator(self) -> bool:
        """Whether nothing in it has to run beside an async generator of its results."""
        return not self.bound.is_timed and not self._ended

    @property
    def is_running(self) -> bool:
        """Whether the loop is computing at this moment rather than waiting."""
        running = self._running
        return running is not None and bool(
            getattr(running, "cr_running", False) or getattr(running, "ag_running", False)
        )

    # Between two items

    async def between(self) -> bool:
        """Do what was asked for; tells whether the loop is to be left."""
        while True:
            turn = "turn" in self.asked
            self.asked.clear()
            if turn:
                await asyncio.sleep(0)
            await self.walked()
            self._attending = True
            try:
                if self._due_now():
                    await self._walk_timers(frozenset())
                if self._ended:
                    await self._prune()
            finally:
                self._attending = False
            if self.over or not self.paused:
                break
            await self._until_resumed()
        return self.over or self._stale

    async def held(self) -> None:
        """An item came while a pause was on: keep it until that is over."""
        while self.paused and not self.over:
            await self.walked()
            await self._until_resumed()

    async def _until_resumed(self) -> None:
        self._resumed = self._loop.create_future()
        try:
            await self._resumed
        finally:
            self._resumed = None

    async def over_inside(self, node: Node) -> bool:
        """In an inner loop: give a turn if it is time; tells whether nothing below wants more."""
        if "turn" in self.asked:
            while "turn" in self.asked:
                self.asked.remove("turn")
            await asyncio.sleep(0)
        if self.over:
            return True
        return bool(self._ended) and not self._wanted(node, set(self._ended))

    async def over_inside_pipe(self, node: Node, this: asyncio.Task[Any]) -> bool:
        """The same in the loop of a stepped pipe, which may be the current task."""
        pipe, current[self._loop] = current[self._loop], this
        over = await self.over_inside(node)
        if not over:
            current[self._loop] = pipe
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

    def ask(self, what: str) -> None:
        """Have something done between two items."""
        self.asked.append(what)
        if self._resumed is not None and not self._resumed.done():
            self._resumed.set_result(None)

    # Ending a branch

    def end(self, node: Node) -> None:
        """A stage, or the reader behind a boundary, wants no more items."""
        if node in self.shape.dead or node in self._ended:
            return
        self._ended.append(node)
        self.ask("prune")
        self._loop.call_soon(self._on_ended)

    def _on_ended(self) -> None:
        """Take an ended branch out now if the loop waits in its source; else it does so itself."""
        if self._ended and not self.walking and not self._halted and self._at_source():
            self._walk_beside(frozenset())

    async def _prune(self) -> None:
        """Take the branches that have ended out of the loop, and end it when none is left."""
        while self._ended:
            node = self._ended.pop(0)
            finish = self._functions.get(f"ended_{base(self.plan, node)}")
            if finish is not None and not isinstance(node, Put):
                await finish()
            dead = self.shape.dead
            at: Node | None = node
            while at is not None and at not in dead:
                dead.add(at)
                at = self.region.parent.get(at)
                if at is not None and any(c not in dead for c in self.region.children[at]):
                    break
            self._stale = True
        if self.region.root in self.shape.dead:
            self.over = True

    def stop(self) -> None:
        """End the loop: at once if it waits for its source, else after the item in hand."""
        if self.over:
            return
        self.over = True
        self.ask("stop")
        self.cut()

    def cut(self) -> None:
        """Leave the wait for the source, if the loop is in it and it can be left."""
        if self._cut or self._task is None or not self._at_source():
            return
        for reading in self._readings:
            if reading.is_open and reading.stop():
                return
        self._cut = True
        self._task.cancel()

    def _at_source(self) -> bool:
        return self.code is not None and self._line() == self.code.source_line > 0

    def _line(self) -> int:
        """The line in which the loop is suspended; -1 when it isn't. Costs nothing per item."""
        running = self._running
        if running is None or self.is_running:
            return -1
        frame = getattr(running, "cr_frame", None) or getattr(running, "ag_frame", None)
        return -1 if frame is None else frame.f_lineno

    def pause(self) -> None:
        """Hold between two items. Timers go on."""
        self.paused = True
        self.ask("pause")

    def resume(self) -> None:
        """Go on."""
        self.paused = False
        self.ask("resume")

    # Timers

    def wake_at(self, node: Node, when: float) -> None:
        """Have a stage's timer walk run at a time, or earlier if that was asked for before."""
        if when < self._due.get(node, float("inf")):
            self._due[node] = when
            self._arm()

    def poke(self, node: Node) -> None:
        """Have a look at a stage as soon as the loop is not in its branch."""
        self._due.setdefault(node, self.now())
        self._arm()

    def _arm(self) -> None:
        if self._halted or self.code is None or not self._due:
            return
        when = min(self._due.values())
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._on_timer)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due_now(self) -> list[Node]:
        now = self.now() + 1e-6
        return [node for node, when in self._due.items() if when <= now]

    def _on_timer(self) -> None:
        """A timer is due: walk its stages now unless the loop is in their branch."""
        self._timer = None
        if self.walking or self._halted:
            return
        busy = self._busy()
        if busy is None or all(node in busy for node in self._due_now()):
            self.ask("timer")
            return
        self._walk_beside(busy)

    def _walk_beside(self, busy: frozenset[Node]) -> None:
        task = self.execution.spawn(partial(self._walk, busy))
        if task is not None:
            self.walking.append(task)

    def _busy(self) -> frozenset[Node] | None:
        """The stages whose branch the loop is in; None if it can't be told."""
        assert self.code is not None
        line = self._line()
        if self._attending or line not in self.code.busy:
            return None
        return frozenset(self.code.busy[line])

    async def _walk(self, busy: frozenset[Node]) -> None:
        try:
            await self._walk_timers(busy)
            if self._ended and not self.over and self._at_source():
                await self._prune()
                if self.over:
                    self.cut()
        except BaseException as error:
            annotate(error, self)
            raise
        finally:
            self.walking.clear()
            self._arm()
            if self._due_now():
                self.ask("timer")

    async def _walk_timers(self, busy: frozenset[Node]) -> None:
        for node in self.region.nodes:
            when = self._due.get(node)
            if when is None or when > self.now() + 1e-6 or node in busy:
                continue
            del self._due[node]
            tick = self._functions.get(f"tick_{base(self.plan, node)}")
            if tick is not None and node not in self.shape.dead:
                await tick(self.now())
        self._arm()

    async def walked(self) -> None:
        """Wait for the walk of a timer that is under way."""
        while self.walking:
            await asyncio.wait(self.walking)

    # Callables

    def settle(self, name: str, result: Any) -> bool:
        """Decide by the first result of a function how its results are taken."""
        mode = "mixed"
        if is_awaitable(result):
            awaited = True
        else:
            awaited = False
            if isinstance(result, AsyncIterable):
                mode = "agen"
            else:
                if _is_falsy(result):
                    return False
                mode = "sync"
        self.shape.modes[name] = mode
        if mode == "sync" and may_stray(self._namespace[name]):
            self.shape.strays.add(name)
        self._stale = True
        self.ask("settled")
        return awaited

    def stray(self, value: Any, name: str | None = None) -> None:
        """An awaitable came where values were given so far."""
        close = getattr(value, "close", None)
        if close is not None:
            close()
        culprits = [name] if name is not None else sorted(self.shape.strays)
        functions = ", ".join(name_of(self._namespace[culprit]) for culprit in culprits)
        raise StrayAwaitableError(
            f"{functions} gave plain values at first and now gave {name_of(value)}, which has to "
            f"be awaited: wrap the function in maybe_async(...), which looks at every result"
        )

    # Failures

    def caught(self, node: Node, item: Any, error: BaseException) -> Failure[Any]:
        """A stage failed: raise the error again unless every branch below has a policy for it."""
        if not self.plan.takes(node, error):
            raise error
        return Failure(item, error, node.label)

    # Nested graphs

    def subscribe(self, node: Node, for_node: Node) -> AsyncGenerator[Any, None]:
        """Run a nested graph and give its entries; nothing once the run is being stopped."""
        if self.over:
            return _nothing()
        stage = self.plan.stages[for_node]
        assert isinstance(stage, Produce)
        reading = self.execution.reading(
            node,
            stamps=for_node in self.plan.stamped,
            guarded=stage.guards and self.plan.has_policy(for_node),
        )
        self._readings.append(reading)
        return reading.entries

    # Closing

    async def close(self) -> None:
        """Close pipes and source. What fails in closing is raised when all is closed."""
        if self._closed:
            return
        self._closed = self._halted = True
        self._cancel_timer()
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


def _is_falsy(value: Any) -> bool:
    try:
        return not value
    except Exception:  # noqa: BLE001  # an array has no truth value, and is no falsy one
        return False


async def _nothing() -> AsyncGenerator[Any, None]:
    for item in ():
        yield item


async def _call_close(
    close: Callable[[BaseException | None], Any], error: BaseException | None
) -> None:
    result = close(error)
    if is_awaitable(result):
        await result
