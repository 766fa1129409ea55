"""``skip_while``: the items from where a condition fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.callables import check_callable, is_awaitable, mode_of, plain
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Test

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class SkipWhile(Unary):
    """Node: the items from where a condition fails."""

    predicate: Callable[[Any], Any]

    def stage(self) -> Test:
        return Test(make=self.make)

    def make(self, _: Context) -> Logic:
        """The state of one run."""
        skipping = True
        predicate = plain(self.predicate)

        def decide(holds: object) -> bool:
            nonlocal skipping
            skipping = bool(holds)
            return not skipping

        async def decide_later(holds: Awaitable[object]) -> bool:
            return decide(await holds)

        def call(item: Any) -> Any:
            # The predicate isn't called any more once it has failed, as with dropwhile.
            if not skipping:
                return True
            holds = predicate(item)
            return decide_later(holds) if is_awaitable(holds) else decide(holds)

        def snapshot() -> bool:
            return skipping

        def restore(state: bool) -> None:
            nonlocal skipping
            skipping = state

        mode = "sync" if mode_of(self.predicate) == "sync" else "mixed"
        return Logic(call=call, mode=mode, snapshot=snapshot, restore=restore)


def skip_while(
    source: Stream[T], predicate: Callable[[T], Awaitable[object] | object], /
) -> Stream[T]:
    """Drop items until ``predicate(item)`` is false for one, and give that and all after it.

    Emits:      each item from that one on, at once.
    Waits:      for an async predicate before the next item is read.
    Completes:  when the source does.
    State:      none.
    Time:       none; items keep their time.

    Args:
        predicate: gives something true for the items to drop; it isn't called after it was false.

    Raises:
        GraphError: at build, if ``predicate`` isn't callable.

    Example:
        >>> await Stream.of(1, 2, 5, 1).skip_while(lambda x: x < 3).collect()
        [5, 1]

    Source: ``itertools.dropwhile``.
    """
    check_callable(predicate, "skip_while", "predicate")
    return source.via(SkipWhile(source.node, predicate))
