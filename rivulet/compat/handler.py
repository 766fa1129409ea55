"""What ``handle`` gives: a function that is bound to sources and sinks, as a part of a graph."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from functools import partial, update_wrapper
from types import AsyncGeneratorType, GeneratorType
from typing import Any, Literal, cast, final

from rivulet.compat.interfaces import ICache, PairError
from rivulet.compat.pausing import Bound
from rivulet.core.callables import check_callable, mode_of, name_of
from rivulet.core.iteration import each
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Apply, Channel, Effect, Expand
from rivulet.core.text import shortened
from rivulet.errors import GraphError
from rivulet.gates.dependency import given
from rivulet.notebook.show import explain_streams
from rivulet.ops.to import To, writer
from rivulet.stream import Stream

__all__ = ["Handler", "planned_with"]

_NO_KEYWORDS: Mapping[str, Any] = {}
keywords: ContextVar[Mapping[str, Any]] = ContextVar("the keywords of stream()")
"""What the graph is planned with."""


# Handler functions


@final
class Call:
    """A handler function: what it is called with, and what it gives.

    Attributes:
        fn: the function.
        name: as its author would know it.
        takes_message: whether it is called with the message.
        takes_keywords: whether it is called with those of ``stream()``.
        gives: what one call gives: the items of a generator; something to await; or a value, which
            may turn out to be one of these.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        check_callable(fn, "handle", "handler")
        self.fn = fn
        self.name = name_of(fn)
        self.gives: Literal["items", "awaitable", "value"] = _gives(fn)
        self.takes_message, self.takes_keywords = _takes(fn, self.name)

    def bound(self, given: Mapping[str, Any]) -> Callable[[Any], Any]:
        """The function of a message, with the keywords of a run where it takes any."""
        fn = partial(self.fn, **given) if self.takes_keywords and given else self.fn
        return fn if self.takes_message else lambda _: fn()


def _gives(fn: Callable[..., Any]) -> Literal["items", "awaitable", "value"]:
    while isinstance(fn, partial):
        fn = cast("partial[Any]", fn).func
    of_class = getattr(type(fn), "__call__", None)  # noqa: B004  # the type's own
    for candidate in (fn, of_class):
        if inspect.isgeneratorfunction(candidate) or inspect.isasyncgenfunction(candidate):
            return "items"
    return "awaitable" if mode_of(fn) == "async" else "value"


def _takes(fn: Callable[..., Any], name: str) -> tuple[bool, bool]:
    """Whether it takes the message, and whether the keywords of ``stream()``.

    Raises:
        GraphError: it needs more than a message.
    """
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return True, False
    by_place = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p.name for p in by_place if p.default is p.empty]
    if len(required) > 1:
        raise GraphError(
            f"the handler {name} needs {len(required)} arguments ({', '.join(required)}), but is "
            f"called with the message alone: take one, and what it holds apart inside"
        )
    named = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if named:
        raise GraphError(
            f"the handler {name} needs {', '.join(named)}=: the keywords of stream() come as "
            f"**kwargs, so take these"
        )
    several = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return bool(by_place) or several, any(p.kind is p.VAR_KEYWORD for p in parameters)


_SPREAD: dict[type, str] = {GeneratorType: "items", AsyncGeneratorType: "items"}


class _Results(dict[type, str]):
    """How a result of some class is taken: ``""`` as one item."""

    def __missing__(self, cls: type) -> str:
        awaited = hasattr(cls, "__await__") and not hasattr(cls, "__aiter__")
        self[cls] = found = "awaitable" if awaited else ""
        return found


_results = _Results(_SPREAD)
_NOTHING = (None,)


def _spread(result: Any) -> Any:
    """The items of a result: those of a generator, else the result itself."""
    how = _results[result.__class__]
    if not how:
        return (result,)
    return result if how == "items" else _spread_awaited(result)


async def _spread_awaited(result: Awaitable[Any]) -> Any:
    result = await result
    return result if result.__class__ in _SPREAD else (result,)


