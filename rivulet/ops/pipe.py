"""``pipe``: any function of an async iterable as an operator."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from rivulet.core.callables import check_callable, mode_of, name_of
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Transform
from rivulet.errors import GraphError

if TYPE_CHECKING:
    from rivulet.stream import Stream

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")


@frozen
class Pipe(Unary):
    """Node: what a function makes of the items."""

    fn: Callable[[Any], Any]
    wrap: Callable[[Any], Any]

    def stage(self) -> Transform:
        return Transform(fn=self.open)

    def open(self, feed: Any) -> Any:
        """Call the function on a stream of what comes."""
        made = self.fn(self.wrap(feed))
        if callable(stream := getattr(made, "stream", None)):
            return _in_context(stream)
        return made

    @property
    def label(self) -> str:
        return f"pipe({name_of(self.fn)})"


async def _in_context(stream: Callable[[], Any]) -> AsyncGenerator[Any, None]:
    """The items of an aiostream stream, which wants to be entered before it is iterated."""
    async with stream() as items:
        async for item in items:
            yield item


def _builds_graph(fn: Callable[..., Any]) -> bool:
    """Whether a function says of itself that it makes a Stream, so it is called at build."""
    try:
        annotation = inspect.signature(fn).return_annotation
    except (TypeError, ValueError):
        return False
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__qualname__", "")
    name = str(text).partition("[")[0].rpartition(".")[2]
    module = getattr(annotation, "__module__", "rivulet")
    return name == "Stream" and (isinstance(annotation, str) or module.startswith("rivulet"))


Step = Callable[["Stream[A]"], AsyncIterable[B]]
"""A function of an async iterable, such as asyncstdlib's: what it is given is a ``Stream``."""


@overload
def pipe(source: Stream[A], f1: Step[A, B], /) -> Stream[B]: ...
@overload
def pipe(source: Stream[A], f1: Step[A, B], f2: Step[B, C], /) -> Stream[C]: ...
@overload
def pipe(source: Stream[A], f1: Step[A, B], f2: Step[B, C], f3: Step[C, D], /) -> Stream[D]: ...
@overload
def pipe(
    source: Stream[A], f1: Step[A, B], f2: Step[B, C], f3: Step[C, D], f4: Step[D, E], /
) -> Stream[E]: ...
@overload
def pipe(
    source: Stream[A],
    f1: Step[A, B],
    f2: Step[B, C],
    f3: Step[C, D],
    f4: Step[D, E],
    f5: Step[E, F],
    /,
    *more: Step[Any, Any],
) -> Stream[F]: ...
def pipe(source: Stream[Any], /, *functions: Step[Any, Any]) -> Stream[Any]:
    """Pass the items through functions of async iterables, from left to right.

    Takes asyncstdlib's functions, aiostream's ``pipe`` operators, an async generator function of
    your own, and a function from ``Stream`` to ``Stream``. One that is annotated to return a
    ``Stream`` is called when the graph is built and becomes part of it; any other is opaque: it is
    called in each run and stepped in place, in a task identity of its own.

    Emits:      what the functions give; each output goes all the way down before the function is
                asked for the next.
    Waits:      until a function asks for its next item.
    Completes:  when a function ends; the source is then closed.
    State:      the functions' own, which can't be saved.
    Time:       none; the time of items doesn't pass an opaque function.

    Args:
        functions: each takes an async iterable and gives one.

    Raises:
        GraphError: at build, if one isn't callable or is a coroutine function; while running, if
            one gives no async iterable.

    Example:
        >>> import asyncstdlib
        >>> async def doubled(items):
        ...     async for item in items:
        ...         yield item * 2
        >>> await Stream.of(1, 2, 3).pipe(asyncstdlib.pairwise).collect()
        [(1, 2), (2, 3)]
        >>> await Stream.of(1, 2, 3).pipe(asyncstdlib.accumulate, doubled).collect()
        [2, 6, 12]

    Source: ``pipe=`` of Slipstream's handlers, where each function runs in a task of its own.
    """
    if not functions:
        raise GraphError("pipe needs at least one function")
    stream: Any = source
    for fn in functions:
        check_callable(fn, "pipe", "function")
        if mode_of(fn) == "async":
            raise GraphError(
                f"pipe needs functions that give an async iterable, but {name_of(fn)} is a "
                f"coroutine function: write it with yield, use map({name_of(fn)}) if it takes an "
                f"item, or await {name_of(fn)}(stream) if it takes them all"
            )
        if _builds_graph(fn):
            stream = cast("Any", fn)(stream)
        else:
            stream = stream.via(Pipe(stream.node, fn, type(source)))
    return stream
