"""The picture of a timeline: lanes over event time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, cast

from rivulet.core.text import shortened
from rivulet.notebook.timeline import Clock, Row, moments, ticks
from rivulet.windows.window import Window

__all__ = ["draw_timeline"]

WIDTH = 880.0
LEFT = 150.0
RIGHT = 120.0
TOP = 26.0
ITEM_HEIGHT = 46.0
BAR = 20.0
GAP = 6.0
FONT = "DejaVu Sans Mono, Menlo, Consolas, monospace"
INK, FAINT, GRID = "#212529", "#868e96", "#e9ecef"
ITEM, LATE, MARK = "#3b7dd8", "#d6336c", "#a47bb0"
FINAL, EARLY = ("#d8f0dc", "#5c9a69"), ("#fff3d6", "#c9a43c")

Place = Callable[[int], float]


def draw_timeline(rows: Sequence[Row], lanes: Mapping[str, str], clock: Clock) -> str:
    """The timeline as an SVG document."""
    low, high = moments(rows)
    span = max(high - low, 1)

    def x(moment: int) -> float:
        return LEFT + (moment - low) / span * (WIDTH - LEFT - RIGHT)

    parts: list[str] = []
    y = TOP + 8
    for lane, kind in lanes.items():
        own = [row for row in rows if row.event.lane == lane and row.event.time is not None]
        if not own or kind == "late":
            continue
        if kind == "window":
            y = _windows(parts, lane, own, x, y)
        else:
            late = [r for r in rows if r.kind == "late"] if kind == "item" else []
            y = _items(parts, lane, own, late, x, y)
    grid = _grid(x, clock, low, high, y)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH:.0f}" height="{y + 6:.0f}" '
        f'viewBox="0 0 {WIDTH:.0f} {y + 6:.0f}" font-family="{FONT}" font-size="11">'
        f'<rect width="100%" height="100%" fill="white"/>'
    )
    return "\n".join([head, *grid, *parts, "</svg>"])


def _grid(x: Place, clock: Clock, low: int, high: int, bottom: float) -> list[str]:
    lines: list[str] = []
    for moment in ticks(low, high):
        at = x(moment)
        lines.append(
            f'<line x1="{at:.1f}" y1="{TOP - 6}" x2="{at:.1f}" y2="{bottom:.1f}" stroke="{GRID}"/>'
            + _text(at, TOP - 12, clock(moment), FAINT, size=10, anchor="middle")
        )
    return lines


def _items(
    parts: list[str], lane: str, rows: Sequence[Row], late: Sequence[Row], x: Place, y: float
) -> float:
    """A lane of items, numbered as they came, and below it where the watermark was by then."""
    base = y + 16
    parts.append(_label(lane, base))
    parts.append(_line(LEFT, base, WIDTH - RIGHT, base, GRID))
    is_late = [row.event.item.item for row in late]
    ends: list[float] = []
    for row in rows:
        at = x(row.event.time or 0)
        was_late = any(item is row.event.item for item in is_late)
        colour = LATE if was_late else ITEM
        fill = "white" if was_late else colour
        title = escape(f"#{row.number}: {shortened(row.event.item, 80)}")
        parts.append(
            f'<circle cx="{at:.1f}" cy="{base:.1f}" r="5" fill="{fill}" stroke="{colour}" '
            f'stroke-width="2"><title>{title}</title></circle>'
        )
        if all(abs(at - end) > 18 for end in ends):
            parts.append(_text(at, base - 9, f"#{row.number}", colour, size=9, anchor="middle"))
            ends.append(at)
    y = base + 16
    marks = [(row, row.event.watermark) for row in rows if row.event.watermark is not None]
    shown: list[tuple[Row, int]] = []
    for row, mark in marks:
        if not shown or mark > shown[-1][1]:
            shown.append((row, mark))
    if shown:
        parts.append(_label("watermark", y + 4, MARK))
        last = -100.0
        for row, mark in shown:
            at = max(LEFT, x(mark))
            parts.append(_line(at, y - 6, at, y + 6, MARK, width=2))
            if at - last > 26:
                parts.append(_text(at + 3, y + 4, f"#{row.number}", MARK, size=9))
                last = at
        y += 16
    return y + 8


def _windows(parts: list[str], lane: str, rows: Sequence[Row], x: Place, y: float) -> float:
    """A bar for each window, as few lines as they need, with its result and what closed it."""
    parts.append(_label(lane.partition(")")[0] + ")", y + 14))
    newest: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        window: Window[Any, Any] = row.event.item
        newest[repr(window.key), window._start] = row
    free: list[float] = []
    top = y
    for row in newest.values():
        window = row.event.item
        if window._start is None or window._end is None:
            continue
        begin, end = x(window._start), x(window._end)
        width = max(end - begin - 2, 3)
        text = _bar_text(row)
        wide = 6.1 * len(text)
        inside = wide + 10 <= width
        room = width + 4 if inside else width + wide + 16
        line = next((i for i, until in enumerate(free) if until <= begin), len(free))
        free[line:] = [begin + room, *free[line + 1 :]]
        at = top + line * (BAR + GAP)
        fill, edge = FINAL if window.final else EARLY
        title = escape(f"#{row.number}: {window!r}")
        parts.append(
            f'<g><title>{title}</title><rect x="{begin + 1:.1f}" y="{at:.1f}" '
            f'width="{width:.1f}" height="{BAR}" rx="4" fill="{fill}" stroke="{edge}"/>'
            + _text(begin + 6 if inside else end + 5, at + 14, text, INK, size=10)
            + "</g>"
        )
    return top + max(len(free), 1) * (BAR + GAP) + 8


def _bar_text(row: Row) -> str:
    window: Window[Any, Any] = row.event.item
    key = "" if window.key is None else f"{shortened(window.key, 14)}: "
    by = f" · #{row.cause}" if row.cause else " · end"
    return f"{key}{_value(window.value)}{by}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        named = cast("dict[Any, Any]", value)
        return shortened_text(", ".join(f"{k}={_value(v)}" for k, v in named.items()))
    if isinstance(value, float):
        return f"{value:.4g}"
    return shortened(value, 34)


def shortened_text(text: str, most: int = 40) -> str:
    """A text, cut where it is long."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _label(text: str, y: float, colour: str = INK) -> str:
    return _text(LEFT - 12, y, shortened_text(text, 22), colour, size=10, anchor="end", title=text)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, *, width: float = 1) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width}"/>'
    )


def _text(
    x: float,
    y: float,
    text: str,
    colour: str,
    *,
    size: float,
    anchor: str = "start",
    title: str = "",
) -> str:
    hint = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}" '
        f'text-anchor="{anchor}">{escape(text)}{hint}</text>'
    )
