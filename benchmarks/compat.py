"""Ported scripts beside Slipstream itself: the same handlers, from two libraries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks import peers
from benchmarks.cache import by_rivulet, readings
from benchmarks.stores import Side, Stores
from rivulet import compat
from rivulet.compat.registry import Registry

Work = Callable[[Any, list[Any]], int]
"""Takes a library and messages; binds handlers, runs them, and gives a checksum."""

ENOUGH = 1 << 40
"""Nothing is dropped from a table of Slipstream's that is so large."""


async def arriving(messages: list[Any]) -> AsyncIterator[Any]:
    """Messages that are there at once, from a source that could wait, as most do."""
    for message in messages:
        if message is None:
            await asyncio.sleep(0)
        yield message


class Sum:
    """A sink that only adds."""

    total = 0

    def add(self, n: int) -> None:
        self.total = (self.total + n) & 0xFFFFFF


# Handlers


def called(library: Any, messages: list[int]) -> int:
    """A function that gives nothing."""
    found = Sum()

    @library.handle(arriving(messages))
    def handler(n: int) -> None:
        found.add(n)

    asyncio.run(library.stream())
    return found.total


def yielding(library: Any, messages: list[int]) -> int:
    """A generator with a sink, as in most recipes."""
    found = Sum()

    @library.handle(arriving(messages), sink=[found.add])
    def handler(n: int) -> Iterator[int]:
        yield n + 1

    asyncio.run(library.stream())
    return found.total


def awaited(library: Any, messages: list[int]) -> int:
    """A coroutine function that returns what goes to a sink."""
    found = Sum()

    @library.handle(arriving(messages), sink=[found.add])
    async def handler(n: int) -> int:
        return n + 1

    asyncio.run(library.stream())
    return found.total


def shared(library: Any, messages: list[int]) -> int:
    """Two handlers on one source."""
    found = Sum()
    source = arriving(messages)

    @library.handle(source)
    def handler(n: int) -> None:
        found.add(n)

    @library.handle(source)
    def other(n: int) -> None:
        found.add(n + 1)

    asyncio.run(library.stream())
    return found.total


def piped(library: Any, messages: list[int]) -> int:
    """asyncstdlib's ``pairwise`` in front of the handler."""
    found = Sum()

    @library.handle(arriving(messages), pipe=[peers.asyncstdlib.pairwise], sink=[found.add])
    def handler(pair: tuple[int, int]) -> Iterator[int]:
        yield pair[0] ^ pair[1]

    asyncio.run(library.stream())
    return found.total


def cached(stores: tuple[Any, Any], messages: list[tuple[Any, Any]]) -> int:
    """Pairs into a cache, which is there already."""
    library, cache = stores

    @library.handle(arriving(messages), sink=[cache])
    def handler(pair: tuple[Any, Any]) -> Iterator[tuple[Any, Any]]:
        yield pair

    asyncio.run(library.stream())
    return len(messages)


def some_values(stores: tuple[Any, Any], messages: list[tuple[Any, Any]]) -> object:
    """A hundred of the values."""
    _, cache = stores
    return [cache[key] for key, _ in messages[:: len(messages) // 100]]


# By hand


def called_by_hand(_: Any, messages: list[int]) -> int:
    found = Sum()

    async def loop() -> None:
        async for n in arriving(messages):
            found.add(n)

    asyncio.run(loop())
    return found.total


def yielded_by_hand(_: Any, messages: list[int]) -> int:
    found = Sum()

    async def loop() -> None:
        async for n in arriving(messages):
            found.add(n + 1)

    asyncio.run(loop())
    return found.total


def shared_by_hand(_: Any, messages: list[int]) -> int:
    found = Sum()

    async def loop() -> None:
        async for n in arriving(messages):
            found.add(n)
            found.add(n + 1)

    asyncio.run(loop())
    return found.total


def piped_by_hand(_: Any, messages: list[int]) -> int:
    found = Sum()

    async def loop() -> None:
        async for before, after in peers.asyncstdlib.pairwise(arriving(messages)):
            found.add(before ^ after)

    asyncio.run(loop())
    return found.total


# The libraries


async def no_wait(_: float) -> None:
    """In place of the 50 ms that Slipstream waits before its exit hooks."""


@contextmanager
def slipstream(folder: Path, data: Any) -> Iterator[Any]:
    """Slipstream, which is left without handlers."""
    import slipstream
    from slipstream.core import Conf

    with patch("slipstream.core.sleep", no_wait):
        yield slipstream
    Conf.iterables.clear()
    Conf.pipes.clear()
    Conf.pubsub._topics.clear()


@contextmanager
def rivulet(folder: Path, data: Any) -> Iterator[Any]:
    """``rivulet.compat``, with a registry of its own."""
    with Registry():
        yield compat


@contextmanager
def nothing(folder: Path, data: Any) -> Iterator[Any]:
    yield None


@contextmanager
def slipstream_cache(folder: Path, data: Any) -> Iterator[Any]:
    """Slipstream and a cache of its own, which would drop nothing of this."""
    with (
        slipstream(folder, data) as library,
        library.Cache(str(folder / "cache"), target_table_size=ENOUGH) as cache,
    ):
        yield library, cache


@contextmanager
def rivulet_cache(folder: Path, data: Any) -> Iterator[Any]:
    with rivulet(folder, data) as library, by_rivulet(folder, data) as cache:
        yield library, cache


def numbers(n: int, _: int) -> list[int]:
    return list(range(n))


def handlers(
    name: str, title: str, work: Work, by_hand: Work | None = None, n: int = 100_000, least: int = 5
) -> Stores:
    """Handlers of both libraries; ``least`` is how many times Slipstream's rate is promised."""
    hand = [Side("hand-written loop", nothing, by_hand)] if by_hand is not None else []
    return Stores(
        name,
        title,
        numbers,
        n,
        (
            Side("slipstream", slipstream, work, needs="slipstream"),
            Side("rivulet", rivulet, work, 1 / least),
            *hand,
        ),
    )


GROUPS = (
    handlers("compat_handle", "@handle a function", called, called_by_hand),
    handlers("compat_yield", "@handle a generator, into a sink", yielding, yielded_by_hand),
    handlers("compat_await", "@handle a coroutine function, into a sink", awaited, yielded_by_hand),
    handlers("compat_shared", "@handle two functions on one source", shared, shared_by_hand),
    handlers("compat_pipe", "@handle with pipe=[pairwise]", piped, piped_by_hand, 50_000, 20),
    Stores(
        "compat_cache",
        "@handle dicts of 100 bytes into a Cache",
        readings,
        100_000,
        (
            Side("slipstream", slipstream_cache, cached, needs="slipstream"),
            Side("rivulet", rivulet_cache, cached, 1.0),
        ),
        clock="wall",
        check=some_values,
    ),
)
