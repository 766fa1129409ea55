"""``skip``: all but the first items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.checks import check_whole
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Test

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class Skip(Unary):
    """Node: all but the first items."""

    n: int

    def stage(self) -> Test:
        return Test(make=self.make)

    def make(self, _: Context) -> Logic:
        """The state of one run."""
        left = self.n

        def call(_: Any) -> bool:
            nonlocal left
            if not left:
                return True
            left -= 1
            return False

        def snapshot() -> int:
            return left

        def restore(state: int) -> None:
            nonlocal left
            left = state

        return Logic(call=call, snapshot=snapshot, restore=restore)


def skip(source: Stream[T], n: int, /) -> Stream[T]:
    """Drop the first ``n`` items and give all others.

    Emits:      each item after the first n, at once.
    Waits:      never.
    Completes:  when the source does.
    State:      a count.
    Time:       none; items keep their time.

    Args:
        n: how many, 0 or more.

    Raises:
        GraphError: at build, if ``n`` is negative or no whole number.

    Example:
        >>> await Stream.of(1, 2, 3).skip(2).collect()
        [3]

    Source: ``skip`` of ReactiveX.
    """
    check_whole(n, "skip", "n", least=0)
    return source.via(Skip(source.node, n))
