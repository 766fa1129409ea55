"""The work that all contenders do: the same small functions over the same numbers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

Source = Callable[[], AsyncIterator[int]]


# Functions


def inc(x: int) -> int:
    return x + 1


def triple(x: int) -> int:
    return x * 3


def odd(x: int) -> int:
    return x & 1


def positive(x: int) -> bool:
    return x >= 0


def plus(total: int, x: int) -> int:
    return (total + x) & 0xFFFFFF


def key(x: int) -> int:
    return x % 1000


def few(x: int) -> range:
    return range(x & 3)


async def few_async(x: int) -> AsyncIterator[int]:
    for y in range(x & 3):
        yield y


async def sleepy(x: int) -> int:
    await asyncio.sleep(0.001)
    return x + 1


def at(x: int) -> float:
    """The event time of a number, in seconds."""
    return x * 0.01


# Sources of n items


def listed(n: int) -> list[int]:
    return list(range(n))


def generator(n: int) -> Callable[[], Iterator[int]]:
    """A generator, made anew by each call."""
    return lambda: (x for x in range(n))


def generated(n: int) -> Source:
    """An async generator, made anew by each call, that never waits."""

    async def source() -> AsyncIterator[int]:
        for x in range(n):
            yield x

    return source


def waiting(n: int) -> Source:
    """One that waits before each item."""

    async def source() -> AsyncIterator[int]:
        for x in range(n):
            await asyncio.sleep(0)
            yield x

    return source


def two(source: Callable[[int], Source]) -> Callable[[int], tuple[Source, Source]]:
    """Two sources of n/2 items each."""
    return lambda n: (source(n // 2), source(n // 2))


# Sinks, each with a function that gives the checksum


def summing() -> tuple[Callable[[int], None], Callable[[], int]]:
    total = 0

    def add(x: int) -> None:
        nonlocal total
        total += x

    return add, lambda: total


def summing_pairs() -> tuple[Callable[[tuple[int, int]], None], Callable[[], int]]:
    total = 0

    def add(pair: tuple[int, int]) -> None:
        nonlocal total
        before, now = pair
        total += before ^ (now + now)

    return add, lambda: total


def summing_lists() -> tuple[Callable[[list[int]], None], Callable[[], int]]:
    total = 0

    def add(items: list[int]) -> None:
        nonlocal total
        total += sum(items) * len(items)

    return add, lambda: total


def keeping() -> tuple[Callable[[Any], None], Callable[[], Any]]:
    """Keeps the newest item only."""
    newest = None

    def keep(item: Any) -> None:
        nonlocal newest
        newest = item

    return keep, lambda: newest


# Feeding those peers that are pushed


async def push(source: list[int] | Source, emit: Callable[[int], Any]) -> None:
    if isinstance(source, list):
        for x in source:
            emit(x)
    else:
        async for x in source():
            emit(x)


async def push_all(*pushes: tuple[Source, Callable[[int], Any]]) -> None:
    """Feed several at once, a turn of the loop for each item so that all of them come on."""

    async def one(source: Source, emit: Callable[[int], Any]) -> None:
        async for x in source():
            emit(x)
            await asyncio.sleep(0)

    work: list[Awaitable[None]] = [one(source, emit) for source, emit in pushes]
    await asyncio.gather(*work)
