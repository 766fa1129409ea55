"""Draw items as they came, the watermark that they brought, and windows as bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from rivulet.notebook.brief import brief, cut, lasting
from rivulet.notebook.canvas import BETWEEN, WIDTH, Canvas, Spot
from rivulet.notebook.recording import Event, Lane
from rivulet.notebook.strokes import ADVANCE, FONT, SMALL, escaped, stroke, width_of, written
from rivulet.windows.window import Window

__all__ = ["BAR", "GAP", "draw_items", "draw_windows"]

TALLEST = 380.0
"""A staircase of many items isn't taller."""
BAR, GAP = 19.0, 5.0
MOST_ROWS = 40
SPACE = 10.5
"""The least height of a label."""

# Items


def draw_items(canvas: Canvas, lane: Lane) -> None:
    """A step for each item, as it came, and the watermark that sweeps over event time."""
    events = canvas.of[lane.name]
    step = min(TALLEST / len(events), 21.0)
    radius = min(max(step * 0.36, 1.5), 6.5)
    size = FONT if step >= 15 else SMALL
    labelled = _labelled(canvas, events, step)
    short = step < SPACE
    top = canvas.y + step / 2
    marked = [e for e in events if e.watermark is not None]
    if marked:
        _sweep(canvas, events, top, step)
    for number, event in enumerate(events):
        spot = canvas.spots[event] = canvas.at(event), top + number * step
        late, end = canvas.late.get(event), spot[0]
        if number in labelled:
            end = _label(canvas, event, spot, radius, size, late, short=short)
        if late is not None:
            _lateness(canvas, event, spot[1], end, step)
        style = "late" if late else "item" if lane.role == "items" else "out"
        canvas.marble(event, spot, radius, style)
    canvas.name(lane, canvas.y + 13, *([("― watermark", "violet")] if marked else []))
    canvas.drawn.add(lane.name)
    if lane.role == "items":
        canvas.legend["order"] = "#1, #2 …: in the order in which it happened"
    canvas.y += max(len(events) * step, 44) + BETWEEN


def _labelled(canvas: Canvas, events: Sequence[Event], step: float) -> set[int]:
    """Which items have room for a label: first those that brought something, then some more."""
    every = range(len(events))
    if step >= SPACE:
        return set(every)
    causes = {event.cause for event in canvas.events if event.kind == "window"}
    apart = math.ceil(SPACE / step)
    taken: set[int] = set()
    for some in ([n for n in every if events[n] in causes], every):
        for number in some:
            if taken.isdisjoint(range(number - apart + 1, number + apart)):
                taken.add(number)
    return taken


def _sweep(canvas: Canvas, events: Sequence[Event], top: float, step: float) -> None:
    """The line of the watermark: to the left of it nothing more is expected."""
    edge, bottom = canvas.left, top + (len(events) - 0.5) * step
    path = area = ""
    for number, event in enumerate(events):
        if event.watermark is None:
            continue
        x, y = canvas.x(event.watermark), top + number * step
        if not path:
            path, area = f"M{x:.1f},{y:.1f}", f"M{edge:.1f},{y:.1f} H{x:.1f}"
        path += f" V{y:.1f} H{x:.1f}"
        area += f" V{y:.1f} H{x:.1f}"
    canvas.add(
        f'<path class="past" d="{area} V{bottom:.1f} H{edge:.1f} z"/>',
        f'<path class="mark" d="{path} V{bottom:.1f}" fill="none" stroke-width="2" '
        f'stroke-linejoin="round"/>',
    )
    canvas.legend["mark"] = "violet: nothing earlier is expected any more"


def _label(
    canvas: Canvas,
    event: Event,
    spot: Spot,
    radius: float,
    size: float,
    late: Event | None,
    *,
    short: bool,
) -> float:
    """What an item is, on the side where there is room; gives where that ends on the right."""
    x, y = spot
    number = f"#{event.number}"
    text = "" if short else brief(event.item, None if event.kind == "out" else event.time)
    by = "" if late is None or short else f"late by {lasting(_micros(late))}"
    room = max(WIDTH - 14 - x - radius, x - radius - 6 - canvas.left)
    left = room - width_of(f"{number}  {by}", size)
    text = cut(text, max(4, round(left / size / ADVANCE)))
    wide = width_of("  ".join(part for part in (number, text, by) if part), size)
    right = x + radius + 5
    fits = right + wide < WIDTH - 6
    at, anchor = (right, "start") if fits else (x - radius - 5, "end")
    canvas.add(
        f'<text class="ink halo" x="{at:.1f}" y="{y + size * 0.36:.1f}" font-size="{size}" '
        f'text-anchor="{anchor}"><tspan class="dim">{number}</tspan> {escaped(text)}'
        + (f'  <tspan class="red">{escaped(by)}</tspan>' if by else "")
        + "</text>"
    )
    return right + wide if fits else x + radius


def _lateness(canvas: Canvas, event: Event, y: float, begin: float, step: float) -> None:
    """How far a late item is behind the watermark."""
    canvas.legend["late"] = "hollow: late, behind the watermark when it came"
    if event.watermark is not None and step > 4:
        mark = canvas.x(event.watermark)
        if mark - begin > 8:
            canvas.add(stroke(begin + 4, y, mark - 2, y, "lateness", dashes="2 3"))


