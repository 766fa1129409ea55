"""``concat``: one stream after another."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.logic import Context
from rivulet.core.node import Leaf, Node, frozen
from rivulet.core.stage import Produce
from rivulet.ops.source import node_of

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")
U = TypeVar("U")


@frozen
class Concat(Leaf):
    """Node: one stream after another, each a subscription of its own."""

    parts: tuple[Node, ...]

    def stage(self) -> Produce:
        return Produce(open=self.open, nested=self.parts, guards=True)

    async def open(self, context: Context) -> AsyncGenerator[Any, None]:
        """The items of one part after another."""
        for part in self.parts:
            async with aclosing(context.subscribe(part)) as items:
                async for item in items:
                    yield item

    def endless(self, inputs: Sequence[bool]) -> bool:
        return any(inputs)


def concat(source: Stream[T], /, *others: AsyncIterable[U] | Iterable[U]) -> Stream[T | U]:
    """Give the items of this stream, then those of the next, and so on; also written ``a + b``.

    To read them side by side, use ``merge``.

    Emits:      every item, at once.
    Waits:      a stream isn't opened before the one before it has ended.
    Completes:  when the last does.
    State:      none.
    Time:       none; items keep their time, and the clock is that of the stream being read.

    Each stream is read in a subscription of its own, also where it is used elsewhere in the graph:
    ``s + s`` reads ``s`` twice.

    Args:
        others: streams, or anything that a stream can be made of.

    Raises:
        GraphError: at build, if something can't be made a stream.

    Example:
        >>> await (Stream.of(1, 2) + [3]).collect()
        [1, 2, 3]

    Source: ``concat`` of ReactiveX; ``itertools.chain``.
    """
    return source.via(Concat((source.node, *(node_of(other) for other in others))))
