"""``gate``: hold a stream until those that it depends on have come as far."""

from __future__ import annotations

import asyncio
import pickle
from datetime import datetime, timedelta

import pytest

import rivulet
from rivulet import Checkpoint, Dependency, GraphError, RunError, SinkError, Stream, StuckError
from rivulet.testing import (
    Recorder,
    RecordingSource,
    assert_closed,
    marbles,
    stamps,
    timed,
    to_marbles,
)
from tests.ops.cases import every_kind

HOURS = {name: number for number, name in enumerate("0123456789")}


def itself(x):
    return x


def first(pair):
    return pair[0]


def checkpoint(threshold=0, names=("w",), **more):
    dependencies = [Dependency(name, None, threshold) for name in names]
    return Checkpoint("acts", dependencies=dependencies, **more)


def clock():
    return asyncio.get_running_loop().time()


def hours(text):
    """A drawing whose digits are hours."""
    return marbles(text, values=HOURS)


async def both(dependent, dependency, c, **more):
    """What a gate lets pass of one drawing, held by another."""
    seen, begun = [], clock()
    gated = hours(dependent).gate(c, marker=itself, **more)
    await rivulet.run(
        hours(dependency).beat(c, marker=itself),
        gated.to(lambda x: seen.append((clock() - begun, x))),
    )
    return seen


# Ahead


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (0, [(2, 1), (6, 2), (6, 5), (10, 6)]),
        (1, [(1, 1), (3, 2), (6, 5), (7, 6)]),
    ],
)
async def test_an_item_passes_when_its_dependency_has_come_as_far(threshold, expected):
    assert await both("-1-2-5-6|", "0-1---5---6|", checkpoint(threshold)) == expected


async def test_nothing_is_assumed_of_a_dependency_that_has_not_spoken():
    assert await both("1|", "---1|", checkpoint()) == [(3, 1)]
    assert await both("1|", "---1|", checkpoint(100)) == [(3, 1)]


async def test_every_dependency_has_to_come():
    c = checkpoint(names=("w", "v"))
    seen = []
    await rivulet.run(
        hours("-2----|").beat(c, marker=itself, name="w"),
        hours("---1-2|").beat(c, marker=itself, name="v"),
        hours("12|").gate(c, marker=itself).to(lambda x: seen.append((clock(), x))),
    )
    assert seen == [(3, 1), (5, 2)]


async def test_thresholds_are_those_of_each_dependency():
    c = Checkpoint("c", dependencies=[Dependency("w", None, 2), Dependency("v", None, 0)])
    seen = []
    await rivulet.run(
        hours("1-----3|").beat(c, marker=itself, name="w"),
        hours("---3---|").beat(c, marker=itself, name="v"),
        hours("3|").gate(c, marker=itself).to(lambda x: seen.append((clock(), x))),
    )
    assert seen == [(3, 3)]


async def test_a_late_item_passes_at_once_and_a_late_beat_takes_nothing_back():
    assert await both("-2-1-2-|", "2-1-1--|", checkpoint()) == [(1, 2), (3, 1), (5, 2)]


async def test_a_dependency_that_has_ended_holds_nothing_back():
    assert await both("-1-9|", "1-|", checkpoint()) == [(1, 1), (3, 9)]
    assert await both("9--8|", "--|", checkpoint()) == [(2, 9), (3, 8)]


async def test_it_ends_with_its_source_though_the_dependency_goes_on():
    c = checkpoint()
    run = Stream.timer(1).beat(c, marker=itself).start()
    assert await hours("-1-2|").gate(c, marker=itself).collect() == [1, 2]
    await run.stop()


async def test_datetimes_are_markers_and_durations_thresholds():
    day = datetime(2023, 1, 1)
    rows = [{"at": day + timedelta(minutes=30), "what": "swim"}]
    c = Checkpoint("c", dependencies=[Dependency("weather", None, "29m")])
    weather = marbles("a-b|", values={"a": {"at": day}, "b": {"at": day + timedelta(minutes=1)}})
    gated = Stream(rows).gate(c, marker="at")["what"]
    seen = []
    await rivulet.run(weather.beat(c, marker="at"), gated.to(lambda x: seen.append((clock(), x))))
    assert seen == [(2, "swim")]


@every_kind
async def test_markers_and_states_are_taken_by_any_kind_of_function(kind):
    c = checkpoint()
    await rivulet.run(
        Stream([(1, "x"), (2, "y")]).beat(c, marker=kind(first)),
        gated := Stream([(1, "a"), (2, "b")]).gate(
            c, marker=kind(first), state=kind(lambda row: {"row": row[1]})
        ),
    )
    assert c.state == {"row": "b"}
    assert c.state_marker == c["w"].checkpoint_marker == 2
    assert gated.node.label.startswith("gate(acts, marker=")


async def test_items_keep_their_time():
    stream = marbles("a-b|", event="ba", max_delay=5)
    gated = stream.gate(on=[1], marker=lambda x: 1)
    assert await stamps(gated) == [("a", 1.0), ("b", 0.0)]
    held = marbles("a|", event="---a").gate(on=hours("---1|"), marker=lambda x: 1)
    assert await stamps(held) == [("a", 3.0)]


