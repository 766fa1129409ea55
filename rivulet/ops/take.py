"""``take``: the first items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.checks import check_whole
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Test

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class Take(Unary):
    """Node: the first items."""

    n: int

    def stage(self) -> Test:
        return Test(make=self.make, ends=True)

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        left = self.n
        if not left:
            context.end()

        def call(_: Any) -> bool:
            nonlocal left
            if left < 1:
                return False
            left -= 1
            if not left:
                context.end()
            return True

        def snapshot() -> int:
            return left

        def restore(state: int) -> None:
            nonlocal left
            left = state
            if not left:
                context.end()

        return Logic(call=call, snapshot=snapshot, restore=restore)

    def endless(self, inputs: Sequence[bool]) -> bool:
        return False


def take(source: Stream[T], n: int, /) -> Stream[T]:
    """Give the first ``n`` items and end.

    To take by time or on a signal, use ``take_until``; by a condition, ``take_while``.

    Emits:      the first n items, at once.
    Waits:      never.
    Completes:  right after item n: the source isn't asked for another. With n = 0 at once.
    State:      a count.
    Time:       none; items keep their time.

    Args:
        n: how many, 0 or more.

    Raises:
        GraphError: at build, if ``n`` is negative or no whole number.

    Example:
        >>> import itertools
        >>> await Stream(itertools.count).take(3).collect()
        [0, 1, 2]

    Source: ``take`` of ReactiveX; ``itertools.islice``.
    """
    check_whole(n, "take", "n", least=0)
    return source.via(Take(source.node, n))
