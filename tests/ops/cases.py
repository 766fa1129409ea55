"""A use of every operator with what it gives, and what tests of operators share."""

from __future__ import annotations

import asyncio
import functools
import itertools
import pickle
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from dataclasses import KW_ONLY, dataclass
from operator import add
from typing import Any

import pytest

from rivulet import Checkpoint, Dependency, Stream, maybe_async
from rivulet.core.stage import Expand, Test
from rivulet.testing import Recorder

ONE = [1]
MANY = [1, 2, 2, 3, 5]
BEFORE_FAILURE = [1, 2]


@dataclass(frozen=True)
class Case:
    """A use of an operator, and what it gives.

    Attributes:
        name: the operator.
        use: makes a stream of a stream.
        empty: what it gives for a source without items.
        one: what it gives for a source of ``ONE``.
        many: what it gives for a source of ``MANY``.
        before_failure: what it has given when a source fails after ``BEFORE_FAILURE``.
        opens: how often it opens a source of ``MANY``.
        takes_failure: the failure of the source ends here.
    """

    name: str
    use: Callable[[Stream[Any]], Stream[Any]]
    empty: list[Any]
    one: list[Any]
    many: list[Any]
    before_failure: list[Any]
    _: KW_ONLY
    opens: int = 1
    takes_failure: bool = False


def passing(name: str, use: Callable[[Stream[Any]], Stream[Any]], **more: Any) -> Case:
    """A use that gives every item as it is."""
    return Case(name, use, [], ONE, MANY, BEFORE_FAILURE, **more)


async def double(x):
    return x * 2


async def both(x):
    yield x
    yield -x


async def twice(items):
    async for item in items:
        yield item
        yield item


def odd(x):
    return x % 2


def refuse_two(x):
    if x == 2:
        raise ValueError(x)
    return x


def itself(x):
    return x


def told(x):
    """A failure as text."""
    return x if isinstance(x, int) else f"no {x.item}"


def far_ahead():
    """A checkpoint whose dependency is past all items."""
    checkpoint = Checkpoint("dependent", dependencies=[Dependency("dependency")])
    checkpoint["dependency"].move(1000)
    return checkpoint


def joined(streams):
    """What two streams of one source give, one beside the other."""
    left, right = streams
    return left.merge(right.map(str))


# Where inputs race, ``delay`` lets the other one be first.
def counted(kind):
    """A use that gives the number of items of each window."""
    return lambda s: s.event_time(itself).window(**kind).count().map(lambda w: w.value)