@pytest.mark.parametrize("shares", [False, True])
async def test_the_clock_below_is_never_ahead_of_what_is_held(shares):
    recorder, told = Recorder(), []

    async def source():
        for x in [("w", 0), ("a", 1), ("a", 2), ("w", 1), ("w", 2), ("a", 9), ("a", 8), ("w", 9)]:
            await asyncio.sleep(1)
            yield x

    def items(kind):
        return (rows if shares else make()).filter(lambda x: x[0] == kind)

    def make():
        return Stream(source).event_time(1)

    rows, c = make(), checkpoint()
    acts = items("a")
    if shares:
        acts = acts.buffer(9)
    gated = recorder.watch(acts.gate(c, marker=1)).tap(
        lambda x: told.append(len(recorder.watermarks))
    )
    await rivulet.run(items("w").beat(c, marker=1), gated)
    assert recorder.events == [(("a", x), float(x)) for x in (1, 2, 9, 8)]
    assert recorder.watermarks == sorted(recorder.watermarks)
    for (_, at), known in list(zip(recorder.events, told, strict=True))[:3]:
        assert max(recorder.watermarks[:known], default=0) <= at


async def test_one_gate_after_another():
    seen = []
    one, other = checkpoint(), checkpoint()
    await rivulet.run(
        hours("1-2-3|").beat(one, marker=itself),
        hours("-1-2-3|").beat(other, marker=itself),
        hours("123|")
        .gate(one, marker=itself)
        .gate(other, marker=itself)
        .to(lambda x: seen.append((clock(), x))),
    )
    assert seen == [(1, 1), (3, 2), (5, 3)]


async def test_it_is_drawn():
    assert await hours("12|").gate(on=hours("-12|"), marker=itself).collect() == [1, 2]
    gated = hours("12|").gate(on=hours("-12|"), marker=itself)
    assert gated.svg().startswith("<svg")


# Its own dependency


async def test_the_short_form_reads_its_dependency_along():
    weather = hours("0-2--4---|")
    sinks = []
    gated = hours("-1-3-4-9|").gate(on=weather.to(sinks), marker=itself)
    for _ in range(2):
        sinks.clear()
        assert await timed(gated) == [(2, 1), (5, 3), (5, 4), (9, 9)]
        assert sinks == [0, 2, 4]
    assert_closed()


async def test_the_short_form_takes_a_pair_of_markers_and_a_threshold():
    rows = [("a", 3), ("b", 5)]
    weather = marbles("x-y|", values={"x": {"at": 1}, "y": {"at": 3}})
    gated = Stream(rows).gate(on=weather, marker=(1, "at"), threshold=2)
    assert await timed(gated) == [(0, ("a", 3)), (2, ("b", 5))]


async def test_the_short_form_ends_with_the_dependent_and_closes_the_dependency():
    source = RecordingSource([1, 2, 3], every=1, silent=True)
    assert await timed(hours("12|").gate(on=Stream(source), marker=itself)) == [(1, 1), (2, 2)]
    assert_closed(source)


async def test_the_short_form_has_a_state_of_its_own_in_each_of_two_runs_at_once():
    gated = hours("1-2|").gate(on=hours("-1-2|"), marker=itself)
    first = asyncio.create_task(timed(gated))
    await asyncio.sleep(2)
    assert await timed(gated) == [(1, 1), (3, 2)]
    assert await first == [(1, 1), (3, 2)]


async def test_what_the_dependent_looks_up_is_there():
    """A sink that waits has taken the item before what it lets pass."""
    kept = {}

    async def keep(x):
        await asyncio.sleep(3)
        kept[x] = f"weather {x}"

    for short in False, True:
        kept.clear()
        weather = hours("1-2|")
        if short:
            gated = hours("12|").gate(on=weather.to(keep), marker=itself)
            assert await timed(gated.map(kept.get)) == [(3, "weather 1"), (6, "weather 2")]
        else:
            c, seen = checkpoint(), []
            await rivulet.run(
                weather.beat(c, marker=itself).to(keep),
                hours("12|").gate(c, marker=itself).map(kept.get).to(seen),
            )
            assert seen == ["weather 1", "weather 2"]


# Held for too long


async def test_what_is_held_for_too_long_goes_to_stale():
    gated = hours("1-3-2|").gate(on=hours("0------5|"), marker=itself, max_hold=1.5)
    good, bad = [], []
    await rivulet.run(
        gated.to(lambda x: good.append((clock(), x))),
        gated.stale.to(lambda x: bad.append((clock(), x))),
    )
    assert (good, bad) == ([], [(1.5, 1), (3.5, 3), (5.5, 2)])


