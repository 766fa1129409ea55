"""``take_until``: the items before something happens."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.callables import is_awaitable, name_of
from rivulet.core.durations import Duration, seconds
from rivulet.core.entries import CLOSED
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Binary, Unary, frozen
from rivulet.core.stage import Combine, Test
from rivulet.errors import GraphError, SourceError
from rivulet.ops.source import node_of

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class TakeUntil(Unary):
    """Node: the items before a time has passed, a condition holds or something is done."""

    signal: Any

    def stage(self) -> Test:
        if callable(self.signal):
            return Test(select=(self.signal,), make=self.make_for_condition, ends=True)
        return Test(make=self.make_for_event, timed=True, ends=True)

    def make_for_condition(self, context: Context) -> Logic:
        """The state of one run that ends by a condition."""
        going = True

        def call(_: Any, holds: object) -> bool:
            nonlocal going
            if not going:
                return False
            if holds:
                going = False
                context.end()
            return True

        def snapshot() -> bool:
            return going

        def restore(state: bool) -> None:
            nonlocal going
            going = state
            if not going:
                context.end()

        return Logic(call=call, snapshot=snapshot, restore=restore)

    def make_for_event(self, context: Context) -> Logic:
        """The state of one run that ends by something outside."""
        signal = self.signal
        over = False

        def end() -> None:
            nonlocal over
            over = True
            context.end()

        async def wait() -> None:
            if isinstance(signal, asyncio.Event):
                await signal.wait()
            elif asyncio.isfuture(signal):
                # It is the user's: it isn't cancelled when the stream ends before.
                await asyncio.wait([signal])
                signal.result()
            else:
                await signal
            end()

        def call(_: Any) -> bool:
            return not over

        def on_start() -> Iterable[Any]:
            if inspect.iscoroutine(signal) and signal.cr_frame is None:
                raise SourceError(
                    f"take_until was given the coroutine {name_of(signal)}, which was awaited "
                    f"already: to run the stream again, pass a task or an asyncio.Event"
                )
            if _has_happened(signal):
                end()
            elif isinstance(signal, Awaitable | asyncio.Event):
                context.spawn(wait)
            else:
                context.wake_at(context.now() + seconds(signal, "take_until", zero=True))
            return ()

        def on_timer(_: float) -> Iterable[Any]:
            end()
            return ()

        return Logic(call=call, on_start=on_start, on_timer=on_timer)

    def endless(self, inputs: Sequence[bool]) -> bool:
        return False


def _has_happened(signal: Any) -> bool:
    """Whether there is nothing to wait for, so that a source that never waits gives nothing."""
    if isinstance(signal, asyncio.Event):
        return signal.is_set()
    if asyncio.isfuture(signal):
        return signal.done() and signal.exception() is None
    return not isinstance(signal, Awaitable) and seconds(signal, "take_until", zero=True) == 0


@frozen
class Happens(Unary):
    """Node: the first item of a stream tells that something has happened, and ends it."""

    def stage(self) -> Test:
        return Test(make=self.make, ends=True)

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        happened = context.common(self, asyncio.Event)

        def call(_: Any) -> bool:
            happened.set()
            context.end()
            return False

        return Logic(call=call)


@frozen
class TakeUntilOther(Binary):
    """Node: the items before another stream, whose items don't come here, has given one."""

    def stage(self) -> Combine:
        return Combine(make=self.make, silent=(1,))

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        happened = context.common(self.other, asyncio.Event)

        def call(index: int, item: Any, t: int | None) -> Iterable[tuple[Any, int | None]]:
            if index == 0 and item is not CLOSED and not happened.is_set():
                return ((item, t),)
            if index == 0 or happened.is_set():
                context.end()
            return ()

        return Logic(call=call)

    @property
    def name(self) -> str:
        return "take_until"

    def endless(self, inputs: Sequence[bool]) -> bool:
        return False


def take_until(
    source: Stream[T],
    signal: Duration
    | AsyncIterable[Any]
    | Awaitable[Any]
    | asyncio.Event
    | Callable[[T], Awaitable[object] | object],
    /,
) -> Stream[T]:
    """Give items until something happens, and end.

    Emits:      each item before that, at once; with a condition, also the item for which it holds.
    Waits:      never.
    Completes:  when it happens, even while the source is silent; or when the source does.
    State:      none.
    Time:       processing time for a duration; items keep their own time.

    Args:
        signal: a duration from the start of the run (``30``, ``"1m"``, a ``timedelta``); a
            condition ``f(item)``, sync or async; an awaitable or an ``asyncio.Event``; or another
            stream, whose first item is the signal.

    Raises:
        GraphError: at build, if ``signal`` is none of these.
        SourceError: while running, if it is a coroutine that was awaited before.

    Example:
        >>> await Stream.timer(1).take_until("3.5s").collect()
        [0, 1, 2]
        >>> await Stream.of(1, 5, 2).take_until(lambda x: x > 3).collect()
        [1, 5]

    Source: ``take_until`` of ReactiveX; the condition as aiostream's ``until``.
    """
    given: Any = signal
    if isinstance(given, AsyncIterable):
        return source.via(TakeUntilOther(source.node, Happens(node_of(given))))
    if not (callable(given) or isinstance(given, asyncio.Event) or is_awaitable(given)):
        if isinstance(given, Iterable) and not isinstance(given, str):
            raise GraphError(
                f"take_until needs a duration, a condition, an awaitable or a stream, not "
                f"{given!r:.100}: make a stream of it with Stream(...)"
            )
        seconds(given, "take_until", zero=True)
    return source.via(TakeUntil(source.node, given))
