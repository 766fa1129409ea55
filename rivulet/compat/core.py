"""Slipstream's ``core``: handlers, and the run of all of them."""

from __future__ import annotations

import asyncio
import inspect
import re
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from types import FrameType
from typing import Any, Final, Self, cast, final
from warnings import warn

from rivulet.codecs import Codec
from rivulet.compat.handler import Handler
from rivulet.compat.pausing import PausableStream
from rivulet.compat.registry import check_several, check_sources, registry
from rivulet.compat.utils import Signal
from rivulet.errors import GraphError
from rivulet.io import topic
from rivulet.io.records import READ_FROM_END, READ_FROM_START, Record
from rivulet.io.settings import KNOWN

__all__ = [
    "READ_FROM_END",
    "READ_FROM_START",
    "Conf",
    "PausableStream",
    "Signal",
    "Topic",
    "handle",
    "stream",
]


def handle(
    *iterable: Any, pipe: Any = (), sink: Any = ()
) -> Callable[[Callable[..., Any]], Handler]:
    """Bind a function to sources and sinks; ``stream()`` runs it.

    The function takes the message, or nothing, and ``**kwargs`` for the keywords of ``stream()``.
    What it returns, or each item that it yields, goes to the sinks in turn. Handlers of one source
    get each message one after another, in the order in which they were bound. A source is anything
    that a ``Stream`` can be made of, and a stream too.

    What comes of it is a part of a graph: ``handler.stream`` is
    ``Stream(source).pipe(...)``, the handler, and ``.to(...)``.

    Args:
        iterable: the sources, one or more.
        pipe: functions of an async iterable, such as asyncstdlib's ``pairwise``, from left to
            right.
        sink: where items go: functions, sync or async; a ``Cache``, a ``Topic`` or an ``ICache``
            takes pairs ``(key, value)``.

    Raises:
        GraphError: a source can't be read, a sink can't take anything, the function needs more
            than a message.

    Example:
        >>> from rivulet import handle, stream
        >>> @handle(["moss", "fern"], sink=[print])
        ... def greet(word, **kwargs):
        ...     yield f"{kwargs['greeting']}, {word}!"
        >>> await stream(greeting="Good day")
        Good day, moss!
        Good day, fern!
        >>> print(greet.explain())
        #1 Stream(['moss', 'fern'])
        └─ #2 handler(greet)
           └─ #3 to(print)

    Source: ``handle`` of Slipstream.
    """
    check_sources(iterable)
    functions, sinks = check_several(pipe, "pipe"), check_several(sink, "sink")

    def bind(fn: Callable[..., Any]) -> Handler:
        return registry().handle(fn, iterable, functions, sinks, sys._getframe(1))

    return bind


def stream(**kwargs: Any) -> Coroutine[Any, Any, None]:
    """Run all handlers until all sources have ended, then the exit hooks.

    ``run(stream())`` in a script, ``await stream()`` in a notebook. What fails is raised as it is,
    when everything is closed.

    Args:
        kwargs: for the handlers that take ``**kwargs``.

    Raises:
        RunError: while running, if ``stream()`` runs already; that run goes on.

    Example:
        >>> from rivulet import handle, stream
        >>> rows = []
        >>> @handle([1, 2, 3], sink=[rows.append])
        ... def square(n):
        ...     return n * n
        >>> await stream()
        >>> rows
        [1, 4, 9]

    Source: ``stream`` of Slipstream.
    """
    _hint(sys._getframe(1))
    return registry().start(kwargs)


def _hint(frame: FrameType) -> None:
    """In a notebook, where an event loop runs, ``run(stream())`` can't work; say what does."""
    if frame.f_globals.get("__name__") == "rivulet" and frame.f_back is not None:
        frame = frame.f_back
    if "ipykernel" not in sys.modules or frame.f_code.co_flags & inspect.CO_COROUTINE:
        return
    if frame.f_code.co_name != "<module>" or asyncio._get_running_loop() is None:
        return
    names = {frame.f_globals.get(name) for name in frame.f_code.co_names if name == "run"}
    if asyncio.run in names or {"asyncio", "run"} <= set(frame.f_code.co_names):
        warn(
            "a notebook has an event loop already: write await stream()", UserWarning, stacklevel=3
        )


