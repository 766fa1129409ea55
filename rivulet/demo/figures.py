"""What is computed of departures, and everything that comes out at the end."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, cast

from rivulet import Window
from rivulet.aggregators import Count, First, Last, Max, Mean, Sum
from rivulet.demo.events import Gap

__all__ = ["DAY", "DAYS", "DELAYS", "GAPS", "Figures", "Found", "as_json"]

Found = dict[str, Any]
"""What aggregators found, by their names."""

DELAYS = {
    "flights": Count(),
    "mean": Mean("delay"),
    "late": Sum("late"),
    "longest": Max("delay"),
}
"""Of some departures, in a group or in a window."""

GAPS = {
    "gaps": Count(),
    "mean": Mean("minutes"),
    "same_minute": Sum(lambda gap: gap.minutes == 0),
    "longest": Max(),
}
"""Of the gaps between departures."""

DAY = {
    "flights": Count(),
    "first": First("delay"),
    "last": Last("delay"),
}
"""Of the departures of a plane in a day."""

DAYS = {
    "days": Count(),
    "first": Mean("first"),
    "last": Mean("last"),
}
"""Of such days of all planes."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that was found; airlines and airports by name, bands of weather by label.

    Attributes:
        days: of planes, by how often they left in a day.
        busiest_hour: of each airport.
        busiest_60_minutes: the same, beginning at any quarter of an hour.
        seconds: how long it took.
    """

    flight_rows: int
    weather_rows: int
    departures: Found
    wind: dict[str, Found]
    rain: dict[str, Found]
    visibility: dict[str, Found]
    airlines: dict[str, Found]
    days: dict[int, Found]
    busiest_hour: dict[str, Window[str, Found]]
    busiest_60_minutes: dict[str, Window[str, Found]]
    gaps: dict[str, Found]
    cancelled: dict[str, int]
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
    """All figures."""
    return json.dumps(figures, default=_plain, indent=2)


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case Gap():
            return asdict(value)
        case Window():
            window = cast("Window[str, Found]", value)
            return {"start": window.start, "end": window.end, **window.value}
        case _:
            table = {field.name: getattr(value, field.name) for field in fields(value)}
            return table | {"rows_per_second": value.rows_per_second}
