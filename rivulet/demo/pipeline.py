"""How late flights leave, by weather, airline, plane and hour, from two streams of events."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter

import rivulet
from rivulet import Stream, Window
from rivulet.demo import data
from rivulet.demo.events import RAIN, VISIBILITY, WIND, Departure, Flight, Gap, Weather
from rivulet.demo.figures import DAY, DAYS, DELAYS, GAPS, Figures, Found

__all__ = ["busiest", "hours", "measure", "planes_days", "sixty_minutes", "with_weather"]

NEW_YORK = "America/New_York"

Windows = Stream[Window[str, Found]]


async def measure(
    watch: Callable[[tuple[int, data.Row]], object] | None = None,
    *,
    source: Callable[[], Iterable[data.Row]] = data.flights,
    max_delay: str = "1d",
) -> Figures:
    """Play a year of flights and weather, and give the figures.

    Args:
        watch: is given the number of flights read so far and the newest, ten times a second.
        source: gives the rows of flights. They come by scheduled day and the time on the clock, so
            that one that left after midnight comes before all others of its day.
        max_delay: by how much a flight may come later than one that left after it.
    """
    begun = perf_counter()
    names = data.airlines()

    flight_rows = Stream(source)
    weather_rows = Stream(data.weather)

    # A row that can't be read goes to .errors, and the stream goes on.
    flights = flight_rows.map(Flight.read).on_error("skip", types=ValueError)
    weather = weather_rows.map(Weather.read).on_error("skip", types=ValueError)
    failures = flights.errors.merge(weather.errors)

    departures = with_weather(
        flights.event_time("time", max_delay=max_delay), weather.event_time("time")
    )
    gaps = departures.reorder().group_by("airport").pairwise().map(Gap.between)

    flight_count: list[int] = []
    weather_count: list[int] = []
    overall: dict[str, Found] = {}
    by_wind: dict[str, Found] = {}
    by_rain: dict[str, Found] = {}
    by_visibility: dict[str, Found] = {}
    by_carrier: dict[str, Found] = {}
    by_departures: dict[int, Found] = {}
    busiest_hour: dict[str, Window[str, Found]] = {}
    busiest_60_minutes: dict[str, Window[str, Found]] = {}
    by_airport: dict[str, Found] = {}
    cancelled: dict[str, int] = {}
    rejected: dict[str, int] = {}

    outputs: list[Stream[object]] = [
        flight_rows.count().to(flight_count),
        weather_rows.count().to(weather_count),
        departures.group_by(lambda _: "all").agg(**DELAYS).items().to(overall),
        departures.group_by(WIND.label).agg(**DELAYS).items().to(by_wind),
        departures.group_by(RAIN.label).agg(**DELAYS).items().to(by_rain),
        departures.group_by(VISIBILITY.label).agg(**DELAYS).items().to(by_visibility),
        departures.group_by("carrier").agg(**DELAYS).items().to(by_carrier),
        planes_days(departures).group_by("flights").agg(**DAYS).items().to(by_departures),
        busiest(hours(departures)).to(busiest_hour),
        busiest(sixty_minutes(departures)).to(busiest_60_minutes),
        gaps.agg(**GAPS).items().to(by_airport),
        flights.errors.group_by(lambda bad: bad.item["carrier"]).count().items().to(cancelled),
        failures.group_by(lambda bad: str(bad.error)).count().items().to(rejected),
    ]
    if watch is not None:
        outputs.append(flight_rows.enumerate(1).throttle("100ms").to(watch))
    await rivulet.run(*outputs)

    return Figures(
        flight_rows=flight_count[0],
        weather_rows=weather_count[0],
        departures=overall["all"],
        wind=WIND.table(by_wind),
        rain=RAIN.table(by_rain),
        visibility=VISIBILITY.table(by_visibility),
        airlines={names[code]: found for code, found in by_carrier.items()},
        days=dict(sorted(by_departures.items())),
        busiest_hour=busiest_hour,
        busiest_60_minutes=busiest_60_minutes,
        gaps=by_airport,
        cancelled={names[code]: count for code, count in cancelled.items()},
        rejected=rejected,
        seconds=perf_counter() - begun,
    )


def with_weather(flights: Stream[Flight], weather: Stream[Weather]) -> Stream[Departure]:
    """Give each flight the weather of its own airport, as it was up to two hours before."""
    return flights.join_asof(
        weather, by="origin", tolerance="2h", wait="watermark", select=Departure
    )


def planes_days(departures: Stream[Departure]) -> Stream[Found]:
    """Give what each plane did in a day: it ends when there is no departure for 6 hours."""
    return departures.window(session="6h", by="plane").agg(**DAY).map(lambda day: day.value)


def hours(departures: Stream[Departure]) -> Windows:
    """Give the delays at each airport in each hour."""
    return departures.window(tumbling="1h", by="airport", tz=NEW_YORK).agg(**DELAYS)


def sixty_minutes(departures: Stream[Departure]) -> Windows:
    """Give the delays at each airport in 60 minutes from each quarter of an hour on."""
    windows = departures.window(hopping="60m", every="15m", by="airport", tz=NEW_YORK)
    return windows.agg(**DELAYS)


def busiest(windows: Windows) -> Stream[tuple[str, Window[str, Found]]]:
    """Give, for each airport, the first of the windows in which most flights left."""
    return windows.group_by("key").reduce(_busier).items()


def _busier(a: Window[str, Found], b: Window[str, Found]) -> Window[str, Found]:
    return b if b.value["flights"] > a.value["flights"] else a