CASES = [
    # Create
    Case("of", lambda s: Stream.of(7) + s, [7], [7, 1], [7, *MANY], [7, 1, 2]),
    passing("empty", lambda s: s.merge(Stream.empty())),
    passing("never", lambda s: s.take_until(Stream.never())),
    passing("fail", lambda s: Stream.fail(KeyError("no")).catch(s)),
    passing("timer", lambda s: s.take_until(Stream.timer("1h"))),
    passing("channel", lambda s: s.to(Stream.channel(1, overflow="drop_oldest"))),
    passing("using", lambda s: Stream.using(lambda: nullcontext(s), itself)),
    # Transform
    Case("map", lambda s: s.map(lambda x: x * 2), [], [2], [2, 4, 4, 6, 10], [2, 4]),
    Case("map", lambda s: s.map(double), [], [2], [2, 4, 4, 6, 10], [2, 4]),
    Case("map", lambda s: s.map(double, concurrency=2), [], [2], [2, 4, 4, 6, 10], [2, 4]),
    Case("starmap", lambda s: s.enumerate().starmap(add), [], [1], [1, 3, 4, 6, 9], [1, 3]),
    Case("filter", lambda s: s.filter(odd), [], [1], [1, 3, 5], [1]),
    Case(
        "flat_map",
        lambda s: s.flat_map(lambda x: [x, -x]),
        [],
        [1, -1],
        [1, -1, 2, -2, 2, -2, 3, -3, 5, -5],
        [1, -1, 2, -2],
    ),
    Case(
        "flat_map",
        lambda s: s.flat_map(both),
        [],
        [1, -1],
        [1, -1, 2, -2, 2, -2, 3, -3, 5, -5],
        [1, -1, 2, -2],
    ),
    Case(
        "flat_map",
        lambda s: s.flat_map(both, concurrency=2),
        [],
        [1, -1],
        [1, -1, 2, -2, 2, -2, 3, -3, 5, -5],
        [1, -1, 2, -2],
    ),
    passing("flatten", lambda s: s.map(lambda x: [x]).flatten()),
    passing("switch_map", lambda s: s.switch_map(lambda x: [x])),
    Case("scan", lambda s: s.scan(add), [], [1], [1, 3, 5, 8, 13], [1, 3]),
    Case(
        "stateful_map",
        lambda s: s.stateful_map(lambda before, x: (x, x - before), 0),
        [],
        [1],
        [1, 1, 0, 1, 2],
        [1, 1],
    ),
    Case("enumerate", lambda s: s.enumerate(), [], [(0, 1)], [*enumerate(MANY)], [(0, 1), (1, 2)]),
    Case("pairwise", lambda s: s.pairwise(), [], [], [(1, 2), (2, 2), (2, 3), (3, 5)], [(1, 2)]),
    Case("pipe", lambda s: s.pipe(twice), [], [1, 1], [1, 1, 2, 2, 2, 2, 3, 3, 5, 5], [1, 1, 2, 2]),
    Case("item", lambda s: s[1:4], [], [], [2, 2, 3], [2]),
    passing("item", lambda s: s.map(lambda x: {"x": x})["x"]),
    # Select
    Case("take", lambda s: s.take(3), [], [1], [1, 2, 2], [1, 2]),
    Case("skip", lambda s: s.skip(1), [], [], [2, 2, 3, 5], [2]),
    Case("take_while", lambda s: s.take_while(lambda x: x < 3), [], [1], [1, 2, 2], [1, 2]),
    Case("skip_while", lambda s: s.skip_while(lambda x: x < 2), [], [], [2, 2, 3, 5], [2]),
    Case("take_until", lambda s: s.take_until(lambda x: x > 2), [], [1], [1, 2, 2, 3], [1, 2]),
    passing("take_until", lambda s: s.take_until("1h")),
    Case("take_last", lambda s: s.take_last(2), [], [1], [3, 5], []),
    Case("distinct", lambda s: s.distinct(), [], [1], [1, 2, 3, 5], [1, 2]),
    Case("changes", lambda s: s.changes(), [], [1], [1, 2, 3, 5], [1, 2]),
    Case("default", lambda s: s.default(0), [0], [1], MANY, [1, 2]),
    # Combine
    Case("merge", lambda s: s.delay(1).merge([0]), [0], [0, 1], [0, *MANY], [0, 1, 2]),
    Case(
        "merge_sorted",
        lambda s: s.merge_sorted([0, 4], key=itself),
        [0, 4],
        [0, 1, 4],
        [0, 1, 2, 2, 3, 4, 5],
        [0, 1, 2],
    ),
    Case(
        "zip",
        lambda s: s.zip("abcdefg"),
        [],
        [(1, "a")],
        [(1, "a"), (2, "b"), (2, "c"), (3, "d"), (5, "e")],
        [(1, "a"), (2, "b")],
    ),
    Case(
        "combine_latest",
        lambda s: s.delay(1).combine_latest([0]),
        [],
        [(1, 0)],
        [(1, 0), (2, 0), (2, 0), (3, 0), (5, 0)],
        [(1, 0), (2, 0)],
    ),
    Case(
        "with_latest_from",
        lambda s: s.delay(1).with_latest_from([0]),
        [],
        [(1, 0)],
        [(1, 0), (2, 0), (2, 0), (3, 0), (5, 0)],
        [(1, 0), (2, 0)],
    ),
    Case("concat", lambda s: s + [9], [9], [1, 9], [*MANY, 9], [1, 2]),
    Case("start_with", lambda s: s.start_with(0), [0], [0, 1], [0, *MANY], [0, 1, 2]),
    # Join by time
    Case(
        "join_asof",
        lambda s: s.join_asof([0, 2, 4], on=itself),
        [],
        [(1, 0)],
        [(1, 0), (2, 2), (2, 2), (3, 2), (5, 4)],
        [(1, 0), (2, 2)],
    ),
    Case(
        "join_asof",
        lambda s: s.join_asof([0, 2, 4], on=itself, wait="watermark", direction="forward"),
        [],
        [(1, 2)],
        [(1, 2), (2, 2), (2, 2), (3, 4), (5, None)],
        [(1, 2), (2, 2)],
    ),
    Case(
        "join_asof",
        lambda s: Stream([0, 1, 6]).join_asof(s, on=itself, wait="watermark"),
        [(0, None), (1, None), (6, None)],
        [(0, None), (1, 1), (6, 1)],
        [(0, None), (1, 1), (6, 5)],
        [(0, None), (1, 1)],
    ),
    Case(
        "join_interval",
        lambda s: s.join_interval([0, 2, 4], before=1, after=0, on=itself),
        [],
        [(1, 0)],
        [(1, 0), (2, 2), (2, 2), (3, 2), (5, 4)],
        [(1, 0), (2, 2)],
    ),
    Case(
        "join",
        lambda s: s.join([0, 2, 4], window=2, on=itself),
        [],
        [(1, 0)],
        [(1, 0), (2, 2), (2, 2), (3, 2), (5, 4)],
        [(1, 0)],
    ),
    Case(
        "lookup",
        lambda s: s.lookup({1: "a", 5: "b"}, itself),
        [],
        [(1, "a")],
        [(1, "a"), (2, None), (2, None), (3, None), (5, "b")],
        [(1, "a"), (2, None)],
    ),
    Case(
        "lookup",
        lambda s: s.lookup(double, itself, concurrency=2, ttl=10),
        [],
        [(1, 2)],
        [(1, 2), (2, 4), (2, 4), (3, 6), (5, 10)],
        [(1, 2), (2, 4)],
    ),
    # Batch, time, rate
    Case("batch", lambda s: s.batch(2), [], [[1]], [[1, 2], [2, 3], [5]], [[1, 2]]),
    Case("batch", lambda s: s.batch(within="1h"), [], [[1]], [MANY], []),
    passing("buffer", lambda s: s.buffer(2)),
    Case("debounce", lambda s: s.debounce("1h"), [], [1], [5], []),
    Case("throttle", lambda s: s.throttle("1h"), [], [1], [1], [1]),
    Case("throttle", lambda s: s.throttle("1h", edge="trailing"), [], [1], [5], []),
    passing("rate_limit", lambda s: s.rate_limit(1)),
    passing("delay", lambda s: s.delay(1)),
    passing("timeout", lambda s: s.timeout("1h")),
    passing("keep_alive", lambda s: s.keep_alive("1h", 0)),
    Case("repeat", lambda s: s.repeat(2), [], [1, 1], [*MANY, *MANY], [1, 2], opens=2),
    passing("reorder", lambda s: s.event_time(itself).reorder()),
    Case("window", counted({"tumbling": 2}), [], [1], [1, 3, 1], [1]),
    Case("window", counted({"sliding": 2}), [], [1], [1, 2, 3, 4, 2], [1, 2]),
    Case("window", counted({"session": 2}), [], [1], [4, 1], []),
    Case("window", counted({"count": 2}), [], [1], [2, 2, 1], [2]),
    passing("event_time", lambda s: Recorder().watch(s.event_time(itself))),
    # Key, route, share
    Case(
        "group_by",
        lambda s: s.group_by(odd).scan(add).items(),
        [],
        [(1, 1)],
        [(1, 1), (0, 2), (0, 4), (1, 4), (1, 9)],
        [(1, 1), (0, 2)],
    ),
    Case("group_by", lambda s: s.group_by(odd).count().items(), [], [(1, 1)], [(1, 3), (0, 2)], []),
    Case("partition", lambda s: s.partition(odd)[0], [], [1], [1, 3, 5], [1]),
    Case("partition", lambda s: s.partition(odd)[1], [], [], [2, 2], [2]),
    Case(
        "partition",
        lambda s: joined(s.partition(odd)),
        [],
        [1],
        [1, "2", "2", 3, 5],
        [1, "2"],
    ),
    Case("route", lambda s: s.route(odd=odd)["rest"], [], [], [2, 2], [2]),
    passing("share", lambda s: s.share()),
    # Gate
    passing("gate", lambda s: s.gate(on=[1000], marker=itself)),
    passing("gate", lambda s: s.gate(far_ahead(), marker=itself)),
    passing("gate", lambda s: s.gate(far_ahead(), marker=itself, hold="after")),
    passing("beat", lambda s: s.beat(far_ahead(), marker=itself)),
    passing("stale", lambda s: s.gate(on=Stream.never(), marker=itself, max_hold=1).stale),
    # Errors and effects
    Case("on_error", lambda s: s.map(refuse_two).on_error("skip"), [], [1], [1, 3, 5], [1]),
    Case(
        "errors",
        lambda s: s.map(refuse_two).on_error("skip").errors.map(told),
        [],
        [],
        ["no 2", "no 2"],
        ["no 2"],
    ),
    Case(
        "attempt",
        lambda s: s.map(refuse_two).attempt().map(told),
        [],
        [1],
        [1, "no 2", "no 2", 3, 5],
        [1, "no 2"],
    ),
    Case("catch", lambda s: s.catch([9]), [], [1], MANY, [1, 2, 9], takes_failure=True),
    Case("retry", lambda s: s.retry(1), [], [1], MANY, [1, 2, 1, 2]),
    passing("tap", lambda s: s.tap(double)),
    passing("hooks", lambda s: s.hooks(start=list, end=list)),
    passing("to", lambda s: s.to([], set())),
    passing("to", lambda s: s.to(double, concurrency=2)),
    Case("to", lambda s: s.to([], batch=2), [], [1], MANY, [1, 2]),
    # One value
    Case("fold", lambda s: s.fold(add, 0), [0], [1], [13], []),
    Case("reduce", lambda s: s.reduce(add), [], [1], [13], []),
    Case("count", lambda s: s.count(), [0], [1], [5], []),
]


