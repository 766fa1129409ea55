"""Streams drawn as text: a character is a second, ``-`` is silence, ``|`` the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from rivulet.core.durations import Duration, seconds
from rivulet.errors import GraphError

if TYPE_CHECKING:
    from rivulet.stream import Stream

__all__ = ["Marbles", "marbles", "to_marbles"]


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
            GraphError: brackets don't match, or something comes after the end.
        """
        items: list[tuple[int, str]] = []
        frame, end, failed, together = 0, None, False, False
        for character in text:
            if character == " ":
                continue
            if end is not None and character != ")":
                raise GraphError(f"nothing can come after the end in {text!r}")
            match character:
                case "(":
                    if together:
                        raise GraphError(f"brackets can't be nested in {text!r}")
                    together = True
                    continue
                case ")":
                    if not together:
                        raise GraphError(f"')' without '(' in {text!r}")
                    together = False
                case "|" | "#":
                    end, failed = frame, character == "#"
                case "-":
                    pass
                case name:
                    items.append((frame, name))
            if not together:
                frame += 1
        if together:
            raise GraphError(f"'(' without ')' in {text!r}")
        return cls(tuple(items), end, failed)


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
    in one frame, and anything else an item. Spaces are for alignment only.

    Args:
        text: when items arrive.
        tick: how long a frame is.
        values: what characters stand for; default themselves.
        error: what ``#`` raises; default a ``MarbleError``.
        event: a second drawing, of when items happened: the frame in which a character stands in it
            is its event time. The stream is then stamped.
        max_delay: as for ``event_time``.

    Raises:
        GraphError: a drawing can't be read, or ``event`` leaves out an item.

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

    async def source() -> AsyncGenerator[tuple[str, Any], None]:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for frame, name in drawing.items:
            if (wait := begun + frame * step - loop.time()) > 0:
                await asyncio.sleep(wait)
            yield name, known.get(name, name)
        if drawing.end is None:
            await loop.create_future()
        elif (wait := begun + drawing.end * step - loop.time()) > 0:
            await asyncio.sleep(wait)
        if drawing.failed:
            raise error or MarbleError(f"the # in {text!r}")

    named: Stream[tuple[str, Any]] = Stream(source)
    if event is not None:
        times = {name: frame * step for frame, name in Marbles.parse(event).items}
        if missing := {name for _, name in drawing.items} - times.keys():
            raise GraphError(
                f"event={event!r} doesn't say when {', '.join(sorted(missing))} happened"
            )
        named = named.event_time(lambda pair: times[pair[0]], max_delay=max_delay)
    return named.map(lambda pair: pair[1])


async def to_marbles(
    source: Stream[Any], /, *, tick: Duration = 1, names: Mapping[Any, str] | None = None
) -> str:
    """Run a stream and draw when its items came.

    Args:
        source: what to run, in virtual time.
        tick: how long a frame is.
        names: a character for each item; default its ``str``, in quotes if that is longer.

    Example:
        >>> await to_marbles(marbles("ab---c--|").debounce(2))
        '---b---c|'
    """
    step = seconds(tick, "to_marbles(tick)")
    loop = asyncio.get_running_loop()
    begun = loop.time()
    frames: dict[int, list[str]] = {}

    def frame() -> int:
        return round((loop.time() - begun) / step)

    def put(item: Any) -> None:
        text = names[item] if names is not None and item in names else str(item)
        frames.setdefault(frame(), []).append(text if len(text) == 1 else f"<{text}>")

    end = "|"
    try:
        await source.to(put).run()
    except Exception:  # noqa: BLE001  # an error is drawn
        end = "#"
    last = frame()
    drawn = [_frame(frames.get(number, [])) for number in range(last)]
    final_frame = frames.get(last, [])
    return "".join(drawn) + (f"({''.join(final_frame)}{end})" if final_frame else end)


def _frame(items: list[str]) -> str:
    if len(items) > 1:
        return f"({''.join(items)})"
    return items[0] if items else "-"
