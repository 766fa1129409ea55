"""Iterate whatever can be iterated, and close it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from typing import Any, cast

from rivulet.core.callables import is_awaitable

__all__ = ["close_iterator", "each"]


async def each(results: Any) -> AsyncGenerator[Any, None]:
    """The items of an iterable, of an async iterable, or of an awaitable of one.

    Raises:
        TypeError: it is none of these.
    """
    if is_awaitable(results):
        results = await results
    if isinstance(results, AsyncIterable):
        iterator: Any = aiter(cast("AsyncIterable[Any]", results))
        try:
            async for item in iterator:
                yield item
        finally:
            await close_iterator(iterator)
    elif isinstance(results, Iterable):
        for item in cast("Iterable[Any]", results):
            yield item
    else:
        raise TypeError(f"an iterable is needed, not {results!r:.200}")


async def close_iterator(iterator: Any) -> None:
    """Close an iterator, sync or async, if it can be closed."""
    if (aclose := getattr(iterator, "aclose", None)) is not None:
        await aclose()
    elif (close := getattr(iterator, "close", None)) is not None:
        close()
