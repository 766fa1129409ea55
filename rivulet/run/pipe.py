"""Step an opaque function of an async iterable in place.

The function's iterator is driven by hand inside of the loop: it is given one item and run until it
asks for the next, and each of its outputs goes down before the next is computed. It has a task
identity of its own, so that ``asyncio.timeout`` inside of it ends its own wait and not the loop.

The loop calls ``put(item)``, then ``go(None)`` after each output, until one gives ``NEED``. As long
as nothing special happens both are the ``send`` of one generator, with nothing in between.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import tasks
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator
from contextlib import suppress
from types import coroutine
from typing import Any, Protocol, cast, final

from rivulet.core.entries import END, NEED, OUT
from rivulet.errors import GraphError

__all__ = ["Pipe", "current"]


class Current(Protocol):
    """Which task runs now in an event loop; may be set, as asyncio does around each step."""

    def __getitem__(self, loop: asyncio.AbstractEventLoop, /) -> Any:
        """The task that runs now."""
        ...

    def __setitem__(self, loop: asyncio.AbstractEventLoop, task: Any, /) -> None:
        """Say that another one does."""
        ...


@final
class _Swapped:
    """The same where asyncio keeps no dictionary any more."""

    def __getitem__(self, loop: asyncio.AbstractEventLoop) -> Any:
        return asyncio.current_task(loop)

    def __setitem__(self, loop: asyncio.AbstractEventLoop, task: Any) -> None:
        getattr(tasks, "_swap_current_task")(loop, task)  # noqa: B009


current: Current = (
    getattr(tasks, "_current_tasks") if sys.version_info < (3, 14) else _Swapped()  # noqa: B009
)


@final
class _Feed:
    """What the function reads."""

    __slots__ = ("_identity", "_loop", "_on_hungry", "_waiting", "ended", "hungry")

    is_feed = True

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        identity: _Identity,
        waiting: deque[Any],
        on_hungry: Callable[[], object],
    ) -> None:
        self._loop = loop
        self._on_hungry = on_hungry
        self._identity = identity
        self._waiting = waiting
        self.ended = False
        self.hungry: asyncio.Future[None] | None = None

    def __aiter__(self) -> _Feed:
        return self

    @coroutine
    def __anext__(self) -> Generator[Any, Any, Any]:
        try:
            item = yield NEED
        except RuntimeError:
            # Another task of the function's own reads. It can't take NEED from a coroutine and
            # says so here, at no cost for the usual case.
            if current[self._loop] is self._identity:
                raise
            item = yield from self._other_task()
        if item is END:
            raise StopAsyncIteration
        return item

    def _other_task(self) -> Generator[Any, Any, Any]:
        """Wait for an item as for any future."""
        while not self._waiting:
            if self.ended:
                return END
            self.hungry = self._loop.create_future()
            self._on_hungry()
            try:
                yield from self.hungry
            finally:
                self.hungry = None
        return self._waiting.popleft()

    @property
    def is_hungry(self) -> bool:
        """Whether another task waits for an item."""
        return self.hungry is not None and not self.hungry.done() and not self._waiting

    def wake(self) -> None:
        """Let another task that reads go on."""
        if self.hungry is not None and not self.hungry.done():
            self.hungry.set_result(None)


@final
class _Identity:
    """The task that the function runs in, as far as it can see."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._cancels = 0

    def cancel(self, msg: Any = None) -> bool:
        """Cancel the function's own wait."""
        self._cancels += 1
        self._pipe.cancel()
        return True

    def cancelling(self) -> int:
        """How many cancellations are asked for."""
        return self._cancels

    def uncancel(self) -> int:
        """Take one back."""
        self._cancels = max(0, self._cancels - 1)
        return self._cancels

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop."""
        return self._pipe.loop

    def done(self) -> bool:
        """Whether the function has ended."""
        return self._pipe.done

    def get_name(self) -> str:
        """A name for debuggers."""
        return "rivulet pipe"


@final
class Pipe:
    """One function, stepped.

    Args:
        fn: takes the feed and gives an async iterable.
        poke: called when the function can go on though no item has come.
        over: called when the function wants no more items.

    Attributes:
        put: takes an item and runs the function; gives ``OUT`` for an output, ``NEED`` when it asks
            for an item, or what it waits for.
        go: runs it on, after an output.
        out: the output.
        identity: the task that runs while it does, as far as asyncio knows.
    """

    __slots__ = (
        "_feed",
        "_fn",
        "_future",
        "_generator",
        "_items",
        "_must_cancel",
        "_over",
        "_poke",
        "_suspended",
        "_waiter",
        "_waiting",
        "done",
        "go",
        "identity",
        "loop",
        "out",
        "put",
    )

    def __init__(
        self,
        fn: Callable[[AsyncIterator[Any]], Any],
        poke: Callable[[], None],
        over: Callable[[], None],
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.identity = _Identity(self)
        self.done = False
        self.out: Any = None
        self._waiting: deque[Any] = deque()
        self._feed = _Feed(self.loop, self.identity, self._waiting, self._rouse)
        self._fn = fn
        self._poke = poke
        self._over = over
        self._items: Any = None
        self._generator: Any = self._drive()
        self._future: asyncio.Future[Any] | None = None
        self._suspended = False
        self._must_cancel = False
        self._waiter: asyncio.Future[None] | None = None
        self.put: Callable[[Any], Any] = self._put
        self.go: Callable[[None], Any] = self._go

    # The function

    @coroutine
    def _drive(self) -> Generator[Any, Any, None]:
        """Iterate what the function gives; each output is handed out in ``out``."""
        items = self._items = self._open()
        step = items.__anext__
        while True:
            try:
                self.out = yield from step()
            except StopAsyncIteration:
                break
            yield OUT
        self.done = True
        self._over()
        while True:
            yield NEED

    def _open(self) -> Any:
        items = self._fn(self._feed)
        if not isinstance(items, AsyncIterable):
            raise GraphError(
                f"a function given to pipe must give an async iterable, not {items!r:.100}"
            )
        return aiter(cast("AsyncIterable[Any]", items))

    def _run(self, action: Callable[[Any], Any], value: Any) -> Any:
        """Send or throw something into the function, under its own identity."""
        outer = current[self.loop]
        current[self.loop] = self.identity
        try:
            return action(value)
        finally:
            current[self.loop] = outer

    # Steps when something special is going on

    def _slow(self) -> None:
        self.put, self.go = self._put, self._go

    def _put(self, item: Any) -> Any:
        self._waiting.append(item)
        self._feed.wake()
        return self._go(None)

    def _go(self, _: None) -> Any:
        while not self.done:
            if self._suspended:
                return self._look_again()
            if self._must_cancel:
                self._must_cancel = False
                given = self._run(self._generator.throw, asyncio.CancelledError())
            elif self._asks():
                if self._waiting:
                    given = self._run(self._generator.send, self._waiting.popleft())
                elif self._feed.ended:
                    given = self._run(self._generator.send, END)
                else:
                    # Nothing special any more.
                    self.put = self.go = self._generator.send
                    return NEED
            else:
                given = self._run(self._generator.send, None)
            if given is not NEED:
                return given
        return NEED

    def _asks(self) -> bool:
        """Whether the function asks for an item, rather than having given one or not begun."""
        return self._generator.gi_yieldfrom is not None

    def _look_again(self) -> Any:
        """The function waits for something: wait with it, unless it needs an item first."""
        future = self._future
        if self._must_cancel or future is None or future.done() or not self._feed.is_hungry:
            return future
        future.add_done_callback(self._wake_loop)
        return NEED

    def _wake_loop(self, future: object) -> None:
        if future is self._future:
            self._poke()

    def tick(self) -> Any:
        """Run the function on where it can go on though no item has come."""
        if self._must_cancel or self._suspended:
            return self._go(None)
        return NEED

    def end(self) -> Any:
        """Tell the function that no more items come, and run it."""
        self._feed.ended = True
        self._feed.wake()
        self._slow()
        return self._go(None)

    def cancel(self) -> None:
        """Have the function's wait cancelled at its next step."""
        self._must_cancel = True
        self._slow()
        if not self._rouse():
            self._poke()

    def _rouse(self) -> bool:
        """Have ``wait`` look again; tells whether it waits."""
        waiting = self._waiter is not None and not self._waiter.done()
        if waiting:
            assert self._waiter is not None
            self._waiter.set_result(None)
        return waiting

    async def wait(self, given: Any) -> bool:
        """Wait with the function, in place. False when it has given an output, in ``out``."""
        while True:
            self._future, self._suspended = given, True
            self._slow()
            future, error = self._future, None
            if future is None:
                await asyncio.sleep(0)
            elif not future.done() and not self._must_cancel:
                # What a task does when it takes a future that its coroutine gave.
                setattr(future, "_asyncio_future_blocking", False)  # noqa: B010
                while error is None and not future.done() and not self._must_cancel:
                    if self._look_again() is NEED:
                        return True
                    error = await self._wait_for(future)
            given = self._resume(error)
            if given is NEED:
                given = self._go(None)
            if given is OUT:
                return False
            if given is NEED:
                return True

    def _resume(self, error: BaseException | None) -> Any:
        self._future, self._suspended = None, False
        if error is None and not self._must_cancel:
            return self._run(self._generator.send, None)
        self._must_cancel = False
        return self._run(self._generator.throw, error or asyncio.CancelledError())

    async def _wait_for(self, future: asyncio.Future[Any]) -> BaseException | None:
        self._waiter = waiter = self.loop.create_future()

        def wake(_: object) -> None:
            if not waiter.done():
                waiter.set_result(None)

        future.add_done_callback(wake)
        try:
            await waiter
        except asyncio.CancelledError as error:
            return error
        finally:
            self._waiter = None
            future.remove_done_callback(wake)
        return None

    async def close(self) -> None:
        """End the function: a pending wait is cancelled and seen through before it is closed."""
        self.done = self._feed.ended = True
        self._slow()
        if self._asks():
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await _see_through(self._generator)
        self._generator.close()
        if (aclose := getattr(self._items, "aclose", None)) is not None:
            await aclose()


@coroutine
def _see_through(generator: Any) -> Generator[Any, Any, None]:
    """Throw a cancellation into something begun, and drive it to its end."""
    given = generator.throw(asyncio.CancelledError())
    while given is not NEED and given is not OUT:
        try:
            sent = yield given
        except BaseException as error:  # noqa: BLE001  # whatever it is, it goes on to the function
            given = generator.throw(error)
        else:
            given = generator.send(sent)
