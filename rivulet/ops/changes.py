"""``changes``: items that differ from the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.callables import Selector, selector
from rivulet.core.entries import UNSET
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Test

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class Changes(Unary):
    """Node: items that differ from the one before."""

    key: Selector[Any] | None = None

    def stage(self) -> Test:
        if self.key is None:
            return Test(make=self.make)
        return Test(select=(selector(self.key, "changes"),), make=self.make)

    def make(self, _: Context) -> Logic:
        """The state of one run."""
        before: Any = UNSET

        def call(item: Any, *key: Any) -> bool:
            nonlocal before
            value = key[0] if key else item
            differs = before is UNSET or bool(value != before)
            before = value
            return differs

        def snapshot() -> tuple[Any, ...]:
            return () if before is UNSET else (before,)

        def restore(state: tuple[Any, ...]) -> None:
            nonlocal before
            before = state[0] if state else UNSET

        return Logic(call=call, snapshot=snapshot, restore=restore)


def changes(source: Stream[T], /, key: Selector[T] | None = None) -> Stream[T]:
    """Drop an item when its key equals that of the item right before it.

    To drop all that came before, use ``distinct``.

    Emits:      the first item, and each that differs from the one before, at once.
    Waits:      for an async key function before the next item is read.
    Completes:  when the source does.
    State:      one key.
    Time:       none; items keep their time.

    Args:
        key: what to compare: a function, a key or an attribute; default the item itself.

    Raises:
        GraphError: at build, if ``key`` is none of these.

    Example:
        >>> await Stream.of(1, 1, 2, 1).changes().collect()
        [1, 2, 1]

    Source: ``distinct_until_changed`` of ReactiveX.
    """
    if key is not None:
        selector(key, "changes")
    return source.via(Changes(source.node, key))
