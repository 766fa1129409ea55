"""Bad input to joins: the error comes early, and says what to write."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from rivulet import Cache, GraphError, SourceError, Stream
from rivulet.testing import run

NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)
JOINS = {
    "join_asof": {},
    "join_interval": {"before": 1, "after": 1},
    "join": {"window": 5},
}


def itself(item):
    return item


def joined(name, left, right, **options):
    return getattr(Stream(left), name)(right, **JOINS[name], **options)


# No time


@pytest.mark.parametrize("name", JOINS)
@pytest.mark.parametrize(
    ("left", "right", "side", "place"),
    [
        (Stream.of(1), [1], "left", r"of\(1\)"),
        (Stream.of(1).event_time(itself), [1], "right", r"Stream\(\[1\]\)"),
        (Stream.of(1).event_time(itself), Stream.of(1).count(), "right", r"count\(\)"),
        (Stream.of(1).event_time(itself).pipe(itself), [1], "left", r"pipe\(itself\)"),
    ],
    ids=["left", "right", "behind a count", "behind a pipe"],
)
def test_a_side_without_a_time_is_named_when_it_is_built(name, left, right, side, place):
    message = (
        rf"{name} needs the time of the items on both sides, and the {side} side has none: say how "
        rf"to take it, as in {name}\(\.\.\., on='timestamp'\), or put event_time\(\.\.\.\) after {place}"
    )
    with pytest.raises(GraphError, match=message):
        joined(name, left, right)


@pytest.mark.parametrize("wait", [5, "1m", "watermark"])
def test_a_wait_needs_a_clock_on_the_right(wait):
    left = Stream.of(1).event_time(itself)
    with pytest.raises(GraphError, match="right side has none: say how to take it"):
        left.join_asof([1], wait=wait)
    with pytest.raises(
        GraphError, match=r"join_asof\(wait=\) needs a stream on the right, whose clock tells how"
    ):
        left.join_asof(None, Cache(":memory:"), wait=wait)


# Times that are none


@pytest.mark.parametrize("name", JOINS)
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("time", [None, math.nan, "noon"], ids=repr)
def test_what_is_no_time_is_named_with_its_item(name, side, time):
    sides = [{"at": 1}, {"at": 1}]
    sides[side] = {"at": time}
    with pytest.raises(SourceError, match="datetime or POSIX seconds, not ") as caught:
        run(joined(name, [sides[0]], [sides[1]], on="at").collect())
    assert repr(time) in str(caught.value)
    assert f"on item {{'at': {time!r}}}" in caught.value.__notes__[0]


@pytest.mark.parametrize("name", JOINS)
@pytest.mark.parametrize("side", [0, 1])
def test_times_of_a_side_with_a_zone_and_without_one_are_not_mixed(name, side):
    sides = [[NOON], [NOON]]
    sides[side] = [NOON, NOON.replace(tzinfo=None)]
    with pytest.raises(SourceError, match="zone.*tzinfo="):
        run(joined(name, *sides, on=itself).collect())


# Lengths


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": -1}, r"join_asof\(tolerance\) must be zero or more, not -1"),
        ({"tolerance": timedelta(seconds=-1)}, r"join_asof\(tolerance\) must be zero or more"),
        ({"tolerance": "-1h"}, r"tolerance\) must be a duration, not '-1h': give seconds"),
        ({"tolerance": math.nan}, r"tolerance\) must be a finite duration, not nan"),
        ({"grace": -1}, r"join_asof\(grace\) must be zero or more"),
        ({"retain": -1}, r"join_asof\(retain\) must be zero or more"),
        ({"wait": -1}, r"join_asof\(wait\).* must be zero or more"),
        ({"wait": "Watermark"}, r'join_asof\(wait\), unless it is "watermark", must be a duration'),
    ],
    ids=str,
)
def test_a_length_below_zero_is_refused_when_it_is_built(options, message):
    with pytest.raises(GraphError, match=message):
        joined("join_asof", [1], [1], on=itself, **options)


@pytest.mark.parametrize("which", ["before", "after"])
def test_so_are_the_bounds_of_an_interval(which):
    bounds = {"before": 1, "after": 1} | {which: -1}
    message = rf"join_interval\({which}\) must be zero or more, not -1"
    with pytest.raises(GraphError, match=message):
        Stream.of(1).join_interval([1], on=itself, **bounds)


# Two kinds of windows


@pytest.mark.parametrize(
    "window",
    [
        {},
        {"tumbling": 5, "calendar": "day"},
        {"tumbling": 5, "hopping": 5, "every": 1},
        {"hopping": 5, "every": 1, "calendar": "day"},
        {"session": 5},
        {"sliding": 5},
    ],
    ids=str,
)
def test_exactly_one_kind_of_windows_is_joined(window):
    with pytest.raises(GraphError, match=r"must be a duration, or a dict such as .*; not \{"):
        Stream.of(1).join([1], on=itself, window=window)


# Keys


@pytest.mark.parametrize("name", JOINS)
@pytest.mark.parametrize("side", [0, 1])
def test_a_key_that_cannot_be_hashed_is_named_with_its_item(name, side):
    sides = [[{"at": 1, "k": "a"}], [{"at": 1, "k": "a"}]]
    sides[side] = [{"at": 1, "k": ["b"]}]
    with pytest.raises(TypeError, match=r"must be hashable, and \['b'\] \(list\) isn't") as caught:
        run(joined(name, *sides, on="at", by="k").collect())
    assert "give a number, text, or a tuple of these" in str(caught.value)
    assert "{'at': 1, 'k': ['b']}" in caught.value.__notes__[0]


@pytest.mark.parametrize("table", [{}, Cache(":memory:")], ids=["dict", "Cache"])
def test_so_is_one_that_is_looked_up(table):
    with pytest.raises(TypeError, match=r"must be hashable, and \['b'\] \(list\) isn't") as caught:
        run(Stream.of({"k": ["b"]}).lookup(table, "k").collect())
    assert "{'k': ['b']}" in caught.value.__notes__[0]


def test_a_key_that_a_cache_cannot_have_is_named_with_its_item():
    stream = Stream.of({"at": 1, "k": ["b"]}).join_asof(None, Cache(":memory:"), on="at", by="k")
    with pytest.raises(
        TypeError, match="a cache key must be a number, str.* use a tuple"
    ) as caught:
        run(stream.collect())
    assert "{'at': 1, 'k': ['b']}" in caught.value.__notes__[0]
