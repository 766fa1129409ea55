"""Boundaries behind which a function works on several items at once."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import aclosing
from typing import Any, final

from rivulet.core.callables import is_awaitable, mode_of, plain
from rivulet.core.entries import MARK, Failed, Failure
from rivulet.core.iteration import each
from rivulet.core.stage import Work
from rivulet.run.ending import end_tasks
from rivulet.run.inbox import Inbox, Lane

__all__ = ["FlatWork", "OrderedWork", "UnorderedWork", "work"]

Note = Callable[[BaseException, Any], Failure[Any] | None]
"""Takes the error of a call and its item; gives a failure if a policy below wants it."""


def work(stage: Work, title: str, note: Note, *, stamped: bool) -> Inbox:
    """The inbox behind which a function works, with its one lane."""
    kind = FlatWork if stage.expand else OrderedWork if stage.ordered else UnorderedWork
    inbox = kind(stage, note)
    inbox.lane(title, stage.concurrency, stamped=stamped)
    return inbox


def _caller(fn: Callable[[Any], Any]) -> Callable[[Any], Coroutine[Any, Any, Any]]:
    if mode_of(fn) == "async":
        return fn
    fn = plain(fn)

    async def call(x: Any) -> Any:
        result = fn(x)
        return await result if is_awaitable(result) else result

    return call


class _WorkInbox(Inbox):
    """An inbox whose entries are made by tasks."""

    def __init__(self, stage: Work, note: Note) -> None:
        super().__init__()
        self._stage = stage
        self._note = note
        self._running: set[asyncio.Task[Any]] = set()
        self._last: dict[Any, asyncio.Task[Any]] = {}
        self._error: BaseException | None = None
        self._closing = False

    def putter(self, lane: Lane) -> Callable[..., bool]:
        keyed = self._stage.by is not None

        def put(x: Any, *rest: Any) -> bool:
            if self.left:
                return False
            t = rest[0] if lane.stamped else None
            self._begin(x, t, (rest[-1],) if keyed else None)
            return self.waiting(lane) >= lane.limit

        return put

    @abstractmethod
    def _begin(self, x: Any, t: int | None, key: tuple[Any] | None) -> None:
        """Start the work on an item."""

    def _spawn(
        self, call: Callable[[Any], Coroutine[Any, Any, Any]], x: Any, key: tuple[Any] | None
    ) -> asyncio.Task[Any]:
        """Work on an item in a task, after the work on the last item of the same key."""
        if key is None:
            return self._loop.create_task(call(x))
        before = self._last.get(key[0])
        task = self._loop.create_task(call(x) if before is None else _after(before, call, x))
        self._last[key[0]] = task
        task.add_done_callback(lambda done: self._forget(key[0], done))
        return task

    def _forget(self, key: Any, task: asyncio.Task[Any]) -> None:
        if self._last.get(key) is task:
            del self._last[key]

    def _result(self, task: asyncio.Task[Any], x: Any, t: int | None) -> Any:
        """The entry that a finished task gives.

        Raises:
            BaseException: the call failed, and no policy below takes it.
        """
        error = task.exception() if not task.cancelled() else _cancelled()
        if error is None:
            return self.lanes[0].entry(task.result(), t)
        return self._failed(error, x, t)

    def _failed(self, error: BaseException, x: Any, t: int | None) -> Any:
        failure = self._note(error, x)
        if failure is None:
            raise error
        return self.lanes[0].entry(Failed(failure), t)

    def awaited(self) -> list[Lane]:
        return [lane for lane in self.lanes if not lane.closed]

    def end(self, lane: Lane, error: BaseException | None) -> None:
        self._error = error
        self.wake()

    def _ended(self) -> None:
        if self._error is not None:
            raise self._error

    @abstractmethod
    def _tasks(self) -> Iterable[asyncio.Task[Any]]:
        """The tasks that may still run."""

    async def close(self) -> None:
        """Cancel what is still worked on, and wait until it has ended."""
        await super().close()
        self._closing = True
        await end_tasks(self._tasks())


async def _after(
    before: asyncio.Task[Any], call: Callable[[Any], Coroutine[Any, Any, Any]], x: Any
) -> Any:
    await asyncio.wait([before])
    return await call(x)


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.cancelled() or task.exception() is not None


def _cancelled() -> BaseException:
    return RuntimeError("the function raised CancelledError, though nobody cancelled the run")


@final
class OrderedWork(_WorkInbox):
    """One result for each item, in the order of the items."""

    def __init__(self, stage: Work, note: Note) -> None:
        super().__init__(stage, note)
        self._call = _caller(stage.fn)
        self._entries: deque[tuple[asyncio.Task[Any] | None, Any, int | None]] = deque()
        self._signs = 0
        self._watched: asyncio.Task[Any] | None = None

    def _begin(self, x: Any, t: int | None, key: tuple[Any] | None) -> None:
        self._entries.append((self._spawn(self._call, x, key), x, t))
        if self._getter is not None and len(self._entries) == 1:
            self.wake()

    def mark(self, lane: Lane, watermark: int) -> None:
        if self._entries and self._entries[-1][1] is MARK:
            self._entries.pop()
            self._signs -= 1
        self.add(lane, lane.entry(MARK, watermark))

    def add(self, lane: Lane, entry: Any) -> bool:
        x, t = entry if lane.stamped else (entry, None)
        self._entries.append((None, x, t))
        self._signs += 1
        self.wake()
        return False

    def waiting(self, lane: Lane) -> int:
        return len(self._entries) - self._signs

    @property
    def busy(self) -> bool:
        return bool(self._entries)

    def pull(self) -> Iterator[Any] | None:
        entries, ready = self._entries, list[Any]()
        while entries:
            task, x, t = entries[0]
            if task is None:
                ready.append(self.lanes[0].entry(x, t))
                self._signs -= 1
            elif not task.done() or (ready and _failed(task)):
                break
            else:
                ready.append(self._result(task, x, t))
            entries.popleft()
        if ready:
            self.lanes[0].wake()
            return iter(ready)
        if entries:
            head = entries[0][0]
            assert head is not None
            if head is not self._watched:
                self._watched = head
                head.add_done_callback(self._woken)
        else:
            self._ended()
        return None

    def _woken(self, _: object) -> None:
        self.wake()

    def _tasks(self) -> Iterable[asyncio.Task[Any]]:
        return [task for task, _, _ in self._entries if task is not None]


@final
class _Epoch:
    """The items between two watermarks."""

    __slots__ = ("left", "watermark")

    def __init__(self) -> None:
        self.left = 0
        self.watermark: int | None = None


@final
class UnorderedWork(_WorkInbox):
    """One result for each item, as they end; a watermark after all items before it."""

    def __init__(self, stage: Work, note: Note) -> None:
        super().__init__(stage, note)
        self._call = _caller(stage.fn)
        self._ready: deque[Any] = deque()
        self._epochs: deque[_Epoch] = deque([_Epoch()])

    def _begin(self, x: Any, t: int | None, key: tuple[Any] | None) -> None:
        task = self._spawn(self._call, x, key)
        epoch = self._epochs[-1]
        epoch.left += 1
        self._running.add(task)

        def done(task: asyncio.Task[Any]) -> None:
            self._running.discard(task)
            epoch.left -= 1
            self._ready.append((task, x, t))
            self._pass_marks()
            self.wake()

        task.add_done_callback(done)

    def mark(self, lane: Lane, watermark: int) -> None:
        self._epochs[-1].watermark = watermark
        self._epochs.append(_Epoch())
        self._pass_marks()
        self.wake()

    def _pass_marks(self) -> None:
        epochs = self._epochs
        while len(epochs) > 1 and not epochs[0].left:
            self._ready.append((None, MARK, epochs.popleft().watermark))

    def add(self, lane: Lane, entry: Any) -> bool:
        x, t = entry if lane.stamped else (entry, None)
        self._ready.append((None, x, t))
        self.wake()
        return False

    def waiting(self, lane: Lane) -> int:
        return len(self._running) + len(self._ready)

    @property
    def busy(self) -> bool:
        return bool(self._running or self._ready)

    def pull(self) -> Iterator[Any] | None:
        ready, out = self._ready, list[Any]()
        while ready:
            task, x, t = ready[0]
            if task is None:
                out.append(self.lanes[0].entry(x, t))
            elif out and _failed(task):
                break
            else:
                out.append(self._result(task, x, t))
            ready.popleft()
        if out:
            self.lanes[0].wake()
            return iter(out)
        if not self._running:
            self._ended()
        return None

    def _tasks(self) -> Iterable[asyncio.Task[Any]]:
        return [*self._running, *(task for task, _, _ in self._ready if task is not None)]


@final
class _Job:
    """The work on one item that gives several."""

    __slots__ = ("ended", "error", "out", "room", "t", "task", "x")

    def __init__(self, x: Any, t: int | None) -> None:
        self.x = x
        self.t = t
        self.out: deque[Any] = deque()
        self.room: asyncio.Future[None] | None = None
        self.ended = False
        self.error: BaseException | None = None
        self.task: asyncio.Task[None] | None = None


@final
class FlatWork(_WorkInbox):
    """Any number of results for each item: in order, as they come, or only of the newest item."""

    _AHEAD = 16
    """How many results of one item may wait to be read."""

    def __init__(self, stage: Work, note: Note) -> None:
        super().__init__(stage, note)
        self._fn = plain(stage.fn)
        self._jobs: deque[_Job] = deque()
        self._left: set[asyncio.Task[None]] = set()
        self._fresh = False

    def _begin(self, x: Any, t: int | None, key: tuple[Any] | None) -> None:
        if self._stage.newest:
            for job in self._jobs:
                self._cancel(job)
            self._fresh = True
        job = _Job(x, t)
        job.task = self._spawn(self._do, job, key)
        self._jobs.append(job)

    def _cancel(self, job: _Job) -> None:
        task = job.task
        if task is not None and not task.done():
            task.cancel()
            self._left.add(task)
            task.add_done_callback(self._left.discard)
        job.ended = True

    async def _do(self, job: _Job) -> None:
        self._fresh = False
        if self._stage.newest:
            self.lanes[0].wake()
        try:
            await self._fill(job)
        except asyncio.CancelledError:
            if not (job.ended or self._closing):
                job.error = _cancelled()
            raise
        except Exception as error:  # noqa: BLE001  # it is raised in its turn, to the reader
            job.error = error
        finally:
            job.ended = True
            self.wake()

    async def _fill(self, job: _Job) -> None:
        async with aclosing(each(self._fn(job.x))) as results:
            async for y in results:
                job.out.append(y)
                self.wake()
                while len(job.out) >= self._AHEAD and not job.ended:
                    job.room = self._loop.create_future()
                    await job.room

    def mark(self, lane: Lane, watermark: int) -> None:
        self._sign(MARK, watermark)

    def add(self, lane: Lane, entry: Any) -> bool:
        x, t = entry if lane.stamped else (entry, None)
        self._sign(x, t)
        return False

    def _sign(self, x: Any, t: int | None) -> None:
        sign = _Job(None, t)
        sign.out.append(x)
        sign.ended = True
        self._jobs.append(sign)
        self.wake()

    def waiting(self, lane: Lane) -> int:
        if self._stage.newest:
            return lane.limit if self._fresh else 0
        return sum(job.task is not None for job in self._jobs)

    @property
    def busy(self) -> bool:
        return bool(self._jobs)

    def pull(self) -> Iterator[Any] | None:
        ready: list[Any] = []
        lane = self.lanes[0]
        ordered = self._stage.ordered or self._stage.newest
        for position, job in enumerate(list(self._jobs)):
            sign = job.task is None
            if sign and position and self._jobs[0] is not job:
                break
            while job.out:
                ready.append(lane.entry(job.out.popleft(), job.t))
            if job.room is not None and not job.room.done():
                job.room.set_result(None)
            if job.ended:
                if job.error is not None:
                    if ready:
                        break
                    self._jobs.remove(job)
                    ready.append(self._failed(job.error, job.x, job.t))
                else:
                    self._jobs.remove(job)
            elif ordered:
                break
        lane.wake()
        if ready:
            return iter(ready)
        if not self._jobs:
            self._ended()
        return None

    def _tasks(self) -> Iterable[asyncio.Task[Any]]:
        return [*self._left, *(job.task for job in self._jobs if job.task is not None)]
