"""``catch``: another stream when one fails."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.callables import is_awaitable
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
        async with aclosing(context.subscribe(await self._other(failure))) as items:
            async for item in items:
                yield item

    async def _other(self, failure: BaseException) -> Node:
        if isinstance(self.fallback, Node):
            return self.fallback
        given = self.fallback(failure)
        return node_of(await given if is_awaitable(given) else given)

    def endless(self, inputs: Sequence[bool]) -> bool:
        return any(inputs)


def catch(
    source: Stream[T],
    fallback: AsyncIterable[U]
    | Iterable[U]
    | Callable[[], AsyncIterable[U] | Iterable[U]]
    | Callable[[Exception], AsyncIterable[U] | Iterable[U]]
    | Callable[[Exception], Awaitable[AsyncIterable[U] | Iterable[U]]],
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
        fallback: a stream, or anything that one can be made of; or a function of the exception,
            sync or async, that gives one.
        types: which errors; others end the run.

    Raises:
        GraphError: at build, if an argument is wrong.

    Example:
        >>> await Stream.of(1, 0).map(lambda x: 1 / x).catch(["sorry"]).collect()
        [1.0, 'sorry']

    Source: ``catch`` of ReactiveX.
    """
    kinds = check_types(types, "catch")
    other: Any = fallback if _takes_error(fallback) else node_of(fallback)
    return source.via(Catch(source.node, other, kinds))


def _takes_error(fallback: Any) -> bool:
    """Whether it is a function to be called with the exception, rather than what gives items."""
    if not callable(fallback) or hasattr(fallback, "__iter__") or hasattr(fallback, "__aiter__"):
        return False
    try:
        inspect.signature(fallback).bind(None)
    except TypeError:
        return False
    except ValueError:  # a builtin that doesn't tell
        pass
    return True
