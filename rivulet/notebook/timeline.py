"""``timeline``: what happened in time, recorded: as text, marbles, a picture, a table."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rivulet.core.text import shortened
from rivulet.errors import MissingExtraError
from rivulet.notebook.recording import Event, Recording, recorded
from rivulet.run.handle import run_nodes
from rivulet.windows.window import Window

if TYPE_CHECKING:
    from rivulet.stream import Stream

__all__ = ["Clock", "Row", "Timeline", "moments", "record", "ticks"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def record(source: Stream[Any], limit: int | None) -> Timeline:
    """Run the stream and give what happened in time."""
    nodes, recording = recorded(source.node, limit)
    await run_nodes(nodes)
    return Timeline(recording)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a timeline.

    Attributes:
        number: which one it is.
        event: what happened.
        cause: the number of the item that made it happen; None at the end of input.
    """

    number: int
    event: Event
    cause: int | None

    @property
    def kind(self) -> str:
        """What it is: item, late, window, out."""
        return self.event.kind


class Timeline:
    """What happened in time in one run.

    ``print`` it, look at it in a notebook, or take ``svg()``, ``marbles()`` and ``polars()``.

    Attributes:
        rows: what happened, in order.
    """

    def __init__(self, recording: Recording) -> None:
        self.lanes = recording.lanes
        self.rows = _by_cause(recording.events)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        """A line for each event."""
        if not self.rows:
            return "nothing happened"
        cells = [self._cells(row) for row in self.rows]
        widths = [max(len(cell[i]) for cell in cells) for i in range(4)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False))
            + f"  {line[4]}"
            for line in cells
        ]
        return "\n".join(line.rstrip() for line in lines)

    def __repr__(self) -> str:
        return str(self)

    def _cells(self, row: Row) -> tuple[str, str, str, str, str]:
        event = row.event
        clock = self._clock()
        what, note = _shown(event, clock), ""
        if event.kind == "window":
            note = f"closed by #{row.cause}" if row.cause else "closed at the end"
            if not event.item.final:
                note = f"so far, by #{row.cause}" if row.cause else "so far"
            elif event.item.value is None:
                note = f"taken back by #{row.cause}"
        elif event.kind == "late":
            note = f"by {event.item.by}"
        elif event.watermark is not None:
            note = f"watermark {clock(event.watermark)}"
        time = "" if event.time is None else clock(event.time)
        return f"{'#' + str(row.number):>4}", time, event.kind, what, note

    def _clock(self) -> Clock:
        return Clock([row.event for row in self.rows])

    def marbles(self) -> str:
        """A line of marbles for each lane: a column for each event, in the order of arrival."""
        names = list(dict.fromkeys(row.event.lane for row in self.rows))
        width = max(map(len, names), default=0)
        marbles = _marble_names(self.rows)
        columns = [max(1, len(marble)) for marble in marbles]
        lines: list[str] = []
        for name in names:
            track = "".join(
                (marble if row.event.lane == name else "").ljust(size, "-") + "-"
                for row, marble, size in zip(self.rows, marbles, columns, strict=True)
            )
            lines.append(f"{name.ljust(width)}  -{track}|")
        return "\n".join(lines)

    def polars(self) -> Any:
        """A DataFrame with a row for each event.

        Raises:
            MissingExtraError: polars is not installed.
        """
        try:
            pl: Any = import_module("polars")
        except ImportError as error:
            raise MissingExtraError("polars", "polars") from error
        windows = [row.event.item if row.kind == "window" else None for row in self.rows]
        moment = pl.Datetime("us", "UTC")
        return pl.DataFrame(
            {
                "number": [row.number for row in self.rows],
                "kind": [row.kind for row in self.rows],
                "lane": [row.event.lane for row in self.rows],
                "item": [_text_of(row.event) for row in self.rows],
                "time": pl.Series([row.event.time for row in self.rows], dtype=pl.Int64).cast(
                    moment
                ),
                "watermark": pl.Series(
                    [row.event.watermark for row in self.rows], dtype=pl.Int64
                ).cast(moment),
                "at": [row.event.at for row in self.rows],
                "cause": pl.Series([row.cause for row in self.rows], dtype=pl.Int64),
                "start": pl.Series([w and w._start for w in windows], dtype=pl.Int64).cast(moment),
                "end": pl.Series([w and w._end for w in windows], dtype=pl.Int64).cast(moment),
            }
        )

    def svg(self) -> str:
        """The picture: a lane of items, their watermark, a bar for each window, over event time."""
        from rivulet.notebook.drawing import draw_timeline

        return draw_timeline(self.rows, self.lanes, self._clock())

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        picture = base64.b64encode(self.svg().encode()).decode()
        image = f'<img src="data:image/svg+xml;base64,{picture}" alt="{escape(str(self))}">'
        return {"text/plain": str(self), "text/html": image}


