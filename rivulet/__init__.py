"""Streams of events: fluent, typed, correct about time, as fast as a hand-written loop.

>>> await Stream([1, 2, 3, 4]).filter(lambda x: x % 2).map(lambda x: x * x).collect()
[1, 9]
"""

from collections.abc import Coroutine
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rivulet.core.callables import maybe_async
from rivulet.core.entries import GONE, Failure, Revision
from rivulet.errors import (
    BufferFullError,
    CodecError,
    EmptyError,
    EndlessError,
    GraphError,
    MissingExtraError,
    RivuletError,
    RunError,
    SinkError,
    SourceError,
    StorageError,
    StrayAwaitableError,
    StuckError,
    TopicError,
)
from rivulet.gates.checkpoint import Checkpoint
from rivulet.gates.dependency import Dependency
from rivulet.keyed import KeyedStream
from rivulet.notebook.show import explain_streams as explain
from rivulet.ops.channel import Channel
from rivulet.stream import Stream
from rivulet.terminals import run_streams, start_streams

# Importing a package sets its name here. The package of the runner is loaded now, so that it can't
# take the place of the function of that name later.
import_module("rivulet.run")
run = run_streams
start = start_streams


def stream(**kwargs: Any) -> Coroutine[Any, Any, None]:
    """Run all functions that are bound by ``handle``: see ``rivulet.compat``.

    Example:
        >>> @rivulet.handle(["moss", "fern"], sink=[print])
        ... def greet(word):
        ...     return f"Good day, {word}!"
        >>> await rivulet.stream()
        Good day, moss!
        Good day, fern!
    """
    # The module rivulet.stream has the same name, so this can't wait until it is asked for.
    from rivulet.compat.core import stream as run_handlers

    return run_handlers(**kwargs)


if TYPE_CHECKING:
    from rivulet.codecs import JsonCodec
    from rivulet.compat.core import Conf, handle
    from rivulet.io.records import READ_FROM_END, READ_FROM_START, Record
    from rivulet.io.topic import Topic, TopicStats
    from rivulet.notebook.timeline import Timeline
    from rivulet.run.handle import Run
    from rivulet.run.stats import OperatorStats, Stats
    from rivulet.state.cache import Cache, CacheStats
    from rivulet.windows.spec import LateItem
    from rivulet.windows.window import Window

__version__ = "0.1.0"

__all__ = [
    "GONE",
    "READ_FROM_END",
    "READ_FROM_START",
    "BufferFullError",
    "Cache",
    "CacheStats",
    "Channel",
    "Checkpoint",
    "CodecError",
    "Conf",
    "Dependency",
    "EmptyError",
    "EndlessError",
    "Failure",
    "GraphError",
    "JsonCodec",
    "KeyedStream",
    "LateItem",
    "MissingExtraError",
    "OperatorStats",
    "Record",
    "Revision",
    "RivuletError",
    "Run",
    "RunError",
    "SinkError",
    "SourceError",
    "Stats",
    "StorageError",
    "StrayAwaitableError",
    "Stream",
    "StuckError",
    "Timeline",
    "Topic",
    "TopicError",
    "TopicStats",
    "Window",
    "explain",
    "handle",
    "maybe_async",
    "run",
    "start",
    "stream",
]

_LATER = {
    "Conf": "rivulet.compat.core",
    "handle": "rivulet.compat.core",
    "JsonCodec": "rivulet.codecs",
    "READ_FROM_END": "rivulet.io.records",
    "READ_FROM_START": "rivulet.io.records",
    "Record": "rivulet.io.records",
    "Topic": "rivulet.io.topic",
    "TopicStats": "rivulet.io.topic",
    "LateItem": "rivulet.windows.spec",
    "Timeline": "rivulet.notebook.timeline",
    "Window": "rivulet.windows.window",
    "Cache": "rivulet.state.cache",
    "CacheStats": "rivulet.state.cache",
    "OperatorStats": "rivulet.run.stats",
    "Run": "rivulet.run.handle",
    "Stats": "rivulet.run.stats",
}


def __getattr__(name: str) -> Any:
    """What is imported when it is needed: the classes of the runner and of state."""
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