async def test_what_comes_in_time_isnt_stale():
    gated = hours("1-3-5|").gate(on=hours("-1-----9|"), marker=itself, max_hold=3)
    good, bad = [], []
    await rivulet.run(
        gated.to(lambda x: good.append((clock(), x))),
        gated.stale.to(lambda x: bad.append((clock(), x))),
    )
    assert (good, bad) == ([(1, 1), (7, 5)], [(5, 3)])


async def test_without_a_reader_stale_items_are_dropped_and_counted():
    gated = hours("12|").gate(on=Stream.never(), marker=itself, max_hold="1s")
    assert "dropped, nothing reads it" in gated.explain()
    run = gated.start()
    await run
    assert [op.items for op in run.stats().operators if op.operator.startswith("gate")] == [0]


# After


async def test_after_the_first_item_that_shows_a_downtime_the_stream_is_paused():
    c = checkpoint(threshold=1)
    assert await both("1-2-3-4-5|", "1----3-4-6|", c, hold="after") == [
        (0, 1),
        (2, 2),
        (4, 3),
        (7, 4),
        (8, 5),
    ]


async def test_after_a_dependency_that_has_not_spoken_is_taken_to_be_as_far():
    c = checkpoint(threshold=1)
    assert await both("1-2-3-4-|", "-----4-5-|", c, hold="after") == [
        (0, 1),
        (2, 2),
        (4, 3),
        (6, 4),
    ]
    assert c["w"].checkpoint_marker == 5


async def test_after_a_downtime_nothing_was_read_ahead():
    c, source = checkpoint(), RecordingSource([1, 2, 3, 4])
    run = Stream(source).gate(c, marker=itself, hold="after").start()
    await asyncio.sleep(1)
    assert source.read == [1, 2]
    await c.heartbeat(2.5)
    await asyncio.sleep(1)
    assert source.read == [1, 2, 3]
    await run.stop()
    assert_closed(source)


async def test_after_can_also_just_tell():
    told = []
    c = checkpoint(
        pause_dependent=False,
        downtime_callback=lambda c, d: told.append(("down", c.state_marker)),
        recovery_callback=lambda c, d: told.append(("up", d.checkpoint_state)),
    )
    seen = await both("1234|", "1----5|", c, hold="after", state=lambda x: {"at": x})
    assert seen == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert told == [("down", 2), ("up", {"at": 2})]


async def test_after_an_end_the_stream_goes_on():
    assert await both("1-3-4-5|", "1----|", checkpoint(), hold="after") == [
        (0, 1),
        (2, 3),
        (5, 4),
        (6, 5),
    ]


# Callbacks


async def test_callbacks_come_once_for_an_outage_and_before_what_it_held():
    for wait in False, True:
        told = []

        def tell(what):
            async def slowly(c, d):
                await asyncio.sleep(0.5)
                told.append((what, d.name, d.checkpoint_state))

            return slowly if wait else lambda c, d: told.append((what, d.name, d.checkpoint_state))

        c = checkpoint(
            names=("w", "v"), downtime_callback=tell("down"), recovery_callback=tell("up")
        )
        await rivulet.run(
            hours("0-1---34|").beat(c, marker=itself, name="w"),
            hours("0--1--4-|").beat(c, marker=itself, name="v"),
            hours("-1---3-4|").gate(c, marker=itself, state=lambda x: {"at": x}).to(told),
        )
        assert told == [
            ("down", "w", {"at": 1}),
            ("down", "v", {"at": 1}),
            ("up", "v", {"at": 1}),
            1,
            ("down", "w", {"at": 3}),
            ("down", "v", {"at": 3}),
            ("up", "w", {"at": 3}),
            3,
            4,
        ]


async def test_a_callback_that_fails_names_the_operator_and_the_item():
    def fail(c, d):
        raise OSError("no pager")

    c = checkpoint(downtime_callback=fail)
    with pytest.raises(OSError) as caught:
        await both("-5|", "1--6|", c)
    assert "in gate(acts, marker=itself)" in caught.value.__notes__[0]
    assert caught.value.__notes__[0].endswith("on item 5")
    c = checkpoint(recovery_callback=fail)
    with pytest.raises(OSError) as caught:
        await both("-5|", "1--7|", c)
    assert "in beat(acts, name='w')" in caught.value.__notes__[0]
    assert caught.value.__notes__[0].endswith("on item 7")
    assert_closed()


async def test_checks_of_the_user_decide():
    def behind(c, d):
        return c.state_marker not in d.checkpoint_marker

    async def there(c, d):
        await asyncio.sleep(0.25)
        return c.state_marker in d.checkpoint_marker

    c = Checkpoint("c", dependencies=[Dependency("d", None, None, behind, there)])
    seen = []
    await rivulet.run(
        marbles("--x-y|", values={"x": "ab", "y": "bc"}).beat(c, marker=itself),
        marbles("abc|").gate(c, marker=itself).to(lambda x: seen.append((clock(), x))),
    )
    assert seen == [(2.25, "a"), (2.25, "b"), (4.25, "c")]


# One source


