"""Windows by the calendar where clocks change, against arithmetic with ``zoneinfo``."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import Stream
from rivulet.aggregators import Count, Max, Min
from tests.examples import examples
from tests.windows.oracle import run

HOUR = timedelta(hours=1)
CHANGES = {
    "Europe/Amsterdam": (date(2013, 3, 31), date(2013, 10, 27)),
    "America/New_York": (date(2013, 3, 10), date(2013, 11, 3)),
}
"""The days of 2013 that have 23 hours and 25."""
ODD = {
    "America/Sao_Paulo": date(2013, 10, 20),  # no midnight
    "America/Havana": date(2013, 11, 3),  # two of them
    "Australia/Lord_Howe": date(2013, 10, 6),  # half an hour less
    "Pacific/Apia": date(2011, 12, 29),  # the day after is missing
}


def midnight(day, tz):
    """When a day begins; zones are left for arithmetic, as within one it ignores changes."""
    return datetime(day.year, day.month, day.day, tzinfo=tz).astimezone(UTC)


def day_of(day):
    return day, day + timedelta(days=1)


def week_of(day):
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(days=7)


def month_of(day):
    first = day.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1)


UNITS = {"day": day_of, "week": week_of, "month": month_of}


def bounds(moment, unit, tz):
    """The window of a moment."""
    first, after = UNITS[unit](moment.astimezone(tz).date())
    return midnight(first, tz), midnight(after, tz)


def windows(moments, unit, zone, **options):
    stamped = Stream(moments).event_time(lambda at: at, **options)
    return stamped.window(calendar=unit, tz=zone)


def in_utc(window):
    return window.start.astimezone(UTC), window.end.astimezone(UTC)


@pytest.mark.parametrize("zone", CHANGES)
@pytest.mark.parametrize("unit", UNITS)
def test_each_quarter_of_an_hour_of_the_year_is_in_its_window(zone, unit):
    tz = ZoneInfo(zone)
    moments = [datetime(2013, 1, 1, tzinfo=UTC) + HOUR / 4 * n for n in range(365 * 96)]
    expected = {}
    for moment in moments:
        expected[bounds(moment, unit, tz)] = expected.get(bounds(moment, unit, tz), 0) + 1
    found = run(windows(moments, unit, zone).count())
    assert [in_utc(window) for window in found] == list(expected)
    assert [window.value for window in found] == list(expected.values())
    assert all(window.start.tzinfo is window.end.tzinfo is tz for window in found)


@pytest.mark.parametrize("zone", CHANGES)
def test_the_days_of_the_changes_have_23_and_25_hours_and_all_others_24(zone):
    hours = [datetime(2013, 1, 2, tzinfo=UTC) + HOUR * n for n in range(363 * 24)]
    found = run(windows(hours, "day", zone).count())
    other = {w.start.date(): w.value for w in found[1:-1] if w.value != 24}
    assert other == dict(zip(CHANGES[zone], (23, 25), strict=True))
    lengths = [end - start for start, end in map(in_utc, found)]
    assert sorted(lengths) == [23 * HOUR, *[24 * HOUR] * (len(found) - 2), 25 * HOUR]


@pytest.mark.parametrize("zone", CHANGES)
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("change", [0, 1])
def test_the_last_microsecond_is_inside_and_the_end_is_in_the_next(zone, unit, change):
    tz = ZoneInfo(zone)
    start, end = bounds(midnight(CHANGES[zone][change], tz), unit, tz)
    last = end - timedelta(microseconds=1)
    found = run(windows([start, last, end], unit, zone).agg(n=Count(), first=Min(), last=Max()))
    assert [in_utc(window) for window in found] == [(start, end), bounds(end, unit, tz)]
    assert [list(window.value.values()) for window in found] == [[2, start, last], [1, end, end]]


@pytest.mark.parametrize("zone", CHANGES)
@pytest.mark.parametrize("change", [0, 1])
async def test_a_day_closes_at_midnight_on_the_clock_of_its_zone(zone, change):
    day, tz = CHANGES[zone][change], ZoneInfo(zone)
    start, end = midnight(day, tz), midnight(day + timedelta(days=1), tz)
    seen, closed = [], []

    def moments():
        for moment in (start, end - timedelta(microseconds=1), end):
            yield moment
            closed.append(len(seen))

    await windows(moments, "day", zone).count().to(seen).run()
    assert closed == [0, 0, 1]
    assert in_utc(seen[0]) == (start, end)


NEAR = st.sampled_from(
    [(zone, day) for zone, days in CHANGES.items() for day in days] + list(ODD.items())
)
SECONDS = st.lists(st.integers(-40 * 3600, 64 * 3600), max_size=12)


@examples(200)
@given(NEAR, SECONDS, st.sampled_from(list(UNITS)))
def test_the_order_of_arrival_changes_nothing(near, seconds, unit):
    """In zones without midnight, with two, or in which a day is missing, too."""
    zone, day = near
    tz = ZoneInfo(zone)
    moments = [midnight(day, tz) + timedelta(seconds=number) for number in seconds]
    expected = {}
    for moment in moments:
        expected.setdefault(bounds(moment, unit, tz), []).append(moment)
    found = run(windows(moments, unit, zone, max_delay="5d").collect())
    assert {in_utc(window): window.value for window in found} == {
        window: sorted(inside) for window, inside in expected.items()
    }
    assert len(found) == len(expected)


@examples(200)
@given(NEAR, SECONDS)
def test_hours_are_those_that_the_clock_shows(near, seconds):
    """The repeated hour is two windows; each moment is in one, whatever came before it."""
    zone, day = near
    tz = ZoneInfo(zone)
    moments = [midnight(day, tz) + timedelta(seconds=number) for number in seconds]
    shown = {}
    for moment in moments:
        local = moment.astimezone(tz)
        shown.setdefault((local.date(), local.hour, local.utcoffset()), []).append(moment)
    found = run(windows(moments, "hour", zone, max_delay="5d").collect())
    assert sorted(window.value for window in found) == sorted(map(sorted, shown.values()))
    spans = sorted(map(in_utc, found))
    assert all(end <= start for (_, end), (start, _) in zip(spans, spans[1:], strict=False))
    assert all(a <= min(w.value) <= max(w.value) < b for w in found for a, b in [in_utc(w)])


@pytest.mark.parametrize(
    ("zone", "first", "lengths"),
    [
        ("Europe/Amsterdam", datetime(2013, 1, 1, tzinfo=UTC), {HOUR}),
        ("Australia/Lord_Howe", datetime(2013, 1, 1, tzinfo=UTC), {HOUR, HOUR / 2}),
        ("Asia/Kathmandu", datetime(1985, 12, 31, tzinfo=UTC), {HOUR, HOUR * 3 / 4}),
    ],
)
def test_an_hour_is_cut_short_where_clocks_change_by_less_than_one(zone, first, lengths):
    tz = ZoneInfo(zone)
    moments = [first + HOUR / 12 * n for n in range(365 * 24 * 12)]
    shown = {}
    for moment in moments:
        local = moment.astimezone(tz)
        shown.setdefault((local.date(), local.hour, local.utcoffset()), []).append(moment)
    for order, delay in ((moments, 0), (moments[::-1], "366d")):
        found = run(windows(order, "hour", zone, max_delay=delay).collect())
        assert [window.value for window in found] == list(shown.values())
        spans = list(map(in_utc, found))
        assert all(end == start for (_, end), (start, _) in zip(spans, spans[1:], strict=False))
        assert {end - start for start, end in spans} == lengths


@pytest.mark.parametrize("zone", CHANGES)
def test_times_without_a_zone_are_read_on_the_clock_of_theirs(zone):
    """In the hour that comes twice, ``fold`` tells which is meant."""
    _, day = CHANGES[zone]
    tz = ZoneInfo(zone)
    moments = [midnight(day, tz) + HOUR / 2 * n for n in range(50)]
    naive = [moment.astimezone(tz).replace(tzinfo=None) for moment in moments]
    found = run(windows(naive, "day", zone, tz=zone).count())
    assert [window.value for window in found] == [50]
    hours = run(windows(naive, "hour", zone, tz=zone).count())
    assert [window.value for window in hours] == [2] * 25


@pytest.mark.parametrize("zone", CHANGES)
def test_windows_of_24_hours_are_no_days(zone):
    """They go on from the epoch or ``origin``; only the calendar knows of changes."""
    tz = ZoneInfo(zone)
    short, _ = CHANGES[zone]
    origin = midnight(short - timedelta(days=1), tz)
    moments = [origin + HOUR * n for n in range(71)]
    stamped = Stream(moments).event_time(lambda at: at)
    found = run(stamped.window(tumbling="24h", origin=origin, tz=zone).count())
    assert [(w.start.hour, w.value) for w in found] == [(0, 24), (0, 24), (1, 23)]
    days = run(windows(moments, "day", zone).count())
    assert [(w.start.hour, w.value) for w in days] == [(0, 24), (0, 23), (0, 24)]
