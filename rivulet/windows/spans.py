"""Stretches of time that don't depend on items: where the one of a moment begins and ends."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from rivulet.core.time import SECOND, micros

__all__ = ["CALENDAR", "Spans", "calendar", "hopping", "tumbling"]

Spans = Callable[[int], Iterable[tuple[int, int]]]
"""The stretches that a moment is in, the earliest first, each ``[start, end)`` in microseconds."""

CALENDAR: Final = ("hour", "day", "week", "month", "quarter", "year")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = 3600 * SECOND


def tumbling(size: int, origin: int = 0) -> Spans:
    """Stretches of one size, one after the other."""

    def spans(t: int) -> tuple[tuple[int, int]]:
        start = t - (t - origin) % size
        return ((start, start + size),)

    return spans


def hopping(size: int, every: int, origin: int = 0) -> Spans:
    """Stretches of one size, of which another begins every so often."""

    def spans(t: int) -> list[tuple[int, int]]:
        last = t - (t - origin) % every
        first = last - (size - 1 - (t - last)) // every * every
        return [(start, start + size) for start in range(first, last + every, every)]

    return spans


def calendar(unit: str, tz: tzinfo) -> Spans:
    """Hours, days, weeks, months, quarters or years as a calendar in a time zone has them."""
    start = end = 0

    def spans(t: int) -> tuple[tuple[int, int]]:
        nonlocal start, end
        if not start <= t < end:
            if unit == "hour":
                start, end = _hour(t, tz)
            else:
                first = _first(unit, _local(t, tz))
                start, end = micros(first, tz), micros(_next(unit, first), tz)
        return ((start, end),)

    return spans


def _local(t: int, tz: tzinfo) -> datetime:
    return (_EPOCH + timedelta(microseconds=t)).astimezone(tz)


def _offset(t: int, tz: tzinfo) -> int:
    offset = _local(t, tz).utcoffset()
    assert offset is not None
    return offset // timedelta(microseconds=1)


def _hour(t: int, tz: tzinfo) -> tuple[int, int]:
    """The hour that a moment is in; clocks that change by less than an hour cut one short."""
    offset = _offset(t, tz)
    start = t - (t + offset) % _HOUR
    end = start + _HOUR
    if _offset(start, tz) != offset:
        start += bisect(range(start, t), False, key=lambda at: _offset(at, tz) == offset)
    if _offset(end - 1, tz) != offset:
        end = t + bisect(range(t, end), False, key=lambda at: _offset(at, tz) != offset)
    return start, end


def _first(unit: str, local: datetime) -> datetime:
    """The beginning of the unit that a moment is in, without a zone."""
    day = datetime(local.year, local.month, local.day)  # noqa: DTZ001 - read in the zone later
    match unit:
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "year":
            return day.replace(month=1, day=1)
        case _:
            return day


def _next(unit: str, first: datetime) -> datetime:
    """The beginning of the next unit."""
    match unit:
        case "week":
            return first + timedelta(days=7)
        case "month" | "quarter":
            month = first.month - 1 + (1 if unit == "month" else 3)
            return first.replace(year=first.year + month // 12, month=month % 12 + 1)
        case "year":
            return first.replace(year=first.year + 1)
        case _:
            return first + timedelta(days=1)
