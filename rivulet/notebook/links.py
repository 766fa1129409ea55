"""Draw what belongs together: the matches of joins, and what gates wait for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rivulet.core.time import SECOND
from rivulet.notebook.bars import BAR, GAP
from rivulet.notebook.brief import brief, lasting
from rivulet.notebook.canvas import BETWEEN, WIDTH, Boxes, Canvas, Spot
from rivulet.notebook.recording import Event, Lane
from rivulet.notebook.strokes import SMALL, stroke, width_of, written

__all__ = ["draw_gate", "draw_join", "sides_of"]

APART = 96.0
"""How far the sides of a join are from each other."""
MOST_AGES, CLOSE, FEW = 24, 24.0, 3
"""With more matches, or more so close to each other, arrows tell no ages: they couldn't be read."""

# Joins


def sides_of(canvas: Canvas, join: Lane) -> list[str]:
    """The lanes of the items that a join gave together, the left one first."""
    given = canvas.of[join.name]
    lefts = [event.left.lane for event in given if event.left is not None]
    rights = [event.right.lane for event in given if event.right is not None]
    names = dict.fromkeys([*join.inputs[:1], *lefts, *join.inputs[1:], *rights])
    return [name for name in names if canvas.lanes[name].role == "items" and canvas.of[name]]


def draw_join(canvas: Canvas, join: Lane) -> None:
    """Its sides, and an arrow for each match from the left item to the right one."""
    given = canvas.of[join.name]
    matched = {event.left for event in given if event.kind != "alone"}
    kept = _kept(given)
    lefts = {event.left for event in given}
    place = canvas.place
    for name in sides_of(canvas, join):
        lane, events = canvas.lanes[name], canvas.of[name]
        if name in canvas.drawn:
            continue
        canvas.drawn.add(name)
        if name == join.inputs[0] or any(event in lefts for event in events):
            canvas.y += canvas.reach(events)
            canvas.row(events, canvas.y, lambda e: "item" if e in matched else "hollow", above=True)
            if any(event not in matched for event in events):
                canvas.legend["alone"] = "hollow: no match"
            below = 30.0
        else:
            canvas.y += APART - 30 if lefts else 10
            canvas.row(events, canvas.y, lambda _: "right", above=False)
            below = canvas.reach(events)
        _marks(canvas, events, canvas.y)
        canvas.name(lane, canvas.y + 4)
        canvas.y += below
    if kept:
        canvas.y += APART - 30
        rows = list(dict.fromkeys(kept.values()))
        canvas.row(rows, canvas.y, lambda _: "kept", above=False)
        canvas.add(written(14, canvas.y + 4, "in the cache", "dim"))
        canvas.y += canvas.reach(rows)
    canvas.below(lambda: _arrows(canvas, given, kept), place)
    canvas.y += BETWEEN


def _kept(given: Sequence[Event]) -> dict[Event, Event]:
    """The right items that came from a table and weren't seen to come, for each match."""
    rows: dict[tuple[int, str], Event] = {}
    found: dict[Event, Event] = {}
    for event in given:
        left, age = event.left, event.age
        if event.right is None and age is not None and left is not None and left.time is not None:
            time, row = left.time - age, event.item[1]
            seen = Event(0, "item", "", row, time, 0.0)
            found[event] = rows.setdefault((time, brief(row)), seen)
    return found


def _marks(canvas: Canvas, events: Sequence[Event], y: float) -> None:
    """Where the watermark was after each item, if that isn't the item's own time."""
    told = [(e.watermark, e.time) for e in events if e.watermark is not None]
    if any(time is None or mark >= time for mark, time in told):
        return
    last = -100.0
    for mark, _ in told:
        x = canvas.x(mark)
        if x - last > 3:
            canvas.add(stroke(x, y - 4, x, y + 4, "mark", width=2))
            canvas.legend["mark"] = "violet: watermarks, nothing earlier is expected any more"
            last = x


def _arrows(canvas: Canvas, given: Sequence[Event], kept: Mapping[Event, Event]) -> None:
    last = {event.left: event for event in given}
    corrected = {event.left for event in given if event.kind == "revision"}
    ages: list[tuple[int, Spot]] = []
    for event in given:
        left, right = event.left, event.right or kept.get(event)
        if left not in canvas.spots or right not in canvas.spots:
            continue
        assert left is not None
        stays = left not in corrected or last[left] is event
        start, end = canvas.spots[left], canvas.spots[right]
        style, head = canvas.colour(left, "a"), canvas.colour(left, "c").strip() or "head"
        canvas.arrow(start, end, stays=stays, style=f"match{style}", head=head)
        if not stays:
            canvas.legend["before"] = "dashed: given first, then corrected"
        elif event.age is not None:
            ages.append((event.age, ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)))
    boxes = Boxes()
    for age, (x, y) in ages if len(ages) <= MOST_AGES else ():
        near = sum(1 for _, spot in ages if abs(spot[0] - x) < CLOSE and abs(spot[1] - y) < CLOSE)
        if near <= FEW:
            _age(canvas, age, x, y, boxes)


def _age(canvas: Canvas, age: int, x: float, y: float, boxes: Boxes) -> None:
    """How far apart a match is."""
    text = f"{'+' if age < 0 else ''}{lasting(age)}"
    wide = width_of(text, SMALL) + 6
    for shift in (0, -13, 13):
        if boxes.claim(x - wide / 2, y + shift - 8, wide, 12):
            canvas.add(written(x, y + shift + 3, text, "teal halo", size=SMALL, anchor="middle"))
            break
    canvas.legend["age"] = "on an arrow: how much older the match is"