# Kinds of functions


def waiting(fn):
    """The same function as a coroutine function."""

    async def wait(*args):
        await asyncio.sleep(0.01)
        return fn(*args)

    return wait


def sometimes(fn):
    """The same function, giving a coroutine at every second call."""
    calls = itertools.count()
    return maybe_async(lambda *args: waiting(fn)(*args) if next(calls) % 2 else fn(*args))


class WaitingObject:
    """The same function as an object with an async call."""

    def __init__(self, fn):
        self.fn = fn

    async def __call__(self, *args):
        return self.fn(*args)


KINDS = {
    "plain": lambda fn: fn,
    "async def": waiting,
    "lambda that gives a coroutine": lambda fn: lambda *args: waiting(fn)(*args),
    "partial": lambda fn: functools.partial(waiting(fn)),
    "object": WaitingObject,
    "maybe_async": sometimes,
}

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@contextmanager
def turning(fn):
    """The same function, giving coroutines from its second call on without saying so."""
    results = []

    def turncoat(*args):
        results.append(waiting(fn)(*args) if results else fn(*args))
        return results[-1]

    try:
        yield turncoat
    finally:
        for coroutine in results[1:]:
            coroutine.close()


TURNED = r"turncoat gave plain values at first and now gave .*maybe_async"


# Saving and restoring


