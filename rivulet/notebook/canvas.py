"""What the parts of a timeline's picture are drawn on: event time to the right, lanes below."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rivulet.core.time import SECOND
from rivulet.notebook.brief import brief, cut
from rivulet.notebook.recording import Event, Lane
from rivulet.notebook.strokes import (
    ADVANCE,
    COLOURS,
    DEFINITIONS,
    FONT,
    SMALL,
    STYLE,
    broken,
    escaped,
    stroke,
    width_of,
    written,
)

if TYPE_CHECKING:
    from rivulet.notebook.timeline import Clock

__all__ = ["BETWEEN", "WIDTH", "Boxes", "Canvas", "Spot", "ticks"]

Spot = tuple[float, float]

WIDTH = 920.0
RIGHT = 26.0
PAD = 44.0
"""Room behind the last moment, for what is written there."""
NARROWEST, WIDEST = 100.0, 168.0
"""The room for names on the left."""
TOP = 50.0
BETWEEN = 22.0
LEVELS = 4
"""How many labels or items go on top of each other."""
MOST_KEYS = 16

_FINE = (1_000, 10_000, 100_000, 200_000, 500_000)
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
_DAYS = (1, 2, 7, 14, 30, 90, 365)


@dataclass(slots=True)
class Boxes:
    """What texts take up, so that they don't lie on each other."""

    taken: list[tuple[float, float, float, float]] = field(
        default_factory=list[tuple[float, float, float, float]]
    )

    def claim(self, x: float, y: float, width: float, height: float) -> bool:
        """Take up a place, if it is free."""
        # Places are claimed from left to right, more or less.
        for left, top, wide, high in self.taken[-80:]:
            if x < left + wide and left < x + width and y < top + high and top < y + height:
                return False
        self.taken.append((x, y, width, height))
        return True


