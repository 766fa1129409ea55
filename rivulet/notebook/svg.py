"""Draw a graph as SVG: columns from the sources on the left to what is asked for on the right."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from unicodedata import east_asian_width

from rivulet.core.node import Node
from rivulet.core.stage import (
    Channel,
    Combine,
    Effect,
    Group,
    Guard,
    Port,
    Produce,
    Stage,
    Stamp,
    Transform,
)
from rivulet.plan.explain import remarks
from rivulet.plan.graph import Plan, plan

__all__ = ["as_image", "draw"]

FONT = 11.5
SMALL = 9.0
ADVANCE = 0.61
"""The width of a character of a monospaced font, for a font size of 1."""
LONGEST = 36
PADDING = 10.0
HEIGHT = 28.0
GAP_X = 34.0
GAP_Y = 18.0
MARGIN = 6.0
WIDEST = 900.0
"""A picture that would be wider goes on below, as text does."""
TRACK = 6.0
"""The distance of arrows side by side that go on below."""

INK = "#212529"
LINE = "#868e96"
SOURCE = ("#d8f0dc", "#5c9a69")
EFFECT = ("#fde5c8", "#c98a3c")
BOUNDARY = ("#d5e6f8", "#5f8fc0")
MARK = ("#efdff2", "#a47bb0")
STEP = ("#f4f4f5", "#a3a8ad")

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ARROW = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
    f'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{LINE}"/></marker></defs>'
)


@dataclass(slots=True, eq=False, kw_only=True)
class _Spot:
    """An operator in the picture; without a label, an arrow on its way past a column."""

    label: str = ""
    caption: str = ""
    title: str = ""
    colours: tuple[str, str] = STEP
    dashed: bool = False
    ups: Sequence[_Spot] = ()
    column: int = 0
    row: int = -1
    band: int = 0
    left: float = 0.0
    end: float = 0.0
    y: float = 0.0

    @property
    def width(self) -> float:
        return _width(self.label, FONT) + 2 * PADDING if self.label else 0.0


_Way = list[_Spot]
"""An arrow: where it begins, the columns that it passes, where it ends."""
_Turns = dict[tuple[_Spot, _Spot], tuple[float, float, float]]
"""Arrows that go on below: down at this x, back at this y, down again at this x."""


def draw(plan: Plan) -> str:
    """The graph as an SVG document."""
    spots: list[_Spot] = []
    made = _collect(plan, spots)
    _set_columns(spots)
    ways = _set_rows([made[target] for target in plan.targets])
    places = list(dict.fromkeys([*spots, *(place for way in ways for place in way)]))
    turns = _set_positions(places, ways)
    width = max([*(place.end for place in places), *(x for x, _, _ in turns.values())]) + MARGIN
    height = max(spot.y for spot in spots) + HEIGHT / 2 + GAP_Y
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-size="{FONT}" '
        f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace">'
    )
    arrows = (_arrow(way, turns) for way in ways)
    boxes = (_box(spot) for spot in spots)
    return "\n".join([head, _ARROW, *arrows, *boxes, "</svg>"])


def _collect(plan: Plan, spots: list[_Spot]) -> dict[Node, _Spot]:
    """The operators, each after what it reads. A graph that one reads by itself is its input."""
    made: dict[Node, _Spot] = {}
    for node in plan.nodes:
        stage = plan.stages[node]
        ups = [made[up] for up in plan.inputs(node)]
        if plan.is_idle(node):
            made[node] = ups[0]
            continue
        nested = stage.nested if isinstance(stage, Produce) else ()
        ups += [_collect(_plan(part), spots)[part] for part in nested]
        notes = remarks(plan, node)
        made[node] = _Spot(
            label=_shortened(_label(node, nested)),
            caption="" if nested or isinstance(stage, _SAID_BY_COLOUR) else "; ".join(notes),
            title="; ".join([node.label, *notes]),
            colours=_colours(stage),
            dashed=bool(nested) or isinstance(stage, Channel | Combine),
            ups=ups,
        )
        spots.append(made[node])
    return made


_plan = plan
_SAID_BY_COLOUR = (Channel, Combine, Transform)


def _label(node: Node, nested: Sequence[Node]) -> str:
    """The operator without what the picture shows as its inputs."""
    if any(part.label in node.label for part in nested):
        return f"{node.name}()"
    return node.label


def _set_columns(spots: Sequence[_Spot]) -> None:
    """Place each as near as can be to what reads it."""
    for spot in reversed(spots):
        for up in spot.ups:
            up.column = min(up.column, spot.column - 1)


def _set_rows(targets: Sequence[_Spot]) -> list[_Way]:
    """Place the first input of each beside it, and every other in a row of its own below."""
    ways: list[_Way] = []
    rows = 0
    for target in targets:
        if target.row >= 0:
            continue
        target.row, rows = rows, rows + 1
        stack = [(target, index) for index in reversed(range(len(target.ups)))]
        while stack:
            spot, index = stack.pop()
            up = spot.ups[index]
            row, rows = (rows, rows + 1) if index else (spot.row, rows)
            passed = [_Spot(column=c, row=row) for c in range(up.column + 1, spot.column)]
            ways.append([up, *passed, spot])
            if up.row < 0:
                up.row = row
                stack.extend((up, i) for i in reversed(range(len(up.ups))))
    return ways


def _set_positions(places: Sequence[_Spot], ways: Sequence[_Way]) -> _Turns:
    """Set the columns out from left to right, in as many bands below each other as it takes."""
    bands = _bands(places)
    pairs = [pair for way in ways for pair in pairwise(way)]
    turns: _Turns = {}
    top = MARGIN
    for number, members in enumerate(bands):
        rows = sorted({place.row for place in members})
        for place in members:
            place.y = top + rows.index(place.row) * (HEIGHT + GAP_Y) + HEIGHT / 2
        top += len(rows) * (HEIGHT + GAP_Y)
        # From the lowest to the highest: so nested, they don't cross.
        going_on = sorted(
            (pair for pair in pairs if pair[0].band == number != pair[1].band),
            key=lambda pair: (pair[0].row, pair[1].row),
            reverse=True,
        )
        for index, (spot, after) in enumerate(going_on):
            outer, inner = index * TRACK, (len(going_on) - 1 - index) * TRACK
            turns[spot, after] = (
                spot.end + GAP_X / 3 + outer,
                top + outer,
                after.left - GAP_X / 2 - inner,
            )
        top += max(len(going_on) - 1, 0) * TRACK + GAP_Y
    return turns


def _bands(places: Sequence[_Spot]) -> list[list[_Spot]]:
    """Give each column its place from left to right, and begin again where it would be too wide."""
    columns: dict[int, list[_Spot]] = {}
    for place in sorted(places, key=lambda place: place.column):
        columns.setdefault(place.column, []).append(place)
    widths = [
        max(max(place.width, _width(place.caption, SMALL)) for place in column)
        for column in columns.values()
    ]
    folds = sum(widths) + (len(widths) - 1) * GAP_X > WIDEST
    start = MARGIN + (GAP_X / 2 + TRACK * max(map(len, columns.values())) if folds else 0.0)
    bands: list[list[_Spot]] = [[]]
    x = start
    for width, column in zip(widths, columns.values(), strict=True):
        if x > start and x + width > WIDEST:
            bands.append([])
            x = start
        for place in column:
            place.left, place.end, place.band = x, x + width, len(bands) - 1
        bands[-1].extend(column)
        x += width + GAP_X
    return bands


def _arrow(way: _Way, turns: _Turns) -> str:
    first, goal = way[0], way[-1]
    path = f"M{first.left + first.width:.1f},{first.y:.1f}"
    for spot, after in pairwise(way):
        x, y = after.left - (after is goal), after.y
        path += f" H{spot.end:.1f}"
        if turn := turns.get((spot, after)):
            path += _turned(*turn, y) + f" H{x:.1f}"
        else:
            middle = (spot.end + x) / 2
            path += f" C{middle:.1f},{spot.y:.1f} {middle:.1f},{y:.1f} {x:.1f},{y:.1f}"
    dashes = ' stroke-dasharray="4 3"' if goal.dashed else ""
    return (
        f'<path d="{path}" fill="none" stroke="{LINE}" stroke-width="1.3"{dashes} '
        f'marker-end="url(#arrow)"/>'
    )


def _turned(right: float, between: float, left: float, y: float) -> str:
    """To the right, down, back to the left and down, round the corners."""
    return (
        f" H{right - 5:.1f} q5,0 5,5 V{between - 5:.1f} q0,5 -5,5"
        f" H{left + 5:.1f} q-5,0 -5,5 V{y - 5:.1f} q0,5 5,5"
    )


def _box(spot: _Spot) -> str:
    fill, stroke = spot.colours
    x, y, middle = spot.left, spot.y - HEIGHT / 2, spot.left + spot.width / 2
    caption = (
        f'<text x="{x + 2:.1f}" y="{y + HEIGHT + SMALL + 1:.1f}" font-size="{SMALL}" '
        f'font-style="italic" fill="{LINE}">{_escaped(spot.caption)}</text>'
        if spot.caption
        else ""
    )
    return (
        f"<g><title>{_escaped(spot.title)}</title>"
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{spot.width:.1f}" height="{HEIGHT:.0f}" '
        f'rx="6" fill="{fill}" stroke="{stroke}"/>'
        f'<text x="{middle:.1f}" y="{spot.y + 4:.1f}" text-anchor="middle" fill="{INK}">'
        f"{_escaped(spot.label)}</text>{caption}</g>"
    )


def _colours(stage: Stage) -> tuple[str, str]:
    match stage:
        case Produce(nested=()):
            return SOURCE
        case Effect():
            return EFFECT
        case Produce() | Channel() | Combine() | Transform():
            return BOUNDARY
        case Stamp() | Guard() | Group() | Port():
            return MARK
        case _:
            return STEP


def _escaped(text: str) -> str:
    return escape(_NOT_IN_XML.sub("\ufffd", text))


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _width(text: str, size: float) -> float:
    columns = sum(2 if east_asian_width(character) in "WF" else 1 for character in text)
    return columns * ADVANCE * size


def as_image(svg: str, *, alt: str) -> str:
    """HTML that shows the picture also where scripts and inline SVG are taken out."""
    data = base64.b64encode(svg.encode()).decode()
    return f'<img src="data:image/svg+xml;base64,{data}" alt="{_escaped(alt)}">'
