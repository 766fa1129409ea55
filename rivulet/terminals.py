"""What sets a stream going: the only functions of a ``Stream`` that run anything.

The runner is imported when something is run, so that ``import rivulet`` stays light.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, cast, final

from rivulet.core.checks import check_whole
from rivulet.core.durations import Duration
from rivulet.core.entries import UNSET
from rivulet.core.node import Node, is_endless
from rivulet.errors import EmptyError, EndlessError, GraphError, RunError

if TYPE_CHECKING:
    from rivulet.run.handle import Run
    from rivulet.stream import Stream

__all__ = [
    "Opened",
    "awaited",
    "collect",
    "first",
    "for_each",
    "head",
    "iterate",
    "not_iterable",
    "open",
    "run",
    "run_streams",
    "run_sync",
    "start",
    "start_streams",
]

T = TypeVar("T")


async def run(source: Stream[Any], /) -> None:
    """Run the stream to its end.

    For its sinks: ``await stream.to(sink).run()``. Cancelling the wait ends the run, closed and
    cleaned up. In a notebook, ``await`` works at once, and the stop button ends it.

    Raises:
        BaseException: what a source, a function or a sink raised, with a note that names the
            operator and the item; an ``ExceptionGroup`` if several failed at once.

    Example:
        >>> await Stream.of("hello", "world").to(print).run()
        hello
        world
    """
    from rivulet.run.handle import run_nodes

    await run_nodes([source.node])


async def run_streams(*streams: Stream[Any]) -> None:
    """Run several streams to their end, sharing what they have in common.

    What several of them read is read once, and each item goes through their branches in the order
    in which these were made.

    Args:
        streams: at least one.

    Raises:
        GraphError: one is no stream.
        BaseException: as ``Stream.run``.

    Example:
        >>> numbers = Stream(range(4))
        >>> odd, even = [], []
        >>> await rivulet.run(
        ...     numbers.filter(lambda x: x % 2).to(odd),
        ...     numbers.filter(lambda x: not x % 2).to(even),
        ... )
        >>> odd, even
        ([1, 3], [0, 2])
    """
    from rivulet.run.handle import run_nodes

    await run_nodes(_nodes(streams, "run"))


def start_streams(*streams: Stream[Any]) -> Run[Any]:
    """Run several streams in the background, sharing what they have in common.

    As ``rivulet.run``, with a handle on the run as ``Stream.start`` gives it. ``run.last()`` has
    the newest items of all of them.

    Args:
        streams: at least one.

    Raises:
        GraphError: one is no stream.
        RuntimeError: no event loop is running.

    Example:
        >>> seconds = Stream.timer(1)
        >>> odd, even = [], []
        >>> run = rivulet.start(
        ...     seconds.filter(lambda n: n % 2).to(odd),
        ...     seconds.filter(lambda n: not n % 2).to(even),
        ... )
        >>> await asyncio.sleep(4.5)
        >>> await run.stop()
        >>> odd, even
        ([1, 3], [0, 2])
    """
    from rivulet.run.handle import Run

    return Run(_nodes(streams, "start"))


def _nodes(streams: Sequence[Any], function: str) -> list[Node]:
    if not streams:
        raise GraphError(f"{function} needs at least one stream")
    return [_node(stream, function) for stream in streams]


def _node(stream: Any, function: str) -> Node:
    from rivulet.run.handle import Run

    if isinstance(stream, Run):
        raise RunError(
            "a Run runs already and can't be run again: pass the stream, or await the Run"
        )
    node = getattr(stream, "node", None)
    if not isinstance(node, Node):
        raise GraphError(f"{function} needs streams, not {stream!r:.100}: pass Stream(...)")
    return node


def run_sync(source: Stream[Any], /) -> None:
    """Run the stream to its end from code that isn't async.

    For scripts. Ctrl-C and SIGTERM stop the sources and let what was read go through; a second one
    stops at once. Where an event loop is running already, as in a notebook, prefer ``await
    stream.run()``: this runs in a thread with a loop of its own then, and holds up the cell.

    Raises:
        KeyboardInterrupt: it was stopped by Ctrl-C.
        SystemExit: it was stopped by SIGTERM.
        BaseException: as ``run``.

    Example:
        >>> Stream.of("hello").to(print).run_sync()
        hello
    """
    from rivulet.run.handle import run_nodes_sync

    run_nodes_sync([source.node])


async def collect(
    source: Stream[T], /, limit: int | None = None, timeout: Duration | None = None
) -> list[T]:
    """Run the stream and give its items as a list.

    Args:
        limit: stop after so many items.
        timeout: stop after this long, with what there is then.

    Raises:
        EndlessError: the stream is known never to end, and neither is given.
        BaseException: as ``run``.

    Example:
        >>> await Stream.timer(1).collect(limit=3)
        [0, 1, 2]
        >>> await Stream.timer(1).collect(timeout=2.5)
        [0, 1]
    """
    from rivulet.run.handle import run_nodes

    stream = source
    if timeout is not None:
        stream = stream.take_until(timeout)
    if limit is not None:
        stream = stream.take(limit)
    _check_end(stream.node, "collect(limit=...), collect(timeout=...) or head(n)")
    rows: list[T] = []
    await run_nodes([stream.node], deliver=rows.append)
    return rows


def _check_end(node: Node, instead: str) -> None:
    if is_endless(node):
        raise EndlessError(
            f"{_endless_source(node)} never ends, so neither would this: use {instead}"
        )


def _endless_source(node: Node) -> str:
    from rivulet.core.node import parts

    while part := next(filter(is_endless, parts(node)), None):
        node = part
    return node.label


async def head(source: Stream[T], /, n: int = 5) -> list[T]:
    """Give the first items as a list, and close the source.

    Args:
        n: how many, 0 or more.

    Raises:
        GraphError: ``n`` is negative or no whole number.
        BaseException: as ``run``.

    Example:
        >>> await Stream.timer(1).head(2)
        [0, 1]
    """
    check_whole(n, "head", "n", least=0)
    return await collect(source.take(n))


def first(source: Stream[T], /) -> Stream[T]:
    """Give the first item only; awaiting it gives that item.

    Raises:
        EmptyError: while being awaited, if there is none.

    Example:
        >>> await Stream.of("a", "b").first()
        'a'
    """
    return source.take(1)


async def for_each(source: Stream[T], fn: Callable[[T], object], /) -> None:
    """Run the stream and call ``fn(item)`` for each item: ``to(fn).run()`` in one.

    Example:
        >>> await Stream.of(1, 2).for_each(print)
        1
        2
    """
    await run(source.to(fn))


def awaited(source: Stream[T], /) -> Generator[Any, None, T]:
    """``await stream``: run it and give its last item.

    Raises:
        EmptyError: there was none.
        EndlessError: it is known never to end.

    Example:
        >>> await Stream.of(1, 2, 3)
        3
    """
    return _last(source).__await__()


async def _last(source: Stream[T]) -> T:
    from rivulet.run.handle import run_nodes

    _check_end(source.node, "await stream.first(), or take(n) before")
    newest: Any = UNSET

    def keep(item: T) -> None:
        nonlocal newest
        newest = item

    await run_nodes([source.node], deliver=keep)
    if newest is UNSET:
        raise EmptyError(
            f"{source.node.label} ended without an item: give one with .default(value)"
        )
    return newest


def start(source: Stream[T], /) -> Run[T]:
    """Run the stream in the background and give a handle on it, at once.

    For notebooks, and for streams beside other things. ``run.stop()`` ends it, ``run.pause()`` and
    ``run.resume()`` hold it, ``run.stats()`` counts, ``run.last()`` gives its newest items, ``await
    run`` waits for its end. What it fails with is raised by ``await run``, is in its repr, and is
    reported if nobody awaits it.

    Raises:
        RuntimeError: no event loop is running.

    Example:
        >>> run = Stream.timer(1).map(lambda n: n * n).start()
        >>> await asyncio.sleep(3.5)
        >>> run.last()
        [0, 1, 4]
        >>> await run.stop()
    """
    from rivulet.run.handle import Run

    return Run([source.node])


@final
class Opened(Generic[T]):
    """The items of a stream, closed at the end of an ``async with`` block."""

    def __init__(self, node: Node) -> None:
        from rivulet.run.execution import items

        self._items: AsyncGenerator[T, None] = items(node)

    async def __aenter__(self) -> AsyncIterator[T]:
        return self._items

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._items.aclose()


def open(source: Stream[T], /) -> Opened[T]:
    """Give the items in an ``async with`` block, at whose end the stream is closed at once.

    ``async for item in stream`` is closed only when Python gets to it, if the loop is left early.

    Example:
        >>> async with Stream.timer(1).open() as ticks:
        ...     async for tick in ticks:
        ...         if tick == 2:
        ...             break
        >>> tick
        2
    """
    return Opened(source.node)


def iterate(source: Stream[T], /) -> AsyncIterator[T]:
    """``async for item in stream``: run it, an item at a time.

    A graph of one loop is iterated in place; any other runs in a task of its own. To leave early,
    use ``async with stream.open()``.

    Example:
        >>> async for word in Stream.of("hello", "world"):
        ...     print(word)
        hello
        world
    """
    from rivulet.run.execution import items

    return cast("AsyncIterator[T]", items(source.node))


def not_iterable(source: Stream[Any], /) -> NoReturn:
    """``for item in stream``: not possible, and without this Python would ask for ``stream[0]``.

    Raises:
        TypeError: always.
    """
    raise TypeError(
        f"{source!r} is not iterable by a plain for: use async for, or await stream.collect()"
    )
