"""Slipstream's ``utils``: signals, and what publishes to subscribers."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from enum import Enum
from typing import Any, ClassVar, ParamSpec, TypeVar, final

from rivulet.core.callables import is_awaitable, mode_of
from rivulet.state.cache import WAITING
from rivulet.state.updates import Publisher

__all__ = [
    "AsyncCallable",
    "Pipe",
    "PubSub",
    "Signal",
    "awaitable",
    "get_param_names",
    "iscoroutinecallable",
]

P = ParamSpec("P")
T = TypeVar("T")

AsyncCallable = Callable[P, T | Awaitable[T]]
Pipe = Callable[[AsyncIterable[Any]], AsyncIterable[Any]]


class Signal(Enum):
    """What a source is told, and what it may answer.

    ``SENTINEL`` is the answer of a source that has no item, as it is paused.
    """

    SENTINEL = 0
    PAUSE = 1
    RESUME = 2
    STOP = 3


@final
class PubSub:
    """Functions that are called with what is published under a name; one for the whole process.

    Example:
        >>> from rivulet.compat import PubSub
        >>> def shout(word):
        ...     print(word.upper())
        >>> PubSub().subscribe("words", shout)
        >>> PubSub().publish("words", "moss")
        MOSS
        >>> PubSub().unsubscribe("words", shout)
        >>> PubSub().publish("words", "fern")
    """

    _topics: ClassVar[dict[str, list[Callable[..., Any]]]] = {}

    def subscribe(self, topic: str, listener: Callable[..., Any]) -> None:
        """Call a function, sync or async, with what is published; async ones by ``apublish``."""
        self._topics.setdefault(topic, []).append(listener)

    def unsubscribe(self, topic: str, listener: Callable[..., Any]) -> None:
        """Call it no more. One that isn't subscribed is no error."""
        listeners = self._topics.get(topic, [])
        if listener in listeners:
            listeners.remove(listener)
        if not listeners:
            self._topics.pop(topic, None)

    def publish(self, topic: str, *args: Any, **kwargs: Any) -> None:
        """Call the subscribers.

        Raises:
            TypeError: one of them is async; the others have been called.
        """
        strays: list[Any] = []
        for listener in list(self._topics.get(topic, ())):
            result = listener(*args, **kwargs)
            if is_awaitable(result):
                getattr(result, "close", bool)()
                strays.append(listener)
        if strays:
            raise TypeError(f"{strays[0]!r} is async: use await PubSub().apublish({topic!r}, ...)")

    async def apublish(self, topic: str, *args: Any, **kwargs: Any) -> None:
        """Call the subscribers in their order, and await those that are async."""
        for listener in list(self._topics.get(topic, ())):
            result = listener(*args, **kwargs)
            if is_awaitable(result):
                await result

    def iter_topic(self, topic: str) -> AsyncIterator[Any]:
        """What is published from now on; where it waits, up to 1,024 of the newest."""
        return _Listening(self, topic)


@final
class _Listening(AsyncIterator[Any]):
    """One reader of what is published; ``aclose`` ends it."""

    def __init__(self, pubsub: PubSub, topic: str) -> None:
        self._pubsub, self._topic = pubsub, topic
        self._publisher = Publisher()
        self._reader = self._publisher.subscribe(WAITING, "drop_oldest")
        pubsub.subscribe(topic, self._take)

    def _take(self, message: Any) -> None:
        self._publisher.publish((message, None))

    async def __anext__(self) -> Any:
        return (await anext(self._reader))[0]

    async def aclose(self) -> None:
        """Get no more."""
        self._pubsub.unsubscribe(self._topic, self._take)
        await self._reader.aclose()


async def awaitable(x: Any) -> Any:
    """The result of an awaitable, or what isn't one as it is."""
    return await x if inspect.isawaitable(x) else x


def iscoroutinecallable(o: Any) -> bool:
    """Whether calling it gives a coroutine, as far as looking at it tells."""
    return callable(o) and mode_of(o) == "async"


def get_param_names(o: Any) -> tuple[str, ...]:
    """The names of a callable's parameters."""
    return tuple(inspect.signature(o).parameters)


def __getattr__(name: str) -> Any:
    """What has no place here says what to use."""
    instead = {
        "AsyncSynchronizedGenerator": "two branches of one Stream are read in step: "
        "source = Stream(...), then source.map(...) and source.filter(...)",
        "Singleton": "make one object and import it",
    }
    if name in instead:
        raise ImportError(f"rivulet.compat.utils has no {name}: {instead[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
