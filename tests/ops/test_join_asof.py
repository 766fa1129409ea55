"""``join_asof``: each item gets the one of another stream that held at its time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

import rivulet
from rivulet import Cache, GraphError, Revision, SourceError, StrayAwaitableError, Stream
from rivulet.joins.waiting import AHEAD
from rivulet.testing import (
    RecordingSource,
    assert_closed,
    marbles,
    stamps,
    timed,
)


def at(t, **more):
    return {"at": t, **more}


def itself(x):
    return x


async def echo(x):
    return x


def pairs(rows):
    return [(left["at"], right and right["at"]) for left, right in rows]


def weather():
    times = [datetime(2023, 1, 1, hour, tzinfo=UTC) for hour in (10, 11, 12, 13)]
    values = ["sun", "clouds", "drizzle", "rain"]
    return [{"timestamp": t, "value": v} for t, v in zip(times, values, strict=True)]


def activities():
    times = [(9, 0), (10, 30), (11, 30), (12, 30), (13, 10)]
    values = ["waking up", "swimming", "walking home", "shopping", "lunch"]
    return [
        {"timestamp": datetime(2023, 1, 1, *t, tzinfo=UTC), "value": v}
        for t, v in zip(times, values, strict=True)
    ]


def paced(items, every=0.01):
    async def source():
        for item in items:
            await asyncio.sleep(every)
            yield item

    return Stream(source)


def told(activity, weather):
    if weather is None:
        return activity["value"], "?"
    return f"The weather during {activity['value']} was {weather['value']}"


COOKBOOK = [
    ("waking up", "?"),
    "The weather during swimming was sun",
    "The weather during walking home was clouds",
    "The weather during shopping was drizzle",
    "The weather during lunch was rain",
]


# The cookbook's weather


async def test_the_weather_of_the_cookbook():
    late_weather = paced(weather(), 0.012)
    joined = paced(activities(), 0.02).join_asof(late_weather, on="timestamp", select=told)
    assert await joined.collect() == COOKBOOK


async def test_two_sources_of_one_pace_are_read_in_the_order_of_time():
    joined = paced(activities()[1:]).join_asof(paced(weather()), on="timestamp", select=told)
    assert await joined.collect() == COOKBOOK[1:]


async def test_a_cache_that_others_fill_is_joined():
    cache = Cache(":memory:")
    for row in weather():
        cache.put(row["timestamp"].timestamp(), row)
    joined = Stream(activities()).join_asof(None, cache, on="timestamp", select=told)
    assert await joined.collect() == COOKBOOK
    assert len(cache) == 4
    short = Stream(activities()).join_asof(
        None, cache, on="timestamp", tolerance="20m", how="inner", select=told
    )
    assert await short.collect() == COOKBOOK[-1:]


async def test_a_cache_is_filled_and_joined_as_the_cookbook_does(tmp_path):
    cache = Cache(tmp_path)
    keep = paced(weather()).map(lambda w: (w["timestamp"].timestamp(), w)).to(cache)
    joined = paced(activities(), 0.02).join_asof(None, cache, on="timestamp", select=told)
    results = []
    await rivulet.run(keep, joined.to(results))
    assert results == COOKBOOK


async def test_the_right_side_in_a_cache_outlives_the_run(tmp_path):
    with Cache(tmp_path) as cache:
        first = Stream(activities()[:2]).join_asof(weather()[:2], cache, on="timestamp")
        await first.run()
    with Cache(tmp_path) as cache:
        kept = weather()[:2]
        assert list(cache.items()) == [(row["timestamp"].timestamp(), row) for row in kept]
        later = Stream(activities()[2:3]).join_asof(Stream.empty(), cache, on="timestamp")
        assert await later.starmap(told).collect() == COOKBOOK[2:3]


async def test_with_keys_the_cache_has_them_in_front_of_the_time():
    cache = Cache(":memory:")
    right = [at(1, k="a"), at(2, k="b"), at(2.5, k="a")]
    left = [at(3, k="a"), at(3, k="b"), at(3, k="c"), at(2, k="a")]
    stream = Stream(left).event_time("at", max_delay=5)
    rows = await stream.join_asof(right, cache, on="at", by="k").collect()
    assert pairs(rows) == [(3, 2.5), (3, 2), (3, None), (2, 1)]
    assert list(cache.keys()) == [("a", 1), ("a", 2.5), ("b", 2)]
    rows = await Stream(left).join_asof(None, cache, on="at", by="k", direction="nearest").collect()
    assert pairs(rows) == [(3, 2.5), (3, 2), (3, None), (2, 2.5)]


async def test_other_things_in_a_cache_are_no_times():
    cache = Cache(":memory:")
    for key in (None, "name", ("a", 1.0), datetime(2023, 1, 1, tzinfo=UTC), b"x"):
        cache.put(key, {"at": "never"})
    cache.put(5.0, at(5))
    for direction, t, wanted in [
        ("backward", 4, None),
        ("backward", 6, 5),
        ("forward", 6, None),
        ("nearest", 9, 5),
    ]:
        joined = Stream.of(at(t)).join_asof(None, cache, on="at", direction=direction)
        assert pairs(await joined.collect()) == [(t, wanted)]
    keyed = Stream.of(at(4, k="a")).join_asof(None, cache, on="at", by="k", direction="nearest")
    assert pairs(await keyed.collect()) == [(4, "never")]


async def test_times_that_others_wrote_may_be_finer_than_a_microsecond():
    cache = Cache(":memory:")
    cache.put(1700000000.1234565, "found")
    for direction in ("backward", "forward", "nearest"):
        joined = Stream.of(1700000000.1234565).join_asof(
            None, cache, on=itself, direction=direction, tolerance=0
        )
        assert await joined.collect() == [(1700000000.1234565, "found")]


async def test_the_cache_keeps_what_tolerance_or_retain_allow_and_without_them_all():
    async def kept(**options):
        cache = Cache(":memory:")
        joined = Stream(range(0, 1000, 10)).join_asof(range(1000), cache, on=itself, **options)
        assert all(right == left for left, right in await joined.collect())
        return len(cache)

    assert await kept() == 1000
    assert await kept(tolerance=20) < 500
    assert await kept(tolerance=20, retain=900) > 900
    assert await kept(retain=30) < 500


# Which match


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, [(1, None), (2, 2), (5, 4), (9, 8)]),
        ({"exact": False}, [(1, None), (2, None), (5, 4), (9, 8)]),
        ({"tolerance": 1}, [(1, None), (2, 2), (5, 4), (9, 8)]),
        ({"tolerance": "999ms"}, [(1, None), (2, 2), (5, None), (9, None)]),
        ({"direction": "forward"}, [(1, 2), (2, 2), (5, 8), (9, None)]),
        ({"direction": "forward", "exact": False}, [(1, 2), (2, 4), (5, 8), (9, None)]),
        ({"direction": "nearest"}, [(1, 2), (2, 2), (5, 4), (9, 8)]),
        ({"direction": "nearest", "exact": False}, [(1, 2), (2, 4), (5, 4), (9, 8)]),
        ({"how": "inner"}, [(2, 2), (5, 4), (9, 8)]),
        ({"how": "inner", "direction": "forward"}, [(1, 2), (2, 2), (5, 8)]),
    ],
)
async def test_the_match_is_chosen_by_direction_tolerance_and_exact(options, wanted):
    left, right = [at(1), at(2), at(5), at(9)], [at(2), at(4), at(8)]
    joined = Stream(left).join_asof(right, on="at", wait="watermark", **options)
    assert pairs(await joined.collect()) == wanted


async def test_of_two_as_near_as_each_other_the_earlier_is_taken():
    joined = Stream.of(5).join_asof([4, 6], on=itself, direction="nearest", wait="watermark")
    assert await joined.collect() == [(5, 4)]


@pytest.mark.parametrize("direction", ["backward", "forward", "nearest"])
@pytest.mark.parametrize("wait", [0, "watermark"])
async def test_of_several_right_items_with_one_time_the_last_that_came_counts(direction, wait):
    right = [at(1, n="first"), at(1, n="second"), at(0, n="other"), at(1, n="third")]
    stream = Stream(right).event_time("at", max_delay=5)
    left = Stream.of(at(1)).event_time("at", max_delay=5)
    ((_, found),) = await left.join_asof(stream, direction=direction, wait=wait).collect()
    assert found["n"] == "third"


async def test_keys_are_fields_attributes_or_functions_of_both_or_of_each():
    left, right = [(1, "x", 10)], [{"time": 0, "key": "x"}]
    joined = Stream(left).join_asof(right, on=(0, "time"), by=(1, "key"))
    assert await joined.collect() == [(left[0], right[0])]
    joined = Stream.of(3).join_asof([1, 2], on=itself, by=lambda n: n % 2)
    assert await joined.collect() == [(3, 1)]


async def test_on_is_for_sides_that_have_no_time_yet():
    left = Stream.of("late").event_time(lambda _: 10)
    joined = left.join_asof([9, 11], on=itself)
    assert await stamps(joined) == [(("late", 9), 10.0)]


async def test_a_result_has_the_time_of_its_left_item():
    joined = Stream.of(7, 9).join_asof([1], on=itself, wait="watermark")
    assert await stamps(joined) == [((7, 1), 7.0), ((9, 1), 9.0)]


async def test_select_gives_the_result_sync_or_async():
    async def later(left, right):
        await asyncio.sleep(1)
        return left + right

    stream = Stream.of(5, 6)
    assert await stream.join_asof([3], on=itself, select=lambda a, b: a - b).collect() == [2, 3]
    assert await stream.join_asof([3], on=itself, select=later).collect() == [8, 9]


# When


async def test_at_once_means_with_what_has_arrived():
    left = marbles("--a-b---c|", event="--a-b-----c")
    right = marbles("---x---y|", event="-x--y")
    assert await timed(left.join_asof(right)) == [
        (2.0, ("a", None)), (4.0, ("b", "x")), (8.0, ("c", "y")),
    ]  # fmt: skip


async def test_a_wait_ends_when_the_clock_of_the_right_has_passed():
    left = marbles("--a------|", event="--a")
    right = marbles("---x-y--|", event="-x-y")
    # At 3 s the right is at 1 s, which is no news; at 5 s it is past the time of "a".
    assert await timed(left.join_asof(right, wait=10)) == [(5.0, ("a", "x"))]
    assert await timed(left.join_asof(right, wait=10, exact=False)) == [(5.0, ("a", "x"))]


async def test_a_wait_lasts_so_long_at_most():
    left = marbles("ab-----c-|", event="abc")
    assert await timed(left.join_asof(Stream.never(), on=lambda _: 0, wait=3)) == [
        (3.0, ("a", None)), (4.0, ("b", None)), (10.0, ("c", None)),
    ]  # fmt: skip


async def test_with_the_watermark_it_waits_as_long_as_it_takes():
    left = marbles("a|", event="---a")
    right = marbles("x-y---------------------z|", event="-xy---z")
    assert await timed(left.join_asof(right, wait="watermark")) == [(24.0, ("a", "y"))]
    delayed = marbles("x-y-z-|", event="x---y--z", max_delay=2)
    assert await timed(left.join_asof(delayed, wait="watermark")) == [(4.0, ("a", "x"))]


async def test_results_come_in_the_order_of_time_when_they_waited():
    left = marbles("abc--|", event="--cb-a", max_delay=5)
    right = marbles("---xy|", event="-x------y")
    assert await timed(left.join_asof(right, wait="watermark")) == [
        (4.0, ("c", "x")), (4.0, ("b", "x")), (4.0, ("a", "x")),
    ]  # fmt: skip


async def test_a_match_ahead_is_certain_as_soon_as_nothing_nearer_can_come():
    left = marbles("a|", event="----a")
    right = marbles("-xy-z---|", event="--x---y-----z")
    for direction in "forward", "nearest":
        joined = left.join_asof(right, wait="watermark", direction=direction)
        # x is 2 s before, y 2 s after: nearer ones can't come when the clock is at 6 s.
        wanted = (4.0, ("a", "y")) if direction == "forward" else (2.0, ("a", "x"))
        assert await timed(joined) == [wanted]
    reaching = left.join_asof(right, wait="watermark", direction="forward", tolerance=1)
    assert await timed(reaching) == [(2.0, ("a", None))]


async def test_a_silent_right_side_is_left_out_after_its_idle_time():
    left = marbles("abc-------|", event="abc")
    right = Stream.of(0.5).concat(Stream.never()).event_time(itself, idle=4)
    joined = left.join_asof(right, wait="watermark")
    # "c" waits for what is after it on its own side, which is the end.
    assert await timed(joined) == [(0.0, ("a", None)), (4.0, ("b", 0.5)), (10.0, ("c", 0.5))]


async def test_an_item_that_is_read_late_finds_what_is_still_there():
    left = Stream.of(5, 1).event_time(itself)
    assert await left.join_asof([0, 3], on=itself).collect() == [(5, 3), (1, 0)]


# Reading in step


async def test_a_silent_left_side_doesn_t_hold_the_right():
    source = RecordingSource(range(5000), silent=True)
    left = marbles(f"{'-' * 10}a---", event=f"{'-' * 10}a")
    run = left.join_asof(Stream(source), on=lambda x: x / 1000).start()
    await asyncio.sleep(5)
    assert len(source.read) == 5000
    await asyncio.sleep(10)
    assert run.last() == [("a", 4999)]
    await run.cancel()
    assert_closed(source)


@pytest.mark.parametrize("side", [0, 1])
async def test_with_the_watermark_neither_side_is_read_far_ahead(side):
    source = RecordingSource(range(50_000))
    sides = [Stream.never(), Stream.never()]
    sides[side] = Stream(source)
    run = sides[0].join_asof(sides[1], on=itself, wait="watermark").start()
    await asyncio.sleep(5)
    assert AHEAD <= len(source.read) < AHEAD + 2000
    await run.cancel()
    assert_closed(source)


async def test_one_source_on_both_sides():
    numbers = Stream(range(5000))
    for source in numbers, Stream(lambda: paced(range(5000), 0)):
        stamped = source.event_time(itself)
        thirds = stamped.filter(lambda n: n % 3 == 0)
        joined = stamped.join_asof(thirds, wait="watermark")
        assert await joined.collect() == [(n, n // 3 * 3) for n in range(5000)]
        late = source.event_time(itself, max_delay=1000)
        joined = late.join_asof(late.filter(lambda n: n % 3 == 0), wait="watermark")
        assert await joined.collect() == [(n, n // 3 * 3) for n in range(5000)]
        none = stamped.join_asof(stamped.filter(lambda _: False), wait="watermark")
        assert await none.collect() == [(n, None) for n in range(5000)]
        before = stamped.join_asof(stamped, exact=False, how="inner")
        assert await before.collect() == [(n, n - 1) for n in range(1, 5000)]


@pytest.mark.parametrize(
    "path",
    [
        lambda s: s.buffer(1),
        lambda s: s.buffer(1).map(itself).buffer(1),
        lambda s: s.buffer(500).buffer(1).buffer(1),
        lambda s: s.filter(lambda n: n % 700 == 0),
        lambda s: s.concat(s.filter(lambda _: False)),
        lambda s: s.retry(1).buffer(1),
        lambda s: s.share(buffer=2),
        lambda s: s.merge(s.filter(lambda _: False)),
    ],
)
async def test_sides_that_need_not_wait_are_read_in_step_wherever_they_are_cut(path):
    right = path(Stream(range(0, 4500, 7)).event_time(itself))
    there = await right.collect()
    for left in Stream(range(4500)), Stream(range(4500)).buffer(1), Stream(iter(range(4500))):
        rows = await left.join_asof(right, on=itself).collect()
        assert rows == [(n, max(x for x in there if x <= n)) for n in range(0, 4500)]


@pytest.mark.parametrize("make", [list, iter, lambda items: lambda: iter(items)])
@pytest.mark.parametrize("path", [itself, lambda s: s.buffer(3), lambda s: s.map(echo)])
async def test_so_are_a_side_of_many_items_and_one_of_few(path, make):
    few, many = range(0, 4500, 30), range(4500)
    sides = [path(Stream(make(side)).event_time(itself)) for side in (few, many)]
    rows = await sides[0].join_asof(sides[1]).collect()
    assert rows == [(n, n) for n in few]


@pytest.mark.parametrize("make", [iter, lambda items: lambda: paced(items, 0)])
async def test_so_are_generators_and_async_ones(make):
    for _ in range(2):
        left, right = Stream(make(range(900))), Stream(make(range(0, 900, 7)))
        rows = await left.join_asof(right, on=itself).collect()
        assert rows == [(n, n // 7 * 7) for n in range(900)]


async def test_it_ends_with_the_left_and_closes_the_right():
    right = RecordingSource([1, 2], silent=True)
    assert await Stream.of(5).join_asof(Stream(right), on=itself).collect() == [(5, 2)]
    assert_closed(right)
    endless = Stream.timer(1).event_time(itself)
    joined = Stream.of(2).join_asof(endless, on=itself, wait="watermark")
    assert await timed(joined) == [(4.0, (2, 2))]


async def test_a_failing_side_raises_and_the_other_is_closed():
    for number in 0, 1:
        other = RecordingSource([1, 2], silent=True)
        sides = [Stream(other), Stream(other)]
        sides[number] = marbles("-#", error=ConnectionError("gone"))
        with pytest.raises(ConnectionError):
            await sides[0].join_asof(sides[1], on=lambda _: 1, wait="watermark").collect()
        assert_closed(other)


async def test_a_stop_gives_what_waits_with_what_has_come():
    left = RecordingSource([5, 6], silent=True)
    right = RecordingSource([1, 2], silent=True)
    run = Stream(left).join_asof(Stream(right), on=itself, wait="watermark").start()
    await asyncio.sleep(1)
    assert run.last() == []
    await run.stop()
    assert run.last() == [(5, 2), (6, 2)]
    assert_closed(left, right)


async def test_a_timer_and_the_loop_never_give_results_at_the_same_time():
    inside, most = 0, 0

    async def slow(_):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(5)
        inside -= 1

    left = marbles("a-bc-----d-|", event="abcd")
    right = marbles("----x------|", event="----x")
    results = []
    await left.join_asof(right, wait=1).to(slow, results).run()
    assert [a for a, _ in results] == ["a", "b", "c", "d"]
    assert most == 1


# Corrections


def corrections(**options):
    left = marbles("--ab-----|", event="--ab")
    right = marbles("----x-y-z|", event="-x-z-y", max_delay=6)
    return left.join_asof(right, revise=True, **options)


async def test_a_better_right_item_corrects_what_was_given():
    assert await timed(corrections()) == [
        (2.0, ("a", None)),
        (3.0, ("b", None)),
        (4.0, Revision(("a", None), ("a", "x"))),
        (4.0, Revision(("b", None), ("b", "x"))),
        (8.0, Revision(("b", "x"), ("b", "z"))),
    ]


async def test_what_an_inner_join_hadn_t_given_is_no_correction():
    assert await corrections(how="inner").collect() == [
        ("a", "x"),
        ("b", "x"),
        Revision(("b", "x"), ("b", "z")),
    ]


async def test_a_wait_makes_corrections_fewer():
    assert await timed(corrections(wait=2.5)) == [
        (4.5, ("a", "x")), (5.5, ("b", "x")), (8.0, Revision(("b", "x"), ("b", "z"))),
    ]  # fmt: skip


async def test_grace_bounds_how_late_a_correction_may_come():
    async def results(**options):
        left = marbles("a-------|", event="---a")
        late = marbles("-n-o--z-|", event="z----n-o")
        return await left.join_asof(late, revise=True, **options).collect()

    # The right is at 7 s when what happened at 0 s comes.
    assert await results() == [("a", None)]
    assert await results(grace=3) == [("a", None)]
    assert await results(grace=5) == [("a", None), Revision(("a", None), ("a", "z"))]


async def test_a_correction_has_the_time_of_its_left_item_and_holds_the_clock_back():
    left = Stream.of(3.0, 9.0).event_time(itself)
    right = Stream([1.0, 12.0, 2.0]).delay(1).event_time(itself, max_delay=11)
    rows = await stamps(left.join_asof(right, revise=True))
    assert rows == [
        ((3.0, None), 3.0),
        ((9.0, None), 9.0),
        (Revision((3.0, None), (3.0, 1.0)), 3.0),
        (Revision((9.0, None), (9.0, 1.0)), 9.0),
        (Revision((3.0, 1.0), (3.0, 2.0)), 3.0),
        (Revision((9.0, 1.0), (9.0, 2.0)), 9.0),
    ]


# What is wrong


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda s: s.join_asof([1]), "left side has none: say how to take it, as in join_asof"),
        (lambda s: s.event_time(itself).join_asof([1]), "right side has none: .* on='timestamp'"),
        (lambda s: s.join_asof(s, on=1.5), r"join_asof\(on\) needs a function, a key or an attr"),
        (lambda s: s.join_asof(s, on=("a", "b", "c")), r"join_asof\(on\) must be one selector"),
        (lambda s: s.join_asof(s, on=itself, by=()), r"join_asof\(by\) must be one selector"),
        (lambda s: s.join_asof(s, on=itself, tolerance=-1), r"tolerance\) must be zero or more"),
        (lambda s: s.join_asof(s, on=itself, tolerance="x"), r"tolerance\) must be a duration"),
        (lambda s: s.join_asof(s, on=itself, wait=-1), r"\(wait\).* must be zero or more, not -1"),
        (lambda s: s.join_asof(s, on=itself, wait="soon"), '"watermark".* must be a duration'),
        (lambda s: s.join_asof(s, on=itself, grace=-1), r"grace\) must be zero or more"),
        (lambda s: s.join_asof(s, on=itself, direction="up"), "one of 'backward', 'forward', 'ne"),
        (lambda s: s.join_asof(s, on=itself, how="outer"), "one of 'left', 'inner', not 'outer'"),
        (lambda s: s.join_asof(s, on=itself, select=3), r"join_asof\(select\) needs a function"),
        (lambda s: s.join_asof(s, {}, on=itself), r"join_asof\(cache\) must be a Cache"),
        (lambda s: s.join_asof(None, on=itself), "needs a right side: a stream, a cache, or both"),
        (lambda s: s.join_asof(7, on=itself), "a stream needs an iterable"),
        (
            lambda s: s.join_asof(s, on=itself, tolerance=5, retain=1),
            "retain.* at least as long as tolerance",
        ),
        (
            lambda s: s.join_asof(None, Cache(":memory:"), on=itself, wait=1),
            r"join_asof\(wait=\) needs a stream on the right, whose clock",
        ),
        (
            lambda s: s.join_asof(None, Cache(":memory:"), on=itself, revise=True),
            r"join_asof\(revise=\) needs a stream on the right",
        ),
        (lambda s: s.join_asof(None, Cache(":memory:")), "left side has none"),
    ],
)
def test_what_can_t_work_is_refused_when_it_is_built(use, message):
    with pytest.raises(GraphError, match=message):
        use(Stream.of(1))


def test_async_selectors_are_refused():
    async def key(x):
        return x

    for name in "on", "by":
        with pytest.raises(GraphError, match=rf"join_asof\({name}\) must be a plain function"):
            Stream.of(1).event_time(itself).join_asof(
                Stream.of(2).event_time(itself), **{name: key}
            )


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("options", [{}, {"wait": "watermark"}, {"revise": True}])
async def test_a_key_that_isn_t_hashable_raises_and_names_the_item(side, options):
    sides = [[at(1, k="a")], [at(1, k="a")]]
    sides[side] = [at(1, k=["x"])]
    with pytest.raises(TypeError, match=r"must be hashable, and \['x'\] \(list\) isn't") as caught:
        await Stream(sides[0]).join_asof(sides[1], on="at", by="k", **options).collect()
    assert "join_asof" in caught.value.__notes__[0]
    assert "on item {'at': 1, 'k': ['x']}" in caught.value.__notes__[0]


async def test_a_key_that_is_a_coroutine_raises():
    async def fetch(x):
        return x

    with pytest.raises(StrayAwaitableError, match=r"by= must be a plain function.* put .map"):
        await Stream.of(1).join_asof([1], on=itself, by=lambda x: fetch(x)).collect()


async def test_a_time_that_is_none_raises_and_names_the_item():
    with pytest.raises(SourceError, match="datetime or POSIX seconds, not 'noon'") as caught:
        await Stream.of(at(1)).join_asof([at("noon")], on="at").collect()
    assert "{'at': 'noon'}" in caught.value.__notes__[0]


# As it is shown


def test_it_is_shown_as_it_was_written():
    stream = Stream.of(1).join_asof([1], Cache(":memory:"), on=itself, tolerance="1h", wait=2)
    assert stream.node.label == "join_asof(cache=Cache, tolerance=3600.0, wait=2.0)"
    assert Stream.of(1).join_asof([1], on=itself).node.label == "join_asof()"


def test_durations_are_of_every_kind():
    for tolerance in timedelta(minutes=1), 60, "1m":
        stream = Stream.of(1).join_asof([1], on=itself, tolerance=tolerance)
        assert stream.node.join.rule.reach == 60_000_000
