"""``event_time``: what counts as a time, and what is refused. The engine's tests hold the rest."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rivulet
from rivulet import GraphError, SourceError, Stream, testing
from rivulet.testing import Recorder, marbles, stamps

NOON = datetime(2024, 7, 1, 12, tzinfo=UTC)


async def time_of(value, **options):
    [(_, at)] = await stamps(Stream.of(value).event_time(lambda x: x, **options))
    return at


@pytest.mark.parametrize(
    "value",
    [
        NOON,
        NOON.replace(tzinfo=None),
        NOON.astimezone(timezone(timedelta(hours=-7))),
        NOON.astimezone(ZoneInfo("Asia/Tokyo")),
        NOON.timestamp(),
        int(NOON.timestamp()),
        Fraction(int(NOON.timestamp())),
    ],
)
async def test_datetimes_and_seconds_mean_the_same_moment(value):
    assert await time_of(value) == NOON.timestamp()


async def test_a_naive_datetime_is_read_in_its_zone_across_daylight_saving():
    naive = datetime(2024, 7, 1, 12)
    assert await time_of(naive, tz="Europe/Amsterdam") == NOON.timestamp() - 2 * 3600
    winter = await time_of(naive.replace(month=1), tz=ZoneInfo("Europe/Amsterdam"))
    assert winter == datetime(2024, 1, 1, 11, tzinfo=UTC).timestamp()
    assert await time_of(NOON, tz="Europe/Amsterdam") == NOON.timestamp()


@given(st.integers(-(10**15), 10**15))
def test_a_time_is_kept_to_the_microsecond(micros):
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    assert testing.run(time_of(at)) == micros / 1e6
    assert testing.run(time_of(micros / 1e6)) == micros / 1e6


@pytest.mark.parametrize(
    ("item", "ts"),
    [
        ({"at": 5}, "at"),
        (SimpleNamespace(at=5), "at"),
        (("x", 5), 1),
        (3, lambda x: x + 2),
    ],
)
async def test_the_time_is_a_field_an_attribute_or_what_a_function_gives(item, ts):
    assert await stamps(Stream.of(item).event_time(ts)) == [(item, 5.0)]


@pytest.mark.parametrize(
    "value", ["2024-07-01", None, True, float("nan"), float("inf"), NOON.date(), 1 + 2j]
)
async def test_what_is_no_time_raises_and_names_the_item(value):
    with pytest.raises(SourceError, match="must be a datetime or POSIX seconds, not") as caught:
        await stamps(Stream.of({"at": value}).event_time("at"))
    assert "in event_time('at')" in caught.value.__notes__[0]
    assert "on item {'at':" in caught.value.__notes__[0]


async def test_a_policy_below_takes_items_without_a_time():
    stream = Stream.of(1.0, None, 3.0).event_time(lambda x: x).on_error("skip")
    recorder, failed = Recorder(), []
    await rivulet.run(recorder.watch(stream), stream.errors.map(lambda f: f.item).to(failed))
    assert recorder.events == [(1.0, 1.0), (3.0, 3.0)]
    assert failed == [None]
    # Where nothing needs the time, nothing fails.
    assert await stream.collect() == [1.0, None, 3.0]


async def test_the_last_one_counts():
    stream = Stream.of((1, 5)).event_time(0).event_time(1)
    assert await stamps(stream) == [((1, 5), 5.0)]


async def test_items_go_on_at_once_and_unchanged():
    assert await testing.to_marbles(marbles("a-b|").event_time(lambda _: 0)) == "a-b|"


async def test_partitions_may_be_told_by_an_async_function():
    async def part(row):
        await asyncio.sleep(0.1)
        return row[0]

    recorder = Recorder()
    rows = Stream([("x", 9), ("y", 2), ("y", 5)]).event_time(1, partition=part)
    await recorder.watch(rows).run()
    # A clock never goes back.
    assert recorder.watermarks == [9.0]
    assert [at for _, at in recorder.events] == [9.0, 2.0, 5.0]


@pytest.mark.parametrize(
    ("ts", "options", "message"),
    [
        (1.5, {}, r"event_time\(ts\) needs a function, a key or an attribute's name, not 1.5"),
        ("at", {"max_delay": -1}, r"event_time\(max_delay\) must be zero or more, not -1"),
        ("at", {"max_delay": "x"}, r"event_time\(max_delay\) must be a duration, not 'x'"),
        ("at", {"idle": 0}, r"event_time\(idle\) must be more than zero, not 0"),
        ("at", {"on_idle": "stop"}, r"event_time\(on_idle\) must be one of 'exclude', 'advance'"),
        ("at", {"on_idle": "advance"}, r"event_time\(on_idle=\"advance\"\) needs idle="),
        ("at", {"partition": 1.5}, r"event_time\(partition\) needs a function, a key"),
        ("at", {"tz": "Mars/Olympus"}, r"tz must be a time zone .* not 'Mars/Olympus'"),
        ("at", {"tz": 2}, r"tz must be a time zone such as"),
    ],
)
def test_wrong_arguments_are_refused_when_built(ts, options, message):
    with pytest.raises(GraphError, match=message):
        Stream.of(1).event_time(ts, **options)


def test_an_async_function_can_t_tell_the_time():
    async def when(x):
        return x

    with pytest.raises(GraphError, match="must be a plain function: put .map"):
        Stream.of(1).event_time(when)
