"""``debounce``: an item once it is quiet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.durations import Duration, seconds
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Expand

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class Debounce(Unary):
    """Node: an item once it is quiet."""

    quiet: Duration

    def stage(self) -> Expand:
        return Expand(make=self.make, stamps="own", holds=True, timed=True)

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        return held_for(context, seconds(self.quiet, "debounce"), renewed=True)


def held_for(context: Context, pause: float, *, renewed: bool) -> Logic:
    """The state of a stage that holds an item for a while and gives the newest that came by then.

    Args:
        context: the run.
        pause: how long in seconds.
        renewed: the time begins anew with each item.
    """
    held: tuple[tuple[Any, int | None], ...] = ()
    due = 0.0

    def call(item: Any, t: int | None) -> Iterable[tuple[Any, int | None]]:
        nonlocal held, due
        if renewed or not held:
            due = context.now() + pause
        if not held:
            context.wake_at(due)
        held = ((item, t),)
        return ()

    def flush() -> Iterable[tuple[Any, int | None]]:
        nonlocal held
        given, held = held, ()
        return given

    def on_timer(now: float) -> Iterable[tuple[Any, int | None]]:
        if held and now < due - 1e-6:
            context.wake_at(due)
            return ()
        return flush()

    def passes(watermark: int) -> int:
        return min([watermark, *(t for _, t in held if t is not None)])

    def restore(state: tuple[tuple[Any, int | None], ...]) -> None:
        nonlocal held, due
        held, due = state, context.now() + pause
        if held:
            context.wake_at(due)

    return Logic(
        call=call,
        on_timer=on_timer,
        on_end=flush,
        passes=passes,
        snapshot=lambda: held,
        restore=restore,
    )


def debounce(source: Stream[T], quiet: Duration, /) -> Stream[T]:
    """Give an item when no other has come for the time ``quiet``; drop it if one has.

    For input that comes in bursts, where only the last counts. ``throttle`` gives items during a
    long burst as well.

    Emits:      the last item of each burst, ``quiet`` after it.
    Waits:      never.
    Completes:  when the source does; an item still held is given then.
    State:      one item.
    Time:       processing time; items keep their own.

    Args:
        quiet: how long it has to be quiet.

    Raises:
        GraphError: at build, if ``quiet`` is no duration.

    Example:
        >>> from rivulet.testing import marbles
        >>> await marbles("ab---c--|").debounce(2).collect()
        ['b', 'c']

    Source: ``debounce`` of ReactiveX.
    """
    seconds(quiet, "debounce")
    return source.via(Debounce(source.node, quiet))
