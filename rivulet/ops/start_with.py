"""``start_with``: items before the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Test

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")
U = TypeVar("U")


@frozen
class StartWith(Unary):
    """Node: some items, then those of the stream."""

    items: tuple[Any, ...]

    def stage(self) -> Test:
        return Test(make=self.make, stamps="lose")

    def make(self, _: Context) -> Logic:
        """The state of one run."""
        return Logic(call=_always, on_start=lambda: self.items)


def _always(_: Any) -> bool:
    return True


def start_with(source: Stream[T], /, *items: U) -> Stream[T | U]:
    """Give some items first.

    Emits:      the items when the run begins, then every item of the stream.
    Waits:      never.
    Completes:  when the source does.
    State:      none.
    Time:       none; the items have no time, so ``event_time`` has to come after.

    Args:
        items: what to give first.

    Example:
        >>> await Stream.of(2, 3).start_with(0, 1).collect()
        [0, 1, 2, 3]

    Source: ``start_with`` of ReactiveX.
    """
    return source.via(StartWith(source.node, items))