def shared(text, size=None, **more):
    """Weather, in digits, and what depends on it, in letters, from one source."""
    source = RecordingSource([HOURS.get(x, x) for x in text])
    weather, acts = Stream(source).partition(lambda x: isinstance(x, int))
    c, seen = checkpoint(), []
    if size is not None:
        acts = acts.buffer(size)
    gated = acts.gate(c, marker=lambda x: ord(x) - ord("a"), **more)
    return source, seen, (weather.beat(c, marker=itself).to(seen), gated.to(seen))


@pytest.mark.parametrize("text", ["", "0a1b2c", "a0", "a0b1c2", "a2bc", "210bac", "012", "abc"[:1]])
async def test_dependent_and_dependency_may_have_one_source(text):
    source, seen, streams = shared(text)
    await rivulet.run(*streams)
    assert sorted(map(str, seen)) == sorted(text)
    for position, x in enumerate(seen):
        if isinstance(x, str) and any(c.isdigit() for c in text):
            before = [y for y in seen[:position] if isinstance(y, int)]
            assert max(before, default=-1) >= ord(x) - ord("a") or source.closed
    assert_closed(source)


async def test_when_what_is_held_fills_the_room_the_run_fails_and_says_what_would_do():
    for hold in "ahead", "after":
        source, seen, streams = shared("0bbbb1", hold=hold)
        with pytest.raises(StuckError) as caught:
            await rivulet.run(*streams)
        message = str(caught.value)
        assert "room(1) [#4] is full while gate(acts, marker=<lambda>" in message
        assert "[#5] waits for beat(acts, name='w') [#6]" in message
        assert "Put .buffer(n) in front of the full one" in message
        assert_closed(source)


async def test_with_room_for_what_is_held_it_doesnt():
    for size, fails in (1, True), (2, True), (3, True), (4, False), (9, False):
        source, seen, streams = shared("0bbbb1", size)
        if fails:
            with pytest.raises(StuckError, match=rf"buffer\({size}\) \[#4\] is full while gate"):
                await rivulet.run(*streams)
        else:
            await rivulet.run(*streams)
            assert seen == [0, 1, "b", "b", "b", "b"]
        assert_closed(source)


async def test_it_isnt_stuck_while_something_may_come_from_outside_or_a_time_passes():
    source, seen, streams = shared("0bb1", max_hold=2)
    await rivulet.run(*streams)
    assert seen == [0, 1, "b"] or seen == [0, 1]
    source = RecordingSource(["b", "b", "b"])
    c = checkpoint()
    acts = Stream(source)
    run = rivulet.start(acts.gate(c, marker=len), acts.count())
    await asyncio.sleep(5)
    await c.heartbeat(1)
    await run
    assert sorted(run.last(), key=str) == [3, "b", "b", "b"]


async def test_only_what_shares_a_loop_has_a_boundary():
    c = checkpoint()
    one = Stream([1]).gate(c, marker=itself)
    assert "room" not in one.explain()
    assert one.explain().splitlines()[1].startswith("└─ #2 gate(")
    source, _, streams = shared("a0")
    assert "room(1)  (what follows runs in a task of its own)" in rivulet.explain(*streams)
    source, _, streams = shared("a0", 1)
    assert "room" not in rivulet.explain(*streams)


async def test_a_stream_may_be_held_by_itself():
    c = checkpoint()
    gated = Stream([1, 2, 3]).beat(c, marker=itself).gate(c, marker=itself)
    assert await gated.collect() == [1, 2, 3]


async def test_behind_a_shared_source_too():
    source = RecordingSource([0, "b", 1, "c", 2, 3], every=1)
    c, seen = checkpoint(), []
    weather, acts = Stream(source).share(buffer=3).partition(lambda x: isinstance(x, int))
    await rivulet.run(
        weather.beat(c, marker=itself).to(seen),
        acts.gate(c, marker=lambda x: ord(x) - ord("a")).to(seen),
    )
    assert seen == [0, 1, "b", 2, "c", 3]
    assert_closed(source)


# Circles


def circles():
    def gated(c, d):
        return Stream.timer(1).gate(c, marker=itself).beat(d, marker=itself)

    def beating(c, d):
        return Stream.timer(1).beat(d, marker=itself).gate(c, marker=itself)

    for name, make in ("gates before beats", gated), ("gates after beats", beating):
        yield pytest.param(make, id=name)


@pytest.mark.parametrize("make", list(circles()))
async def test_gates_in_a_circle_are_refused(make):
    c, d, e = (Checkpoint(x, dependencies=[Dependency("x")]) for x in "cde")
    with pytest.raises(GraphError, match=r"waits for itself: beat\(.* needs gate\(.* waits for b"):
        rivulet.explain(make(c, d), make(d, c))
    with pytest.raises(GraphError) as caught:
        await rivulet.run(make(c, d), make(d, e), make(e, c))
    assert str(caught.value).count("waits for beat(") == 3
    rivulet.explain(make(c, d), make(d, e))


