"""What of a value is shown in a line or in a picture: no more than tells it apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
from typing import Any, cast
from unicodedata import combining, east_asian_width

from rivulet.core.entries import GONE, Revision
from rivulet.core.text import shortened
from rivulet.core.time import SECOND
from rivulet.windows.window import Window

__all__ = ["brief", "columns", "cut", "fill", "lasting"]

LONGEST = 60
_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def brief(item: Any, t: int | None = None) -> str:
    """An item in a few words: without its time, which is shown beside it."""
    return cut(_text(item, t), LONGEST)


def _text(item: Any, t: int | None) -> str:
    if isinstance(item, str):
        return " ".join(item.split()) or "''"
    if item is None:
        return "none"
    if isinstance(item, float):
        return f"{item:.4g}"
    if isinstance(item, Window):
        window = cast("Window[Any, Any]", item)
        key = "" if window.key is None else f"{_text(window.key, None)}: "
        return f"{key}{_text(window.value, None)}"
    if isinstance(item, Revision):
        revision = cast("Revision[Any]", item)
        new = "nothing" if revision.new is GONE else _text(revision.new, t)
        return f"{new} instead of {_text(revision.old, t)}"
    if isinstance(item, datetime | date | timedelta):
        return str(item)
    if isinstance(item, list):
        return ", ".join(_text(part, t) for part in cast("list[Any]", item)) or "[]"
    if isinstance(item, Mapping):
        return _mapped(cast("Mapping[Any, Any]", item), t)
    parts = _parts(item)
    if parts is None:
        return shortened(item, LONGEST)
    return " · ".join(_text(part, t) for part in _telling(parts, t)) or shortened(item, LONGEST)


def _mapped(item: Mapping[Any, Any], t: int | None) -> str:
    """A row with a time is shown by its values, everything else by its names as well."""
    left = _telling(item.values(), t)
    if len(left) < len(item) or (len(left) == 1 and isinstance(left[0], Mapping | tuple | list)):
        return " · ".join(_text(value, t) for value in left)
    return ", ".join(f"{_text(k, None)}={_text(v, None)}" for k, v in item.items()) or "{}"


def _parts(item: Any) -> Iterable[Any] | None:
    if isinstance(item, tuple):
        return cast("Iterable[Any]", item)
    if is_dataclass(item) and not isinstance(item, type):
        return [getattr(item, field.name) for field in fields(item)]
    return None


def _telling(parts: Iterable[Any], t: int | None) -> list[Any]:
    """What tells more than the time at which it was; all of it if nothing does."""
    given = list(parts)
    return [part for part in given if not _is_time(part, t)] or given


def _is_time(value: Any, t: int | None) -> bool:
    if t is None or isinstance(value, bool):
        return False
    if isinstance(value, int | float):
        return abs(value * SECOND - t) < 1
    if isinstance(value, str) and value[:4].isdigit() and len(value) >= len("2013-01-01"):
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return False
        return True
    return isinstance(value, datetime)


def lasting(micros: float) -> str:
    """How long something takes, in its two largest units."""
    seconds = abs(micros) / SECOND
    if seconds == 0:
        return "0 s"
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.4g} s"
    left, parts = round(seconds), list[str]()
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
    return " ".join(part for part in parts[:2] if part)


def columns(text: str) -> int:
    """How many columns a text takes in a font of one width."""
    count = wide = 0
    for c in text:
        if c == "\ufe0f":
            # What is before it is drawn as an emoji.
            count, wide = count + (not wide), 1
        elif not combining(c) and c != "\u200d":
            wide = east_asian_width(c) in "WF"
            count += 1 + wide
    return count


def fill(text: str, width: int, with_: str = " ") -> str:
    """A text, made as wide as that."""
    return text + with_ * (width - columns(text))


def cut(text: str, most: int, width: Callable[[str], int] = columns) -> str:
    """A text of so many columns at most."""
    if width(text) <= most:
        return text
    while width(text) > most - 1:
        text = text[:-1]
    return text.rstrip() + "…"