class Clock:
    """How moments are written: no more than is needed to tell those of one timeline apart."""

    def __init__(self, events: Sequence[Event]) -> None:
        stamps = [event.time for event in events if event.time is not None]
        self._days = bool(stamps) and max(stamps) - min(stamps) > 20 * 3600 * 10**6
        self._fine = any(stamp % 10**6 not in (0, 999_999) for stamp in stamps)

    def __call__(self, stamp: int) -> str:
        at = _EPOCH + timedelta(microseconds=stamp)
        text = at.strftime("%m-%d %H:%M" if self._days else "%H:%M:%S")
        return text + f".{at.microsecond // 1000:03}" if self._fine else text


def _by_cause(events: list[Event]) -> list[Row]:
    """The events, each after the item that made it happen.

    What a watermark releases is given before the item that brought it.
    """
    rows: list[Row] = []
    released: list[Event] = []
    last: int | None = None

    def put(event: Event, cause: int | None) -> None:
        rows.append(Row(len(rows) + 1, event, cause))

    for event in events:
        if event.kind == "window" and event.item.final and _ended(event):
            released.append(event)
            continue
        if event.kind == "item":
            put(event, None)
            last = len(rows)
            for result in released:
                put(result, last)
            released = []
        else:
            put(event, last)
    for result in released:
        put(result, None)
    return rows


def _ended(event: Event) -> bool:
    """Whether a result came because time went on, not with an item."""
    window: Window[Any, Any] = event.item
    return event.watermark is None or window._end is None or event.time != window._end


def _marble_names(rows: Sequence[Row]) -> list[str]:
    names: list[str] = []
    for row in rows:
        text = _text_of(row.event)
        names.append(text if len(text) <= 6 else f"#{row.number}")
    return names


def _text_of(event: Event) -> str:
    item = event.item
    if event.kind == "window":
        item = item.value
    elif event.kind == "late":
        item = item.item
    return shortened(item, 60)


def _shown(event: Event, clock: Clock) -> str:
    if event.kind != "window":
        return _text_of(event)
    window: Window[Any, Any] = event.item
    key = "" if window.key is None else f"{shortened(window.key, 20)} "
    if window._start is None or window._end is None:
        return f"{key}→ {_text_of(event)}"
    return f"{key}{clock(window._start)}-{clock(window._end)} → {_text_of(event)}"


def moments(rows: Sequence[Row]) -> tuple[int, int]:
    """The first and the last moment that a picture has to show."""
    found: list[int] = []
    for row in rows:
        if row.event.time is not None:
            found.append(row.event.time)
        if row.kind == "window":
            window: Window[Any, Any] = row.event.item
            found += [bound for bound in (window._start, window._end) if bound is not None]
    return (min(found), max(found)) if found else (0, 1)


def ticks(low: int, high: int, most: int = 8) -> list[int]:
    """Round moments between two, at most so many."""
    steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200]
    steps += [86400 * days for days in (1, 2, 7, 14, 30, 90, 365)]
    step = next((s for s in steps if (high - low) / (s * 10**6) <= most), steps[-1]) * 10**6
    first = -(-low // step) * step
    return list(range(first, high + 1, step))
