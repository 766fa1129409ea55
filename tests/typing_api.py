"""Types are inferred through a chain: checked by pyright, never executed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from typing import Any, TypeGuard, assert_type

import asyncstdlib

import rivulet
from rivulet import (
    Cache,
    Channel,
    Checkpoint,
    Dependency,
    Failure,
    KeyedStream,
    LateItem,
    Revision,
    Run,
    Stream,
    Window,
)
from rivulet.aggregators import Count


async def numbers() -> AsyncGenerator[int, None]:
    yield 1


def words() -> Iterator[str]:
    yield "a"


async def rows() -> list[float]:
    return [1.0]


async def fetch(x: int) -> str:
    return str(x)


def parse(text: str) -> int:
    return int(text)


def to_floats(items: AsyncIterable[int]) -> AsyncIterable[float]: ...


def operator(stream: Stream[int]) -> Stream[str]:
    return stream.map(str)


def sources(queue: asyncio.Queue[bytes]) -> None:
    assert_type(Stream([1, 2]), Stream[int])
    assert_type(Stream(numbers), Stream[int])
    assert_type(Stream(numbers()), Stream[int])
    assert_type(Stream(words), Stream[str])
    assert_type(Stream(rows), Stream[float])
    assert_type(Stream.of(1, "a"), Stream[int | str])
    assert_type(Stream.timer(1), Stream[int])
    channel: Channel[int] = Stream.channel(1)
    assert_type(channel.stream, Stream[int])


def transform(
    stream: Stream[int], pairs: Stream[tuple[int, str]], lists: Stream[list[int]]
) -> None:
    assert_type(stream.map(str), Stream[str])
    assert_type(stream.map(lambda x: x + 1.5), Stream[float])
    assert_type(stream.map(fetch), Stream[str])
    assert_type(stream.map(lambda x: fetch(x)), Stream[str])
    assert_type(stream.map(fetch, concurrency=10, ordered=False), Stream[str])
    assert_type(stream.map(str).map(parse).filter(bool), Stream[int])
    assert_type(pairs.starmap(lambda a, b: f"{a}{b}"), Stream[str])
    assert_type(stream.flat_map(lambda x: [str(x)]), Stream[str])
    assert_type(lists.flatten(), Stream[int])
    assert_type(stream.switch_map(lambda x: [x]), Stream[int])
    assert_type(stream.scan(lambda a, b: a + b), Stream[int])
    assert_type(stream.scan(lambda text, x: text + str(x), ""), Stream[str])
    assert_type(stream.scan(Count()), Stream[Any])
    assert_type(stream.enumerate(), Stream[tuple[int, int]])
    assert_type(stream.pairwise(), Stream[tuple[int, int]])
    assert_type(stream.pipe(asyncstdlib.pairwise), Stream[tuple[int, int]])
    assert_type(stream.pipe(to_floats), Stream[float])
    assert_type(stream.pipe(operator), Stream[str])
    assert_type(stream | to_floats, Stream[float])
    assert_type(stream[2:10:2], Stream[int])
    assert_type(stream[3], Stream[int])
    assert_type(stream.stateful_map(lambda n, x: (n + 1, str(x)), 0), Stream[str])


def is_text(x: object) -> TypeGuard[str]:
    return isinstance(x, str)


def select(stream: Stream[int], mixed: Stream[int | str]) -> None:
    assert_type(mixed.filter(is_text), Stream[str])
    assert_type(mixed.filter(lambda x: x), Stream[int | str])
    assert_type(stream.take(3).skip(1).take_while(bool).skip_while(bool), Stream[int])
    assert_type(stream.take_until("1m").take_last(2).distinct().changes(), Stream[int])
    assert_type(stream.default("none"), Stream[int | str])


def combine(a: Stream[int], b: Stream[str], c: Stream[float]) -> None:
    assert_type(a.merge(b), Stream[int | str])
    assert_type(a.merge([1.5]), Stream[int | float])
    assert_type(a.merge_sorted(b, key=str), Stream[int | str])
    assert_type(a.zip(b), Stream[tuple[int, str]])
    assert_type(a.zip(b, c), Stream[tuple[int, str, float]])
    assert_type(a.combine_latest(b), Stream[tuple[int, str]])
    assert_type(a.with_latest_from(b, c), Stream[tuple[int, str, float]])
    assert_type(a.concat(b), Stream[int | str])
    assert_type(a + b, Stream[int | str])
    assert_type(a.start_with("x"), Stream[int | str])


def joins(a: Stream[int], b: Stream[str], names: dict[int, str], cache: Cache) -> None:
    assert_type(a.join_asof(b, on=hash), Stream[tuple[int, str | None]])
    assert_type(a.join_asof(b, cache, on=hash, how="inner"), Stream[tuple[int, str]])
    assert_type(a.join_asof(["x"], on=hash, select=lambda x, y: f"{x}{y}"), Stream[str])
    assert_type(a.join_asof(None, cache, on=hash), Stream[tuple[int, Any]])
    revised = a.join_asof(b, on=hash, revise=True)
    assert_type(revised, Stream[tuple[int, str | None] | Revision[tuple[int, str | None]]])
    assert_type(a.join_interval(b, before=1, after=2), Stream[tuple[int, str]])
    assert_type(a.join_interval(b, before=1, after=2, how="left"), Stream[tuple[int, str | None]])
    assert_type(a.join(b, window="1m", how="outer"), Stream[tuple[int | None, str | None]])
    assert_type(a.lookup(names, hash), Stream[tuple[int, str | None]])
    assert_type(a.lookup(names, hash, how="inner"), Stream[tuple[int, str]])
    assert_type(a.lookup(fetch, hash, ttl="1m"), Stream[tuple[int, str]])
    assert_type(a.lookup(cache, hash), Stream[tuple[int, Any]])


def rates(stream: Stream[int]) -> None:
    assert_type(stream.batch(3, within="1s"), Stream[list[int]])
    assert_type(stream.buffer(3).debounce(1).throttle(1).rate_limit(5).delay(1), Stream[int])
    assert_type(stream.timeout(5).repeat(2).event_time(float, max_delay=3), Stream[int])
    assert_type(stream.keep_alive(5, None), Stream[int | None])


def keys(stream: Stream[int], texts: Stream[str]) -> None:
    assert_type(texts.group_by(len), KeyedStream[int, str])
    assert_type(texts.group_by(len).pairwise().items(), Stream[tuple[int, tuple[str, str]]])
    assert_type(texts.group_by(len).count().values(), Stream[int])
    assert_type(texts.group_by(len).map(parse).scan(max).values(), Stream[int])
    assert_type(texts.group_by(len).scan(Count()).values(), Stream[Any])
    assert_type(texts.group_by(len).agg(n=Count()).items(), Stream[tuple[int, dict[str, Any]]])
    assert_type(stream.partition(bool), tuple[Stream[int], Stream[int]])
    assert_type(stream.route(big=lambda x: x > 9), dict[str, Stream[int]])
    assert_type(stream.share(buffer=3), Stream[int])


def gates(stream: Stream[int], weather: Stream[str]) -> None:
    checkpoint = Checkpoint("c", dependencies=[Dependency("d", downtime_threshold="1h")])
    assert_type(checkpoint["d"], Dependency)
    assert_type(weather.beat(checkpoint, marker=len, name="d"), Stream[str])
    assert_type(stream.gate(checkpoint, marker=fetch, hold="after"), Stream[int])
    assert_type(stream.gate(on=weather, marker=(float, "at"), max_hold=5), Stream[int])
    assert_type(stream.gate(on=weather, marker=(float, "at"), max_hold=5).stale, Stream[int])


def failures(stream: Stream[int]) -> None:
    assert_type(stream.on_error("skip"), Stream[int])
    assert_type(stream.on_error("skip").errors, Stream[Failure[Any]])
    assert_type(stream.catch(["x"]), Stream[int | str])
    assert_type(stream.retry(3, backoff="1s"), Stream[int])
    assert_type(stream.attempt(), Stream[int | Failure[Any]])
    assert_type(stream.tap(print).hooks(end=print).to(print), Stream[int])


async def terminals(stream: Stream[int], texts: Stream[str]) -> None:
    assert_type(await stream, int)
    assert_type(await stream.first(), int)
    assert_type(await stream.collect(), list[int])
    assert_type(await texts.head(3), list[str])
    assert_type(await texts.fold(lambda n, x: n + len(x), 0), int)
    assert_type(await stream.reduce(max), int)
    assert_type(await texts.count(), int)
    assert_type(stream.start(), Run[int])
    assert_type(stream.start().last(), list[int])
    async for item in texts:
        assert_type(item, str)
    async with texts.open() as items:
        async for item in items:
            assert_type(item, str)
    await rivulet.run(stream, texts)


def windows(stream: Stream[int], texts: Stream[str]) -> None:
    assert_type(stream.window(tumbling="10s").count(), Stream[Window[None, int]])
    assert_type(stream.window(session=3, by=str).collect(), Stream[Window[str, list[int]]])
    assert_type(texts.window(sliding=3, by=len).apply(len), Stream[Window[int, int]])
    assert_type(texts.window(count=3).fold(lambda n, x: n + len(x), 0), Stream[Window[None, int]])
    assert_type(stream.window(calendar="day").late, Stream[LateItem[int]])
    assert_type(texts.group_by(len).window(hopping=9, every=3).count(), Stream[Window[int, int]])
    assert_type(stream.reorder(wait=3), Stream[int])
