"""``default``: an item for an empty stream."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Test

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")
U = TypeVar("U")


@frozen
class Default(Unary):
    """Node: the items, or one for none."""

    value: Any

    def stage(self) -> Test:
        return Test(make=self.make, stamps="lose")

    def make(self, _: Context) -> Logic:
        """The state of one run."""
        empty = True

        def call(_: Any) -> bool:
            nonlocal empty
            empty = False
            return True

        def on_end() -> Iterable[Any]:
            return (self.value,) if empty else ()

        def snapshot() -> bool:
            return empty

        def restore(state: bool) -> None:
            nonlocal empty
            empty = state

        return Logic(call=call, on_end=on_end, snapshot=snapshot, restore=restore)


def default(source: Stream[T], value: U, /) -> Stream[T | U]:
    """Give ``value`` if the stream ends without an item.

    Emits:      every item; or the value, at the end, if there was none.
    Waits:      never.
    Completes:  when the source does.
    State:      none.
    Time:       none; the value has no time, so ``event_time`` has to come after.

    Args:
        value: what to give for an empty stream.

    Example:
        >>> await Stream.empty().default(0).collect()
        [0]

    Source: ``default_if_empty`` of ReactiveX.
    """
    return source.via(Default(source.node, value))
