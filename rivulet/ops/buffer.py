"""``buffer``: let a source run ahead of what reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from rivulet.core.callables import mode_of
from rivulet.core.checks import check_choice, check_whole
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Channel
from rivulet.errors import GraphError

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")

Overflow = Literal["wait", "drop_oldest", "drop_newest", "error"]
OVERFLOWS = ("wait", "drop_oldest", "drop_newest", "error")


def check_overflow(overflow: object, operator: str) -> None:
    """Refuse what can't say what becomes of an item that finds a buffer full.

    Raises:
        GraphError: it is neither a known word nor a plain function.
    """
    if not callable(overflow):
        check_choice(overflow, operator, "overflow", OVERFLOWS)
    elif mode_of(overflow) == "async":
        raise GraphError(
            f"{operator}(overflow) must be a plain function: a full buffer can't wait for an "
            f"async one"
        )


@frozen
class Buffer(Unary):
    """Node: items that wait to be read."""

    n: int
    overflow: Overflow | Callable[[Any, Any], Any] = "wait"

    def stage(self) -> Channel:
        return Channel(size=self.n, overflow=self.overflow)


def buffer(
    source: Stream[T], n: int, /, *, overflow: Overflow | Callable[[T, T], T] = "wait"
) -> Stream[T]:
    """Read up to ``n`` items ahead, in a task of its own.

    Without it a stage reads the next item when the one before has gone all the way down. It is the
    only operator that may drop items, and it counts them (``run.stats().dropped``). ``batch``
    groups items.

    Emits:      each item, when what comes after is ready for it.
    Waits:      when it is full, with ``overflow="wait"``; else never.
    Completes:  when the source does and the buffer is empty.
    State:      n items.
    Time:       none; items keep their time.

    Args:
        n: how many items may wait, 1 or more.
        overflow: what happens to an item that finds it full: ``"wait"`` holds the source;
            ``"drop_oldest"`` and ``"drop_newest"`` drop one; ``"error"`` raises; a function of (the
            newest waiting, the new item) gives one in place of both, such as their sum.

    Raises:
        GraphError: at build, if ``n`` is less than 1, or ``overflow`` isn't known or is
            async.
        BufferFullError: while running, with ``overflow="error"``.

    Example:
        >>> async def slow(item):
        ...     await asyncio.sleep(2.6)
        ...     return item
        >>> ticks = Stream.timer(1).take(8)
        >>> await ticks.buffer(1, overflow="drop_oldest").map(slow).collect()
        [0, 2, 5, 7]

    Source: ``buffer`` with ``OverflowStrategy`` of Pekko; a function as its ``conflate``.
    """
    check_whole(n, "buffer", "n")
    check_overflow(overflow, "buffer")
    return source.via(Buffer(source.node, n, overflow))
