"""Streams drawn as text: a character is a second, ``-`` is silence, ``|`` the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, final

from rivulet.core.durations import Duration, seconds
from rivulet.errors import GraphError, StuckError

if TYPE_CHECKING:
    from rivulet.stream import Stream

__all__ = ["MarbleError", "Marbles", "marbles", "to_marbles"]


@final
@dataclass(frozen=True, slots=True)
class Marbles:
    """What a drawing says.

    Attributes:
        items: the names of items with the frame in which each comes.
        end: the frame of the end, or None if there is none.
        failed: the end is an error.
    """

    items: tuple[tuple[int, str], ...]
    end: int | None
    failed: bool

    @classmethod
    def parse(cls, text: str) -> Marbles:
        """Read a drawing.

        Raises:
            GraphError: brackets don't match, or something comes after the end; the message tells
                where.
        """
        if not isinstance(cast("object", text), str):
            raise GraphError(f"a drawing is text such as 'a-b--(cd)|', not {text!r:.100}")
        items: list[tuple[int, str]] = []
        frame, end, failed = 0, None, False
        opened: int | None = None
        for position, character in enumerate(text):
            if character.isspace():
                continue
            if end is not None and character != ")":
                raise _unreadable(text, position, "comes after the end: put | or # last, and once")
            match character:
                case "(":
                    if opened is not None:
                        raise _unreadable(
                            text, position, "is inside of a bracket: close that with ) before it"
                        )
                    opened = position
                    continue
                case ")":
                    if opened is None:
                        raise _unreadable(text, position, "closes nothing: put ( before it")
                    if text[opened + 1 : position].isspace() or opened + 1 == position:
                        raise _unreadable(
                            text, opened, "opens a bracket without items: write - for silence"
                        )
                    opened = None
                case "|" | "#":
                    end, failed = frame, character == "#"
                case "-":
                    if opened is not None:
                        raise _unreadable(
                            text,
                            position,
                            "is inside of a bracket, which is one frame: take it out",
                        )
                case name:
                    items.append((frame, name))
            if opened is None:
                frame += 1
        if opened is not None:
            raise _unreadable(text, opened, "is never closed: put ) after the last item of a frame")
        return cls(tuple(items), end, failed)


def _unreadable(text: str, position: int, why: str) -> GraphError:
    return GraphError(
        f"can't read the drawing {text!r}: its character {position + 1}, {text[position]!r}, {why}"
    )


class MarbleError(Exception):
    """What ``#`` in a drawing raises."""


def marbles(
    text: str,
    /,
    *,
    tick: Duration = 1,
    values: Mapping[str, Any] | None = None,
    error: Exception | None = None,
    event: str | None = None,
    max_delay: Duration = 0,
) -> Stream[Any]:
    """A stream drawn as text, for virtual time: ``"a-b--(cd)|"``.

    Each character is a frame: ``-`` silence, ``|`` the end, ``#`` an error, a bracket several items
    in one frame, and anything else an item. White space is for alignment only.

    Args:
        text: when items arrive.
        tick: how long a frame is.
        values: what characters stand for; default themselves.
        error: what ``#`` raises; default a ``MarbleError``.
        event: a second drawing, of when items happened: the frame in which a character stands in it
            is its event time. The stream is then stamped.
        max_delay: as for ``event_time``.

    Raises:
        GraphError: a drawing can't be read, or ``event`` leaves out an item or has one twice.

    Example:
        >>> await timed(marbles("a-(bc)-|"))
        [(0.0, 'a'), (2.0, 'b'), (2.0, 'c')]
        >>> await stamps(marbles("ab-c|", event="acb"))
        [('a', 0.0), ('b', 2.0), ('c', 1.0)]

    Source: the marble diagrams of ReactiveX; there a bracket takes as many frames as characters.
    """
    from rivulet.stream import Stream

    drawing = Marbles.parse(text)
    step = seconds(tick, "marbles(tick)")
    known: Mapping[str, Any] = values or {}
    times = None if event is None else _times(drawing, event, step)
    if times is None and max_delay:
        raise GraphError(f"marbles(max_delay={max_delay!r}) needs event=: when items happened")

    async def source() -> AsyncGenerator[Any, None]:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for frame, name in drawing.items:
            if (wait := begun + frame * step - loop.time()) > 0:
                await asyncio.sleep(wait)
            item = known.get(name, name)
            yield item if times is None else (name, item)
        if drawing.end is None:
            await loop.create_future()
        elif (wait := begun + drawing.end * step - loop.time()) > 0:
            await asyncio.sleep(wait)
        if drawing.failed:
            raise error or MarbleError(f"the # in {text!r}")

    source.__qualname__ = f"marbles({text!r})"
    named: Stream[Any] = Stream(source)
    if times is None:
        return named
    stamped = named.event_time(lambda pair: times[pair[0]], max_delay=max_delay)
    return stamped.map(lambda pair: pair[1])


def _times(drawing: Marbles, event: str, step: float) -> dict[str, float]:
    """When each item of a drawing happened."""
    times: dict[str, float] = {}
    for frame, name in Marbles.parse(event).items:
        if name in times:
            raise GraphError(f"event={event!r} says twice when {name} happened: give each a name")
        times[name] = frame * step
    if missing := {name for _, name in drawing.items} - times.keys():
        raise GraphError(f"event={event!r} doesn't say when {', '.join(sorted(missing))} happened")
    return times


async def to_marbles(
    source: Stream[Any], /, *, tick: Duration = 1, names: Mapping[Any, str] | None = None
) -> str:
    """Run a stream and draw when its items came.

    Args:
        source: what to run, in virtual time.
        tick: how long a frame is.
        names: a character for each item; default its ``str``, as ``<text>`` if that is longer or
            means something else in a drawing.

    Raises:
        GraphError: the graph can't work as it was written.
        StuckError: parts of the graph wait for each other. Any other error is drawn.

    Example:
        >>> await to_marbles(marbles("ab---c--|").debounce(2))
        '---b---c|'
    """
    step = seconds(tick, "to_marbles(tick)")
    loop = asyncio.get_running_loop()
    begun = loop.time()
    frames: dict[int, list[Any]] = {}

    def frame() -> int:
        return round((loop.time() - begun) / step)

    def record(item: Any) -> None:
        frames.setdefault(frame(), []).append(item)

    watched = source.to(record, revisions="both")
    end = "|"
    try:
        await watched.run()
    except (GraphError, StuckError):
        raise
    except Exception:  # noqa: BLE001  # an error is drawn
        end = "#"
    last = frame()
    drawn = {number: [_drawn(item, names or {}) for item in frames[number]] for number in frames}
    before = [_frame(drawn.get(number, [])) for number in range(last)]
    final_frame = drawn.get(last, [])
    return "".join(before) + (f"({''.join(final_frame)}{end})" if final_frame else end)


def _drawn(item: Any, names: Mapping[Any, str]) -> str:
    try:
        text = names[item]
    except (KeyError, TypeError):  # an item without a hash has no name
        text = str(item)
    plain = len(text) == 1 and text.isprintable() and not text.isspace() and text not in "-|#()<>"
    return text if plain else f"<{text}>"


def _frame(items: list[str]) -> str:
    if len(items) > 1:
        return f"({''.join(items)})"
    return items[0] if items else "-"