def test_a_circle_through_a_nested_graph_is_one():
    c, d = (Checkpoint(x, dependencies=[Dependency("x")]) for x in "cd")
    one = (Stream.timer(1).gate(c, marker=itself) + Stream.timer(1)).beat(d, marker=itself)
    other = Stream.timer(1).gate(d, marker=itself).beat(c, marker=itself)
    with pytest.raises(GraphError, match="waits for itself"):
        rivulet.explain(one, other)


async def test_what_could_only_be_found_running_fails_too():
    """Each waits in a zip for the other."""
    c = checkpoint()
    acts = Stream([1, 2, 3]).gate(c, marker=itself)
    weather = Stream([0, 0, 0, 3]).beat(c, marker=itself)
    with pytest.raises(StuckError, match=r"gate\(acts, marker=itself\).* waits for beat\(acts"):
        await acts.zip(Stream(iter([0] * 5))).zip(weather.flat_map(lambda x: [x] * 400)).collect()


# Stopping


@pytest.mark.parametrize("hold", ["ahead", "after"])
async def test_a_stop_ends_a_hold_at_once(hold):
    source, c, seen = RecordingSource([1, 5, 6], silent=True), checkpoint(), []
    await c.heartbeat(1)
    gated = Stream(source).gate(c, marker=itself, hold=hold)
    run = gated.to(seen).start()
    await asyncio.sleep(10)
    await run.stop()
    assert clock() == 10
    assert run.state == "finished"
    assert seen == ([1] if hold == "ahead" else [1, 5])
    assert source.read == [1, 5]
    assert_closed(source)


@pytest.mark.parametrize("way", ["stop", "drain", "cancel", "release"])
async def test_what_a_timer_brings_is_held_beside_the_loop(way):
    source, c = RecordingSource([5, 6, 7], every=1, silent=True), checkpoint()
    await c.heartbeat(1)
    run = Stream(source).batch(9, within=0.5).gate(c, marker=lambda x: x[-1]).start()
    await asyncio.sleep(10)
    match way:
        case "stop":
            await run.stop()
        case "cancel":
            await run.cancel()
        case "drain":
            run.stop(drain=True)
            await asyncio.sleep(1)
            await c.heartbeat(9)
            await run
        case "release":
            await c.heartbeat(9)
            await asyncio.sleep(1)
            await run.stop()
    ends_at_once = way in ("stop", "cancel")
    assert clock() == (10 if ends_at_once else 11)
    assert run.last()[:2] == ([] if ends_at_once else [[5], [6]])
    assert_closed(source)


async def test_a_stop_lets_go_what_was_read_and_may_pass():
    source, seen, streams = shared("a0bc", 5)
    run = rivulet.start(*streams)
    await run.stop()
    assert run.state == "finished"
    assert_closed(source)


async def test_at_a_stop_nothing_is_stale():
    gated = hours("12|").gate(on=Stream.never(), marker=itself, max_hold=100)
    good, bad = [], []
    run = rivulet.start(gated.to(good), gated.stale.to(bad))
    await asyncio.sleep(50)
    await run.stop()
    assert (good, bad) == ([], [])
    assert clock() == 50


async def test_a_drain_ends_the_dependency_too_and_gives_what_is_held():
    gated = Stream.timer(1).gate(on=Stream.timer(1).map(lambda x: -1), marker=itself)
    run = gated.start()
    await asyncio.sleep(5.5)
    await run.stop(drain=True)
    assert run.last() == [0]


async def test_a_dependency_whose_run_was_stopped_or_cancelled_holds():
    for end in "stop", "cancel":
        c = checkpoint()
        weather = Stream.timer(1).beat(c, marker=itself).start()
        acts = Stream([1, 5]).gate(c, marker=itself).start()
        await asyncio.sleep(3.5)
        await getattr(weather, end)().wait()
        await asyncio.sleep(10)
        assert acts.last() == [1]
        weather = Stream.timer(1).beat(c, marker=itself).start()
        await acts
        assert acts.last() == [1, 5]
        await weather.stop()


async def test_an_end_in_a_run_before_holds_until_the_dependency_begins_again():
    c = checkpoint()
    await hours("1|").beat(c, marker=itself).run()
    assert await hours("5|").gate(c, marker=itself).collect() == [5]
    for _ in range(2):
        c = checkpoint()
        await hours("1|").beat(c, marker=itself).run()
        assert await both("5|", "---1--|", c) == [(6, 5)]


async def test_a_dependency_whose_reader_wants_no_more_has_ended():
    c, seen = checkpoint(), []
    await rivulet.run(
        hours("-1-2-3-4").beat(c, marker=itself).take(2),
        hours("19|").gate(c, marker=itself).to(lambda x: seen.append((clock(), x))),
    )
    assert seen == [(1, 1), (3, 9)]


