"""``take_last``: the last items."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.checks import check_whole
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Expand

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class TakeLast(Unary):
    """Node: the last items."""

    n: int

    def stage(self) -> Expand:
        return Expand(make=self.make, stamps="own", holds=True)

    def make(self, _: Context) -> Logic:
        """The state of one run."""
        last: deque[tuple[Any, int | None]] = deque(maxlen=self.n)

        def call(item: Any, t: int | None) -> Iterable[Any]:
            last.append((item, t))
            return ()

        def passes(watermark: int) -> int:
            return min([watermark, *(t for _, t in last if t is not None)])

        def on_end() -> Iterable[tuple[Any, int | None]]:
            while last:
                yield last.popleft()

        def snapshot() -> list[tuple[Any, int | None]]:
            return list(last)

        def restore(state: list[tuple[Any, int | None]]) -> None:
            last.clear()
            last.extend(state)

        return Logic(call=call, passes=passes, on_end=on_end, snapshot=snapshot, restore=restore)


def take_last(source: Stream[T], n: int, /) -> Stream[T]:
    """Give the last ``n`` items, at the end.

    Emits:      up to n items in order, when the source ends.
    Waits:      never.
    Completes:  when the source does, after these items.
    State:      n items.
    Time:       none; items keep their time.

    Args:
        n: how many, 0 or more.

    Raises:
        GraphError: at build, if ``n`` is negative or no whole number.

    Example:
        >>> await Stream.of(1, 2, 3).take_last(2).collect()
        [2, 3]

    Source: ``take_last`` of ReactiveX.
    """
    check_whole(n, "take_last", "n", least=0)
    return source.via(TakeLast(source.node, n))
