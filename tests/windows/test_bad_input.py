"""Bad input to windows: the error comes early, and says what to write."""

from __future__ import annotations

import math
import warnings
from datetime import UTC, date, datetime, timedelta

import pytest

from rivulet import GraphError, SourceError, Stream
from rivulet.aggregators import CountDistinct, Counts
from tests.windows.oracle import run

NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)
KINDS = [
    {"tumbling": 5},
    {"hopping": 5, "every": 2},
    {"sliding": 5},
    {"sliding": 5, "emit": "close"},
    {"session": 5},
    {"calendar": "day"},
]
BY_ARRIVAL = [{"count": 2}, {"session": lambda before, item: True}]


def itself(item):
    return item


def named(options):
    return ", ".join(
        f"{name}=..." if callable(value) else f"{name}={value!r}" for name, value in options.items()
    )


def counted(items, ts=itself):
    return Stream(items).event_time(ts).window(tumbling=10).count()


# No time


@pytest.mark.parametrize("kind", KINDS, ids=named)
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda s: s,
            r"window needs the time of its items, and those of .* have none: put event_time\(",
        ),
        (
            lambda s: s.event_time(itself).pipe(itself),
            r"its items, which pipe\(itself\) doesn't give: put event_time\(\.\.\.\) after it",
        ),
        (
            lambda s: s.event_time(itself).count(),
            r"which count\(\) doesn't give: put event_time\(\.\.\.\) after it",
        ),
    ],
    ids=["never", "behind a pipe", "behind a count"],
)
def test_items_without_a_time_are_refused_when_it_is_built(kind, make, message):
    with pytest.raises(GraphError, match=message):
        make(Stream([1])).window(**kind)


@pytest.mark.parametrize("options", BY_ARRIVAL, ids=named)
def test_windows_by_arrival_need_none(options):
    assert [window.value for window in run(Stream([1, 2]).window(**options).count())] == [2]


# Times that are none


@pytest.mark.parametrize(
    "time",
    [None, math.nan, math.inf, -math.inf, "2013-07-01", True, date(2013, 7, 1), b"1", [1]],
    ids=repr,
)
def test_what_is_no_time_is_named_with_its_item(time):
    with pytest.raises(SourceError, match="datetime or POSIX seconds, not ") as caught:
        run(counted([{"at": 1}, {"at": time}], "at"))
    assert repr(time) in str(caught.value)
    (note,) = caught.value.__notes__
    assert "in event_time('at')" in note
    assert f"on item {{'at': {time!r}}}" in note


def test_a_field_that_is_missing_is_named_with_its_item():
    with pytest.raises(KeyError, match="at") as caught:
        run(counted([{"at": 1}, {"time": 2}], "at"))
    assert "in event_time('at')" in caught.value.__notes__[0]
    assert "on item {'time': 2}" in caught.value.__notes__[0]


@pytest.mark.parametrize("naive_first", [False, True])
def test_times_with_a_zone_and_without_one_are_not_mixed(naive_first):
    times = [NOON, NOON.replace(tzinfo=None) + timedelta(hours=1)]
    with pytest.raises(SourceError, match=r"(?s)zone.*tzinfo=") as caught:
        run(counted(times[::-1] if naive_first else times))
    assert "in event_time(itself)" in caught.value.__notes__[0]


@pytest.mark.parametrize("time", [1_372_680_000_000, 10**40, -(10**12), 1e30], ids=repr)
def test_seconds_that_are_none_such_as_milliseconds_are_refused(time):
    with pytest.raises(SourceError, match="POSIX seconds.*1000"):
        run(counted([time]))


async def test_a_policy_can_take_what_has_no_time():
    stamped = Stream([1, None, 2]).event_time(itself).on_error("skip")
    found = await stamped.window(tumbling=10).count().collect()
    assert [window.value for window in found] == [2]