async def test_a_failure_of_the_dependency_ends_the_run_though_an_item_is_held():
    """Also where its error has to come through the gate's own loop."""
    error = OSError("no weather")
    source = RecordingSource([0, 1], every=1, error=error)
    c = checkpoint()
    with pytest.raises(OSError) as caught:
        await rivulet.run(Stream(source).beat(c, marker=itself), Stream([9]).gate(c, marker=itself))
    assert caught.value is error
    source = RecordingSource([0, 1], every=1, error=error)
    beats = Stream(source).beat(c, marker=itself)
    with pytest.raises(OSError):
        await beats.buffer(5).gate(c, marker=lambda x: 9).collect()
    with pytest.raises(OSError):
        await Stream([9]).gate(on=Stream(source), marker=itself).collect()
    assert_closed(source)


async def test_a_hold_can_be_cancelled():
    for hold in "ahead", "after":
        source, c = RecordingSource([1, 2, 3]), checkpoint()
        task = asyncio.create_task(Stream(source).gate(c, marker=itself, hold=hold).collect())
        await asyncio.sleep(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert_closed(source)
        await c.heartbeat(9)
        assert await Stream([0]).gate(c, marker=itself).collect() == [0]


async def test_a_reader_in_a_loop_of_its_own_can_leave():
    source, c = RecordingSource([1, 2, 3]), checkpoint()
    await c.heartbeat(1)
    async with Stream(source).gate(c, marker=itself).open() as items:
        async for item in items:
            assert item == 1
            break
    assert_closed(source)


async def test_a_pause_of_the_run_goes_before_the_next_item():
    c = checkpoint()
    run = Stream([1, 2, 3]).gate(c, marker=itself).start()
    await asyncio.sleep(1)
    run.pause()
    await c.heartbeat(9)
    await asyncio.sleep(1)
    assert run.last() == [1]
    run.resume()
    await run
    assert run.last() == [1, 2, 3]


# In hand


async def test_what_is_in_hand_at_a_stop_is_in_the_snapshot_and_comes_first_again():
    c = checkpoint()
    await c.heartbeat(1)
    gated = Stream(lambda: iter([1, 5, 6])).flat_map(lambda x: [x, x]).gate(c, marker=itself)
    run = gated.start()
    await asyncio.sleep(1)
    await run.stop()
    assert run.last() == [1, 1]
    (logic,) = (x for loop in run._execution.loops for x in loop.bound.logics.values())
    state = pickle.loads(pickle.dumps(logic.snapshot()))
    assert [item for item, _ in state] == [5, 5]

    later = Stream([6, 7]).gate(c, marker=itself)
    run = later.start()
    (logic,) = (x for loop in run._execution.loops for x in loop.bound.logics.values())
    logic.restore(state)
    await asyncio.sleep(1)
    assert run.last() == []
    await c.heartbeat(6)
    await asyncio.sleep(1)
    assert run.last() == [5, 5, 6]
    await run.stop()
    assert [item for item, _ in logic.snapshot()] == [7]


async def test_what_was_in_hand_is_held_again_and_may_become_stale():
    gated = Stream(list[int]()).gate(on=Stream.never(), marker=itself, max_hold=2)
    good, bad = [], []
    run = rivulet.start(gated.to(good), gated.stale.to(lambda x: bad.append((clock(), x))))
    (logic,) = (x for loop in run._execution.loops for x in loop.bound.logics.values() if x.restore)
    logic.restore(((5, None), (6, None)))
    await run
    assert (good, bad) == ([], [(2, 5), (4, 6)])


async def test_what_is_held_at_this_moment_is_in_the_snapshot():
    c = checkpoint()
    await c.heartbeat(1)
    run = Stream([1, 5, 6]).gate(c, marker=itself).start()
    (logic,) = (x for loop in run._execution.loops for x in loop.bound.logics.values())
    assert logic.snapshot() == ()
    await asyncio.sleep(1)
    assert logic.snapshot() == ((5, None),)
    await c.heartbeat(5)
    await asyncio.sleep(1)
    assert logic.snapshot() == ((6, None),)
    logic.restore([(2, None), (3, None)])
    assert [item for item, _ in logic.snapshot()] == [6, 2, 3]
    await run.stop()
    assert run.last() == [1, 5]


async def test_an_item_that_fails_is_not_in_hand_any_more():
    def fail(c, d):
        raise OSError("no pager")

    c = checkpoint(downtime_callback=fail)
    run = Stream([5, 6]).gate(c, marker=itself).on_error("skip").start()
    (logic,) = (x for loop in run._execution.loops for x in loop.bound.logics.values())
    await asyncio.sleep(1)
    assert logic.snapshot() == ((6, None),)
    await run.stop()


# A source that can pause and go back


class Log:
    """Items that can be read again, with a pause and a position."""

    def __init__(self, items=(), *, waits=False):
        self.items = list(items)
        self.position = 0
        self.told = []
        self.waits = waits
        self.closed = 0

    async def __aiter__(self):
        try:
            while self.position < len(self.items):
                self.position += 1
                yield self.position - 1, self.items[self.position - 1]
        finally:
            self.closed += 1

    def tell(self, *what):
        self.told.append((clock(), *what))
        return asyncio.sleep(0.25) if self.waits else None

    def pause(self):
        return self.tell("pause")

    def resume(self):
        return self.tell("resume")

    def seek(self, state):
        self.position = state["at"]
        return self.tell("seek", state)


def marker(row):
    return row[1]


def state(row):
    return {"at": row[0]}


@pytest.mark.parametrize("waits", [False, True])
async def test_a_source_that_can_pause_is_paused_while_an_item_is_held(waits):
    log, c = Log([1, 2, 3], waits=waits), checkpoint()
    await c.heartbeat(1)
    run = Stream(log).gate(c, marker=marker).start()
    await asyncio.sleep(1)
    await c.heartbeat(1.5)
    await asyncio.sleep(1)
    assert log.told == [(0, "pause")]
    await c.heartbeat(2)
    await asyncio.sleep(1)
    assert [told[1] for told in log.told] == ["pause", "resume", "pause"]
    await run.stop()
    assert [told[1] for told in log.told] == ["pause", "resume", "pause", "resume"]
    assert log.closed == 1


async def test_a_source_that_feeds_the_dependency_isnt_paused():
    log, c, seen = Log([5, 1, 5]), checkpoint(), []
    stream = Stream(log)
    await rivulet.run(
        stream.filter(lambda row: row[0] == 1).beat(c, marker=lambda row: 5),
        stream.filter(lambda row: row[0] != 1).gate(c, marker=marker).to(seen),
    )
    assert (seen, log.told) == ([(0, 5), (2, 5)], [])


@pytest.mark.parametrize("waits", [False, True])
async def test_replay_goes_back_to_what_went_out_too_early(waits):
    log, c, seen = Log([1, 2, 3, 4, 5], waits=waits), checkpoint(threshold=1), []
    gated = Stream(log).gate(c, marker=marker, hold="after", state=state, replay=True)
    await rivulet.run(
        marbles("-a--b-c", values={"a": 1, "b": 4, "c": 9}).take(3).beat(c, marker=itself),
        gated.to(lambda row: seen.append(row[1])),
    )
    # 1 and 2 are within the threshold of 1; 3 shows that the dependency is down.
    assert seen == [1, 2, 3, 3, 4, 5]
    assert [told[1:] for told in log.told] == [("pause",), ("seek", {"at": 2}), ("resume",)]


async def _slowly(row):
    await asyncio.sleep(1)
    return row


async def test_replay_after_a_restart_in_an_outage():
    """The correction is not lost, and waits until there is a source that can go back."""
    kept = {}
    c = checkpoint(cache=kept)
    log, seen = Log([1, 2, 3]), []

    def start(c, log):
        gated = Stream(log).gate(c, marker=marker, hold="after", state=state, replay=True)
        return gated.to(lambda row: seen.append(row[1])).start()

    run = start(c, log)
    await asyncio.sleep(1)
    assert seen == [1, 2]
    await run.cancel()
    c = checkpoint(cache=kept)
    again = Log([1, 2, 3])
    again.position = 2
    run = start(c, again)
    await c.heartbeat(8)
    await run
    assert seen == [1, 2, 2, 3]
    assert not c.is_down


def test_replay_is_refused_where_it_can_not_be():
    c = checkpoint()
    log = Stream(Log([]))
    more = {"marker": marker, "hold": "after", "state": state, "replay": True}
    log.gate(c, **more)
    log.map(itself).filter(bool).gate(c, **more)
    for stream in (
        Stream([1]),
        Stream(Log),
        Stream(lambda: Log([])),
        Stream.never(),
        log.buffer(3),
        log.merge([1]),
        log.pipe(itself),
        log.map(_slowly, concurrency=2).filter(bool),
    ):
        with pytest.raises(GraphError, match="may read ahead or has no such method: put the gate"):
            stream.gate(c, **more)
    with pytest.raises(GraphError, match="'acts' has pause_dependent=False"):
        log.gate(checkpoint(pause_dependent=False), **more)
    with pytest.raises(GraphError, match='needs hold="after"'):
        log.gate(c, **{**more, "hold": "ahead"})
    with pytest.raises(GraphError, match="needs state="):
        log.gate(c, **{**more, "state": None})


@pytest.mark.parametrize(
    "use",
    [
        lambda s: s.scan(lambda a, b: a),
        lambda s: s.count(),
        lambda s: s.take(3),
        lambda s: s.pairwise(),
        lambda s: s.pipe(itself),
        lambda s: s.buffer(3).distinct(),
        lambda s: s.zip([1]),
        lambda s: s.group_by(first).count().items(),
        lambda s: s.batch(2),
    ],
    ids="scan count take pairwise pipe distinct zip group batch".split(),
)
async def test_replay_is_refused_above_what_counts_items(use):
    log, c = Stream(Log([1])), checkpoint()
    gated = log.gate(c, marker=marker, hold="after", state=state, replay=True)
    for streams in (use(gated),), (gated, use(log)), (use(gated.map(itself).to([])),):
        with pytest.raises(GraphError, match=r"goes back to earlier items, and .* count them twic"):
            await rivulet.run(*streams)
    await rivulet.run(gated.map(itself).filter(bool).to([]).buffer(2).map(_slowly, concurrency=2))


async def test_replay_is_refused_where_the_dependency_would_go_back_as_well():
    log, c = Stream(Log([1])), checkpoint()
    gated = log.gate(c, marker=marker, hold="after", state=state, replay=True)
    with pytest.raises(GraphError, match="which would go back as well"):
        await rivulet.run(log.beat(c, marker=marker), gated)


async def test_a_state_has_to_be_a_dict():
    with pytest.raises(SinkError, match=r"gate\(state\) must give a dict, .* not 7") as caught:
        await Stream([7]).gate(checkpoint(), marker=itself, state=itself).run()
    assert caught.value.__notes__[0].endswith("on item 7")


# Errors


async def test_a_marker_that_is_none_fails_or_goes_where_failures_go():
    c = checkpoint()
    await c.heartbeat(5)
    with pytest.raises(TypeError, match="markers must be datetimes, or numbers") as caught:
        await Stream([1, "x", 2]).gate(c, marker=itself).run()
    assert "gate(acts, marker=itself)" in caught.value.__notes__[0]
    skipped = Stream([1, "x", 2]).gate(c, marker=itself).on_error("skip")
    assert await skipped.collect() == [1, 2]
    assert [f.item for f in await skipped.errors.collect()] == ["x"]


async def test_a_checkpoint_has_one_gate_at_a_time():
    c = checkpoint()
    source = RecordingSource([5], silent=True)
    gated = Stream(source).gate(c, marker=itself)
    run = gated.start()
    await asyncio.sleep(1)
    with pytest.raises(RunError, match="'acts' is used by a gate that runs already") as caught:
        await gated.run()
    assert "opening gate(acts" in caught.value.__notes__[0]
    await run.stop()
    with pytest.raises(RunError):
        await rivulet.run(gated, Stream([1]).gate(c, marker=itself))
    await c.heartbeat(9)
    assert await Stream([1]).gate(c, marker=itself).collect() == [1]
    assert_closed(source)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda s, c: s.gate(marker=1), r"gate needs a Checkpoint, or on= with the stream to wait"),
        (lambda s, c: s.gate("c", marker=1), r"gate\(checkpoint\) must be a Checkpoint, not 'c'"),
        (lambda s, c: s.gate(s, marker=1), r"gate\(checkpoint\) must be a Checkpoint, not <Stream"),
        (lambda s, c: s.gate(c, on=[1], marker=1), r"gate needs a checkpoint or on=, not both"),
        (lambda s, c: s.gate(on=5, marker=1), r"a stream needs an iterable, .*not 5"),
        (lambda s, c: s.gate(c, marker=None), r"gate\(marker\) needs a function, a key or"),
        (lambda s, c: s.gate(c, marker=(1, 2)), r"gate\(marker\) is one selector: with a checkp"),
        (lambda s, c: s.gate(on=[1], marker=(1, 2, 3)), r"one selector or a pair of them"),
        (lambda s, c: s.gate(on=[1], marker=(1, None)), r"gate\(marker\) needs a function"),
        (lambda s, c: s.gate(c, marker=1, hold="now"), r"gate\(hold\) must be one of 'ahead', 'af"),
        (
            lambda s, c: s.gate(c, marker=1, threshold=5),
            r"gate\(threshold\) is for on=: .*hold=5\)",
        ),
        (lambda s, c: s.gate(on=[1], marker=1, threshold=-1), r"gate\(threshold\) must be zero or"),
        (lambda s, c: s.gate(c, marker=1, max_hold=0), r"gate\(max_hold\) must be more than zero"),
        (
            lambda s, c: s.gate(c, marker=1, max_hold=1, hold="after"),
            r"max_hold\) is for hold=\"ah",
        ),
        (lambda s, c: s.gate(on=[1], marker=1, hold="after"), r"gate\(on=\) is for hold=\"ahead\""),
        (lambda s, c: s.gate(on=[1], marker=1, state=1), r"gate\(on=\) is for hold=\"ahead\""),
        (lambda s, c: s.gate(c, marker=1, state=1.5), r"gate\(state\) needs a function, a key"),
        (
            lambda s, c: s.gate(checkpoint(pause_dependent=False), marker=1),
            r"'acts' has pause_dependent=False, so nothing is to be held: use hold=\"after\"",
        ),
    ],
)
def test_wrong_arguments_say_what_would_do(use, message):
    with pytest.raises(GraphError, match=message):
        use(Stream([1]), checkpoint())


async def test_a_gate_is_drawn_by_its_name():
    c = checkpoint()
    gated = Stream([1]).gate(c, marker="at", hold="after")
    assert "gate(acts, marker='at', hold='after')" in gated.explain()
    assert "gate(on=..., marker='at')" in Stream([1]).gate(on=[1], marker="at").explain()
    assert "gate" in gated.explain("code")
    assert await to_marbles(hours("-1-|").gate(on=[5], marker=itself)) == "-1-|"