def _micros(late: Event) -> float:
    return late.item.by / timedelta(microseconds=1)


# Windows


def draw_windows(canvas: Canvas, lane: Lane) -> None:
    """A bar for each window, the keys below each other."""
    if all(event.item._start is None for event in canvas.of[lane.name]):
        draw_items(canvas, lane)
        return
    newest: dict[tuple[Any, ...], Event] = {}
    counts: dict[tuple[Any, ...], int] = {}
    for event in canvas.of[lane.name]:
        window: Window[Any, Any] = event.item
        if window._start is not None:
            which = brief(window.key), window._start
            newest[which] = event
            counts[which] = counts.get(which, 0) + 1
    canvas.add(written(14, canvas.y + 8, cut(lane.label, 120), "ink name"))
    canvas.y += 18
    left_out, room = 0, MOST_ROWS
    bands: dict[str | None, list[tuple[Event, int]]] = {}
    for which in sorted(newest, key=lambda which: which[1]):
        event = newest[which]
        key = which[0] if event.item.key is not None and which[0] in canvas.colours else None
        bands.setdefault(key, []).append((event, counts[which]))
    for key in sorted(bands, key=lambda key: key or ""):
        style = "k1" if key is None else f"k{canvas.colours[key]}"
        free: list[float] = []
        for event, count in bands[key]:
            row = _row(canvas, event, count, free, room)
            if row is None:
                left_out += 1
            else:
                _bar(canvas, event, count, canvas.y + row * (BAR + GAP), style)
        if key is not None and free:
            _band(canvas, key, style)
        canvas.y += len(free) * (BAR + GAP) + (3 if key is not None else 0)
        room -= len(free)
    if left_out:
        canvas.add(written(canvas.left + 10, canvas.y + 8, f"and {left_out} more", "dim"))
        canvas.y += 16
    canvas.legend["closed"] = "beside a result: the item that brought it"
    canvas.y += BETWEEN - 6


def _band(canvas: Canvas, key: str, style: str) -> None:
    """The name of a key."""
    canvas.add(
        f'<rect class="{style}" x="{canvas.left - 16:.1f}" y="{canvas.y + 5:.1f}" width="9" '
        f'height="9" rx="2"/>'
    )
    shown = cut(key, round((canvas.left - 44) / FONT / ADVANCE))
    canvas.add(written(canvas.left - 21, canvas.y + 14, shown, "ink", anchor="end"))


def _texts(canvas: Canvas, event: Event, count: int) -> tuple[str, str]:
    """What came of a window, and what brought it."""
    window: Window[Any, Any] = event.item
    key = "" if window.key is None else brief(window.key)
    text = "taken back" if window.value is None else brief(window.value)
    if key and key not in canvas.colours:
        text = f"{key}: {text}"
    by = f"#{event.cause.number}" if event.cause else event.why or "end"
    return cut(text, 64), f"{by}, {count} results" if count > 1 else by


def _layout(canvas: Canvas, event: Event, count: int) -> tuple[float, float, float, str]:
    """Where a bar begins and ends, and where its text is: in it, behind it or before it."""
    window: Window[Any, Any] = event.item
    assert window._start is not None
    assert window._end is not None
    begin, end = canvas.x(window._start) + 1, canvas.x(window._end) - 1
    end = max(end, begin + 3)
    text, by = _texts(canvas, event, count)
    wide = width_of(text, FONT - 0.5) + width_of(f"  {by}", SMALL)
    if wide + 14 <= end - begin:
        return begin, end, wide, "in"
    return begin, end, wide, "behind" if end + 6 + wide < WIDTH - 6 else "before"


def _row(canvas: Canvas, event: Event, count: int, free: list[float], most: int) -> int | None:
    """The first row in which a window has room; takes it up, if there aren't too many."""
    begin, end, wide, where = _layout(canvas, event, count)
    low = begin - 8 - wide if where == "before" else begin
    row = next((i for i, until in enumerate(free) if until + 1.5 <= low), len(free))
    if row >= most:
        return None
    free[row:] = [end + 6 + wide if where == "behind" else end, *free[row + 1 :]]
    return row


def _bar(canvas: Canvas, event: Event, count: int, y: float, style: str) -> None:
    begin, end, _, where = _layout(canvas, event, count)
    text, by = _texts(canvas, event, count)
    window: Window[Any, Any] = event.item
    state = " gone" if window.value is None else "" if window.final else " open"
    at = {"in": begin + 7, "behind": end + 6, "before": begin - 6}[where]
    anchor = "end" if where == "before" else "start"
    canvas.spots[event] = end, y + BAR / 2
    canvas.add(
        f"<g><title>{escaped(f'#{event.number}: {window!r}')}</title>"
        f'<rect class="{style}{state}" x="{begin:.1f}" y="{y:.1f}" width="{end - begin:.1f}" '
        f'height="{BAR}" rx="4.5" stroke-width="1.2"/>'
        f'<text class="ink{"" if where == "in" else " halo"}" x="{at:.1f}" y="{y + 13.2:.1f}" '
        f'font-size="{FONT - 0.5}" text-anchor="{anchor}">{escaped(text)}'
        f'<tspan class="dim" font-size="{SMALL}">  {escaped(by)}</tspan></text></g>'
    )
