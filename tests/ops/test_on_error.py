"""``on_error`` and ``.errors``: what becomes of items that fail."""

from __future__ import annotations

import asyncio

import pytest

import rivulet
from rivulet import Failure, GraphError, Stream, maybe_async
from rivulet.testing import RecordingSource, assert_closed, marbles, timed


def half(x):
    """Fails on 0."""
    return 8 // x


async def half_later(x):
    await asyncio.sleep(0.1)
    return 8 // x


async def halves(x):
    yield 8 // x


def fails_on_zero(_, x):
    return 8 // x


STAGES = {
    "map": lambda s: s.map(half),
    "async map": lambda s: s.map(half_later),
    "lambda map": lambda s: s.map(lambda x: half_later(int(x))),
    "mixed map": lambda s: s.map(maybe_async(lambda x: half_later(x) if x == 1 else half(x))),
    "starmap": lambda s: s.map(lambda x: (x,)).starmap(half),
    "filter": lambda s: s.filter(half),
    "flat_map": lambda s: s.flat_map(lambda x: [8 // x]),
    "flat_map of a generator": lambda s: s.flat_map(lambda x: (8 // y for y in [x])),
    "flat_map of an async generator": lambda s: s.flat_map(halves),
    "flat_map of streams": lambda s: s.flat_map(lambda x: Stream.of(x).map(half)),
    "tap": lambda s: s.tap(half),
    "async tap": lambda s: s.tap(half_later),
    "to": lambda s: s.to(half),
    "scan": lambda s: s.scan(fails_on_zero, 1),
    "stateful_map": lambda s: s.stateful_map(lambda n, x: (n, 8 // x), 1),
    "fold": lambda s: s.fold(fails_on_zero, 1),
    "partition": lambda s: s.partition(half)[0],
    "partition no": lambda s: s.partition(lambda x: half(x) < 0)[1],
    "distinct key": lambda s: s.distinct(half),
    "changes key": lambda s: s.changes(half),
    "batch weight": lambda s: s.batch(1, weight=half),
    "group_by key": lambda s: s.group_by(half).values(),
    "keyed map": lambda s: s.group_by(lambda x: x).map(half).values(),
    "take_while": lambda s: s.take_while(half),
    "concurrent map": lambda s: s.map(half_later, concurrency=2),
    "unordered map": lambda s: s.map(half_later, concurrency=2, ordered=False),
    "map by key": lambda s: s.map(half_later, concurrency=2, by=lambda x: x),
    "concurrent to": lambda s: s.to(half_later, concurrency=2),
    "concurrent flat_map": lambda s: s.flat_map(lambda x: [8 // x], concurrency=2),
}

BOUNDARIES = {
    "nothing": lambda s: s,
    "map": lambda s: s.map(lambda x: x),
    "buffer": lambda s: s.buffer(2),
    "dropping buffer": lambda s: s.buffer(9, overflow="drop_oldest"),
    "concurrent map": lambda s: s.map(lambda x: x, concurrency=2),
    "unordered map": lambda s: s.map(lambda x: x, concurrency=2, ordered=False),
    "concurrent flat_map": lambda s: s.flat_map(lambda x: [x], concurrency=2),
    "switch_map": lambda s: s.switch_map(lambda x: [x]),
    "delay": lambda s: s.delay(1),
    "merge": lambda s: s.merge([]),
    "merged": lambda s: Stream.empty().merge(s),
    "merge_sorted": lambda s: s.merge_sorted([], key=lambda x: 0),
    "combine_latest": lambda s: s.combine_latest().map(lambda row: row[0]),
    "with_latest_from": lambda s: s.delay(1).with_latest_from([0]).map(lambda row: row[0]),
    "zip": lambda s: s.zip().map(lambda row: row[0]),
    "concat": lambda s: s + [],
    "repeat": lambda s: s.repeat(1),
    "take_last": lambda s: s.take_last(9),
    "batch": lambda s: s.batch(2).flatten(),
    "timed batch": lambda s: s.batch(2, within=1).flatten(),
    "group": lambda s: s.group_by(lambda x: 0).values(),
    "start_with": lambda s: s.start_with(),
}


@pytest.mark.parametrize("name", STAGES)
async def test_the_failure_of_any_stage_is_taken_with_its_item(name):
    source = RecordingSource([1, 0, 2])
    stream = STAGES[name](Stream(source)).on_error("skip")
    good, bad = [], []
    await rivulet.run(stream.to(good), stream.errors.to(bad))
    assert len(good) == (1 if name == "fold" else 2)
    [failure] = bad
    assert failure.item == ((0,) if name == "starmap" else 0)
    assert isinstance(failure.error, ZeroDivisionError)
    assert failure.operator.partition("(")[0] in name.split()
    assert_closed(source)


@pytest.mark.parametrize("name", STAGES)
async def test_without_a_policy_it_ends_the_run_and_names_the_item(name):
    source = RecordingSource([1, 0, 2])
    with pytest.raises(ZeroDivisionError) as caught:
        await STAGES[name](Stream(source)).run()
    assert "on item" in caught.value.__notes__[0]
    assert_closed(source)


@pytest.mark.parametrize("name", BOUNDARIES)
async def test_a_policy_holds_across_boundaries(name):
    source = RecordingSource([1, 0, 2, 0])
    stream = BOUNDARIES[name](Stream(source).map(half)).on_error("skip")
    good, bad = [], []
    await rivulet.run(stream.to(good), stream.errors.to(bad))
    assert good == [8, 4]
    assert [failure.item for failure in bad] == [0, 0]
    assert_closed(source)


async def test_skip_drops_the_item_and_state_goes_on_as_before_it():
    sums = Stream.of(1, "x", 2).scan(lambda a, b: a + b).on_error("skip")
    assert await sums.collect() == [1, 3]


async def test_a_sink_is_given_the_failure():
    async def wait(failure):
        await asyncio.sleep(1)
        rows.append(failure.item)

    rows, queue = [], asyncio.Queue()
    stream = Stream.of("1", "x", "y").map(int)
    for sink in (rows, queue, lambda failure: rows.append(str(failure)), wait):
        assert await stream.on_error(sink).collect() == [1]
    assert isinstance(rows[0], Failure)
    assert rows[0].operator == "map(int)"
    assert rows[2] == (
        "map(int) failed on 'x': ValueError(\"invalid literal for int() with base 10: 'x'\")"
    )
    assert rows[4:] == ["x", "y"]
    assert queue.qsize() == 2


async def test_a_sink_that_fails_ends_the_run():
    def sink(failure):
        raise failure.error

    with pytest.raises(ValueError, match="invalid literal") as caught:
        await Stream.of("x").map(int).on_error(sink).collect()
    assert any("on_error" in note for note in caught.value.__notes__)


async def test_raise_ends_the_run_whatever_is_below():
    with pytest.raises(ValueError, match="invalid literal"):
        await Stream.of("x").map(int).on_error("raise").on_error("skip").collect()


async def test_only_the_given_types_are_taken():
    stream = Stream.of("1", "x", None).map(int)
    with pytest.raises(TypeError):
        await stream.on_error("skip", types=ValueError).collect()
    assert await stream.on_error("skip", types=(ValueError, TypeError)).collect() == [1]
    assert await stream.on_error("skip", types=Exception).collect() == [1]


async def test_it_holds_up_to_the_policy_before_it_and_not_for_what_is_below():
    first, second = [], []
    stream = Stream.of(1, 0, 8).map(half).on_error(first).map(lambda x: 1 // (x - 1))
    assert await stream.on_error(second).collect() == [0]
    assert ([f.item for f in first], [f.item for f in second]) == ([0], [1])
    with pytest.raises(ZeroDivisionError):
        await Stream.of(0).on_error("skip").map(half).collect()


async def test_the_failure_of_a_stage_below_is_not_that_of_the_stage_above():
    taken = []
    stream = Stream.of(2, 0).map(lambda x: x).on_error(taken).map(half)
    with pytest.raises(ZeroDivisionError):
        await stream.collect()
    assert taken == []


async def test_a_source_that_fails_is_no_item_that_fails():
    with pytest.raises(ConnectionError):
        await marbles("a#", error=ConnectionError()).map(str).on_error("skip").collect()


async def test_every_branch_below_needs_a_policy():
    stream = Stream.of(1, 0).map(half)
    with pytest.raises(ZeroDivisionError):
        await rivulet.run(stream.on_error("skip"), stream.map(str))
    with pytest.raises(ZeroDivisionError):
        await stream.on_error("skip").merge(stream).collect()
    first, second, good = [], [], []
    await rivulet.run(stream.on_error(first).to(good), stream.map(str).on_error(second).to(good))
    assert good == [8, "8"]
    assert [f.item for f in first] == [f.item for f in second] == [0]
    with pytest.raises(ZeroDivisionError):
        await rivulet.run(stream.on_error("skip"), stream.on_error("skip", types=ValueError))


async def test_failures_are_counted():
    run = Stream.of(1, 0, 0).map(half).on_error("skip").start()
    await run
    assert run.stats().failed == 2
    assert run.last() == [8]


# Retries


class Flaky:
    """Fails the given number of times on each item."""

    def __init__(self, times):
        self.times = times
        self.calls = []

    def __call__(self, *args):
        self.calls.append(args[-1])
        if self.calls.count(args[-1]) <= self.times:
            raise ConnectionError(args[-1])
        return args[-1]

    async def later(self, *args):
        await asyncio.sleep(0)
        return self(*args)

    def rows(self, x):
        return [self(x)]

    async def arows(self, x):
        yield self(x)


RETRIED = {
    "map": lambda s, f: s.map(f),
    "async map": lambda s, f: s.map(f.later),
    "mixed map": lambda s, f: s.map(maybe_async(f)),
    "concurrent map": lambda s, f: s.map(f.later, concurrency=2),
    "filter": lambda s, f: s.filter(f),
    "async filter": lambda s, f: s.filter(f.later),
    "flat_map": lambda s, f: s.flat_map(f.rows),
    "concurrent flat_map": lambda s, f: s.flat_map(f.rows, concurrency=2),
    "tap": lambda s, f: s.tap(f),
    "to": lambda s, f: s.to(f.later),
    "scan": lambda s, f: s.scan(f, 0),
    "partition": lambda s, f: s.partition(f)[0],
}


@pytest.mark.parametrize("name", RETRIED)
async def test_a_failed_call_is_tried_again_as_often_as_said(name):
    flaky = Flaky(2)
    stream = RETRIED[name](Stream.of(7, 8), flaky)
    assert await stream.on_error("raise", retries=2).collect() == [7, 8]
    assert sorted(flaky.calls) == [7, 7, 7, 8, 8, 8]
    flaky.calls.clear()
    policy = stream.on_error("skip", retries=1)
    assert [failure.item for failure in await policy.errors.collect()] == [7, 8]
    assert sorted(flaky.calls) == [7, 7, 8, 8]


async def test_an_async_generator_can_be_a_function_that_is_tried_again():
    flaky = Flaky(0)
    assert await Stream.of(7).flat_map(flaky.arows).on_error("raise", retries=2).collect() == [7]


async def test_pauses_double_up_to_a_minute_or_are_what_a_function_gives():
    loop = asyncio.get_running_loop()

    async def times(**options):
        begun, tried = loop.time(), []

        def call(_):
            tried.append(loop.time() - begun)
            raise ConnectionError

        await Stream.of(1).map(call).on_error("skip", **options).run()
        return tried

    assert await times(retries=3) == [0, 0, 0, 0]
    assert await times(retries=3, backoff="500ms") == [0, 0.5, 1.5, 3.5]
    assert await times(retries=3, backoff=lambda n: n * 10) == [0, 10, 30, 60]
    waits = await times(retries=9, backoff=1)
    assert [b - a for a, b in zip(waits, waits[1:])] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_only_the_given_types_are_tried_again():
    flaky = Flaky(1)
    with pytest.raises(ConnectionError):
        await Stream.of(1).map(flaky).on_error("skip", types=ValueError, retries=3).collect()
    assert flaky.calls == [1]


async def test_a_timer_below_fires_between_tries():
    flaky = Flaky(1)
    stream = Stream.of(1, 2).map(lambda x: x if x == 1 else flaky(x))
    lists = stream.on_error("raise", retries=1, backoff=10).batch(9, within=3)
    assert await timed(lists) == [(3.0, [1]), (10.0, [2])]


# Arguments


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        (("ignore",), {}, r"on_error\(policy\) must be one of 'raise', 'skip', not 'ignore'"),
        (
            (None,),
            {},
            "a sink must be a function, a list, a set, a dict, a queue, a Cache or a Channel, not None",
        ),
        (("skip",), {"types": ValueError()}, r"on_error\(types\) must be an exception class"),
        (("skip",), {"types": (int,)}, r"on_error\(types\) must be an exception class"),
        (("skip",), {"types": [ValueError]}, r"on_error\(types\) must be an exception class"),
        (("skip",), {"retries": -1}, r"on_error\(retries\) must be a whole number of at least 0"),
        (("skip",), {"retries": 1, "backoff": -1}, r"on_error\(backoff\) must be zero or more"),
        (("skip",), {"retries": 1, "backoff": "x"}, r"on_error\(backoff\) must be a duration"),
    ],
)
def test_wrong_arguments_are_refused_when_built(args, options, message):
    with pytest.raises(GraphError, match=message):
        Stream.of(1).map(half).on_error(*args, **options)
