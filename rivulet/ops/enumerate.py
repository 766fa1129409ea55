"""``enumerate``: items with their number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.checks import check_whole
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Apply

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class Enumerate(Unary):
    """Node: items with their number."""

    start: int = 0

    def stage(self) -> Apply:
        return Apply(make=self.make)

    def make(self, _: Context) -> Logic:
        """The state of one run."""
        number = self.start - 1

        def call(item: Any) -> tuple[int, Any]:
            nonlocal number
            number += 1
            return number, item

        def snapshot() -> int:
            return number

        def restore(state: int) -> None:
            nonlocal number
            number = state

        return Logic(call=call, snapshot=snapshot, restore=restore)


def enumerate(source: Stream[T], /, start: int = 0) -> Stream[tuple[int, T]]:
    """Give ``(number, item)`` for each item.

    Emits:      one pair per item.
    Waits:      never.
    Completes:  when the source does.
    State:      the number.
    Time:       none; an item's time passes to the pair.

    Args:
        start: the number of the first item.

    Raises:
        GraphError: at build, if ``start`` is no whole number.

    Example:
        >>> await Stream.of("a", "b").enumerate(1).collect()
        [(1, 'a'), (2, 'b')]

    Source: the builtin ``enumerate``.
    """
    check_whole(start, "enumerate", "start", least=-(2**63))
    return source.via(Enumerate(source.node, start))
