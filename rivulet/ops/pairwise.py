"""``pairwise``: each item with the one before it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.entries import UNSET
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Expand

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class Pairwise(Unary):
    """Node: each item with the one before it."""

    def stage(self) -> Expand:
        return Expand(make=self.make)

    def make(self, _: Context) -> Logic:
        """The state of one run."""
        before: Any = UNSET

        def call(item: Any) -> Iterable[tuple[Any, Any]]:
            nonlocal before
            pair, before = (before, item), item
            return () if pair[0] is UNSET else (pair,)

        def snapshot() -> tuple[Any, ...]:
            return () if before is UNSET else (before,)

        def restore(state: tuple[Any, ...]) -> None:
            nonlocal before
            before = state[0] if state else UNSET

        return Logic(call=call, snapshot=snapshot, restore=restore)


def pairwise(source: Stream[T], /) -> Stream[tuple[T, T]]:
    """Give ``(item before, item)`` for each item but the first.

    ``asyncstdlib.pairwise`` in ``pipe`` does the same; this one keeps the time of items, and can be
    used per key: ``group_by(key).pairwise()``.

    Emits:      one pair per item from the second on, at once.
    Waits:      never.
    Completes:  when the source does.
    State:      one item.
    Time:       none; the later item's time passes to the pair.

    Example:
        >>> await Stream.of(1, 4, 9).pairwise().collect()
        [(1, 4), (4, 9)]

    Source: ``itertools.pairwise``.
    """
    return source.via(Pairwise(source.node))
