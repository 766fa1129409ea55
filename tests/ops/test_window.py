"""``window``: every kind gives what going through all data gives, whatever the order of arrival."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream, start
from rivulet.aggregators import Collect, Count, First, Last, Max, Mean, Min, Sum
from rivulet.testing import stamps
from tests.examples import examples
from tests.windows.oracle import (
    DELAY,
    EVENTS,
    arrivals,
    hopping,
    ordered,
    plain,
    run,
    sessions,
    sliding,
    timed,
    tumbling,
)

many = examples(100)


def expected(found):
    return ordered((key, start, end, items) for (key, start, end), items in found.items())


def collected(stream):
    return ordered(map(plain, run(stream.of(lambda row: row[2]).collect())))


# Right whatever the order of arrival


@many
@given(arrivals(), st.integers(1, 30), st.integers(-5, 5))
def test_tumbling_windows(rows, size, origin):
    windows = timed(rows, max_delay=DELAY).window(tumbling=size, by=1, origin=origin)
    assert collected(windows) == expected(tumbling(rows, size, origin))


@many
@given(arrivals(), st.integers(1, 30), st.integers(1, 30))
def test_hopping_windows(rows, a, b):
    size, every = max(a, b), min(a, b)
    windows = timed(rows, max_delay=DELAY).window(hopping=size, every=every, by=1)
    assert collected(windows) == expected(hopping(rows, size, every))


@many
@given(arrivals(), st.integers(1, 20))
def test_sessions(rows, gap):
    windows = timed(rows, max_delay=DELAY).window(session=gap, by=1)
    assert collected(windows) == expected(sessions(rows, gap))


@many
@given(arrivals(), st.integers(1, 30))
def test_sliding_windows_that_wait_until_they_are_certain(rows, size):
    windows = timed(rows, max_delay=DELAY).window(sliding=size, by=1, emit="close")
    assert collected(windows) == ordered(sliding(rows, size))
    found = run(windows.agg(n=Count(), total=Sum(2), most=Max(2), mean=Mean(2)))
    assert ordered((*plain(w)[:3], list(w.value.values())[:3]) for w in found) == ordered(
        (key, start, end, [len(items), sum(items), max(items)])
        for key, start, end, items in sliding(rows, size)
    )


@many
@given(arrivals(), st.integers(1, 30))
def test_sliding_windows_give_a_result_at_once_from_what_has_come(rows, size):
    windows = timed(rows, max_delay=DELAY).window(sliding=size, by=1)
    found = run(windows.of(lambda row: row[2]).agg(all=Collect(), n=Count(), least=Min()))
    assert len(found) == len(rows)
    for i, (row, w) in enumerate(zip(rows, found, strict=True)):
        key, start, end, items = sliding(rows[: i + 1], size)[-1]
        assert (*plain(w)[:3], w.value) == (
            key,
            start,
            end,
            {"all": items, "n": len(items), "least": min(items)},
        )
        assert row[0] == end
    ends = windows.of(lambda row: row[2])
    assert [w.value for w in run(ends.count())] == [w.value["n"] for w in found]
    assert [w.value for w in run(ends.apply(sum))] == [sum(w.value["all"]) for w in found]
    assert [w.value for w in run(ends.fold(lambda a, x: a + x, 0))] == [
        sum(w.value["all"]) for w in found
    ]


@many
@given(arrivals(), st.integers(1, 30))
def test_windows_without_keys(rows, size):
    same = [(t, None, x) for t, _, x in rows]
    stream = timed(rows, max_delay=DELAY)
    assert collected(stream.window(tumbling=size)) == expected(tumbling(same, size))
    assert collected(stream.window(session=size)) == expected(sessions(same, size))


@many
@given(arrivals(), st.integers(1, 20))
def test_first_and_last_go_by_time_not_by_arrival(rows, size):
    found = run(
        timed(rows, max_delay=DELAY).window(tumbling=size, by=1).agg(first=First(2), last=Last(2))
    )
    oracle = tumbling(rows, size)
    assert ordered((*plain(w)[:3], [*w.value.values()]) for w in found) == ordered(
        (*bounds, [items[0], items[-1]]) for bounds, items in oracle.items()
    )


@many
@given(arrivals(), st.integers(1, 10), st.integers(1, 4), st.data())
def test_partitions_may_run_ahead_of_each_other(rows, size, parts, data):
    """Each part in order of its own; any interleaving."""
    queues = [sorted(rows[i::parts], key=lambda row: row[0]) for i in range(parts)]
    mixed = []
    while any(queues):
        i = data.draw(st.sampled_from([i for i, queue in enumerate(queues) if queue]))
        mixed.append((*queues[i].pop(0), i))
    found = run(
        Stream([("start", i) for i in range(parts)])
        .map(lambda pair: (-(10**6), None, 0, pair[1]))
        .concat(mixed)
        .event_time(lambda row: row[0], partition=lambda row: row[3])
        .filter(lambda row: row[1] is not None)
        .window(tumbling=size, by=1)
        .of(lambda row: row[2])
        .agg(n=Count(), total=Sum())
    )
    assert ordered((*plain(w)[:3], [*w.value.values()]) for w in found) == ordered(
        (*bounds, [len(items), sum(items)]) for bounds, items in tumbling(rows, size).items()
    )


@many
@given(arrivals(), st.integers(1, 10), st.integers(1, 4))
def test_windows_over_windows_call_nothing_late(rows, size, times):
    small = timed(rows, max_delay=DELAY).filter(lambda row: row[2] > 0).window(tumbling=size, by=1)
    large = small.count().window(tumbling=size * times, by=lambda w: w.key)
    found = run(large.of(lambda w: w.value).agg(total=Sum()))
    kept = [row for row in rows if row[2] > 0]
    assert ordered((*plain(w)[:3], w.value["total"]) for w in found) == ordered(
        (*bounds, len(items)) for bounds, items in tumbling(kept, size * times).items()
    )
    assert run(large.late) == []


@many
@given(arrivals(), st.integers(1, 10))
def test_windows_over_sessions_call_nothing_late(rows, gap):
    inner = timed(rows, max_delay=DELAY).window(session=gap, by=1, grace=3)
    outer = inner.count().window(tumbling=13)
    assert sum(w.value for w in run(outer.count())) == len(sessions(rows, gap))
    assert run(outer.late) == []


# Late items


@many
@given(EVENTS, st.integers(1, 12), st.integers(0, 10), st.integers(0, 10))
def test_what_is_in_no_window_is_late(rows, size, delay, grace):
    """Nothing is missing from the sum, and what is late is late for all of its windows."""
    for kind in ({"tumbling": size}, {"session": size}):
        windows = timed(rows, max_delay=delay).window(**kind, by=1, grace=grace)
        counted = run(windows.of(lambda row: row[2]).agg(n=Count(), total=Sum()))
        late = run(windows.late)
        assert sum(w.value["n"] for w in counted) + len(late) == len(rows)
        total = sum(w.value["total"] for w in counted) + sum(row[2] for (row, _) in late)
        assert total == sum(row[2] for row in rows)
    top, expected_late = -(10**9), []
    for row in rows:
        top = max(top, row[0])
        end = row[0] - row[0] % size + size
        if end + grace <= top - delay:
            expected_late.append((row, timedelta(seconds=top - delay - row[0])))
    windows = timed(rows, max_delay=delay).window(tumbling=size, by=1, grace=grace)
    assert run(windows.late) == expected_late


@many
@given(EVENTS, st.integers(1, 12))
def test_late_items_can_go_into_the_oldest_window_that_is_open(rows, size):
    for kind in ({"tumbling": size}, {"session": size}, {"hopping": size, "every": size}):
        windows = timed(rows).window(**kind, late="reassign")
        assert sum(w.value for w in run(windows.count())) == len(rows)


@pytest.mark.parametrize("late", ["stream", "drop"])
async def test_late_items_are_counted(late):
    run_ = (
        timed([(1, "a", 0), (15, "a", 0), (2, "a", 0), (3, "a", 0)])
        .window(tumbling=10, late=late)
        .count()
        .start()
    )
    await run_
    assert [w.value for w in run_.last()] == [1, 1]
    stats = run_.stats()
    assert stats.late == 2
    assert [op.late for op in stats.operators] == [0, 0, 2]
    assert "2 late" in str(stats)


async def test_late_items_that_are_given_too_are_counted_once():
    windows = timed([(1, "a", 0), (15, "a", 0), (2, "a", 0)]).window(tumbling=10)
    run_ = start(windows.count(), windows.late)
    await run_
    assert run_.stats().late == 1


# When there are results


@many
@given(arrivals(), st.integers(1, 12))
def test_updates_rise_to_a_final_result(rows, size):
    for kind in ({"tumbling": size}, {"hopping": size + 3, "every": size}):
        windows = timed(rows, max_delay=DELAY).window(**kind, by=1, emit="update")
        seen = {}
        for w in run(windows.count()):
            seen.setdefault(plain(w)[:3], []).append(w)
        for results in seen.values():
            assert [w.revision for w in results] == list(range(len(results)))
            assert [w.final for w in results] == [False] * (len(results) - 1) + [True]
            assert [w.value for w in results[:-1]] == list(range(1, len(results)))
        final = ordered(plain(results[-1]) for results in seen.values())
        closing = timed(rows, max_delay=DELAY).window(**kind, by=1)
        assert final == ordered(map(plain, run(closing.count())))


@many
@given(arrivals(), st.integers(1, 12))
def test_corrections_of_sessions_leave_what_closing_gives(rows, gap):
    current = {}
    for w in run(timed(rows, max_delay=DELAY).window(session=gap, by=1, emit="update").count()):
        if w.value is None:
            del current[w.key, w.start]
        else:
            current[w.key, w.start] = w
    assert all(w.final for w in current.values())
    closing = run(timed(rows, max_delay=DELAY).window(session=gap, by=1).count())
    assert ordered(map(plain, current.values())) == ordered(map(plain, closing))


@many
@given(arrivals(), st.integers(2, 12), st.integers(1, 5))
def test_early_results_come_as_often_as_asked(rows, size, often):
    for kind in ({"tumbling": size}, {"session": size}):
        results = run(timed(rows, max_delay=DELAY).window(**kind, by=1, emit=often).count())
        closing = run(timed(rows, max_delay=DELAY).window(**kind, by=1).count())
        final = [w for w in results if w.final]
        assert ordered(map(plain, final)) == ordered(map(plain, closing))
        for w in final:
            early = [e for e in results if (e.key, e.start) == (w.key, w.start) and not e.final]
            assert w.revision == len(early) or "session" in kind
            if "tumbling" in kind:
                assert len(early) <= size // often


def test_early_results_tell_what_has_come_so_far():
    rows = [(t, "a", 1) for t in (0, 1, 4, 9, 10)]
    results = run(timed(rows).window(tumbling=10, emit=3).count())
    assert [(w.value, w.final) for w in results] == [
        (2, False),
        (3, False),
        (4, True),
        (1, True),
    ]


async def test_a_window_closes_by_its_watermark_whatever_key_is_quiet():
    results = []
    channel = Stream.channel(10)
    task = asyncio.ensure_future(
        channel.stream.event_time(lambda row: row[0])
        .window(tumbling=10, by=1)
        .count()
        .to(results)
        .run()
    )
    for row in [(1, "a"), (2, "b"), (10, "a")]:
        channel.push(row)
    await asyncio.sleep(1)
    assert [(w.key, w.value) for w in results] == [("a", 1), ("b", 1)]
    channel.close()
    await task
    assert len(results) == 3


async def test_the_last_window_closes_by_idleness_where_that_was_asked_for():
    results, channel = [], Stream.channel(10)
    stamped = channel.stream.event_time(lambda t: t, idle=5, on_idle="advance")
    run_ = stamped.window(tumbling=10).count().to(results).start()
    channel.push(3)
    await asyncio.sleep(9)
    assert results == []
    await asyncio.sleep(9)
    assert [w.value for w in results] == [1]
    await run_.stop()


@pytest.mark.parametrize(
    "kind",
    [
        {"tumbling": 10},
        {"tumbling": 10, "emit": 9},
        {"hopping": 10, "every": 10},
        {"calendar": "day"},
        {"session": 4},
        {"session": lambda a, b: b > a},
        {"sliding": 4, "emit": "close"},
        {"count": 3},
    ],
    ids=lambda kind: (
        ", ".join(f"{name}={value}" for name, value in kind.items() if not callable(value))
        or "session=predicate"
    ),
)
@pytest.mark.parametrize("drain", [False, True])
async def test_a_run_that_is_stopped_gives_what_is_open_as_not_final(kind, drain):
    """Unless it is drained, which is the end of input."""
    results, channel = [], Stream.channel(10)
    run_ = channel.stream.event_time(lambda t: t).window(**kind).count().to(results).start()
    channel.push(3)
    await asyncio.sleep(1)
    await run_.stop(drain=drain)
    assert [(w.value, w.final) for w in results] == [(1, drain)]


async def test_results_carry_the_last_microsecond_of_their_window():
    clicks = Stream.of(1, 2, 12).event_time(lambda t: t)
    assert [t for _, t in await stamps(clicks.window(tumbling=10).count())] == [9.999999, 19.999999]
    assert [t for _, t in await stamps(clicks.window(session=3).count())] == [4.999999, 14.999999]


async def test_windows_of_processing_time_close_by_the_clock():
    results = []
    async for w in Stream.timer(1).take(7).window(tumbling=3, time="processing").count():
        results.append((w.value, asyncio.get_running_loop().time()))
    assert sum(value for value, _ in results) == 7
    assert all(value <= 3 for value, _ in results)
    assert len(results) == 3


# By arrival


@many
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers())), st.integers(1, 5), st.integers(1, 5)
)
def test_windows_by_count(rows, n, every):
    found = run(Stream(rows).window(count=n, every=every, by=0).of(lambda row: row[1]).collect())
    for key in "ab":
        own = [x for k, x in rows if k == key]
        ends = list(range(every, len(own) + 1, every))
        if len(own) % every:
            ends.append(len(own))
        expected_ = [
            own[max(0, end - n) if every != n else (end - 1) // n * n : end] for end in ends
        ]
        assert [w.value for w in found if w.key == key] == expected_


@many
@given(st.lists(st.integers(0, 9)))
def test_windows_that_last_while_a_condition_holds(items):
    found = run(Stream(items).window(session=lambda before, item: item > before).collect())
    runs = []
    for item in items:
        if runs and item > runs[-1][-1]:
            runs[-1].append(item)
        else:
            runs.append([item])
    assert [w.value for w in found] == runs


# The calendar


@pytest.mark.parametrize("zone", ["Europe/Amsterdam", "America/New_York"])
@pytest.mark.parametrize("unit", ["hour", "day", "week", "month", "quarter", "year"])
def test_the_calendar_is_right_across_daylight_saving(zone, unit):
    tz = ZoneInfo(zone)
    first = datetime(2013, 1, 1, tzinfo=UTC)
    hours = [first + timedelta(minutes=30 * i) for i in range(366 * 48)]
    found = run(Stream(hours).event_time(lambda at: at).window(calendar=unit, tz=zone).collect())
    for w in found:
        assert w.start.tzinfo is tz
        if unit != "hour":
            assert (w.start.hour, w.start.minute, w.end.hour, w.end.minute) == (0, 0, 0, 0)
        assert all(w.start <= at < w.end for at in w.value)
    assert all(a.end == b.start for a, b in zip(found, found[1:]))
    names = {
        "hour": lambda at: (at.date(), at.hour, at.utcoffset()),
        "day": lambda at: at.date(),
        "week": lambda at: at.isocalendar()[:2],
        "month": lambda at: (at.year, at.month),
        "quarter": lambda at: (at.year, (at.month - 1) // 3),
        "year": lambda at: at.year,
    }
    local = [names[unit](at.astimezone(tz)) for at in hours]
    assert len(found) == len(dict.fromkeys(local))
    if unit == "day":
        lengths = {w.start.date(): (w.end - w.start.astimezone(UTC)) for w in found}
        short, long = ((3, 31), (10, 27)) if "Amsterdam" in zone else ((3, 10), (11, 3))
        as_hours = {day: length for day, length in lengths.items()}
        assert as_hours[datetime(2013, *short).date()] == timedelta(hours=23)
        assert as_hours[datetime(2013, *long).date()] == timedelta(hours=25)


# Bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "exactly one of .* not none"),
        ({"tumbling": 1, "session": 2}, "not tumbling and session"),
        ({"tumbling": 0}, r"window\(tumbling\) must be more than zero"),
        ({"tumbling": "soon"}, r"window\(tumbling\) must be a duration"),
        ({"hopping": 5}, r"needs every="),
        ({"hopping": 5, "every": 6}, "would be in none"),
        ({"tumbling": 5, "every": 6}, r"every\) goes with hopping or count, not with tumbling"),
        ({"session": 5, "origin": 6}, r"origin\) goes with tumbling or hopping"),
        ({"tumbling": 5, "origin": "x"}, r"origin\) must be a datetime or POSIX seconds"),
        ({"tumbling": 5, "grace": -1}, r"window\(grace\) must be zero or more"),
        ({"tumbling": 5, "emit": "often"}, r'emit\) must be "close", "update" or a duration'),
        ({"tumbling": 5, "emit": "arrival"}, r'emit\) must be "close", "update" or a duration'),
        ({"sliding": 5, "emit": "update"}, r'must be "arrival"'),
        ({"tumbling": 5, "late": "keep"}, r"late\) must be one of"),
        ({"tumbling": 5, "time": "wall"}, r"time\) must be one of"),
        ({"calendar": "fortnight"}, r"calendar\) must be one of"),
        ({"calendar": "day", "tz": "Mars"}, "time zone"),
        ({"count": 0}, r"count\) must be a whole number"),
        ({"count": 2, "every": 1.5}, r"every\) must be a whole number"),
        ({"count": 2, "grace": 1}, "go by the order in which items come"),
    ],
)
def test_wrong_arguments_are_refused_when_built(options, message):
    with pytest.raises(GraphError, match=message):
        Stream([1]).event_time(float).window(**options)


@pytest.mark.parametrize("late", ["drop", "reassign"])
def test_late_items_become_one_thing_only(late):
    windows = timed([]).window(tumbling=10, late=late)
    with pytest.raises(GraphError, match=rf'window\(late="{late}"\) says what becomes of late'):
        windows.late  # noqa: B018


def test_items_without_time_are_refused_when_built():
    with pytest.raises(GraphError, match=r"put event_time\(...\) between"):
        Stream([1]).window(tumbling=1)
    Stream([1]).window(count=1)
    Stream([1]).window(tumbling=1, time="processing")


def test_ends_are_checked_when_built():
    windows = Stream([1]).event_time(float).window(session=1)
    with pytest.raises(GraphError, match=r"merge="):
        windows.fold(lambda a, x: a + x, 0)
    assert [
        w.value for w in run(windows.fold(lambda a, x: a + x, 0, merge=lambda a, b: a + b))
    ] == [1]

    async def later(x):
        return x

    with pytest.raises(GraphError, match="takes a plain function"):
        windows.apply(later)
    with pytest.raises(GraphError, match="takes a plain function"):
        windows.fold(later, 0)
    with pytest.raises(GraphError, match="aggregator"):
        windows.agg()
    with pytest.raises(GraphError, match="no late items"):
        _ = Stream([1]).window(count=1).late


@pytest.mark.parametrize(
    "kind", [{"tumbling": 5}, {"hopping": 5, "every": 2}, {"session": 5}, {"count": 2}]
)
async def test_a_key_that_cannot_be_hashed_is_named_with_its_item(kind):
    with pytest.raises(
        TypeError, match=r"the key of an item must be hashable, and \['a'\]"
    ) as caught:
        await Stream([(1, ["a"])]).event_time(0).window(**kind, by=1).count().run()
    assert "item (1, ['a'])" in caught.value.__notes__[0]


async def test_keys_may_be_taken_by_an_async_function():
    async def key(row):
        await asyncio.sleep(1)
        return row[1]

    found = (
        await timed([(1, "a", 1), (2, "b", 1), (3, "a", 1)])
        .window(tumbling=9, by=key)
        .count()
        .collect()
    )
    assert [(w.key, w.value) for w in found] == [("a", 2), ("b", 1)]


def test_a_group_can_be_put_into_windows():
    rows = [(1, "a", 1), (2, "b", 5), (3, "a", 2)]
    grouped = timed(rows).group_by(lambda row: row[1])
    found = run(grouped.map(lambda row: row[2]).window(tumbling=9).agg(total=Sum()))
    assert [(w.key, w.value["total"]) for w in found] == [("a", 3), ("b", 5)]
    late = timed([(1, "a", 1), (20, "a", 1), (2, "a", 3)]).group_by(1).window(tumbling=5).late
    assert [late.item for late in run(late)] == [(2, "a", 3)]


def test_results_show_what_they_are():
    (w,) = run(timed([(1, "a", 1)]).window(tumbling=10, by=1).count())
    assert repr(w) == "Window('a', 1970-01-01 00:00:00 to 1970-01-01 00:00:10, 1)"
    assert (w.start, w.end) == (
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(1970, 1, 1, 0, 0, 10, tzinfo=UTC),
    )
    import pickle

    assert pickle.loads(pickle.dumps(w)) == w
    assert hash(w) == hash(pickle.loads(pickle.dumps(w)))
    assert w != 1
    stream = timed([]).window(tumbling="10s", by="key", grace=3)
    assert stream.count().node.label == "window(tumbling='10s', by='key', grace=3).count()"
    assert (
        timed([]).window(session=5, name="visits").count().node.label == "window('visits').count()"
    )
    assert repr(stream).startswith("<Windowed window(tumbling='10s'")


async def test_windows_by_count_go_by_the_order_of_arrival_whatever_else_asks_for_times():
    stamped = Stream([3, 1, 2, 0]).event_time(lambda t: t, max_delay=5)
    windows = stamped.window(count=2).agg(items=Collect(), first=First())
    alone = await windows.collect()
    beside = []
    await windows.to(beside).window(tumbling=10).count().run()
    assert [w.value for w in alone] == [
        {"items": [3, 1], "first": 3},
        {"items": [2, 0], "first": 2},
    ]
    assert alone == beside
    assert [(w.start.second, w.end.second) for w in alone] == [(1, 3), (0, 2)]
