"""Step an opaque function of an async iterable in place.

The function's generator is driven by hand inside of the loop: it is given one item and run until
it asks for the next, and each of its outputs goes down before the next is computed. It has a task
identity of its own, so that ``asyncio.timeout`` inside of it ends its own wait and not the loop.
"""

from __future__ import annotations

import asyncio
from asyncio import tasks
from collections.abc import AsyncIterator, Callable, Generator
from types import coroutine
from typing import Any, cast, final

from rivulet.core.entries import NEED, UNSET, WAIT
from rivulet.errors import GraphError

__all__ = ["Pipe"]


def _task_switch() -> Callable[[asyncio.AbstractEventLoop, Any], Any]:
    """A function that says which task is running now and gives the one before."""
    swap = getattr(tasks, "_swap_current_task", None)
    if swap is not None:
        return swap
    current: dict[asyncio.AbstractEventLoop, Any] = getattr(tasks, "_current_tasks")  # noqa: B009

    def switch(loop: asyncio.AbstractEventLoop, task: Any) -> Any:
        before = current.get(loop)
        current[loop] = task
        return before

    return switch


_switch = _task_switch()


@final
class _Feed:
    """What the function reads: one item at a time, put in by the loop."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self.item: Any = UNSET
        self.ended = False
        self.hungry: asyncio.Future[None] | None = None
        # Only an eager task could read while the function itself is being stepped.
        self._plain = pipe.loop.get_task_factory() is None

    def __aiter__(self) -> _Feed:
        return self

    @coroutine
    def __anext__(self) -> Generator[Any, Any, Any]:
        while self.item is UNSET:
            if self.ended:
                raise StopAsyncIteration
            if self._pipe.stepping and (
                self._plain or asyncio.current_task() is self._pipe.identity
            ):
                yield NEED
            else:
                # Another task of the function's own reads: it waits as for any future.
                self.hungry = asyncio.get_running_loop().create_future()
                try:
                    yield from self.hungry
                finally:
                    self.hungry = None
        item, self.item = self.item, UNSET
        return item

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
    """One function, stepped. ``step`` gives an output, or ``NEED`` for another item, or ``WAIT``.

    Args:
        fn: takes the feed and gives an async iterable.
        poke: called when the function can go on though no item has come.
        end: called when the function wants no more items.
    """

    def __init__(
        self,
        fn: Callable[[AsyncIterator[Any]], Any],
        poke: Callable[[], None],
        end: Callable[[], None],
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.identity = _Identity(self)
        self.feed = _Feed(self)
        self.done = False
        self.stepping = False
        self._fn = fn
        self._poke = poke
        self._end = end
        self._items: Any = None
        self._next: Any = None
        self._pending: Any = None
        self._future: asyncio.Future[Any] | None = None
        self._suspended = False
        self._must_cancel = False
        self._waiter: asyncio.Future[None] | None = None

    def put(self, item: Any) -> None:
        """Give the function an item."""
        self.feed.item = item
        self.feed.wake()

    def end(self) -> None:
        """Tell the function that no more items come."""
        self.feed.ended = True
        self.feed.wake()

    def cancel(self) -> None:
        """Have the function's wait cancelled at the next step."""
        self._must_cancel = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        else:
            self._poke()

    def step(self) -> Any:
        """Run the function until it gives something, needs an item or waits."""
        if self.done:
            return NEED
        if self._suspended:
            return self._look_again()
        if self._pending is None:
            if self._items is None:
                self._open()
            self._pending = self._next()
        outer = _switch(self.loop, self.identity)
        self.stepping = True
        try:
            if self._must_cancel:
                self._must_cancel = False
                given = self._pending.throw(asyncio.CancelledError())
            else:
                given = self._pending.send(None)
        except StopIteration as stop:
            self._pending = None
            return stop.value
        except StopAsyncIteration:
            self._finish()
            return NEED
        finally:
            self.stepping = False
            _switch(self.loop, outer)
        if given is NEED:
            return NEED
        self._future, self._suspended = given, True
        return WAIT

    def _open(self) -> None:
        outer = _switch(self.loop, self.identity)
        try:
            items = self._fn(self.feed)
            aiter_ = getattr(type(items), "__aiter__", None)
            if aiter_ is None:
                raise GraphError(
                    f"a function given to pipe must give an async iterable, not {items!r:.100}"
                )
            self._items = aiter_(items)
        finally:
            _switch(self.loop, outer)
        self._next = getattr(self._items, "__anext__")  # noqa: B009

    def _finish(self) -> None:
        self.done, self._pending = True, None
        self._end()

    def _look_again(self) -> Any:
        """The function waits for something: go on if that has come, or wait unless it wants food."""
        future = self._future
        ready = self._must_cancel or future is None or future.done()
        if not ready and self._is_hungry():
            assert future is not None
            future.add_done_callback(self._wake_loop)
            return NEED
        return WAIT

    def _is_hungry(self) -> bool:
        return (
            self.feed.hungry is not None and not self.feed.hungry.done() and self.feed.item is UNSET
        )

    def _wake_loop(self, future: object) -> None:
        if future is self._future:
            self._poke()

    async def wait(self) -> Any:
        """Wait with the function, in place, until it gives something or needs an item."""
        while True:
            future, error = self._future, None
            if future is None:
                await asyncio.sleep(0)
            elif not future.done() and not self._must_cancel:
                # What a task does when it takes a future that its coroutine gave.
                setattr(future, "_asyncio_future_blocking", False)  # noqa: B010
                if self._is_hungry():
                    future.add_done_callback(self._wake_loop)
                    return NEED
                error = await self._wait_for(future)
                if error is None and not future.done() and not self._must_cancel:
                    return NEED
            given = self._resume(error)
            if given is not WAIT:
                return given

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

    def _resume(self, error: BaseException | None) -> Any:
        if error is None and self._must_cancel:
            self._must_cancel, error = False, asyncio.CancelledError()
        self._future, self._suspended = None, False
        pending = self._pending
        outer = _switch(self.loop, self.identity)
        self.stepping = True
        try:
            given = pending.throw(error) if error is not None else pending.send(None)
        except StopIteration as stop:
            self._pending = None
            return stop.value
        except StopAsyncIteration:
            self._finish()
            return NEED
        finally:
            self.stepping = False
            _switch(self.loop, outer)
        if given is NEED:
            return NEED
        self._future, self._suspended = given, True
        return WAIT

    async def close(self) -> None:
        """End the function: a pending wait is cancelled and seen through before it is closed."""
        self.done = self.feed.ended = True
        pending, self._pending = self._pending, None
        if pending is not None:
            try:
                await cast("Any", _see_through(pending))
            except (asyncio.CancelledError, StopAsyncIteration):
                pass
        if (aclose := getattr(self._items, "aclose", None)) is not None:
            await aclose()


@coroutine
def _see_through(pending: Any) -> Generator[Any, Any, Any]:
    """Throw a cancellation into something begun, and drive it to its end."""
    try:
        given = pending.throw(asyncio.CancelledError())
    except StopIteration as stop:
        return stop.value
    while True:
        try:
            sent = yield given
        except BaseException as error:
            try:
                given = pending.throw(error)
            except StopIteration as stop:
                return stop.value
        else:
            try:
                given = pending.send(sent)
            except StopIteration as stop:
                return stop.value
