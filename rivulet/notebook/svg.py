"""Draw a graph as SVG: columns from the sources on the left to what is asked for on the right."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from rivulet.core.node import Node
from rivulet.core.stage import (
    Channel,
    Combine,
    Effect,
    Guard,
    Port,
    Produce,
    Stage,
    Stamp,
    Transform,
)
from rivulet.plan.explain import remarks
from rivulet.plan.graph import Plan

__all__ = ["as_image", "draw"]

CHARACTER = 7.0
HEIGHT = 30.0
GAP_X = 34.0
GAP_Y = 14.0
MARGIN = 12.0
LONGEST = 36

SOURCE = "#d9ead3"
EFFECT = "#fce5cd"
BOUNDARY = "#cfe2f3"
MARK = "#ead1dc"
STEP = "#f3f3f3"

_ARROW = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
    'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#777"/></marker></defs>'
)


@dataclass(frozen=True, slots=True)
class _Box:
    node: Node
    text: str
    x: float
    y: float
    width: float


def draw(plan: Plan) -> str:
    """The graph as an SVG document."""
    boxes = _layout(plan)
    width = max(box.x + box.width for box in boxes.values()) + MARGIN
    height = max(box.y + HEIGHT for box in boxes.values()) + MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="DejaVu Sans Mono, Menlo, monospace" '
        f'font-size="11.5">'
    )
    parts = [
        head,
        _ARROW,
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        *_edges(plan, boxes),
        *(_box(plan, box) for box in boxes.values()),
        "</svg>",
    ]
    return "\n".join(parts)


def _layout(plan: Plan) -> dict[Node, _Box]:
    columns: dict[Node, int] = {}
    for node in _inputs_first(plan):
        columns[node] = max((columns[up] + 1 for up in node.inputs()), default=0)
    rows = _rows(plan)
    widths: dict[int, float] = {}
    texts = {node: _shortened(node.label) for node in columns}
    for node, column in columns.items():
        widths[column] = max(widths.get(column, 0.0), len(texts[node]) * CHARACTER + 20)
    left: dict[int, float] = {}
    x = MARGIN
    for column in sorted(widths):
        left[column] = x
        x += widths[column] + GAP_X
    return {
        node: _Box(
            node,
            texts[node],
            left[columns[node]],
            MARGIN + rows[node] * (HEIGHT + GAP_Y),
            len(texts[node]) * CHARACTER + 20,
        )
        for node in columns
    }


def _inputs_first(plan: Plan) -> Sequence[Node]:
    done: dict[Node, None] = {}
    todo = list(plan.nodes)
    while todo:
        ready = [node for node in todo if all(up in done for up in node.inputs())]
        done.update(dict.fromkeys(ready))
        todo = [node for node in todo if node not in done]
    return list(done)


def _rows(plan: Plan) -> dict[Node, int]:
    """A row for each branch: the first child goes on in the row of its parent."""
    rows: dict[Node, int] = {}
    taken = 0
    stack = [node for node in reversed(plan.nodes) if not node.inputs()]
    while stack:
        node = stack.pop()
        if node in rows:
            continue
        up = next((up for up in node.inputs() if up in rows), None)
        children = [n for n in plan.nodes if up is not None and up in n.inputs()]
        if up is not None and children and children[0] is node:
            rows[node] = rows[up]
        else:
            rows[node] = taken
            taken += 1
        stack.extend(n for n in reversed(plan.nodes) if node in n.inputs())
    return rows


def _edges(plan: Plan, boxes: dict[Node, _Box]) -> Iterator[str]:
    for node in plan.nodes:
        for up in node.inputs():
            start, end = boxes[up], boxes[node]
            x1, y1 = start.x + start.width, start.y + HEIGHT / 2
            x2, y2 = end.x - 1, end.y + HEIGHT / 2
            bend = max(12.0, (x2 - x1) / 2)
            dashes = ' stroke-dasharray="4 3"' if _is_boundary(plan.stages[node]) else ""
            yield (
                f'<path d="M{x1:.1f},{y1:.1f} C{x1 + bend:.1f},{y1:.1f} {x2 - bend:.1f},{y2:.1f} '
                f'{x2:.1f},{y2:.1f}" fill="none" stroke="#777" stroke-width="1.3"{dashes} '
                f'marker-end="url(#arrow)"/>'
            )


def _is_boundary(stage: Stage) -> bool:
    return isinstance(stage, Channel | Combine)


def _box(plan: Plan, box: _Box) -> str:
    colour = _colour(plan.stages[box.node])
    title = escape("; ".join([box.node.label, *remarks(plan, box.node)]))
    return (
        f"<g><title>{title}</title>"
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{HEIGHT:.0f}" '
        f'rx="6" fill="{colour}" stroke="#999"/>'
        f'<text x="{box.x + box.width / 2:.1f}" y="{box.y + HEIGHT / 2 + 4:.1f}" '
        f'text-anchor="middle" fill="#222">{escape(box.text)}</text></g>'
    )


def _colour(stage: Stage) -> str:
    match stage:
        case Produce():
            return SOURCE
        case Effect():
            return EFFECT
        case Channel() | Combine() | Transform():
            return BOUNDARY
        case Stamp() | Guard() | Port():
            return MARK
        case _:
            return STEP


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def as_image(svg: str, *, alt: str) -> str:
    """HTML that shows the picture also where scripts and inline SVG are taken out."""
    data = base64.b64encode(svg.encode()).decode()
    return f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(alt, quote=True)}">'
