"""``catch``: another stream when one fails."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.checks import check_types
from rivulet.core.logic import Context
from rivulet.core.node import Leaf, Node, frozen
from rivulet.core.stage import Produce
from rivulet.ops.source import node_of

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")
U = TypeVar("U")


@frozen
class Catch(Leaf):
    """Node: a stream, and another when it fails."""

    part: Node
    fallback: Node | Callable[[Any], Any]
    types: tuple[type[BaseException], ...] = (Exception,)

    def stage(self) -> Produce:
        fallback = (self.fallback,) if isinstance(self.fallback, Node) else ()
        return Produce(open=self.open, nested=(self.part, *fallback))

    async def open(self, context: Context) -> AsyncGenerator[Any, None]:
        """The items of the stream, then those of the other if it failed."""
        try:
            async with aclosing(context.subscribe(self.part)) as items:
                async for item in items:
                    yield item
            return
        except self.types as error:
            failure = error
        fallback = self.fallback
        node = fallback if isinstance(fallback, Node) else node_of(fallback(failure))
        async with aclosing(context.subscribe(node)) as items:
            async for item in items:
                yield item

    def endless(self, inputs: Sequence[bool]) -> bool:
        return any(inputs)


def catch(
    source: Stream[T],
    fallback: AsyncIterable[U]
    | Iterable[U]
    | Callable[[Exception], AsyncIterable[U] | Iterable[U]],
    /,
    *,
    types: type[Exception] | tuple[type[Exception], ...] = Exception,
) -> Stream[T | U]:
    """Go on with another stream when this one fails.

    To go on with the next item, use ``on_error``; to try the same stream again, ``retry``.

    Emits:      every item up to the failure, then those of the other stream.
    Waits:      never.
    Completes:  when the stream does, or the other after a failure.
    State:      none.
    Time:       items keep their time.

    Args:
        fallback: a stream, or anything that one can be made of; or a function of the exception that
            gives one.
        types: which errors; others end the run.

    Raises:
        GraphError: at build, if an argument is wrong.

    Example:
        >>> await Stream.of(1, 0).map(lambda x: 1 / x).catch(["sorry"]).collect()
        [1.0, 'sorry']

    Source: ``catch`` of ReactiveX.
    """
    kinds = check_types(types, "catch")
    is_function = callable(fallback) and not hasattr(fallback, "__iter__")
    is_function = is_function and not hasattr(fallback, "__aiter__")
    other: Any = fallback if is_function else node_of(fallback)
    return source.via(Catch(source.node, other, kinds))
