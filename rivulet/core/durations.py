"""Durations: seconds, ``timedelta`` or text such as ``"1m30s"``."""

from __future__ import annotations

import math
import re
from datetime import timedelta

from rivulet.errors import GraphError

__all__ = ["Duration", "seconds"]


Duration = float | timedelta | str

_UNITS = {
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}
_PART = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(us|ms|s|m|h|d|w)")


def seconds(value: Duration, name: str, *, zero: bool = False) -> float:
    """Turn a duration into seconds; ``name`` is the argument that errors speak of.

    Raises:
        GraphError: it can't be read, is negative, infinite, or zero where ``zero`` is false.
    """
    match value:
        case bool():
            raise _unreadable(name, value)
        case int() | float():
            result = float(value)
        case timedelta():
            result = value.total_seconds()
        case str():
            result = _parse(value, name)
        case _:
            raise _unreadable(name, value)
    if math.isnan(result) or math.isinf(result):
        raise GraphError(f"{name} must be a finite duration, not {value!r}")
    if result < 0 or (result == 0 and not zero):
        wanted = "zero or more" if zero else "more than zero"
        raise GraphError(f"{name} must be {wanted}, not {value!r}")
    return result


def _parse(text: str, name: str) -> float:
    compact = text.replace(" ", "")
    parts = _PART.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise _unreadable(name, text)
    return math.fsum(float(number) * _UNITS[unit] for number, unit in parts)


def _unreadable(name: str, value: object) -> GraphError:
    return GraphError(
        f"{name} must be a duration, not {value!r}: give seconds (1.5), a timedelta, "
        f'or text such as "500ms", "10s", "1m30s", "2h" (units: {", ".join(_UNITS)})'
    )
