"""``take_while``: the items before a condition fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.callables import check_callable
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Test

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class TakeWhile(Unary):
    """Node: the items before a condition fails."""

    predicate: Callable[[Any], Any]

    def stage(self) -> Test:
        return Test(select=(self.predicate,), make=self.make, ends=True)

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        going = True

        def call(_: Any, holds: object) -> bool:
            nonlocal going
            if going and not holds:
                going = False
                context.end()
            return going

        def snapshot() -> bool:
            return going

        def restore(state: bool) -> None:
            nonlocal going
            going = state
            if not going:
                context.end()

        return Logic(call=call, snapshot=snapshot, restore=restore)

    def endless(self, inputs: Sequence[bool]) -> bool:
        return False


def take_while(
    source: Stream[T], predicate: Callable[[T], Awaitable[object] | object], /
) -> Stream[T]:
    """Give items until ``predicate(item)`` is false for one, and end.

    The item for which it is false is dropped; to have it too, use ``take_until(predicate)``.

    Emits:      each item before that one, at once.
    Waits:      for an async predicate before the next item is read.
    Completes:  at that item, or when the source does.
    State:      none.
    Time:       none; items keep their time.

    Args:
        predicate: gives something true for the items to give.

    Raises:
        GraphError: at build, if ``predicate`` isn't callable.

    Example:
        >>> await Stream.of(1, 2, 5, 1).take_while(lambda x: x < 3).collect()
        [1, 2]

    Source: ``itertools.takewhile``.
    """
    check_callable(predicate, "take_while", "predicate")
    return source.via(TakeWhile(source.node, predicate))
