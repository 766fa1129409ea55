"""What happens at the airports: flights leave, and the weather is measured."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from rivulet.demo.data import Row

__all__ = ["RAIN", "VISIBILITY", "WIND", "Bands", "Departure", "Flight", "Gap", "Weather"]

T = TypeVar("T")

LATE = 15
"""From how many minutes on a flight is late."""

MINUTE = timedelta(minutes=1)

HURRICANE = 254
"""The strongest wind that was ever measured, in mph: what is above is an error."""


class Flight(NamedTuple):
    """A flight at the time at which it left, ``delay`` minutes after its schedule."""

    time: datetime
    origin: str
    carrier: str
    tail: str
    delay: int

    @classmethod
    def read(cls, row: Row) -> Flight:
        """The flight of a row.

        Raises:
            ValueError: it never left.
        """
        if row["dep_time"] == "NA":
            raise ValueError("flight without a departure time: cancelled")
        delay = int(row["dep_delay"])
        hour = datetime.fromisoformat(row["time_hour"])
        time = hour + timedelta(minutes=int(row["minute"]) + delay)
        return cls(time, row["origin"], row["carrier"], row["tailnum"], delay)


class Weather(NamedTuple):
    """The weather at an airport: wind in mph, rain in inches an hour, visibility in miles."""

    time: datetime
    origin: str
    wind: float
    rain: float
    visibility: float

    @classmethod
    def read(cls, row: Row) -> Weather:
        """The weather of a row.

        Raises:
            ValueError: its wind is missing or impossible.
        """
        if row["wind_speed"] == "NA":
            raise ValueError("weather without a wind speed")
        wind = float(row["wind_speed"])
        if wind > HURRICANE:
            raise ValueError(f"weather with a wind of {wind:,.0f} mph")
        time = datetime.fromisoformat(row["time_hour"])
        return cls(time, row["origin"], wind, float(row["precip"]), float(row["visib"]))


class Departure(NamedTuple):
    """A flight with the weather at its airport when it left."""

    flight: Flight
    weather: Weather | None

    @property
    def time(self) -> datetime:
        """When it left."""
        return self.flight.time

    @property
    def airport(self) -> str:
        """Where it left."""
        return self.flight.origin

    @property
    def carrier(self) -> str:
        """The code of its airline."""
        return self.flight.carrier

    @property
    def plane(self) -> str:
        """The tail number of the plane."""
        return self.flight.tail

    @property
    def delay(self) -> int:
        """Minutes after its schedule; less than none if it left early."""
        return self.flight.delay

    @property
    def late(self) -> bool:
        """Whether it was late, as official statistics have it."""
        return self.flight.delay >= LATE


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """Minutes without a departure, and when they began."""

    minutes: int
    since: datetime

    @classmethod
    def between(cls, pair: tuple[Departure, Departure]) -> Gap:
        """The gap between a departure and the next."""
        before, after = pair
        return cls((after.time - before.time) // MINUTE, before.time)


@dataclass(frozen=True, slots=True)
class Bands:
    """Bands of a measure of the weather, by their labels; the first is below the first limit."""

    measure: str
    limits: tuple[float, ...]
    labels: tuple[str, ...]
    unknown: str = "not known"

    def label(self, departure: Departure) -> str:
        """The band of the weather in which a flight left; a limit belongs to the band above it."""
        if departure.weather is None:
            return self.unknown
        return self.labels[bisect_right(self.limits, getattr(departure.weather, self.measure))]

    def table(self, rows: Mapping[str, T]) -> dict[str, T]:
        """The rows in the order of the bands."""
        return {label: rows[label] for label in (*self.labels, self.unknown) if label in rows}


WIND = Bands(
    "wind",
    limits=(8, 16, 24),
    labels=("below 8 mph", "8 to 16 mph", "16 to 24 mph", "24 mph or more"),
)
RAIN = Bands(
    "rain",
    limits=(0.01, 0.05, 0.1),
    labels=("none", "below 0.05 in/h", "0.05 to 0.1 in/h", "0.1 in/h or more"),
)
VISIBILITY = Bands(
    "visibility",
    limits=(1, 4, 10),
    labels=("below 1 mile", "1 to 4 miles", "4 to 10 miles", "10 miles"),
)
