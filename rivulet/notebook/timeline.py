"""``timeline``: what happened in time, recorded: as text, marbles, a picture, a table."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rivulet.core.node import Node
from rivulet.core.time import SECOND
from rivulet.errors import MissingExtraError
from rivulet.notebook.brief import brief, columns, cut, fill, lasting
from rivulet.notebook.recording import Event, Recording, recorded
from rivulet.run.handle import run_nodes
from rivulet.windows.window import Window

if TYPE_CHECKING:
    from rivulet.stream import Stream

__all__ = ["Clock", "Timeline", "record", "spelled"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MARBLE = 6
"""Columns of the longest item that is drawn as itself."""


async def record(
    streams: Sequence[Stream[Any]], limit: int | None, names: Mapping[Node, str]
) -> Timeline:
    """Run some streams and give what happened in time."""
    nodes, recording = recorded([stream.node for stream in streams], limit, names)
    await run_nodes(nodes)
    return Timeline(recording)


class Timeline:
    """What happened in time in one run.

    ``print`` it, look at it in a notebook, or take ``svg()``, ``marbles()`` and ``polars()``.

    Attributes:
        events: what happened, in order.
        lanes: where, by name.
    """

    def __init__(self, recording: Recording) -> None:
        self.lanes = recording.lanes
        self.zone = recording.zone
        self.limit = recording.limit
        self.left_out: dict[str, int] = {}
        self.events = self._told(recording.events)

    def __len__(self) -> int:
        return len(self.events)

    def _told(self, events: Sequence[Event]) -> list[Event]:
        """The events without those of a join that there are too many of and that led to nothing."""
        used = {other for e in events for other in (e.left, e.right, e.instead, e.cause)}
        counts = Counter(event.lane for event in events)
        told: list[Event] = []
        for event in events:
            many = self.limit is not None and counts[event.lane] > self.limit
            if many and event.kind == "item" and event not in used:
                self.left_out[event.lane] = self.left_out.get(event.lane, 0) + 1
                continue
            told.append(event)
            event.number = len(told)
        return told

    # Text

    def __str__(self) -> str:
        """A line for each event."""
        if not self.events:
            return "nothing happened"
        clock = Clock(self.events, self.zone)
        several = len(self._inputs()) > 1
        cells = [_cells(event, clock, several=several) for event in self.events]
        widths = [max(columns(cell[i]) for cell in cells) for i in range(4)]
        lines = ["  ".join(map(fill, line[:4], widths)) + f"  {line[4]}" for line in cells]
        return "\n".join(line.rstrip() for line in [*lines, *self._notes()])

    def __repr__(self) -> str:
        return str(self)

    def _inputs(self) -> list[str]:
        """The lanes in which items came."""
        came = ("item", "beat")
        return list(dict.fromkeys(event.lane for event in self.events if event.kind in came))

    def _notes(self) -> Iterator[str]:
        """What was left out."""
        for name in self._inputs():
            count = sum(1 for e in self.events if e.lane == name and e.kind in ("item", "beat"))
            if name in self.left_out:
                yield f"      {name}: {self.left_out[name]} more, which nothing was matched with"
            elif count == self.limit:
                yield f"      {name}: no more than {count} were read, by limit="

    def marbles(self) -> str:
        """A line of marbles for each lane: a column for each event, in the order of arrival.

        ``~`` is where a gate holds an item.
        """
        names = list(dict.fromkeys(event.lane for event in self.events))
        width = max(map(columns, names), default=0)
        tracks = dict.fromkeys(names, "")
        held: set[str] = set()
        for event in self.events:
            marble = _marble(event)
            size = max(1, columns(marble))
            (held.add if event.kind in ("hold", "down") else held.discard)(event.lane)
            for name in names:
                own = marble if event.lane == name else ""
                with_ = "~" if name in held else "-"
                tracks[name] += fill(own, size + 1, with_)
        return "\n".join(f"{fill(name, width)}  -{tracks[name]}|" for name in names)

    # Tables

    def polars(self) -> Any:
        """A DataFrame with a row for each event.

        Raises:
            MissingExtraError: polars is not installed.
        """
        try:
            pl: Any = import_module("polars")
        except ImportError as error:
            raise MissingExtraError("polars", "polars") from error
        moment, duration = pl.Datetime("us", "UTC"), pl.Duration("us")

        def numbers(found: Iterable[Event | None]) -> Any:
            return pl.Series([event and event.number for event in found], dtype=pl.Int64)

        def micros(values: Iterable[int | None], dtype: Any) -> Any:
            return pl.Series(list(values), dtype=pl.Int64).cast(dtype)

        events = self.events
        windows = [e.item if e.kind == "window" else None for e in events]
        return pl.DataFrame(
            {
                "number": pl.Series([e.number for e in events], dtype=pl.Int64),
                "kind": pl.Series([e.kind for e in events], dtype=pl.String),
                "lane": pl.Series([e.lane for e in events], dtype=pl.String),
                "item": pl.Series([_shown(e) for e in events], dtype=pl.String),
                "time": micros((e.time for e in events), moment),
                "watermark": micros((e.watermark for e in events), moment),
                "at": micros((round(e.at * SECOND) for e in events), duration),
                "cause": numbers(e.cause for e in events),
                "why": pl.Series([e.why or None for e in events], dtype=pl.String),
                "key": pl.Series(
                    [None if w is None or w.key is None else brief(w.key) for w in windows],
                    dtype=pl.String,
                ),
                "start": micros((w and w._start for w in windows), moment),
                "end": micros((w and w._end for w in windows), moment),
                "late": pl.Series([_late_by(e) for e in events], dtype=duration),
                "left": numbers(e.left for e in events),
                "right": numbers(e.right for e in events),
                "age": micros((e.age for e in events), duration),
                "held": micros(
                    (None if e.held is None else round(e.held * SECOND) for e in events), duration
                ),
            }
        )

    # Pictures

    def svg(self) -> str:
        """The picture, over event time: what came, the watermark, windows, matches and holds."""
        from rivulet.notebook.drawing import draw_timeline

        return draw_timeline(self.events, self.lanes, Clock(self.events, self.zone), self.limit)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        picture = base64.b64encode(self.svg().encode()).decode()
        image = f'<img src="data:image/svg+xml;base64,{picture}" alt="{escape(str(self))}">'
        return {"text/plain": str(self), "text/html": image}


class Clock:
    """How moments are written: no more than is needed to tell those of one timeline apart.

    Args:
        events: the events.
        zone: the zone in which they are told.
    """

    def __init__(self, events: Iterable[Event], zone: tzinfo = UTC) -> None:
        self.zone = zone
        stamps = [moment for event in events for moment in moments(event)]
        days = {self.at(stamp).date() for stamp in stamps}
        self._days = len(days) > 1 and max(stamps) - min(stamps) > 20 * 3600 * SECOND
        last = SECOND - 1
        fine = [stamp % SECOND for stamp in stamps if stamp % SECOND not in (0, last)]
        self._digits = next((n for n in (1, 2, 3) if all(f % 10 ** (6 - n) == 0 for f in fine)), 3)
        self.fine = bool(fine)
        self._seconds = (
            self.fine
            or any((stamp + 1) // SECOND % 60 for stamp in stamps)
            or (bool(stamps) and max(stamps) - min(stamps) < 120 * SECOND)
        )

    def at(self, stamp: int) -> datetime:
        """The moment of a stamp."""
        return (_EPOCH + timedelta(microseconds=stamp)).astimezone(self.zone)

    def __call__(self, stamp: int) -> str:
        moment = self.at(stamp)
        text = moment.strftime("%m-%d " if self._days else "")
        text += moment.strftime("%H:%M:%S" if self._seconds else "%H:%M")
        if self.fine:
            text += f".{moment.microsecond:06}"[: self._digits + 1]
        return text


def moments(event: Event) -> Iterator[int]:
    """The moments that an event is about."""
    found = [event.time, event.watermark, event.since]
    if event.kind == "window":
        window: Window[Any, Any] = event.item
        found += [window._start, window._end]
    for moment in found:
        if moment is not None:
            yield moment


def _cells(event: Event, clock: Clock, *, several: bool) -> tuple[str, str, str, str, str]:
    kind: str = event.kind
    if kind in ("item", "beat"):
        kind = cut(event.lane, 16) if several else "item"
    time = "" if event.time is None else clock(event.time)
    return f"{'#' + str(event.number):>4}", time, kind, spelled(event, clock), _note(event, clock)


def spelled(event: Event, clock: Clock) -> str:
    """What happened, in a line."""
    match event.kind:
        case "window":
            window: Window[Any, Any] = event.item
            key = "" if window.key is None else f"{brief(window.key)} "
            if window._start is None or window._end is None:
                return f"{key}→ {_shown(event)}"
            return f"{key}{clock(window._start)}-{clock(window._end)} → {_shown(event)}"
        case "match" | "alone" | "revision":
            left = _side(event.left, event, 0)
            right = _side(event.right, event, 1)
            instead = event.kind == "revision" and f" instead of {_side(event.instead, event, 2)}"
            return f"{left} ← {right}{instead or ''}"
        case _:
            return _shown(event)


def _side(side: Event | None, event: Event, index: int) -> str:
    """An item of one side of a join."""
    if side is not None:
        return f"#{side.number} {cut(_shown(side), 24)}"
    pair: Any = event.item
    if event.kind == "revision":
        pair = (event.item.new[0], event.item.new[1], event.item.old[1])
    return "nothing" if pair[index] is None else cut(brief(pair[index], event.time), 24)


def _note(event: Event, clock: Clock) -> str:
    """Why it happened, and what else there is to say."""
    match event.kind:
        case "item":
            return "" if event.watermark is None else f"watermark {clock(event.watermark)}"
        case "window":
            return _about_window(event)
        case "late":
            number = f", #{event.cause.number}" if event.cause else ""
            return f"by {lasting(event.item.by / timedelta(microseconds=1))}{number}"
        case "match" | "alone" | "revision":
            return ", ".join(text for text in (_age(event), _given(event)) if text)
        case "hold":
            assert event.left is not None
            return f"#{event.left.number}, until {_how_far(event, clock)}"
        case "down":
            assert event.left is not None
            return f"paused after #{event.left.number}: {_how_far(event, clock)}"
        case "pass" | "stale" | "up":
            return f"{_waited(event)}, {_released(event)}"
        case _:
            return ""


def _about_window(event: Event) -> str:
    window: Window[Any, Any] = event.item
    if window.value is None:
        return f"taken back{_by(event)}"
    if not window.final:
        return f"so far{_by(event)}"
    at_once = event.cause is not None and event.cause.watermark is not None
    if event.cause is not None and at_once and event.time == event.cause.time:
        return f"by #{event.cause.number}"
    if event.why == "silence":
        return "closed by silence"
    return f"closed by #{event.cause.number}" if event.cause else "closed at the end"


def _by(event: Event) -> str:
    return f", by #{event.cause.number}" if event.cause else ""


def _age(event: Event) -> str:
    if event.age is None or event.right is event.left is None:
        return ""
    if event.age == 0:
        return "at the same time"
    return f"{lasting(event.age)} {'old' if event.age > 0 else 'ahead'}"


def _given(event: Event) -> str:
    """What a result has waited for."""
    if event.why:
        return event.why
    cause = event.cause
    if cause is None or (event.kind != "revision" and cause in (event.left, event.right)):
        return ""
    return f"by #{cause.number}"


def _how_far(event: Event, clock: Clock) -> str:
    """How far the streams are that a gate waits for, and how far they have to be."""
    names, several = " and ".join(event.names), len(event.names) > 1
    are = "are" if several else "is"
    if event.kind == "down":
        if event.since is None or event.time is None:
            return f"{names} {are} down"
        return f"{names} {are} {lasting(event.time - event.since)} behind"
    if event.time is None:
        return f"{names} {are} as far"
    last = "the last" if several else "it"
    at = "has not spoken" if event.since is None else f"is at {clock(event.since)}"
    return f"{names} {are} as far: {last} {at}"


def _waited(event: Event) -> str:
    word = "paused" if event.kind == "up" else "held"
    number = f"#{event.left.number} " if event.left is not None and word == "held" else ""
    return f"{number}{word} for {lasting((event.held or 0) * SECOND)}"


def _released(event: Event) -> str:
    if event.kind == "stale":
        return "too long"
    if event.cause is not None:
        return f"until #{event.cause.number}"
    return f"until {' and '.join(event.names)} ended"


def _late_by(event: Event) -> timedelta | None:
    return event.item.by if event.kind == "late" else None


def _shown(event: Event) -> str:
    """The item of an event."""
    item = event.item
    if event.kind == "window":
        return brief(item.value)
    if event.kind == "late":
        return brief(item.item, event.time)
    return brief(item, None if event.kind == "out" else event.time)


def _marble(event: Event) -> str:
    if event.kind in ("match", "alone", "revision"):
        sides = (event.left, event.right)
        text = "+".join("·" if side is None else _shown(side) for side in sides)
    elif event.kind in ("hold", "down"):
        return "~"
    elif event.kind == "up":
        return "-"
    else:
        text = _shown(event)
    return text if columns(text) <= _MARBLE else f"#{event.number}"
