"""The errors that rivulet raises by itself. A user's own exception is never replaced.

RivuletError
├── GraphError (ValueError)            the graph can't work as it was written
│   └── EndlessError                   a list was asked of a stream that never ends
├── CodecError (ValueError)            a value can't become bytes, or bytes a value
├── SourceError (ValueError)           a source can't be read
├── SinkError (ValueError)             a sink can't take what it was given
├── StrayAwaitableError (TypeError)    a function that gave values gave an awaitable
├── StuckError (RuntimeError)          parts of the graph wait for each other
├── BufferFullError (RuntimeError)     a buffer with overflow="error" is full
├── RunError (RuntimeError)            a run is used in a way that it can't be
├── StorageError (OSError)             state can't be kept or read
├── TopicError (OSError)               a topic can't be read or written
├── EmptyError (LookupError)           a stream ended without the item asked for
└── MissingExtraError (ImportError)    an optional dependency is not installed
"""

from __future__ import annotations

__all__ = [
    "BufferFullError",
    "CodecError",
    "EmptyError",
    "EndlessError",
    "GraphError",
    "MissingExtraError",
    "RivuletError",
    "RunError",
    "SinkError",
    "SourceError",
    "StorageError",
    "StrayAwaitableError",
    "StuckError",
    "TopicError",
]


class RivuletError(Exception):
    """Base of the errors that rivulet raises by itself."""


class GraphError(RivuletError, ValueError):
    """The graph can't work as it was written."""


class EndlessError(GraphError):
    """Everything was asked of a stream that is known never to end."""


class CodecError(RivuletError, ValueError):
    """A codec can't turn a value into bytes, or bytes into a value."""


class SourceError(RivuletError, ValueError):
    """A source can't be read: it is no iterable, or it was read already."""


class SinkError(RivuletError, ValueError):
    """A sink can't take what it was given."""


class StrayAwaitableError(RivuletError, TypeError):
    """A function whose first result was a plain value gave an awaitable later."""


class StuckError(RivuletError, RuntimeError):
    """Parts of the graph wait for each other and nothing can go on."""


class BufferFullError(RivuletError, RuntimeError):
    """A buffer with ``overflow="error"`` got an item when it was full."""


class RunError(RivuletError, RuntimeError):
    """A run is used in a way that it can't be."""


class StorageError(RivuletError, OSError):
    """State can't be kept or read: the disk is full, or a folder isn't what it should be."""


class TopicError(RivuletError, OSError):
    """A topic can't be read or written: no broker, no right to it, no such topic."""


class EmptyError(RivuletError, LookupError):
    """A stream ended without the item that was asked for."""


class MissingExtraError(RivuletError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed; install it with: pip install 'rivulet-streams[{extra}]'",
            name=package,
        )
