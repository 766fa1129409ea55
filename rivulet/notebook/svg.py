"""Draw a graph as SVG: columns from the sources on the left to what is asked for on the right."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
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
"""Width of a character of a monospaced font, for a font size of 1."""
PADDING = 10.0
HEIGHT = 28.0
GAP_X = 34.0
GAP_Y = 18.0
MARGIN = 8.0
WIDEST = 900.0
"""A picture that would be wider goes on below, as text does."""
TRACK = 6.0
"""Distance of two arrows that go to the next line side by side."""
LONGEST = 36

LINE = "#868e96"
INK = "#212529"
SOURCE = ("#d8f0dc", "#5c9a69")
EFFECT = ("#fde5c8", "#c98a3c")
BOUNDARY = ("#d5e6f8", "#5f8fc0")
MARK = ("#efdff2", "#a47bb0")
STEP = ("#f4f4f5", "#a3a8ad")

_ARROW = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
    f'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{LINE}"/></marker></defs>'
)


@dataclass(slots=True, eq=False)
class _Spot:
    """An operator in the picture, or a bend of an arrow that passes its column."""

    label: str = ""
    caption: str = ""
    title: str = ""
    colours: tuple[str, str] = STEP
    dashed: bool = False
    ups: list[_Spot] = field(default_factory=list["_Spot"])
    column: int = 0
    row: int = -1
    left: float = 0.0
    right: float = 0.0
    y: float = 0.0

    @property
    def width(self) -> float:
        return _width(self.label, FONT) + 2 * PADDING if self.label else 0.0

    @property
    def middle(self) -> float:
        return self.y + HEIGHT / 2


def draw(plan: Plan) -> str:
    """The graph as an SVG document."""
    spots: list[_Spot] = []
    target = _operators(plan, spots)[plan.targets[0]]
    _columns(spots)
    edges = _rows(target)
    wide, high = _positions(spots, edges)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide:.0f}" height="{high:.0f}" '
            f'viewBox="0 0 {wide:.0f} {high:.0f}" font-size="{FONT}" '
            f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace">',
            _ARROW,
            *(_arrow(edge) for edge in edges),
            *(_box(spot) for spot in spots),
            "</svg>",
        ]
    )
