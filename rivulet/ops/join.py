"""``join``: pairs of items that are in the same window."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, overload

from rivulet.core.callables import Selector
from rivulet.core.checks import check_choice
from rivulet.core.durations import Duration, seconds
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Binary, frozen
from rivulet.core.stage import Combine
from rivulet.core.time import SECOND, micros, zone
from rivulet.errors import GraphError, SourceError
from rivulet.joins.together import Together
from rivulet.ops.join_asof import Pair, sides_of, stamped_sides
from rivulet.ops.join_interval import HOW, How, never_ends, outer_sides
from rivulet.windows.spans import CALENDAR, Spans, calendar, hopping, tumbling

if TYPE_CHECKING:
    from rivulet.stream import Stream

L = TypeVar("L")
R = TypeVar("R")

StreamLike = AsyncIterable[R] | Iterable[R]


@frozen
class Join(Binary):
    """Node: pairs of items that are in the same window."""

    window: Duration | Mapping[str, Any]
    by: Selector[Any] | Pair | None = None
    how: How = "inner"

    def stage(self) -> Combine:
        return Combine(make=self.make, stepped=True, holds=True)

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        return self.join().make(context)

    def join(self) -> Together:
        """The join, checked.

        Raises:
            GraphError: an argument is wrong.
        """
        return Together(
            spans=_spans(self.window),
            by=None if self.by is None else sides_of(self.by, "join", "by"),
            outer=outer_sides(self.how),
        )

    def endless(self, inputs: Sequence[bool]) -> bool:
        return never_ends(self.how, inputs)


def _spans(window: Duration | Mapping[str, Any]) -> Spans:
    """The windows of a moment."""
    given = dict(window) if isinstance(window, Mapping) else {"tumbling": window}
    for kind, (make, also) in _KINDS.items():
        if kind in given and given.keys() <= {kind, *also}:
            return make(given.pop(kind), **given)
    raise GraphError(
        'join(window) must be a duration, or a dict such as {"hopping": "10m", "every": "1m"}: '
        '"tumbling" with "origin", "hopping" with "every" and "origin", or "calendar" with "tz"; '
        f"not {window!r:.100}"
    )


def _tumbling(size: Duration, origin: datetime | float = 0) -> Spans:
    return tumbling(_micros(size, "tumbling"), _moment(origin))


def _hopping(size: Duration, every: Duration | None = None, origin: datetime | float = 0) -> Spans:
    if every is None:
        raise GraphError("join(window) needs to know how often a hopping window begins: every")
    length, step = _micros(size, "hopping"), _micros(every, "every")
    if step > length:
        raise GraphError(
            f"join(window): hopping windows of {size!r} that begin every {every!r} leave gaps: "
            f"every must not be longer"
        )
    return hopping(length, step, _moment(origin))


def _calendar(unit: str, tz: str = "UTC") -> Spans:
    check_choice(unit, "join", "window: calendar", CALENDAR)
    return calendar(unit, zone(tz))


_KINDS: Mapping[str, tuple[Callable[..., Spans], tuple[str, ...]]] = {
    "tumbling": (_tumbling, ("origin",)),
    "hopping": (_hopping, ("every", "origin")),
    "calendar": (_calendar, ("tz",)),
}


def _micros(value: Duration, name: str) -> int:
    return max(1, round(seconds(value, f"join(window: {name})") * SECOND))


def _moment(origin: datetime | float) -> int:
    try:
        return micros(origin)
    except SourceError as error:
        raise GraphError(f"join(window: origin): {error}") from None


@overload
def join(
    source: Stream[L],
    other: StreamLike[R],
    /,
    *,
    window: Duration | Mapping[str, Any],
    on: Selector[Any] | Pair | None = None,
    by: Selector[Any] | Pair | None = None,
    how: Literal["inner"] = "inner",
) -> Stream[tuple[L, R]]: ...
@overload
def join(
    source: Stream[L],
    other: StreamLike[R],
    /,
    *,
    window: Duration | Mapping[str, Any],
    on: Selector[Any] | Pair | None = None,
    by: Selector[Any] | Pair | None = None,
    how: Literal["left"],
) -> Stream[tuple[L, R | None]]: ...
@overload
def join(
    source: Stream[L],
    other: StreamLike[R],
    /,
    *,
    window: Duration | Mapping[str, Any],
    on: Selector[Any] | Pair | None = None,
    by: Selector[Any] | Pair | None = None,
    how: Literal["right"],
) -> Stream[tuple[L | None, R]]: ...
@overload
def join(
    source: Stream[L],
    other: StreamLike[R],
    /,
    *,
    window: Duration | Mapping[str, Any],
    on: Selector[Any] | Pair | None = None,
    by: Selector[Any] | Pair | None = None,
    how: Literal["outer"],
) -> Stream[tuple[L | None, R | None]]: ...
def join(
    source: Stream[Any],
    other: StreamLike[Any],
    /,
    *,
    window: Duration | Mapping[str, Any],
    on: Selector[Any] | Pair | None = None,
    by: Selector[Any] | Pair | None = None,
    how: How = "inner",
) -> Stream[Any]:
    """Give the pairs of a left and a right item that are in the same window.

    Windows are the same for all items. For pairs that lie near each other wherever that is, use
    ``join_interval``; for the item that held at a time, ``join_asof``.

    The results are the same for every order of arrival within the ``max_delay`` of ``event_time``.

    Emits:      when a window closes, each ``(left, right)`` in it, key by key in the order of time;
                with ``how="left"``, ``"right"`` or ``"outer"`` also ``(left, None)`` and
                ``(None, right)`` of keys that have items on one side only.
    Waits:      never for one side; each is read at most 256 items ahead, or one of what can be read
                only once.
    Completes:  when both do, or when one has and the other can't change anything; windows that are
                still open close then.
    State:      the items of the windows that are open. An item that comes when all of its windows
                are closed is dropped and counted.
    Time:       event time; a pair has the last microsecond of its window.

    Args:
        other: the right side: a stream, or anything that one can be made of.
        window: how long windows are, one after the other; or a dict that says more:
            ``{"tumbling": "1h", "origin": ...}``, ``{"hopping": "10m", "every": "1m"}``,
            ``{"calendar": "day", "tz": "Europe/Amsterdam"}``. Pairs that are in several windows
            come once for each.
        on: takes the time of items that have none yet. Like ``by``, one selector for both sides or
            a pair, each a plain function, a key or an attribute.
        by: takes the key; only items of equal key match.
        how: ``"inner"``, ``"left"``, ``"right"`` or ``"outer"``.

    Raises:
        GraphError: at build, if a side has no time, or an argument is wrong.
        TypeError: while running, if a key isn't hashable; the note names the item.

    Example:
        >>> paid = Stream.of((1, "ana"), (12, "bo")).event_time(0)
        >>> sent = Stream.of((3, "ana"), (19, "cy")).event_time(0)
        >>> await paid.join(sent, window=10, by=1).collect()
        [((1, 'ana'), (3, 'ana'))]
        >>> await paid.join(sent, window=10, how="left").collect()
        [((1, 'ana'), (3, 'ana')), ((12, 'bo'), (19, 'cy'))]

    Source: window joins of Flink and Bytewax.
    """
    check_choice(how, "join", "how", HOW)
    left, right = stamped_sides(source, other, on, "join")
    node = Join(left, right, cast("Any", window), by, how)
    node.join()
    return source.via(node)
