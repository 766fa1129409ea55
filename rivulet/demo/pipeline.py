"""How late flights leave, by weather and by airline: two recordings, played as one stream."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable
from datetime import timedelta
from heapq import heappop, heappush
from time import perf_counter

import rivulet
from rivulet import Stream
from rivulet.demo import data
from rivulet.demo.events import RAIN, VISIBILITY, WIND, Departure, Flight, Weather
from rivulet.demo.figures import Delays, Figures, Gaps

__all__ = ["as_of", "in_order", "measure"]

DAY = timedelta(days=1)


async def measure(watch: Callable[[tuple[int, data.Row]], object] | None = None) -> Figures:
    """Play a year of flights and weather, and give the figures.

    Args:
        watch: is given the number of flights read so far and the newest, ten times a second.
    """
    begun = perf_counter()
    names = data.airlines()

    flight_rows = Stream(data.flights)
    weather_rows = Stream(data.weather)

    # A row that can't be read goes to .errors, and the stream goes on.
    flights = flight_rows.map(Flight.read).on_error("skip", types=ValueError)
    weather = weather_rows.map(Weather.read).on_error("skip", types=ValueError)
    failures = flights.errors.merge(weather.errors)

    # All that happened as one stream, in order; of equal times, the weather comes first.
    events = weather.merge_sorted(flights.pipe(in_order), key="time")
    departures = events.stateful_map(as_of, None, by="origin").flatten()

    flight_count: list[int] = []
    weather_count: list[int] = []
    overall: list[Delays] = []
    by_wind: dict[str, Delays] = {}
    by_rain: dict[str, Delays] = {}
    by_visibility: dict[str, Delays] = {}
    by_carrier: dict[str, Delays] = {}
    gaps: dict[str, Gaps] = {}
    cancelled: dict[str, int] = {}
    rejected: dict[str, int] = {}

    outputs: list[Stream[object]] = [
        flight_rows.count().to(flight_count),
        weather_rows.count().to(weather_count),
        departures.fold(Delays.add, Delays()).to(overall),
        departures.group_by(WIND.label).fold(Delays.add, Delays()).items().to(by_wind),
        departures.group_by(RAIN.label).fold(Delays.add, Delays()).items().to(by_rain),
        departures.group_by(VISIBILITY.label).fold(Delays.add, Delays()).items().to(by_visibility),
        departures.group_by("carrier").fold(Delays.add, Delays()).items().to(by_carrier),
        departures.group_by("airport").pairwise().fold(Gaps.add, Gaps()).items().to(gaps),
        flights.errors.group_by(lambda bad: bad.item["carrier"]).count().items().to(cancelled),
        failures.group_by(lambda bad: str(bad.error)).count().items().to(rejected),
    ]
    if watch is not None:
        outputs.append(flight_rows.enumerate(1).throttle("100ms").to(watch))
    await rivulet.run(*outputs)

    return Figures(
        flight_rows=flight_count[0],
        weather_rows=weather_count[0],
        departures=overall[0],
        wind=WIND.table(by_wind),
        rain=RAIN.table(by_rain),
        visibility=VISIBILITY.table(by_visibility),
        airlines={names[code]: delays for code, delays in by_carrier.items()},
        cancelled={names[code]: count for code, count in cancelled.items()},
        gaps=gaps,
        rejected=rejected,
        seconds=perf_counter() - begun,
    )


async def in_order(flights: AsyncIterable[Flight]) -> AsyncIterator[Flight]:
    """Put flights in order of departure.

    They come by scheduled day and the time on the clock, so one that left after midnight comes too
    early, by a day at most. It is enough to hold the flights of a day.
    """
    held: list[Flight] = []
    async for flight in flights:
        heappush(held, flight)
        while held[0].time < flight.time - DAY:
            yield heappop(held)
    while held:
        yield heappop(held)


def as_of(
    latest: Weather | None, event: Weather | Flight
) -> tuple[Weather | None, tuple[Departure, ...]]:
    """Keep the latest weather of an airport, and give it to each flight that leaves there."""
    if isinstance(event, Weather):
        return event, ()
    return latest, (Departure(event, latest),)