class Canvas:
    """What is drawn so far, from top to bottom.

    Attributes:
        of: the events of each lane.
        late: for each item that was late, the event that tells it.
        colours: a number for each key, where there aren't too many.
        spots: where events are.
        drawn: the lanes that are there.
        legend: what is to be explained below.
        y: how far it goes.
        left: where event time begins.
    """

    def __init__(
        self,
        events: Sequence[Event],
        lanes: Mapping[str, Lane],
        clock: Clock,
        limit: int | None,
    ) -> None:
        self.events = events
        self.lanes = lanes
        self.clock = clock
        self.of: dict[str, list[Event]] = {name: [] for name in lanes}
        for event in events:
            self.of[event.lane].append(event)
        self.late = {e.cause: e for e in events if e.kind == "late" and e.cause is not None}
        self.colours = self._colours()
        self.spots: dict[Event, Spot] = {}
        self.drawn: set[str] = set()
        self.legend: dict[str, str] = {}
        self.y = TOP
        self._parts: list[str] = []
        self._limit = limit
        self._timeless = all(event.time is None for event in events)
        self._low, self._high = self._span()
        names = [name for name in lanes if self.of[name] and lanes[name].role != "windows"]
        longest = max((width_of(cut(name, 24), FONT) for name in names), default=0.0)
        self.left = min(max(longest + 26, NARROWEST), WIDEST)

    def add(self, *parts: str) -> None:
        """Draw something on top of all that is there."""
        self._parts += parts

    def below(self, draw: Callable[[], None], place: int) -> None:
        """Draw something below what was drawn since then."""
        above, self._parts = self._parts[place:], self._parts[:place]
        draw()
        self._parts += above

    @property
    def place(self) -> int:
        """How much is drawn so far."""
        return len(self._parts)

    def document(self) -> str:
        """The whole as an SVG document."""
        for line in broken("   ·   ".join(self.legend.values()), WIDTH - 40, "   ·   "):
            self.add(written(14, self.y + 4, line, "dim", size=SMALL))
            self.y += 14
        height = self.y + 8
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {WIDTH:.0f} {height:.0f}" font-size="{FONT}">'
            f"<style>{STYLE}</style>{DEFINITIONS}"
            f'<rect class="card" x=".5" y=".5" width="{WIDTH - 1:.0f}" height="{height - 1:.0f}" '
            f'rx="10"/>'
        )
        return "\n".join([head, *self._grid(height), *self._parts, "</svg>"])

    # Event time

    def _span(self) -> tuple[int, int]:
        if self._timeless:
            return 0, len(self.events) + 1
        found = [moment for event in self.events for moment in _drawn(event)]
        low, high = min(found), max(found)
        return (low, high) if low < high else (low - SECOND, high + SECOND)

    def x(self, moment: float) -> float:
        """Where a moment is."""
        right = WIDTH - RIGHT
        share = (moment - self._low) / (self._high - self._low)
        return min(max(self.left + 10 + share * (right - self.left - 10 - PAD), self.left), right)

    def at(self, event: Event) -> float:
        """Where an event is; one that has no time is where its cause is."""
        if self._timeless:
            return self.x(event.number)
        time, cause = event.time, event.cause
        while time is None and cause is not None:
            time, cause = cause.time, cause.cause
        return self.x(self._low if time is None else time)

    def _grid(self, height: float) -> Iterator[str]:
        if self._timeless:
            yield written(self.left, 32, "in the order in which it came", "dim", size=SMALL)
            return
        first = self.clock.at(self._low)
        if first.year > 1970:
            yield written(14, 18, first.strftime("%Y-%m-%d %Z"), "dim", size=SMALL)
        until = -100.0
        for moment in ticks(self._low, self._high, self.clock):
            at, label = self.x(moment), self.clock(moment)
            yield stroke(at, 40, at, height - 12, "grid")
            half = width_of(label, SMALL) / 2
            if at - half > until and at + half < WIDTH - 4:
                yield written(at, 32, label, "dim", size=SMALL, anchor="middle")
                until = at + half + 10

    # Keys

    def _colours(self) -> dict[str, int]:
        keys = {brief(event.key) for event in self.events if event.key is not None}
        windows = [event.item for event in self.events if event.kind == "window"]
        keys |= {brief(window.key) for window in windows if window.key is not None}
        if len(keys) > MOST_KEYS:
            return {}
        return {key: number % COLOURS for number, key in enumerate(sorted(keys))}

    def colour(self, event: Event, kind: str) -> str:
        """The style of what has the key of an event."""
        colour = None if event.key is None else self.colours.get(brief(event.key))
        return "" if colour is None else f" {kind}{colour}"

    # Lanes

    def name(self, lane: Lane, y: float, *more: tuple[str, str]) -> None:
        """The name of a lane, and below it what there is to say of it."""
        room = self.left - 22
        name = lane.name.partition("(")[0] if lane.role == "windows" else lane.name
        shown = cut(name, 24, lambda text: round(width_of(text, FONT) / room * 24))
        self.add(written(14, y, shown, "ink name", title=lane.label))
        for number, (text, style) in enumerate((*more, *self._full(lane)), 1):
            short = cut(text, round(room / SMALL / ADVANCE))
            self.add(written(14, y + 14 * number, short, style, size=SMALL))

    def _full(self, lane: Lane) -> list[tuple[str, str]]:
        count = sum(1 for event in self.of[lane.name] if event.kind in ("item", "beat"))
        return [(f"the first {count}", "dim")] if count == self._limit else []

    def marble(self, event: Event, spot: Spot, radius: float, style: str) -> None:
        """An item."""
        x, y = spot
        title = f"<title>{escaped(f'#{event.number}: {brief(event.item, event.time)}')}</title>"
        if style == "beat":
            r = radius + 1.5
            path = f"M{x:.1f},{y - r:.1f} l{r},{r} l-{r},{r} l-{r},-{r} z"
            self.add(f'<path class="beat" d="{path}" stroke-width="1.5">{title}</path>')
            return
        hollow = style in ("late", "hollow", "kept")
        if style != "late":
            style += self.colour(event, "a" if hollow else "c")
        self.add(
            f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" '
            f'stroke-width="{2 if hollow else min(1.5, radius / 4):.3g}">{title}</circle>'
        )

    def row(
        self,
        events: Sequence[Event],
        y: float,
        style: Callable[[Event], str],
        *,
        above: bool,
    ) -> None:
        """Items on a line, with their labels above or below."""
        self.add(stroke(self.left, y, WIDTH - RIGHT / 2, y, "lane"))
        way = -1 if above else 1
        levels, labels, base, _ = self._levels(events)
        for event, level in levels.items():
            self.spots[event] = self.at(event), y + way * level * 10
            self.marble(event, self.spots[event], 5.5, style(event))
        for event, (at, level, text) in labels.items():
            label = y + way * (base + level * 14) + (0 if above else 8)
            number = f'<tspan class="dim">#{event.number}</tspan> ' if event.number else ""
            self.add(
                f'<text class="ink halo" x="{at:.1f}" y="{label:.1f}" font-size="{SMALL + 0.5}" '
                f'text-anchor="middle">{number}{escaped(text)}</text>'
            )

    def reach(self, events: Sequence[Event]) -> float:
        """How much room a line of items needs on the side of their labels."""
        return self._levels(events)[3]

    def _levels(
        self, events: Sequence[Event]
    ) -> tuple[dict[Event, int], dict[Event, tuple[float, int, str]], float, float]:
        """The levels of items and of labels, where labels begin and how far they reach."""
        piles, boxes = Boxes(), Boxes()
        levels: dict[Event, int] = {}
        labels: dict[Event, tuple[float, int, str]] = {}
        for event in sorted(events, key=self.at):
            x = self.at(event)
            free = (n for n in range(LEVELS) if piles.claim(x - 5, n * 10, 10, 9))
            levels[event] = next(free, LEVELS)
            number = f"#{event.number} " if event.number else ""
            for text in (cut(brief(event.item, event.time), 22), ""):
                wide = width_of(number + text, SMALL + 0.5) + 6
                at = min(max(x, self.left + wide / 2), WIDTH - 6 - wide / 2)
                free = (n for n in range(LEVELS) if boxes.claim(at - wide / 2, n * 14, wide, 13))
                level = next(free, None)
                if level is not None:
                    labels[event] = at, level, text
                    break
        base = max(levels.values(), default=0) * 10 + 14.0
        highest = max((level for _, level, _ in labels.values()), default=0)
        return levels, labels, base, base + highest * 14 + 10

    def row_alone(self, lane: Lane, style: str) -> None:
        """A lane of items on a line, and nothing else."""
        events = self.of[lane.name]
        y = self.y + self.reach(events)
        self.row(events, y, lambda _: style, above=True)
        self.name(lane, y + 4)
        self.y = y + 14 + BETWEEN

    def arrow(
        self,
        start: Spot,
        end: Spot,
        *,
        stays: bool = True,
        style: str = "match",
        head: str = "head",
    ) -> None:
        """An arrow from one lane to another; dashed if it doesn't hold any more."""
        (x1, y1), (x2, y2) = start, end
        way = 1 if y2 > y1 else -1
        y1, y2 = y1 + 7 * way, y2 - 8 * way
        across, down = x2 - x1, y2 - y1
        more = f'marker-end="url(#{head})"' if stays else 'stroke-dasharray="3 3"'
        self.add(
            f'<path class="{style if stays else "before"}" d="M{x1:.1f},{y1:.1f} '
            f"C{x1 + across * 0.05:.1f},{y1 + down * 0.5:.1f} "
            f'{x2 - across * 0.2:.1f},{y2 - down * 0.4:.1f} {x2:.1f},{y2:.1f}" '
            f'fill="none" stroke-width="1.6" {more}/>'
        )


def _drawn(event: Event) -> Iterator[int]:
    """The moments that a picture has to show."""
    found = [event.time, event.since]
    if event.kind == "window":
        found += [event.item._start, event.item._end]
    if event.age is not None and event.left is not None and event.left.time is not None:
        found.append(event.left.time - event.age)
    for moment in found:
        if moment is not None:
            yield moment


def ticks(low: int, high: int, clock: Clock, most: int = 9) -> list[int]:
    """Round moments between two, at most so many, round in the zone of the clock."""
    spans = list(_FINE) if clock.fine else []
    spans += [second * SECOND for second in _STEPS] + [86_400 * day * SECOND for day in _DAYS]
    step = next((span for span in spans if (high - low) / span <= most), spans[-1])
    offset = clock.at(low).utcoffset()
    shift = 0 if offset is None else round(offset.total_seconds()) * SECOND
    first = -(-(low + shift) // step) * step - shift
    return list(range(first, high + 1, step))