# Kinds


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tumbling": 1, "session": 2}, "exactly one of .* not tumbling and session"),
        ({"hopping": 2, "every": 1, "count": 2}, "not hopping and count"),
        ({"tumbling": 1, "sliding": 2, "calendar": "day"}, "not tumbling and sliding and calendar"),
        ({}, "exactly one of tumbling=, hopping=, sliding=, session=, count=, calendar=, not none"),
        ({"every": 5}, "not none"),
    ],
    ids=str,
)
def test_exactly_one_kind_is_given(options, message):
    with pytest.raises(GraphError, match=message):
        Stream([1]).event_time(itself).window(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tumbling": math.nan}, r"window\(tumbling\) must be a finite duration, not nan"),
        ({"tumbling": -1}, r"window\(tumbling\) must be more than zero, not -1"),
        ({"tumbling": 1e-7}, r"window\(tumbling\) must be at least a microsecond, not 1e-07"),
        ({"tumbling": True}, r"window\(tumbling\) must be a duration, not True: give seconds"),
        ({"tumbling": "10"}, r"not '10': give seconds \(1\.5\), a timedelta, or text such as"),
        ({"sliding": timedelta(0)}, r"window\(sliding\) must be more than zero"),
        ({"session": -1}, r"window\(session\) must be more than zero"),
        ({"hopping": "10s", "every": "0s"}, r"window\(every\) must be more than zero"),
        ({"hopping": 10}, r'as in window\(hopping="10m", every="1m"\)'),
        ({"count": 2.0}, r"window\(count\) must be a whole number of at least 1, not 2\.0"),
        ({"calendar": "days"}, "one of 'hour', 'day', 'week', .* not 'days'"),
        ({"calendar": "day", "tz": "Amsterdam"}, 'such as "UTC" or "Europe/Amsterdam", not'),
        ({"tumbling": 1, "emit": "closed"}, '"close", "update" or a duration such as "10s", not'),
        ({"tumbling": 1, "origin": math.nan}, r"origin\) must be a datetime or POSIX seconds"),
        ({"tumbling": 1, "by": 1.5}, "needs a function, a key or an attribute's name, not 1.5"),
    ],
    ids=str,
)
def test_what_an_argument_must_be_is_told_when_it_is_built(options, message):
    with pytest.raises(GraphError, match=message):
        Stream([1]).event_time(itself).window(**options)


def test_the_condition_of_a_session_is_not_awaited():
    async def goes_on(before, item):
        return True

    with pytest.raises(GraphError, match=r"window\(session\) must be a plain function"):
        Stream([1]).window(session=goes_on)


# Windows of which nothing is to come


@pytest.mark.parametrize("name", ["map", "to", "run", "sum"])
def test_windows_are_no_stream_before_it_is_said_what_is_to_come_of_them(name):
    windows = Stream([1]).event_time(itself).window(tumbling=1)
    with pytest.raises(AttributeError, match=rf"windows have no '{name}': say first .* \.count"):
        getattr(windows, name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 2}, "go by the order in which items come have no late items"),
        ({"tumbling": 2, "time": "processing"}, "go by the time at which items come have no late"),
    ],
    ids=str,
)
def test_windows_without_late_items_say_which_have_some(options, message):
    windows = Stream([1]).window(**options)
    with pytest.raises(GraphError, match=f"{message}.*goes with windows by event time"):
        _ = windows.late


# Keys and values


@pytest.mark.parametrize(
    "kind", [*KINDS, *BY_ARRIVAL, {"tumbling": 5, "time": "processing"}], ids=named
)
def test_a_key_that_cannot_be_hashed_is_named_with_its_item(kind):
    windows = Stream([(1, "a"), (2, ["b"])]).event_time(0).window(**kind, by=1)
    message = r"must be hashable, and \['b'\] \(list\) isn't: give a number, text, or a tup"
    with pytest.raises(TypeError, match=message) as caught:
        run(windows.count())
    assert "item (2, ['b'])" in caught.value.__notes__[0]


@pytest.mark.parametrize("kind", KINDS, ids=named)
def test_so_it_is_where_late_items_are_asked_for(kind):
    windows = Stream([(1, "a"), (2, ["b"])]).event_time(0).window(**kind, by=1)
    with pytest.raises(TypeError, match=r"must be hashable, and \['b'\] \(list\) isn't"):
        run(windows.late)


@pytest.mark.parametrize("aggregator", [Counts(1), CountDistinct(1)], ids=repr)
def test_a_value_that_is_counted_must_be_hashable(aggregator):
    windows = Stream([(1, "a"), (2, ["b"])]).event_time(0).window(tumbling=5)
    message = r"counted must be hashable, and \['b'\] \(list\) isn't: let the field give"
    with pytest.raises(TypeError, match=message) as caught:
        run(windows.agg(n=aggregator))
    assert "item (2, ['b'])" in caught.value.__notes__[0]


def test_an_item_that_cannot_be_added_is_named():
    with pytest.raises(TypeError, match="unsupported operand") as caught:
        run(Stream([1, "2"]).event_time(float).window(tumbling=5).fold(lambda a, x: a + x, 0))
    assert "on item '2'" in caught.value.__notes__[0]


def test_no_refusal_leaves_a_coroutine_behind():
    async def later(*_):
        return 1

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for use in (
            lambda s: s.event_time(later),
            lambda s: s.window(session=later),
            lambda s: s.window(count=2).apply(later),
            lambda s: s.window(count=2).fold(later, 0),
        ):
            with pytest.raises(GraphError, match="plain function"):
                use(Stream([1]))
