"""``keep_alive``: items to fill silence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.durations import Duration, seconds
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Effect

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")
U = TypeVar("U")


@frozen
class KeepAlive(Unary):
    """Node: items, and one to fill silence."""

    idle: Duration
    value: Any

    def stage(self) -> Effect:
        return Effect(make=self.make, stamps="lose", timed=True)

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        idle = seconds(self.idle, "idle")
        since = 0.0
        busy = False

        def quiet_from_now() -> None:
            nonlocal since
            since = context.now()
            context.wake_at(since + idle)

        def on_start() -> Iterable[Any]:
            quiet_from_now()
            return ()

        def call(_: Any) -> None:
            nonlocal busy
            busy = True

        def after() -> None:
            nonlocal busy
            busy = False
            quiet_from_now()

        def on_timer(now: float) -> Iterable[Any]:
            if not busy and now >= since + idle - 1e-6:
                quiet_from_now()
                return (self.value,)
            context.wake_at(max(since, now if busy else since) + idle)
            return ()

        return Logic(call=call, on_start=on_start, on_timer=on_timer, after=after)


def keep_alive(source: Stream[T], idle: Duration, value: U, /) -> Stream[T | U]:
    """Give ``value`` whenever no item has come for the time ``idle``.

    For connections that close when they are silent, and displays that go on. ``timeout`` raises.

    Emits:      each item, at once; and the value after each further ``idle`` of silence.
    Waits:      never.
    Completes:  when the source does.
    State:      a time.
    Time:       processing time. The value has no time, so ``event_time`` has to come after.

    Args:
        idle: how long it may be silent.
        value: what to give then.

    Raises:
        GraphError: at build, if ``idle`` is no duration.

    Example:
        >>> await Stream.timer(5).take(2).keep_alive(2, "...").collect()
        ['...', '...', 0, '...', '...', 1]

    Source: ``keepAlive`` of Pekko.
    """
    seconds(idle, "keep_alive(idle)")
    return source.via(KeepAlive(source.node, idle, value))
