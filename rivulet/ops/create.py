"""Streams made of arguments: ``of``, ``empty``, ``never``, ``fail``, ``timer``, ``using``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    aclosing,
)
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from rivulet.core.callables import check_callable, is_awaitable, name_of
from rivulet.core.checks import check_flag
from rivulet.core.durations import Duration, seconds
from rivulet.core.iteration import each
from rivulet.core.logic import Context
from rivulet.core.node import Leaf, frozen
from rivulet.core.stage import Produce
from rivulet.errors import GraphError, SourceError

if TYPE_CHECKING:
    from rivulet.stream import Stream

__all__ = [
    "Empty",
    "Fail",
    "Never",
    "Of",
    "Timer",
    "Using",
    "empty",
    "fail",
    "never",
    "of",
    "timer",
    "using",
]

T = TypeVar("T")
R = TypeVar("R")

Manager = AbstractAsyncContextManager[R] | AbstractContextManager[R]


@frozen
class Of(Leaf):
    """Node: some items."""

    items: tuple[Any, ...]

    def stage(self) -> Produce:
        return Produce(open=lambda _: self.items, is_async=False)


def of(cls: type[Stream[Any]], /, *items: T) -> Stream[T]:
    """A stream of the arguments.

    Emits:      each argument.
    Completes:  after the last.

    Args:
        items: what to give.

    Example:
        >>> await Stream.of(1, "a").collect()
        [1, 'a']

    Source: ``of`` of ReactiveX.
    """
    return cls(Of(items))


@frozen
class Empty(Leaf):
    """Node: nothing."""

    def stage(self) -> Produce:
        return Produce(open=lambda _: (), is_async=False)


def empty(cls: type[Stream[Any]], /) -> Stream[Any]:
    """A stream without items.

    Emits:      nothing.
    Completes:  at once.

    Example:
        >>> await Stream.empty().collect()
        []

    Source: ``empty`` of ReactiveX.
    """
    return cls(Empty())


@frozen
class Never(Leaf):
    """Node: silence."""

    def stage(self) -> Produce:
        return Produce(open=self.open)

    async def open(self, _: Context) -> AsyncGenerator[Any, None]:
        """Wait for ever."""
        yield await asyncio.get_running_loop().create_future()

    def endless(self, inputs: Sequence[bool]) -> bool:
        return True


def never(cls: type[Stream[Any]], /) -> Stream[Any]:
    """A stream that stays silent and doesn't end.

    Emits:      nothing.
    Completes:  never.

    Example:
        >>> await Stream.never().take_until("1h").collect()
        []

    Source: ``never`` of ReactiveX.
    """
    return cls(Never())


@frozen
class Fail(Leaf):
    """Node: an error."""

    error: BaseException

    def stage(self) -> Produce:
        return Produce(open=self.open, is_async=False)

    def open(self, _: Context) -> NoReturn:
        """Raise it."""
        raise self.error


def fail(cls: type[Stream[Any]], error: Exception, /) -> Stream[Any]:
    """A stream that raises.

    Emits:      nothing.
    Completes:  never: it fails at once.

    Args:
        error: what to raise.

    Raises:
        GraphError: at build, if ``error`` is no exception.

    Example:
        >>> await Stream.fail(ValueError("no")).catch([0]).collect()
        [0]

    Source: ``throw`` of ReactiveX.
    """
    given: Any = error
    if not isinstance(given, BaseException):
        raise GraphError(f"Stream.fail needs an exception, not {given!r}")
    return cls(Fail(error))


@frozen
class Timer(Leaf):
    """Node: numbers at equal distances of time."""

    every: Duration
    align: bool = False

    def stage(self) -> Produce:
        return Produce(open=self.open)

    async def open(self, context: Context) -> AsyncGenerator[int, None]:
        """Wait for the next tick, and count it."""
        every = seconds(self.every, "timer")
        first = every - context.wall() % every if self.align else every
        begun = context.now() + first - every
        tick = 0
        while True:
            tick += 1
            wait = begun + tick * every - context.now()
            if wait > 0:
                await asyncio.sleep(wait)
            else:
                # Behind: ticks that are over are left out, so that the next is in time again.
                tick = int((context.now() - begun) / every)
                await asyncio.sleep(0)
            yield tick - 1

    def endless(self, inputs: Sequence[bool]) -> bool:
        return True


def timer(cls: type[Stream[Any]], every: Duration, /, *, align: bool = False) -> Stream[int]:
    """A stream of numbers from 0, one at a time.

    Emits:      0 after ``every``, and so on; distances don't add up. When its reader was busy for
                longer, the ticks that are over are left out, and their numbers too.
    Completes:  never.
    Time:       processing time.

    Args:
        every: the distance of two ticks.
        align: let ticks fall on multiples of ``every`` of the time of day (UTC).

    Raises:
        GraphError: at build, if ``every`` is no duration.

    Example:
        >>> await Stream.timer("500ms").take(3).collect()
        [0, 1, 2]

    Source: ``interval`` of ReactiveX.
    """
    seconds(every, "timer(every)")
    check_flag(align, "timer", "align")
    return cls(Timer(every, align))


@frozen
class Using(Leaf):
    """Node: the items of what a resource gives, while it is held."""

    resource: Any
    make: Callable[[Any], Any]

    def stage(self) -> Produce:
        return Produce(open=self.open)

    async def open(self, _: Context) -> AsyncGenerator[Any, None]:
        """Enter the resource, give the items, leave it."""
        manager = self.resource if _is_manager(self.resource) else self.resource()
        if is_awaitable(manager) and not _is_manager(manager):
            manager = await manager
        if not _is_manager(manager):
            raise SourceError(
                f"{name_of(self.resource)}() gave {manager!r:.100}, which is no context manager"
            )
        async with AsyncExitStack() as stack:
            if hasattr(manager, "__aenter__"):
                resource = await stack.enter_async_context(manager)
            else:
                resource = stack.enter_context(manager)
            items = await stack.enter_async_context(aclosing(each(self.make(resource))))
            async for item in items:
                yield item


def _is_manager(resource: object) -> bool:
    """Whether it can be entered; what ``contextmanager`` makes can be called as well."""
    return hasattr(type(resource), "__aenter__") or hasattr(type(resource), "__enter__")


def using(
    cls: type[Stream[Any]],
    resource: Callable[[], Manager[R] | Awaitable[Manager[R]]] | Manager[R],
    make: Callable[[R], AsyncIterable[T] | Iterable[T]],
    /,
) -> Stream[T]:
    """A stream that holds a resource while it is read.

    Emits:      the items of ``make(resource)``.
    Completes:  when these do; the resource is then released, and also on errors, when the reader
                leaves, and when the run is stopped.

    Args:
        resource: a context manager, sync or async; or a function, sync or async, that gives one for
            each run, which is needed to run the stream more than once.
        make: gives an iterable or async iterable, from what entering the context gave.

    Raises:
        GraphError: at build, if ``make`` isn't callable or ``resource`` is no context manager.
        SourceError: while running, if the function gives none.

    Example:
        >>> from contextlib import contextmanager
        >>> @contextmanager
        ... def opened():
        ...     print("open")
        ...     yield ["a", "b"]
        ...     print("close")
        >>> await Stream.using(opened, lambda lines: lines).collect()
        open
        close
        ['a', 'b']

    Source: ``using`` of ReactiveX.
    """
    check_callable(make, "using", "make")
    if not callable(resource) and not _is_manager(resource):
        raise GraphError(
            f"Stream.using needs a context manager or a function that gives one, not {resource!r}"
        )
    return cls(Using(resource, make))