@final
class Conf:
    """Settings, sources, handlers and exit hooks; there is one for the process.

    A later call adds its settings to those that are there. A ``Topic`` of ``rivulet.compat`` takes
    them when it is made. They are attributes too, with ``_`` for what a name can't have.

    Args:
        conf: settings.

    Example:
        >>> from rivulet.compat import Conf
        >>> Conf({"bootstrap_servers": "memory://demo"})
        {'bootstrap_servers': 'memory://demo'}
        >>> Conf({"group_id": "walkers"}).group_id
        'walkers'
    """

    _only: Self | None = None

    def __new__(cls, conf: Mapping[str, Any] | None = None) -> Self:  # noqa: ARG004
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    def __init__(self, conf: Mapping[str, Any] | None = None) -> None:
        if conf is not None and not isinstance(cast("Any", conf), Mapping):
            raise GraphError(f"Conf takes a dict of settings, not {conf!r:.100}")
        registry().conf.update(conf or {})

    @property
    def conf(self) -> dict[str, Any]:
        """The settings."""
        return registry().conf

    @property
    def iterables(self) -> Mapping[str, PausableStream]:
        """The sources, each as a ``PausableStream``."""
        return {key: bound.pausable for key, bound in registry().bounds.items()}

    @property
    def exit_hooks(self) -> list[Callable[[], Any]]:
        """What is called when a run is over."""
        return registry().exit_hooks

    def register_iterable(self, key: str, it: Any) -> None:
        """Give a source a name, for ``register_handler``."""
        check_sources([it])
        registry().name_source(key, it)

    def register_handler(self, key: str, handler: Callable[..., Any], *pipe: Any) -> None:
        """Bind a function to the source of a name.

        Raises:
            GraphError: there is no such source.
        """
        bound = registry().bounds.get(key)
        if bound is None:
            raise GraphError(f"no source is called {key!r}: use register_iterable({key!r}, ...)")
        registry().handle(handler, [bound.source], pipe, (), sys._getframe(1))

    def register_exit_hook(self, exit_hook: Callable[[], Any]) -> None:
        """Have a function, sync or async, called when a run is over."""
        registry().register_hook(exit_hook)

    async def start(self, **kwargs: Any) -> None:
        """Do what ``stream(**kwargs)`` does."""
        await registry().start(kwargs)

    def clear(self) -> None:
        """Forget all handlers and sources."""
        registry().clear()

    def __getattr__(self, name: str) -> Any:
        for setting, value in registry().conf.items():
            if re.sub("[^0-9a-zA-Z]+", "_", setting) == name:
                return value
        raise AttributeError(f"Conf has no {name!r}", name=name, obj=self)

    def __repr__(self) -> str:
        return repr(registry().conf)


_NO_CLIENTS: Final = (
    "rivulet keeps the clients of Kafka to itself: use seek, positions, committed, end_offsets, or "
    "a client of your own"
)
_ELSEWHERE: Final = dict.fromkeys(
    ("admin", "consumer", "get_consumer", "get_producer", "init_generator", "producer"), _NO_CLIENTS
)


class Topic(topic.Topic):
    """A ``rivulet.Topic`` as Slipstream has it: it takes the settings of ``Conf`` too.

    Settings that no topic has are left out, with a warning. What a run has opened is closed when
    ``stream()`` is over.

    Args:
        name: the topic's name.
        conf: its settings, which count before those of ``Conf``.
        offset: where each run begins, as for ``rivulet.Topic``.
        codec: how values become bytes.
        dry: write nothing.

    Example:
        >>> from rivulet.compat import Conf, JsonCodec, Topic
        >>> Conf({"bootstrap_servers": "memory://compat", "auto_offset_reset": "earliest"})
        {...}
        >>> walks = Topic("walks", codec=JsonCodec())
        >>> meta = await walks("ana", {"km": 3})
        >>> (await anext(walks)).value
        {'km': 3}
        >>> await walks.exit_hook()
    """

    def __init__(
        self,
        name: str,
        conf: Mapping[str, Any] | None = None,
        offset: int | Mapping[int, int] | None = None,
        codec: Codec | None = None,
        dry: bool = False,
        **more: Any,
    ) -> None:
        settings = {**registry().conf, **(conf or {})}
        unknown = [setting for setting in settings if setting not in KNOWN]
        if unknown:
            warn(
                f"Topic({name!r}): no topic has the settings {', '.join(map(repr, unknown))}, so "
                f"they are left out",
                UserWarning,
                stacklevel=2,
            )
        known = {setting: settings[setting] for setting in settings if setting in KNOWN}
        super().__init__(name, known, offset, codec, dry, **more)
        self._items: AsyncIterator[Any] | None = None
        registry().closing.add(self)

    async def __anext__(self) -> Record:
        """The next record, of one reading that goes on until ``stream()`` is over."""
        if self._items is None:
            self._items = aiter(self)
        return await anext(self._items)

    async def asend(self, value: Any) -> Record | Signal:
        """Pause or resume by a signal; anything else gives the next record."""
        if value is Signal.PAUSE:
            self.pause()
            return Signal.SENTINEL
        if value is Signal.RESUME:
            self.resume()
        return await anext(self)

    async def seek(
        self,
        offset: int | Mapping[int, int],
        consumer: None = None,
        timeout: float = 30.0,
    ) -> None:
        """Go on reading at another place; if it isn't being read, begin there next time.

        Args:
            offset: as for ``rivulet.Topic``.
            consumer: for ported scripts; can only be None.
            timeout: for ported scripts; has no effect.

        Raises:
            GraphError: the offset is none, or a consumer is given.
            RunError: a partition is read by another member of the group.
        """
        if cast("Any", consumer) is not None:
            raise GraphError(f"Topic.seek takes no consumer: {_NO_CLIENTS}")
        await super().seek(offset)

    async def exit_hook(self) -> None:
        """Close what was opened outside of runs."""
        items, self._items = self._items, None
        if items is not None:
            await cast("Any", items).aclose()
        await self.close()

    def __getattr__(self, name: str) -> Any:
        if name in _ELSEWHERE:
            raise AttributeError(f"Topic has no {name}: {_ELSEWHERE[name]}", name=name, obj=self)
        raise AttributeError(f"Topic has no {name}", name=name, obj=self)
