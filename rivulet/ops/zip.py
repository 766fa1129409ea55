"""``zip``: items of several streams by position."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from rivulet.core.checks import check_flag
from rivulet.core.entries import CLOSED
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Nary, frozen
from rivulet.core.stage import Combine
from rivulet.ops.source import node_of

if TYPE_CHECKING:
    from rivulet.stream import Stream

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")

StreamLike = AsyncIterable[B] | Iterable[B]


@frozen
class Zip(Nary):
    """Node: items of several streams by position."""

    strict: bool = False

    def stage(self) -> Combine:
        return Combine(make=self.make, selective=True, holds=True)

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        count = len(self.ups)
        waiting: list[deque[tuple[Any, int | None]]] = [deque() for _ in self.ups]
        closed: set[int] = set()
        rows = 0

        def call(index: int, item: Any, t: int | None) -> Iterable[tuple[Any, int | None]]:
            nonlocal rows
            if item is CLOSED:
                closed.add(index)
                end_if_short()
                return ()
            waiting[index].append((item, t))
            if not all(waiting):
                end_if_short()
                return ()
            row = [queue.popleft() for queue in waiting]
            rows += 1
            end_if_short()
            stamps = [t for _, t in row if t is not None]
            return ((tuple(item for item, _ in row), max(stamps, default=None)),)

        def end_if_short() -> None:
            """The shortest stream ends the rows; with ``strict``, the others must end with it.

            A run that is stopped says nothing about the lengths.
            """
            short = [index for index in closed if not waiting[index]]
            if not short:
                return
            if not self.strict or context.stopping:
                context.end()
                return
            longer = [index for index in range(count) if waiting[index]]
            if longer:
                raise ValueError(
                    f"zip(strict=True): input {short[0] + 1} ended after {rows} items, while input "
                    f"{longer[0] + 1} has more"
                )

        def wants() -> Iterable[int]:
            return [i for i in range(count) if not waiting[i] and i not in closed]

        def passes(watermark: int) -> int:
            return watermark

        def snapshot() -> Any:
            return [list(queue) for queue in waiting], set(closed), rows

        def restore(state: Any) -> None:
            nonlocal rows
            for queue, items in zip_builtin(waiting, state[0]):
                queue.clear()
                queue.extend(items)
            closed.clear()
            closed.update(state[1])
            rows = state[2]

        return Logic(call=call, wants=wants, passes=passes, snapshot=snapshot, restore=restore)

    def endless(self, inputs: Sequence[bool]) -> bool:
        return all(inputs)


zip_builtin = zip


@overload
def zip(source: Stream[A], /, *, strict: bool = False) -> Stream[tuple[A]]: ...
@overload
def zip(
    source: Stream[A], other: StreamLike[B], /, *, strict: bool = False
) -> Stream[tuple[A, B]]: ...
@overload
def zip(
    source: Stream[A], other: StreamLike[B], third: StreamLike[C], /, *, strict: bool = False
) -> Stream[tuple[A, B, C]]: ...
@overload
def zip(
    source: Stream[A],
    other: StreamLike[B],
    third: StreamLike[C],
    fourth: StreamLike[D],
    /,
    *,
    strict: bool = False,
) -> Stream[tuple[A, B, C, D]]: ...
@overload
def zip(
    source: Stream[Any], /, *others: StreamLike[Any], strict: bool = False
) -> Stream[tuple[Any, ...]]: ...
def zip(source: Stream[Any], /, *others: StreamLike[Any], strict: bool = False) -> Stream[Any]:
    """Give tuples of the first items, of the second items, and so on, of several streams.

    For the newest items whatever their position, use ``combine_latest``.

    Emits:      one tuple for each position that all streams have.
    Waits:      for the slowest; the others are read at most 256 items ahead.
    Completes:  when one of them does and its last item is used. Where another has failed in that
                place, its error is raised.
    State:      one item of each, and those that wait to be read.
    Time:       none; a tuple has the latest of its items' times.

    Args:
        others: streams, or anything that a stream can be made of.
        strict: raise if the streams are not of the same length.

    Raises:
        GraphError: at build, if something can't be made a stream.
        ValueError: while running, with ``strict``, if one ends before the others.
        StuckError: while running, if branches of one source meet here and one is so far ahead that
            the other can't come: put a ``buffer`` in front of it.

    Example:
        >>> await Stream.of(1, 2, 3).zip("ab").collect()
        [(1, 'a'), (2, 'b')]

    Source: the builtin ``zip``.
    """
    check_flag(strict, "zip", "strict")
    return source.via(Zip((source.node, *(node_of(other) for other in others)), strict))
