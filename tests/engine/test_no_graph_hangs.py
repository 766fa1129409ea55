"""No graph hangs: in virtual time, where a hang is an error, each random graph ends or says why."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rivulet
from rivulet import Stream, StuckError, testing
from rivulet.errors import BufferFullError
from tests.examples import examples


class Boom(Exception):
    pass


async def slowly(x):
    await asyncio.sleep(0.3)
    return x


def fails_at(n):
    def check(x):
        if x == n:
            raise Boom(x)
        return x

    return check


def number(x):
    while isinstance(x, (tuple, list)):
        x = x[-1]
    return x


def gated(dependent, dependency, **more):
    return dependent.map(number).gate(on=dependency.map(number), marker=lambda x: x, **more)


def joined(a, b, name, **more):
    a, b = (s.map(number).event_time(lambda x: x, max_delay=3) for s in (a, b))
    return getattr(a, name)(b, **more).starmap(lambda x, y: y if x is None else x)


UNARY = {
    "map": lambda s: s.map(number),
    "slow": lambda s: s.map(slowly),
    "rare": lambda s: s.map(number).filter(lambda x: x % 7 == 0),
    "none": lambda s: s.filter(lambda x: False),
    "many": lambda s: s.flat_map(lambda x: [x] * 5),
    "take": lambda s: s.take(3),
    "take_while": lambda s: s.map(number).take_while(lambda x: x < 20),
    "until": lambda s: s.take_until(1.5),
    "batch": lambda s: s.batch(3, within=0.5),
    "buffer": lambda s: s.buffer(2),
    "dropping": lambda s: s.buffer(2, overflow="drop_oldest"),
    "share": lambda s: s.share(buffer=2),
    "concurrent": lambda s: s.map(slowly, concurrency=4),
    "unordered": lambda s: s.map(slowly, concurrency=4, ordered=False),
    "inner": lambda s: s.flat_map(lambda x: Stream([x, x]).buffer(1), concurrency=2),
    "switch": lambda s: s.switch_map(lambda x: [x]),
    "debounce": lambda s: s.debounce(0.15),
    "delay": lambda s: s.delay(0.2),
    "fails": lambda s: s.map(number).map(fails_at(9)),
    "skips": lambda s: s.map(number).map(fails_at(9)).on_error("skip"),
    "group": lambda s: s.map(number).group_by(lambda x: x % 3).pairwise().values(),
    "repeat": lambda s: s.repeat(2),
    "catch": lambda s: s.catch([1]),
    "held": lambda s: gated(s, s, threshold=2),
    "stale": lambda s: gated(s, s.delay(0.4), max_hold=0.25).stale,
}
BINARY = {
    "merge": lambda a, b: a.merge(b),
    "zip": lambda a, b: a.zip(b),
    "strict": lambda a, b: a.zip(b, strict=True),
    "latest": lambda a, b: a.combine_latest(b),
    "with": lambda a, b: a.with_latest_from(b),
    "sorted": lambda a, b: a.map(number).merge_sorted(b.map(number), key=lambda x: x),
    "as of": lambda a, b: joined(a, b, "join_asof"),
    "waiting": lambda a, b: joined(a, b, "join_asof", wait=0.25),
    "certain": lambda a, b: joined(a, b, "join_asof", wait="watermark", direction="nearest"),
    "near": lambda a, b: joined(a, b, "join_interval", before=2, after=1, how="outer"),
    "together": lambda a, b: joined(a, b, "join", window=3, how="outer"),
    "until": lambda a, b: a.take_until(b),
    "concat": lambda a, b: a + b,
    "gate": lambda a, b: gated(a, b),
    "limited": lambda a, b: gated(a, b, max_hold=0.25),
}


async def suspending():
    for x in range(30):
        await asyncio.sleep(0.1)
        yield x


async def endless():
    x = 0
    while True:
        await asyncio.sleep(0.1)
        yield x
        x += 1


SOURCES = {
    "list": lambda: Stream(range(40)),
    "waits": lambda: Stream(suspending),
    "endless": lambda: Stream(endless).take_until(6),
    "empty": lambda: Stream.empty(),
    "silent": lambda: Stream.never().take_until(3),
    "one-shot": lambda: Stream(iter(range(25))),
}


@st.composite
def graphs(draw):
    """Some streams made of each other, and which of them are run."""
    steps = [
        ("source", draw(st.sampled_from(list(SOURCES)))) for _ in range(draw(st.integers(1, 2)))
    ]
    for _ in range(draw(st.integers(1, 6))):
        known = len(steps)
        if draw(st.booleans()):
            steps.append((draw(st.sampled_from(list(UNARY))), draw(st.integers(0, known - 1))))
        else:
            pair = draw(st.integers(0, known - 1)), draw(st.integers(0, known - 1))
            steps.append((draw(st.sampled_from(list(BINARY))), *pair))
    targets = draw(st.lists(st.integers(0, len(steps) - 1), min_size=1, max_size=3, unique=True))
    return steps, targets


def build(steps):
    streams = []
    for step in steps:
        match step:
            case ("source", name):
                streams.append(SOURCES[name]())
            case (name, up):
                streams.append(UNARY[name](streams[up]))
            case (name, a, b):
                streams.append(BINARY[name](streams[a], streams[b]))
    return streams


ENDS = (Boom, StuckError, BufferFullError, ValueError, rivulet.SourceError, rivulet.GraphError)
"""What a run may end with: a user's error, streams of unequal length, a source that is read twice."""