def _spreading(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    results = _results

    def call(message: Any) -> Any:
        result = fn(message)
        if result is None:  # what most functions give
            return _NOTHING
        return _spread(result) if results[result.__class__] else (result,)

    call.__qualname__ = name_of(fn)
    return call


@frozen
class Handle(Unary):
    """Node: what a handler function makes of each message."""

    call: Call

    def stage(self) -> Apply | Expand:
        fn = self.call.bound(keywords.get(_NO_KEYWORDS))
        match self.call.gives:
            case "items":
                return Expand(fn=fn)
            case "awaitable":
                return Apply(fn=fn)
            case "value":
                return Expand(fn=_spreading(fn))

    @property
    def name(self) -> str:
        return "handler"

    @property
    def label(self) -> str:
        return f"handler({self.call.name})"


@frozen
class Spread(Unary):
    """Node: what is awaited of a handler function, which may be a generator."""

    def stage(self) -> Expand:
        return Expand(fn=_spread)

    @property
    def label(self) -> str:
        return "results()"


# Sinks


@frozen
class Into(To):
    """Node: what a handler gives, into one of its sinks."""

    handler: str = ""

    def stage(self) -> Effect | Channel:
        stage = To.stage(self)
        if not _takes_pairs(self.sink) or not isinstance(stage, Effect):
            return stage
        if stage.fn is not None:
            return Effect(fn=_of_pairs(stage.fn, self.sink, self.handler))
        assert stage.make is not None
        return Effect(make=partial(self._make, stage.make), awaits=True)

    def _make(self, make: Callable[[Context], Logic], context: Context) -> Logic:
        logic = make(context)
        assert logic.call is not None
        logic.call = _of_pairs(logic.call, self.sink, self.handler)
        return logic

    @property
    def name(self) -> str:
        return "to"


def _takes_pairs(sink: Any) -> bool:
    return isinstance(sink, ICache) or hasattr(sink, "take_in_run")


def _of_pairs(take: Callable[[Any], Any], sink: Any, handler: str) -> Callable[[Any], Any]:
    """The function of a sink that takes keys and values; it refuses by the handler's name."""
    # A topic takes headers and more beside.
    only_two = isinstance(sink, ICache)

    def take_pair(item: Any) -> Any:
        pair = cast("tuple[Any, ...]", item)
        if not isinstance(item, tuple) or (only_two and len(pair) != 2):
            raise PairError(
                f"{sink!r} takes (key, value), and the handler {handler} gave it {shortened(pair)}"
            )
        return take(pair)

    take_pair.__qualname__ = type(sink).__name__
    return take_pair


def _writer(sink: Any, handler: str) -> Callable[[Any], Any]:
    write = writer(sink)
    return _of_pairs(write, sink, handler) if _takes_pairs(sink) else write


# Handlers


@final
class Handler:
    """A function that is bound to sources and sinks.

    It can be called as before, with a message: then it runs the function and gives what that gives
    to the sinks. It has the function's name, signature and docstring, and ``streams``, by which it
    is explained, tested, and continued: ``handler.stream.map(...)``.

    Attributes:
        streams: for each of its sources, in their order, the stream of what it gives, behind its
            sinks.
    """

    __name__: str

    def __init__(
        self,
        fn: Callable[..., Any],
        bounds: Sequence[Bound],
        pipe: Sequence[Any],
        sink: Sequence[Any],
    ) -> None:
        self.call = call = Call(fn)
        self.__name__ = call.name  # a partial, or an object that can be called, has none itself
        update_wrapper(self, fn)
        self.bounds = tuple(bounds)
        self._writers = [_writer(one, call.name) for one in sink]
        self.streams = tuple(_stream(bound, pipe, call, sink) for bound in bounds)

    @property
    def stream(self) -> Stream[Any]:
        """The stream of what it gives, where it has one source.

        Raises:
            GraphError: it has several.
        """
        if len(self.streams) != 1:
            raise GraphError(
                f"the handler {self.call.name} has {len(self.streams)} sources, so it has as many "
                f"streams: use .streams"
            )
        return self.streams[0]

    async def __call__(self, *message: Any, **given_keywords: Any) -> None:
        """Run the function on a message, and give what it gives to the sinks.

        Raises:
            TypeError: there is more than one message, or none though the function takes one.
        """
        call = self.call
        if len(message) > 1 or (not message and call.takes_message):
            raise TypeError(f"{call.name} takes one message, and got {len(message)}")
        result = call.bound(given_keywords)(*(message or (None,)))
        items = result if call.gives == "items" else _spread(result)
        outputs = each(items)
        async with aclosing(outputs):
            async for item in outputs:
                for write in self._writers:
                    await given(write(item))

    def explain(self) -> str:
        """The graph that it is a part of, as ``Stream.explain`` shows it."""
        return explain_streams(*self.streams)

    def __repr__(self) -> str:
        shown = ", ".join(repr(stream) for stream in self.streams)
        return f"<handler {self.call.name}: {shown}>"


def _stream(bound: Bound, pipe: Sequence[Any], call: Call, sinks: Sequence[Any]) -> Stream[Any]:
    """The stream of what a handler function gives for the messages of a source."""
    stream = bound.stream
    for function in pipe:
        stream = _piped(stream, function)
    stream = stream.via(Handle(stream.node, call))
    if call.gives == "awaitable":
        stream = stream.via(Spread(stream.node))
    for sink in sinks:
        stream = stream.via(Into(stream.node, sink, handler=call.name))
    return stream


def _piped(stream: Stream[Any], function: Any) -> Stream[Any]:
    """The stream behind a function of a pipe.

    asyncstdlib's ``pairwise`` does what the operator does, which costs a fifth of stepping it.
    """
    asyncstdlib = sys.modules.get("asyncstdlib")
    if asyncstdlib is not None and function is asyncstdlib.pairwise:
        return stream.pairwise()
    return stream.pipe(function)


@contextmanager
def planned_with(given: Mapping[str, Any]) -> Generator[None]:
    """Bind the keywords of a run to the handlers whose graph is planned inside."""
    token = keywords.set(given)
    try:
        yield
    finally:
        keywords.reset(token)
