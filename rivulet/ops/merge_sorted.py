"""``merge_sorted``: the items of several sorted streams in order."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.callables import Selector, selector
from rivulet.core.durations import Duration, seconds
from rivulet.core.entries import CLOSED
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Nary, frozen
from rivulet.core.stage import Combine
from rivulet.ops.source import node_of

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")
U = TypeVar("U")

_Head = tuple[Any, int, Any, int | None]


@frozen
class MergeSorted(Nary):
    """Node: the items of several sorted streams in order."""

    key: Selector[Any]
    wait: Duration | None = None

    def stage(self) -> Combine:
        return Combine(
            make=self.make,
            select=(selector(self.key, "merge_sorted"),),
            selective=True,
            holds=True,
            timed=self.wait is not None,
        )

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        wait = None if self.wait is None else seconds(self.wait, "wait")
        heads: dict[int, _Head] = {}
        open_inputs = set(range(len(self.ups)))
        since: float | None = None

        def call(
            index: int, item: Any, t: int | None, key: Any
        ) -> Iterable[tuple[Any, int | None]]:
            if item is CLOSED:
                open_inputs.discard(index)
            else:
                heads[index] = (key, index, item, t)
            return release()

        def release() -> Iterable[tuple[Any, int | None]]:
            nonlocal since
            while heads and open_inputs <= heads.keys():
                since = None
                yield smallest()
            await_others()

        def smallest() -> tuple[Any, int | None]:
            head = min(heads.values(), key=_order)
            del heads[head[1]]
            return head[2], head[3]

        def await_others() -> None:
            nonlocal since
            if wait is None or not heads:
                since = None
            elif since is None:
                since = context.now()
                context.wake_at(since + wait)

        def on_timer(now: float) -> Iterable[tuple[Any, int | None]]:
            nonlocal since
            if wait is None or since is None:
                return
            if now - since < wait - 1e-6:
                context.wake_at(since + wait)
                return
            since = None
            yield smallest()
            await_others()

        def wants() -> Iterable[int]:
            return [index for index in open_inputs if index not in heads]

        def passes(watermark: int) -> int:
            return min([watermark, *(t for _, _, _, t in heads.values() if t is not None)])

        def snapshot() -> Any:
            return dict(heads), set(open_inputs)

        def restore(state: Any) -> None:
            heads.clear()
            heads.update(state[0])
            open_inputs.clear()
            open_inputs.update(state[1])

        return Logic(
            call=call,
            on_timer=on_timer if wait is not None else None,
            wants=wants,
            passes=passes,
            snapshot=snapshot,
            restore=restore,
        )


def _order(head: _Head) -> tuple[Any, int]:
    return head[0], head[1]


def merge_sorted(
    source: Stream[T],
    /,
    *others: AsyncIterable[U] | Iterable[U],
    key: Selector[T | U] | Callable[[Any], Any],
    wait: Duration | None = None,
) -> Stream[T | U]:
    """Give the items of several sorted streams in the order of their keys.

    For replaying recorded streams side by side in the order in which things happened. ``merge``
    gives items as they come.

    Emits:      every item of every stream, smallest key first; of equal keys, the earlier stream's.
    Waits:      until every open stream has an item to compare, or at most ``wait`` for silent ones.
    Completes:  when all of them have.
    State:      one item of each stream, and those that wait to be read.
    Time:       processing time for ``wait``; items keep their own time.

    Args:
        others: streams sorted by the same key, or anything that a stream can be made of.
        key: what to compare: a function, a key or an attribute.
        wait: how long the smallest item waits for streams that have none; then it goes on alone,
            and a smaller one that comes later comes out of order. Without it, as long as it takes.

    Raises:
        GraphError: at build, if something can't be made a stream, or ``wait`` is no duration.

    Example:
        >>> odd, even = Stream.of(1, 3, 9), Stream.of(2, 4)
        >>> await odd.merge_sorted(even, key=lambda x: x).collect()
        [1, 2, 3, 4, 9]

    Source: ``heapq.merge``; ``mergeSorted`` of Pekko.
    """
    selector(key, "merge_sorted")
    if wait is not None:
        seconds(wait, "merge_sorted(wait)")
    nodes = (source.node, *(node_of(other) for other in others))
    return source.via(MergeSorted(nodes, key, wait))
