"""``timeout``: an error when nothing comes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.durations import Duration, seconds
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Effect
from rivulet.errors import GraphError

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class Timeout(Unary):
    """Node: items, or an error when nothing comes."""

    idle: Duration | None = None
    first: Duration | None = None
    total: Duration | None = None

    def stage(self) -> Effect:
        return Effect(make=self.make, timed=True)

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        idle = None if self.idle is None else seconds(self.idle, "idle")
        first = idle if self.first is None else seconds(self.first, "first")
        total = None if self.total is None else seconds(self.total, "total")
        begun = 0.0
        since = 0.0
        any_item = busy = armed = False

        def on_start() -> Iterable[Any]:
            nonlocal begun, since
            begun = since = context.now()
            wake()
            return ()

        def limits() -> Iterable[tuple[float, str]]:
            """When it would be too late, and what to say then."""
            patience = idle if any_item else first
            if patience is not None and not busy:
                what = (
                    f"no item for {patience:g} s"
                    if any_item
                    else f"no first item in {patience:g} s"
                )
                yield since + patience, what
            if total is not None:
                yield begun + total, f"not at its end after {total:g} s"

        def wake() -> None:
            for when, _ in limits():
                context.wake_at(when)

        def call(_: Any) -> None:
            nonlocal any_item, busy
            any_item = busy = True

        def after() -> None:
            # Only the time spent waiting for the source counts, not what is done with an item.
            nonlocal armed, busy, since
            busy, since = False, context.now()
            if not armed:
                armed = True
                wake()

        def on_timer(now: float) -> Iterable[Any]:
            nonlocal since
            if context.paused:
                since = now
            for when, what in limits():
                if now >= when - 1e-6:
                    raise TimeoutError(what)
            wake()
            if busy and idle is not None:
                context.wake_at(now + idle)
            return ()

        return Logic(call=call, on_start=on_start, on_timer=on_timer, after=after)


def timeout(
    source: Stream[T],
    idle: Duration | None = None,
    /,
    *,
    first: Duration | None = None,
    total: Duration | None = None,
) -> Stream[T]:
    """Raise ``TimeoutError`` when items don't come in time.

    To fill the silence instead, use ``keep_alive``; to end quietly, ``take_until``.

    Emits:      each item, at once.
    Waits:      never.
    Completes:  when the source does.
    State:      a time.
    Time:       processing time; items keep their own.

    Args:
        idle: how long to wait for an item after the one before. Only waiting for what is above
            counts, not what is done with an item below.
        first: how long to wait for the first item; default ``idle``.
        total: how long the stream may take as a whole.

    Raises:
        GraphError: at build, if none is given or one is no duration.
        TimeoutError: while running, when it is too late.

    Example:
        >>> try:
        ...     await Stream.timer(10).timeout(3).collect(limit=1)
        ... except TimeoutError as error:
        ...     print(error)
        no first item in 3 s

    Source: ``idleTimeout``, ``initialTimeout`` and ``completionTimeout`` of Pekko.
    """
    if idle is None and first is None and total is None:
        raise GraphError("timeout needs idle, first= or total=")
    for value, name in ((idle, "idle"), (first, "first"), (total, "total")):
        if value is not None:
            seconds(value, f"timeout({name})")
    return source.via(Timeout(source.node, idle, first, total))
