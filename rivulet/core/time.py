"""Event time: stamps are whole microseconds since the epoch, and a clock says how far it is."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol

from rivulet.errors import GraphError, SourceError

__all__ = ["FOREVER", "NEVER", "SECOND", "Clock", "Watermark", "micros", "stamper", "zone"]

SECOND = 1_000_000
NEVER = -(2**63)
FOREVER = 2**63

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST, _LAST = -62_135_596_800, 253_402_300_800
"""POSIX seconds of the first day of year 1, and of the day after the last one of year 9999."""


class Watermark(Protocol):
    """What a stage may know of its clock."""

    @property
    def watermark(self) -> int:
        """No item with a smaller stamp is expected any more."""
        ...

    def call_at(self, watermark: int) -> None:
        """Have ``on_time`` called once the watermark is that far."""
        ...


class Clock:
    """How far event time is at one place of the graph.

    ``top`` is the largest stamp seen (or the watermark received), ``delay`` what items may be late
    by, ``due`` the top at which some stage has to be told. The generated loop reads and sets them.
    """

    __slots__ = ("delay", "due", "floor", "idle", "top")

    def __init__(self, delay: int = 0) -> None:
        self.delay = delay
        self.top = NEVER
        self.due = FOREVER
        self.floor = NEVER
        self.idle = False

    @property
    def watermark(self) -> int:
        """No item with a smaller stamp is expected any more."""
        return max(self.top - self.delay, self.floor) if self.top != NEVER else self.floor

    def call_at(self, watermark: int) -> None:
        """Have ``on_time`` called once the watermark is that far."""
        due = watermark if watermark in (NEVER, FOREVER) else watermark + self.delay
        self.due = min(self.due, due)

    def __repr__(self) -> str:
        return f"Clock(watermark={self.watermark}, delay={self.delay})"


def zone(tz: str | tzinfo) -> tzinfo:
    """A time zone from its name.

    Raises:
        GraphError: there is no such zone.
    """
    if isinstance(tz, tzinfo):
        return tz
    if tz == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        raise GraphError(
            f'tz must be a time zone such as "UTC" or "Europe/Amsterdam", not {tz!r}'
        ) from None


def stamper(tz: tzinfo) -> Callable[[object], int]:
    """``micros`` for the items of one stream: of its datetimes all have a zone, or none has one.

    A stream with both has taken some from where zones were lost, and they are mostly not in ``tz``.
    """
    zoned: bool | None = None

    def stamp(value: object) -> int:
        nonlocal zoned
        if isinstance(value, datetime):
            has_zone = value.tzinfo is not None
            if zoned is None:
                zoned = has_zone
            elif zoned is not has_zone:
                has, had = ("a", "none") if has_zone else ("no", "one")
                raise SourceError(
                    f"an event time with {has} time zone came after others that had {had}, "
                    f"{value!r}: give each its zone, as in value.replace(tzinfo=UTC)"
                )
        return micros(value, tz)

    return stamp


def micros(value: object, tz: tzinfo = UTC) -> int:
    """The stamp of a point in time: a ``datetime`` (naive ones read in ``tz``) or POSIX seconds.

    Raises:
        SourceError: it is neither, or not between the years 1 and 9999.
    """
    if type(value) is float or type(value) is int:
        return _of_seconds(value)
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=tz)
        return (aware - _EPOCH) // _MICROSECOND
    if not isinstance(value, bool) and isinstance(value, numbers.Real):
        return _of_seconds(float(value))
    raise _no_time(value)


def _of_seconds(value: float) -> int:
    if _FIRST <= value < _LAST:
        return round(value * SECOND)
    if isinstance(value, float) and not math.isfinite(value):
        raise _no_time(value)
    raise SourceError(
        f"an event time in POSIX seconds must lie between the years 1 and 9999, and {value!r} "
        f"doesn't: if it is in milliseconds, give value / 1000"
    )


def _no_time(value: object) -> SourceError:
    return SourceError(
        f"an event time must be a datetime or POSIX seconds, not {value!r} ({type(value).__name__})"
    )
