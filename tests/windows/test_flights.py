"""The flights of a year in another order: the demo's figures are the same, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import rivulet
from rivulet import Stream, testing
from rivulet.demo import data
from rivulet.demo.events import Flight, Weather
from rivulet.demo.figures import as_json
from rivulet.demo.pipeline import hours, measure, planes_days, sixty_minutes, with_weather
from tests.flights import EXPECTED, nearly, planes_days_of, read, windows

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def tables():
    return read()


@pytest.fixture(scope="module")
def shuffled():
    """All rows, each up to two hours later than it belongs."""
    draw = random.Random(2013)

    def comes(row):
        try:
            time = Flight.read(row).time
        except ValueError:
            time = datetime.fromisoformat(row["time_hour"])
        return time + draw.random() * 2 * HOUR

    return sorted(data.flights(), key=comes)


def flights(rows, max_delay):
    readable = Stream(rows).map(Flight.read).on_error("skip", types=ValueError)
    return readable.event_time("time", max_delay=max_delay)


def departures(rows, max_delay):
    weather = Stream(data.weather).map(Weather.read).on_error("skip", types=ValueError)
    return with_weather(flights(rows, max_delay), weather.event_time("time"))


# Within the delay that was allowed


@pytest.fixture(scope="module")
def figures(shuffled):
    return json.loads(as_json(asyncio.run(measure(source=lambda: shuffled, max_delay="2h"))))


def test_flights_come_up_to_two_hours_late(shuffled):
    times = [Flight.read(row).time for row in shuffled if row["dep_time"] != "NA"]
    latest, delay = times[0], timedelta(0)
    for time in times:
        latest = max(latest, time)
        delay = max(delay, latest - time)
    assert 1.9 * HOUR < delay <= 2 * HOUR
    assert len(times) == 328_521


@pytest.mark.parametrize("name", EXPECTED)
def test_each_figure_of_the_demo_is_what_polars_finds(name, figures, tables):
    assert figures[name] == nearly(EXPECTED[name](tables))


@pytest.fixture(scope="module")
def march(shuffled, tables):
    """The rows of a month in which clocks change, and what polars has of them."""
    rows = [row for row in shuffled if row["month"] == "3"]
    return rows, tables["departed"].filter(month=3)


@pytest.mark.parametrize(("per", "size", "every"), [(hours, 60, 60), (sixty_minutes, 60, 15)])
def test_each_window_is_that_of_polars(per, size, every, march):
    rows, table = march
    found = testing.run(per(departures(rows, "2h")).collect())
    expected = windows(table, size, every).to_dicts()
    assert all(window.end - window.start == size * HOUR / 60 for window in found)
    assert all(window.final and window.revision == 0 for window in found)
    assert {(w.key, w.start.astimezone(UTC)): w.value for w in found} == {
        (row.pop("origin"), row.pop("start")): nearly(row) for row in expected
    }
    assert len(found) == len(expected)


def test_each_day_of_a_plane_is_that_of_polars(march):
    rows, table = march
    sessions = departures(rows, "2h").window(session="6h", by="plane").count().collect()
    expected = planes_days_of(table)
    assert sorted((w.key, w.start, w.end, w.value) for w in testing.run(sessions)) == sorted(
        expected.select(
            "tailnum", "start", pl.col("end") + pl.duration(hours=6), "flights"
        ).iter_rows()
    )
    days = testing.run(planes_days(departures(rows, "2h")).collect())
    names = "flights", "first", "last"
    assert sorted(tuple(day[name] for name in names) for day in days) == sorted(
        expected.select(*names).iter_rows()
    )


# Later than that


def taken(rows, max_delay, size, every):
    """How many flights each window takes, and which none takes, by going through all of them."""
    epoch, counts, late = datetime(1970, 1, 1, tzinfo=UTC), {}, []
    newest = epoch
    for row in rows:
        if row["dep_time"] == "NA":
            continue
        flight = Flight.read(row)
        newest = max(newest, flight.time)
        watermark = newest - max_delay
        start = flight.time - (flight.time - epoch) % every
        starts = [start - n * every for n in range(size // every)]
        open_ = [(flight.origin, start) for start in starts if start + size > watermark]
        for window in open_:
            counts[window] = counts.get(window, 0) + 1
        if not open_:
            late.append((flight, watermark - flight.time))
    return counts, late


async def check_late(kind, size, every, rows):
    """Compare with a loop over all flights; give how many were taken and how many were late."""
    counts, late = taken(rows, HOUR / 2, size, every)
    windowed = flights(rows, "30m").window(**kind, by="origin")
    found, missed = [], []
    run = rivulet.start(windowed.count().to(found), windowed.late.to(missed))
    await run
    assert {(w.key, w.start): w.value for w in found} == counts
    assert len(found) == len(counts)
    assert missed == late
    assert {op.late for op in run.stats().operators} == {0, len(late)}
    return sum(w.value for w in found), len(late)


async def test_flights_that_come_too_late_for_their_hour_are_counted_and_given(shuffled):
    there, late = await check_late({"tumbling": "1h"}, HOUR, HOUR, shuffled)
    assert there + late == 328_521
    assert late > 10_000


async def test_those_that_come_too_late_for_some_windows_are_in_the_others(march):
    rows, table = march
    hopping = {"hopping": "1h", "every": "15m"}
    there, late = await check_late(hopping, HOUR, HOUR / 4, rows)
    assert 2 * table.height < there < 4 * (table.height - late)
    assert late > 1000


async def test_nothing_is_missing_from_sessions_and_what_is_late(march):
    rows, table = march
    windowed = flights(rows, "30m").window(session="20m", by="tail")
    found, missed = [], []
    await rivulet.run(windowed.collect().to(found), windowed.late.to(missed))
    there = [flight for window in found for flight in window.value]
    there += [flight for flight, _ in missed]
    assert len(missed) > 1000
    assert len(there) == table.height
    assert sorted(there) == sorted(Flight.read(row) for row in rows if row["dep_time"] != "NA")


async def test_a_late_flight_is_still_joined_and_none_is_missing(march):
    rows, table = march
    joined = await departures(rows, "30m").collect()
    assert len(joined) == table.height
    assert sorted(pair.flight for pair in joined) == sorted(
        Flight.read(row) for row in rows if row["dep_time"] != "NA"
    )
