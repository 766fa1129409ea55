"""``share``: one subscription for several readers, each at its own pace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.checks import check_whole
from rivulet.core.node import Leaf, Node, frozen
from rivulet.core.stage import Produce, Sharing
from rivulet.ops.buffer import Overflow, check_overflow

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class Share(Leaf):
    """Node: one subscription for several readers."""

    part: Node
    buffer: int = 1
    overflow: Overflow | Callable[[Any, Any], Any] = "wait"
    replay: int = 0
    hubs: dict[Any, Any] = field(default_factory=dict[Any, Any], init=False, repr=False)

    def stage(self) -> Produce:
        sharing = Sharing(
            node=self.part,
            size=self.buffer,
            overflow=self.overflow,
            replay=self.replay,
            hubs=self.hubs,
        )
        return Produce(nested=(self.part,), sharing=sharing)

    def endless(self, inputs: Sequence[bool]) -> bool:
        return any(inputs)


def share(
    source: Stream[T],
    /,
    *,
    buffer: int = 1,
    overflow: Overflow | Callable[[T, T], T] = "wait",
    replay: int = 0,
) -> Stream[T]:
    """Read the stream once for all that read this one at the same time, each at its own pace.

    Two branches of one run read what they have in common once anyway, but in step: the slower holds
    the faster. After ``share`` each branch has a buffer of its own. Runs that overlap share as
    well: the subscription begins with the first reader and ends with the last.

    Emits:      to each reader every item from when it came.
    Waits:      for the slowest reader whose buffer is full, with ``overflow="wait"``.
    Completes:  for all readers when the source does.
    State:      ``buffer`` items for each reader, and ``replay``.
    Time:       none; items keep their time.

    Args:
        buffer: how many items may wait for a reader, 1 or more.
        overflow: what happens to an item that finds a reader's buffer full, as with ``buffer``.
        replay: how many of the last items a reader gets that comes later, 0 or more.

    Raises:
        GraphError: at build, if a number is too small or ``overflow`` isn't known.
        BufferFullError: while running, with ``overflow="error"``.

    Example:
        >>> ticks = Stream.timer(1).take(4).share(buffer=10)
        >>> async def slow(n):
        ...     await asyncio.sleep(2)
        >>> fast, late = [], []
        >>> await rivulet.run(ticks.to(fast), ticks.to(slow).to(late))
        >>> fast == late == [0, 1, 2, 3]
        True

    Source: ``share`` of Swift Async Algorithms; ``replay`` of ReactiveX.
    """
    check_whole(buffer, "share", "buffer")
    check_whole(replay, "share", "replay", least=0)
    check_overflow(overflow, "share")
    return source.via(Share(source.node, buffer, overflow, replay))