class FakeContext:
    """What a run offers to a logic, without a run."""

    stamped = stopping = paused = False

    def __init__(self, time):
        self.time = time
        self.ended = False

    def now(self):
        return self.time

    def wake_at(self, when):
        """Timers don't fire here."""

    def end(self):
        self.ended = True


class ByHand:
    """The logic of one run, and what the loop does with it; an item a second."""

    def __init__(self, stream, time=0.0):
        self.context = FakeContext(time)
        self.stage = stream.node.stage()
        self.logic = self.stage.make(self.context)

    def feed(self, items):
        rows = []
        for item in items:
            if self.context.ended:
                break
            self.context.time += 1
            rows += self.outputs(item)
        return rows

    def outputs(self, item):
        stage, cell = self.stage, self.logic.cell
        if stage.fold == "map":
            cell[0], result = stage.fn(cell[0], item)
            return [result]
        if stage.fold:
            cell[:] = [stage.fn(cell[0], item) if cell else item]
            return cell[:] if stage.fold == "scan" else []
        stamp = [None] if stage.stamps == "own" else []
        result = self.logic.call(item, *(select(item) for select in stage.select), *stamp)
        if isinstance(stage, Test):
            return [item] if result else []
        return self.rows(result) if isinstance(stage, Expand) else [result]

    def rows(self, outputs):
        return [row[0] for row in outputs] if self.stage.stamps == "own" else list(outputs)

    def finish(self):
        return self.rows(self.logic.on_end()) if self.logic.on_end else []


def check_resuming(stream, items):
    """Saved after any item and restored elsewhere, an operator goes on as if nothing had been."""
    for cut in range(len(items) + 1):
        run = ByHand(stream)
        run.feed(items[:cut])
        saved = run.logic.snapshot()
        stored = pickle.dumps(saved)
        rest = [*run.feed(items[cut:]), *run.finish()]
        for state in saved, saved, pickle.loads(stored):
            resumed = ByHand(stream, time=-1000.0)
            resumed.logic.restore(state)
            assert [*resumed.feed(items[cut:]), *resumed.finish()] == rest
            assert resumed.context.ended == run.context.ended
