"""The picture of a timeline: to the right goes event time, down goes the order of arrival."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rivulet.notebook.bars import draw_items, draw_windows
from rivulet.notebook.canvas import Canvas
from rivulet.notebook.links import draw_gate, draw_join, sides_of
from rivulet.notebook.recording import Event, Lane

if TYPE_CHECKING:
    from rivulet.notebook.timeline import Clock

__all__ = ["draw_timeline"]


def draw_timeline(
    events: Sequence[Event], lanes: Mapping[str, Lane], clock: Clock, limit: int | None
) -> str:
    """The timeline as an SVG document."""
    canvas = Canvas(events, lanes, clock, limit)
    full = [lane for lane in lanes.values() if canvas.of[lane.name]]
    joins = [lane for lane in lanes.values() if lane.role == "join"]
    of_joins = {name for lane in joins for name in sides_of(canvas, lane)}
    for lane in lanes.values():
        match lane.role:
            case "items" if lane in full and lane.name not in of_joins:
                draw_items(canvas, lane)
            case "join":
                draw_join(canvas, lane)
            case "gate" if lane in full:
                draw_gate(canvas, lane)
            case "windows" if lane in full:
                draw_windows(canvas, lane)
            case _:
                pass
    for lane in full:
        if lane.role == "beats" and lane.name not in canvas.drawn:
            canvas.row_alone(lane, "beat")
    for lane in full:
        if lane.role == "out":
            draw_items(canvas, lane)
    return canvas.document()