# Gates


def draw_gate(canvas: Canvas, lane: Lane) -> None:
    """What it depends on, and a bar for each wait: how far that was, and had to be."""
    events = [event for event in canvas.of[lane.name] if event.kind == "item"]
    waits = [event for event in canvas.of[lane.name] if event.kind in ("hold", "down")]
    held = {event.left for event in waits}
    names = {name for event in waits for name in event.names}
    beats = [other for other in canvas.lanes.values() if other.role == "beats"]
    beats = [b for b in beats if canvas.of[b.name] and b.name not in canvas.drawn]
    beats = [b for b in beats if b.name in names or not names]
    top = canvas.y + canvas.reach(events)
    ends = _ends(canvas.of[lane.name])
    rows = _rows(canvas, waits, ends)
    canvas.y = top + 20 + max(rows.values(), default=-1) * (BAR + GAP) + BAR + GAP + 16
    bottom = canvas.y if beats else canvas.y - 16
    place = canvas.place
    canvas.row(events, top, lambda e: "hollow" if e in held else "item", above=True)
    canvas.name(lane, top + 4)
    for other in beats:
        beaten = canvas.of[other.name]
        canvas.row(beaten, canvas.y, lambda _: "beat", above=False)
        canvas.name(other, canvas.y + 4)
        canvas.drawn.add(other.name)
        canvas.y += canvas.reach(beaten) + 14

    def draw_waits() -> None:
        for event, row in rows.items():
            _shade(canvas, event, top, bottom)
            _hold(canvas, event, ends.get(event), top + 20 + row * (BAR + GAP))

    canvas.below(draw_waits, place)
    kinds = {event.kind for event in waits}
    if "hold" in kinds:
        canvas.legend["held"] = "hollow: held, being ahead by the length of the bar"
    if "down" in kinds:
        canvas.legend["down"] = "red: an outage, up to the first item that went out too early"
    canvas.y += BETWEEN - 8


def _ends(events: Sequence[Event]) -> dict[Event, Event]:
    """For each wait the event that ended it."""
    found: dict[Event, Event] = {}
    waiting: Event | None = None
    for event in events:
        if event.kind in ("hold", "down"):
            waiting = event
        elif event.kind in ("pass", "stale", "up") and waiting is not None:
            found[waiting], waiting = event, None
    return found


def _bounds(canvas: Canvas, event: Event) -> tuple[float, float]:
    begin = canvas.left if event.since is None else canvas.x(event.since)
    return begin, max(canvas.at(event), begin + 6)


def _rows(canvas: Canvas, waits: Sequence[Event], ends: Mapping[Event, Event]) -> dict[Event, int]:
    """The waits in as few rows as they need."""
    rows: dict[Event, int] = {}
    free: list[float] = []
    for event in waits:
        begin, end = _bounds(canvas, event)
        text, inside = _why(event, ends.get(event), end - begin)
        until = end if inside else end + 12 + width_of(text, SMALL)
        row = next((i for i, taken in enumerate(free) if taken <= begin), len(free))
        free[row:] = [until, *free[row + 1 :]]
        rows[event] = row
    return rows


def _why(event: Event, end: Event | None, room: float) -> tuple[str, bool]:
    """What there is to say of a wait, and whether it has room in its bar."""
    number = "" if event.left is None else f"#{event.left.number}"
    lasted = "" if end is None or end.held is None else f" {lasting(end.held * SECOND)}"
    word = "paused" if event.kind == "down" else "held"
    if end is None:
        texts = [f"{number} {word} to the end"]
    elif end.kind == "stale":
        texts = [f"{number} given up after{lasted}", f"given up after{lasted}"]
    else:
        by = f"#{end.cause.number}" if end.cause else f"{' and '.join(event.names)} ended"
        texts = [f"{number} {word}{lasted}, until {by}", f"{word}{lasted}"]
    for text in texts:
        if width_of(text, SMALL) + 12 < room:
            return text, True
    return texts[0], False


def _shade(canvas: Canvas, event: Event, top: float, bottom: float) -> None:
    begin, end = _bounds(canvas, event)
    style = "wound" if event.kind == "down" else "gap"
    canvas.add(
        f'<rect class="{style}" x="{begin:.1f}" y="{top:.1f}" width="{end - begin:.1f}" '
        f'height="{bottom - top:.1f}"/>'
    )


def _hold(canvas: Canvas, event: Event, over: Event | None, y: float) -> None:
    begin, end = _bounds(canvas, event)
    down = event.kind == "down"
    for style in (f'class="{"down" if down else "hold"}"', 'fill="url(#stripes)"'):
        canvas.add(
            f'<rect {style} x="{begin:.1f}" y="{y:.1f}" width="{end - begin:.1f}" '
            f'height="{BAR}" rx="4"/>'
        )
    if over is not None and over.cause in canvas.spots and event.left in canvas.spots:
        assert over.cause is not None
        assert event.left is not None
        start, held = canvas.spots[over.cause], canvas.spots[event.left]
        canvas.arrow(start, held, style="release", head="lead")
        canvas.legend["release"] = "green: what let it go"
    text, inside = _why(event, over, end - begin)
    fits = end + 8 + width_of(text, SMALL) < WIDTH - 6
    at = begin + 7 if inside else end + 7 if fits else begin - 6
    anchor = "start" if inside or fits else "end"
    style = "red halo" if down else "amber halo"
    canvas.add(written(at, y + 13, text, style, size=SMALL, anchor=anchor))
