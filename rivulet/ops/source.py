"""Streams from anything that can be iterated."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Iterable,
    Iterator,
    Sequence,
)
from dataclasses import dataclass, field
from operator import length_hint
from typing import Any, cast

from rivulet.core.callables import is_awaitable, name_of
from rivulet.core.logic import Context
from rivulet.core.node import Leaf, Node, frozen
from rivulet.core.stage import Produce
from rivulet.core.text import shortened
from rivulet.errors import GraphError, SourceError

__all__ = ["Source", "node_of", "opened"]

_ENDLESS = (itertools.count, itertools.cycle)
_SHOWN = (list, tuple, dict, set, frozenset, range, str, bytes)


@dataclass(slots=True)
class _Use:
    """Whether a source that can be read once was read."""

    begun: bool = False


@frozen
class Source(Leaf):
    """Node: the items of an iterable, of an async iterable, or of what a function gives."""

    source: Any
    use: _Use = field(default_factory=_Use, init=False, repr=False)

    def stage(self) -> Produce:
        one_shot = _is_one_shot(self.source)
        return Produce(
            open=self.open,
            replayable=not one_shot and not _is_queue(self.source),
            is_async=not _is_plain(self.source),
            is_feed=getattr(self.source, "is_feed", False),
            one_shot=self.source if one_shot else None,
        )

    def open(self, _: Context) -> Any:
        """Open the source for one run.

        Raises:
            SourceError: it was read already, or it gives nothing that can be iterated.
        """
        source = self.source
        if _is_one_shot(source):
            if self.use.begun or _is_used_up(source):
                raise SourceError(
                    f"{name_of(source)} was read already and can be read only once: pass "
                    f"{_instead(source)}, or a list of its items"
                )
            self.use.begun = True
        return opened(source)

    def endless(self, inputs: Sequence[bool]) -> bool:
        source = self.source
        if isinstance(source, itertools.repeat):
            return length_hint(cast("object", source), -1) < 0
        known = isinstance(source, (*_ENDLESS, asyncio.Queue))
        return known or bool(getattr(source, "endless", False))

    @property
    def name(self) -> str:
        return "source"

    @property
    def label(self) -> str:
        source: object = self.source
        if isinstance(source, Iterator | AsyncIterator) or not _is_iterable(source):
            return f"Stream({name_of(cast('object', source))})"
        if isinstance(source, _SHOWN):
            return f"Stream({shortened(cast('object', source), 40)})"
        return f"Stream({type(source).__name__})"


def _is_iterable(source: object) -> bool:
    return isinstance(source, AsyncIterable | Iterable | asyncio.Queue)


def _is_one_shot(source: object) -> bool:
    if inspect.isawaitable(source):
        return not asyncio.isfuture(source)
    return isinstance(source, Iterator | AsyncIterator)


def _is_queue(source: object) -> bool:
    return isinstance(source, asyncio.Queue)


def _is_plain(source: object) -> bool:
    """Whether it will be iterated with ``for``, as far as looking tells."""
    if inspect.isgeneratorfunction(source) or (isinstance(source, type) and callable(source)):
        return True
    if inspect.isawaitable(source):
        return False
    return isinstance(source, Iterable) and not isinstance(source, AsyncIterable)


def _instead(source: object) -> str:
    """What would do in place of an iterator."""
    name = name_of(source)
    made_by_function = inspect.isgenerator(source) or inspect.isasyncgen(source)
    if made_by_function and name.isidentifier():
        return f"the function that makes it, as in Stream({name}) without calling it"
    return "a function that makes it anew"


def _is_used_up(source: object) -> bool:
    match source:
        case _ if inspect.isasyncgen(source):
            return source.ag_frame is None
        case _ if inspect.isgenerator(source):
            return source.gi_frame is None
        case _ if inspect.iscoroutine(source):
            return source.cr_frame is None
        case _:
            return False


def opened(source: Any) -> Any:
    """What to iterate, or an awaitable of it."""
    if isinstance(source, asyncio.Queue):
        return _from_queue(cast("asyncio.Queue[Any]", source))
    # A future can be iterated as well, but that is no way to read it.
    if is_awaitable(source):
        return _from_awaitable(source)
    if isinstance(source, AsyncIterable | Iterable):
        return cast("Any", source)
    return _from_call(source)


async def _from_queue(queue: asyncio.Queue[Any]) -> AsyncGenerator[Any, None]:
    shut_down = getattr(asyncio, "QueueShutDown", StopAsyncIteration)
    while True:
        try:
            item = await queue.get()
        except shut_down:
            return
        yield item


async def _from_awaitable(source: Any) -> AsyncGenerator[Any, None]:
    yield await source


def _from_call(source: Any) -> Any:
    given = source()
    return _awaited(source, given) if is_awaitable(given) else _checked(source, given)


async def _awaited(source: Any, given: Any) -> Any:
    return _checked(source, await given)


def _checked(source: Any, given: Any) -> Any:
    if isinstance(given, AsyncIterable | Iterable):
        return cast("Any", given)
    raise SourceError(
        f"{name_of(source)}() gave {given!r:.100}, which can't be iterated: a function used as "
        f"source has to give an iterable or an async iterable"
    )


def node_of(source: Any) -> Node:
    """The node of whatever a stream can be made of.

    Raises:
        GraphError: it can't be iterated and isn't a function without arguments.
    """
    if isinstance(source, Node):
        return source
    if isinstance(node := getattr(source, "node", None), Node):
        if not isinstance(source, AsyncIterable):
            raise GraphError(f"a stream can't be made of {source!r}")
        return node
    if isinstance(source, AsyncIterable | Iterable | asyncio.Queue) or inspect.isawaitable(source):
        return Source(source)
    if not callable(source):
        raise GraphError(
            f"a stream needs an iterable, an async iterable, a queue, an awaitable or a function "
            f"that gives one of the first two, not {source!r:.100} ({type(source).__name__})"
        )
    if missing := _required(source):
        name = name_of(source)
        raise GraphError(
            f"{name} needs arguments ({', '.join(missing)}), but a function used as source is "
            f"called without: pass Stream(lambda: {name}(...)) or Stream({name}(...))"
        )
    return Source(source)


def _required(fn: Any) -> list[str]:
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return []
    fixed = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in fixed]
