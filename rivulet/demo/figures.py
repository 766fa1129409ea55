"""What is counted, and what comes out at the end."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from rivulet.demo.events import Departure

__all__ = ["Delays", "Figures", "Gaps", "as_json"]

LATE = 15
MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class Delays:
    """Delays of some flights in minutes; one that left early counts as less than none."""

    flights: int = 0
    minutes: int = 0
    late: int = 0
    longest: int = 0

    def add(self, departure: Departure) -> Delays:
        """Count one more; it is late from a quarter of an hour, as in official statistics."""
        delay = departure.flight.delay
        self.flights += 1
        self.minutes += delay
        self.late += delay >= LATE
        self.longest = max(self.longest, delay)
        return self

    @property
    def mean(self) -> float:
        """Minutes per flight."""
        return self.minutes / self.flights


@dataclass(slots=True)
class Gaps:
    """Minutes between departures; ``since`` is when the longest gap began."""

    gaps: int = 0
    minutes: int = 0
    same_minute: int = 0
    longest: int = 0
    since: datetime | None = None

    def add(self, pair: tuple[Departure, Departure]) -> Gaps:
        """Count one more."""
        before, after = (departure.flight.time for departure in pair)
        gap = (after - before) // MINUTE
        self.gaps += 1
        self.minutes += gap
        self.same_minute += gap == 0
        if gap > self.longest:
            self.longest, self.since = gap, before
        return self

    @property
    def mean(self) -> float:
        """Minutes per gap."""
        return self.minutes / self.gaps


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that was found; airlines and airports by name, bands of weather by label."""

    flight_rows: int
    weather_rows: int
    departures: Delays
    wind: dict[str, Delays]
    rain: dict[str, Delays]
    visibility: dict[str, Delays]
    airlines: dict[str, Delays]
    cancelled: dict[str, int]
    gaps: dict[str, Gaps]
    rejected: dict[str, int]
    seconds: float

    @property
    def rows(self) -> int:
        """How many rows were read."""
        return self.flight_rows + self.weather_rows

    @property
    def rows_per_second(self) -> float:
        """How fast."""
        return self.rows / self.seconds


def as_json(figures: Figures) -> str:
    """All figures, means included."""
    return json.dumps(figures, default=_plain, indent=2)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Figures):
        table = {field.name: getattr(value, field.name) for field in fields(value)}
        return table | {"rows_per_second": value.rows_per_second}
    return asdict(value) | {"mean": value.mean}