async def ends(run):
    try:
        await run
    except ENDS:
        pass
    except BaseExceptionGroup as group:
        rest = group.split(ENDS)[1]
        if rest is not None:
            raise rest from None


def test_timers_go_on_after_one_that_was_not_needed_any_more():
    """Two lists full at the same moment: the timer of the second was set for the first."""

    async def main():
        stream = Stream(endless).take_until(6)
        lists = stream.batch(3, within=0.5), stream.batch(3, within=0.5)
        await rivulet.run(*(each.to([]) for each in lists))
        return asyncio.get_running_loop().time()

    assert testing.run(main()) == 6


async def test_a_failure_that_nobody_wants_any_more_lets_its_source_go():
    """The outer ``zip`` has ended by then, and the source waits for room in the inner one."""
    once, empty = Stream(iter(range(25))), Stream.empty()
    failing = once.zip(empty, strict=True)
    assert await empty.zip(Stream.of(1).concat(failing)).collect() == []
    testing.assert_closed()
    with pytest.raises(ValueError, match="input 2 ended"):
        await empty.zip(failing).collect()
    testing.assert_closed()


@examples(500)
@given(
    graphs(),
    st.sampled_from(["run", "iterate", "leave", "stop", "drain", "cancel", "pause"]),
    st.floats(0, 4),
)
def test_a_random_graph_ends_or_says_why_and_leaves_nothing_behind(graph, way, after):
    steps, targets = graph

    async def main():
        streams = build(steps)
        sink = []
        sinks = [streams[t].to(sink.append) for t in targets]
        match way:
            case "run":
                await ends(rivulet.run(*sinks))
            case "iterate" | "leave":

                async def iterate():
                    async with sinks[0].open() as items:
                        n = 0
                        async for _ in items:
                            n += 1
                            if way == "leave" and n > after:
                                break

                await ends(iterate())
            case "stop" | "drain" | "pause":
                run = sinks[0].start()
                await asyncio.sleep(after)
                if way == "pause" and run.state == "running":
                    run.pause()
                    await asyncio.sleep(2)
                    if run.state == "paused":
                        run.resume()
                else:
                    run.stop(drain=way == "drain", timeout=50)
                await ends(run.wait(timeout=500))
            case "cancel":
                task = asyncio.ensure_future(rivulet.run(*sinks))
                await asyncio.sleep(after)
                task.cancel()
                try:
                    await ends(task)
                except asyncio.CancelledError:
                    pass
        await asyncio.sleep(0)
        testing.assert_closed()

    try:
        testing.run(main())
    except StuckError as error:
        pytest.fail(f"it hangs: {error}")
    except rivulet.GraphError:
        pass
