"""``join_asof``: each item with the one of another stream that held at its time."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, overload

from rivulet.core.callables import Selector, check_callable
from rivulet.core.checks import check_choice, check_flag, plain_selector
from rivulet.core.durations import Duration, seconds
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Binary, Node, Unary, frozen, require_stamps
from rivulet.core.stage import Combine, Expand
from rivulet.core.table import Table
from rivulet.core.time import SECOND
from rivulet.errors import GraphError
from rivulet.joins.asof import AsOf
from rivulet.joins.rule import FAR, Direction, Rule
from rivulet.ops.event_time import EventTime
from rivulet.ops.source import node_of
from rivulet.ops.starmap import Starmap

if TYPE_CHECKING:
    from rivulet.core.entries import Revision
    from rivulet.stream import Stream

L = TypeVar("L")
R = TypeVar("R")
U = TypeVar("U")

StreamLike = AsyncIterable[R] | Iterable[R]
Pair = tuple[Selector[Any], Selector[Any]]
Wait = Duration | Literal["watermark"]


@frozen
class JoinAsof(Binary):
    """Node: each item with the one of another stream that held at its time."""

    join: AsOf
    text: str

    def stage(self) -> Combine:
        timed = isinstance(self.join.wait, float) and self.join.wait > 0
        return Combine(make=self.make, stepped=True, holds=True, timed=timed)

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        return self.join.make(context)

    def endless(self, inputs: Sequence[bool]) -> bool:
        return inputs[0]

    def revises(self, corrected: bool) -> bool:
        return self.join.revise

    @property
    def label(self) -> str:
        return self.text


@frozen
class JoinTable(Unary):
    """Node: each item with the one in a table that held at its time."""

    join: AsOf
    text: str

    def stage(self) -> Expand:
        return Expand(make=self.make, stamps="need")

    def make(self, _: Context) -> Logic:
        """The state of one run."""
        return self.join.make_of_table()

    @property
    def name(self) -> str:
        return "join_asof"

    @property
    def label(self) -> str:
        return self.text


def sides_of(given: Selector[Any] | Pair, operator: str, argument: str) -> tuple[Any, Any]:
    """The plain selectors of a left and of a right item: one for both, or a pair.

    Raises:
        GraphError: it is neither, or one is async.
    """
    pair = cast("tuple[Any, ...]", given) if isinstance(given, tuple) else (given, given)
    if len(pair) != 2:
        raise GraphError(
            f"{operator}({argument}) must be one selector for both sides or a pair of them, as in "
            f'{argument}=("at", "time"), not {given!r:.100}'
        )
    left, right = (plain_selector(one, operator, argument) for one in pair)
    return left, right


def stamped_sides(
    source: Stream[Any], other: StreamLike[Any], on: Selector[Any] | Pair | None, operator: str
) -> tuple[Node, Node]:
    """Both sides of a join, whose items have their time, or get it now.

    Raises:
        GraphError: those of one have none, and it isn't said how to take it.
    """
    left, right = (None, None) if on is None else sides_of(on, operator, "on")
    return (
        _stamped(source.node, left, operator, "left side"),
        _stamped(node_of(other), right, operator, "right side"),
    )


def _stamped(node: Node, on: Selector[Any] | None, operator: str, side: str) -> Node:
    try:
        require_stamps(node, operator)
    except GraphError as error:
        if on is None:
            raise GraphError(
                f"{operator} needs the time of the items on both sides, and the {side} has none: "
                f"say how to take it, as in {operator}(..., on='timestamp'), or put "
                f"event_time(...) after {node.label}"
            ) from error
        return EventTime(node, on)
    return node


def micros_of(value: Duration, name: str) -> int:
    """A duration of zero or more in microseconds.

    Raises:
        GraphError: it is none.
    """
    return round(seconds(value, name, zero=True) * SECOND)


@overload
def join_asof(
    source: Stream[L],
    other: StreamLike[R],
    cache: Table | None = None,
    /,
    *,
    on: Selector[Any] | Pair | None = None,
    by: Selector[Any] | Pair | None = None,
    direction: Direction = "backward",
    tolerance: Duration | None = None,
    exact: bool = True,
    how: Literal["left"] = "left",
    wait: Wait = 0,
    revise: Literal[False] = False,
    grace: Duration = 0,
    retain: Duration | None = None,
    select: None = None,
) -> Stream[tuple[L, R | None]]: ...
@overload
def join_asof(
    source: Stream[L],
    other: StreamLike[R],
    cache: Table | None = None,
    /,
    *,
    on: Selector[Any] | Pair | None = None,
    by: Selector[Any] | Pair | None = None,
    direction: Direction = "backward",
    tolerance: Duration | None = None,
    exact: bool = True,
    how: Literal["inner"],
    wait: Wait = 0,
    revise: Literal[False] = False,
    grace: Duration = 0,
    retain: Duration | None = None,
    select: None = None,
) -> Stream[tuple[L, R]]: ...
@overload
def join_asof(
    source: Stream[L],
    other: StreamLike[R],
    cache: Table | None = None,
    /,
    *,
    on: Selector[Any] | Pair | None = None,
    by: Selector[Any] | Pair | None = None,
    direction: Direction = "backward",
    tolerance: Duration | None = None,
    exact: bool = True,
    how: Literal["left", "inner"] = "left",
    wait: Wait = 0,
    revise: bool,
    grace: Duration = 0,
    retain: Duration | None = None,
    select: None = None,
) -> Stream[tuple[L, R | None] | Revision[tuple[L, R | None]]]: ...
@overload
def join_asof(
    source: Stream[L],
    other: None,
    cache: Table,
    /,
    *,
    on: Selector[Any] | None = None,
    by: Selector[Any] | None = None,
    direction: Direction = "backward",
    tolerance: Duration | None = None,
    exact: bool = True,
    how: Literal["left", "inner"] = "left",
    select: None = None,
) -> Stream[tuple[L, Any]]: ...
@overload
def join_asof(
    source: Stream[L],
    other: StreamLike[R] | None,
    cache: Table | None = None,
    /,
    *,
    on: Selector[Any] | Pair | None = None,
    by: Selector[Any] | Pair | None = None,
    direction: Direction = "backward",
    tolerance: Duration | None = None,
    exact: bool = True,
    how: Literal["left", "inner"] = "left",
    wait: Wait = 0,
    revise: bool = False,
    grace: Duration = 0,
    retain: Duration | None = None,
    select: Callable[[L, Any], Awaitable[U]],
) -> Stream[U]: ...
@overload
def join_asof(
    source: Stream[L],
    other: StreamLike[R] | None,
    cache: Table | None = None,
    /,
    *,
    on: Selector[Any] | Pair | None = None,
    by: Selector[Any] | Pair | None = None,
    direction: Direction = "backward",
    tolerance: Duration | None = None,
    exact: bool = True,
    how: Literal["left", "inner"] = "left",
    wait: Wait = 0,
    revise: bool = False,
    grace: Duration = 0,
    retain: Duration | None = None,
    select: Callable[[L, Any], U],
) -> Stream[U]: ...
def join_asof(
    source: Stream[Any],
    other: StreamLike[Any] | None,
    cache: Table | None = None,
    /,
    *,
    on: Selector[Any] | Pair | None = None,
    by: Selector[Any] | Pair | None = None,
    direction: Direction = "backward",
    tolerance: Duration | None = None,
    exact: bool = True,
    how: Literal["left", "inner"] = "left",
    wait: Wait = 0,
    revise: bool = False,
    grace: Duration = 0,
    retain: Duration | None = None,
    select: Callable[[Any, Any], Any] | None = None,
) -> Stream[Any]:
    """Give each item with the item of another stream that held at its time.

    The match is the last right item before the left one, or by ``direction`` the first after or the
    nearest, by event time. Of several right items with one time the last to arrive counts; of two
    as near as each other, the earlier. For all items near in time, use ``join_interval``; for what
    is known now, whatever the time, ``lookup``.

    The two are read in step, the one that is behind in event time first, as far as they can be read
    without waiting; a silent one holds nobody. Of sources that have to wait, each left item gets
    what has arrived. With ``wait="watermark"``, or with ``revise=True`` and a ``grace`` of at least
    the delay, the results are the same for every order of arrival within the ``max_delay`` of
    ``event_time``, and those of polars.

    Emits:      ``(left, right)`` for each left item, with None where there is no match; with
                ``how="inner"`` only those that have one; or what ``select`` gives. With ``revise``
                corrections as well.
    Waits:      with ``wait``, for the right; neither side is read more than 1024 items ahead of
                the other with ``wait="watermark"``, 256 (or 1 of what can be read only once) else.
    Completes:  when the left does and none of its items waits or may be corrected.
    State:      right items as long as a left one can need them: for each key the last before the
                watermark, and those after, or as long as ``tolerance`` or ``retain`` says; left
                items that wait or may be corrected.
    Time:       event time; a result has the time of its left item, also a correction. Processing
                time for a ``wait`` that is a duration.

    Args:
        other: the right side: a stream, or anything that one can be made of. None for what is in
            ``cache``, which others fill.
        cache: where the right side is kept, a ``Cache``: each item under its POSIX seconds, or
            ``(key, seconds)`` with ``by``. So it outlives the run. Items are removed from it when
            they are older than ``tolerance`` or ``retain`` allow; without both, never.
        on: takes the time of items that have none yet (naive datetimes are UTC). Like ``by``, one
            selector for both sides or a pair, each a plain function, a key or an attribute.
        by: takes the key; only items of equal key match.
        direction: ``"backward"``, ``"forward"`` or ``"nearest"``.
        tolerance: how far away a match may be, as far included.
        exact: whether a right item of the same time is a match.
        how: ``"left"`` or ``"inner"``.
        wait: how long a left item waits until the clock of the right has passed its time, and its
            match is certain: 0 gives it at once with what has arrived, a duration waits at most
            this long, ``"watermark"`` as long as it takes.
        revise: when a better right item comes later, give ``Revision(old, new)``. ``map``,
            ``starmap``, ``filter`` and ``flat_map`` apply it to both, ``scan`` of an aggregator
            such as ``Sum()`` to its value, and windows by event time take items only when they
            can't be corrected any more. Other operators refuse it, and a sink has to say
            ``revisions="new"`` or ``"both"``.
        grace: how long after the right's watermark results can be corrected; and how late a left
            item may be and still find its match.
        retain: how long right items are kept behind the left's watermark. Default: as long as they
            can be needed.
        select: gives the result of ``(left, right)``, sync or async.

    Raises:
        GraphError: at build, if a side has no time, or an argument is wrong.
        TypeError: while running, if a key isn't hashable; the note names the item.

    Example:
        >>> trades = Stream.of({"at": 8, "who": "ana"}, {"at": 10, "who": "bo"})
        >>> prices = Stream.of({"at": 9, "price": 101}, {"at": 9.5, "price": 99})
        >>> def told(trade, price):
        ...     return trade["who"], price and price["price"]
        >>> await trades.join_asof(prices, on="at", select=told).collect()
        [('ana', None), ('bo', 99)]
        >>> late = marbles("---p|", event="-p").map(lambda _: "price")
        >>> early = marbles("-t---|", event="--t").map(lambda _: "trade")
        >>> await early.join_asof(late).collect()
        [('trade', None)]
        >>> await early.join_asof(late, wait="watermark").collect()
        [('trade', 'price')]
        >>> await early.join_asof(late, revise=True).collect()
        [('trade', None), Revision(old=('trade', None), new=('trade', 'price'))]

    Source: ``merge_asof`` of pandas, ``join_asof`` of polars; ``wait`` and ``revise`` are ours.
    """
    check_choice(direction, "join_asof", "direction", ("backward", "forward", "nearest"))
    check_choice(how, "join_asof", "how", ("left", "inner"))
    check_flag(exact, "join_asof", "exact")
    check_flag(revise, "join_asof", "revise")
    if cache is not None and not isinstance(cast("object", cache), Table):
        raise GraphError(
            f"join_asof(cache) must be a Cache, which keeps the right side in order of time, not "
            f"{cache!r:.100} ({type(cache).__name__})"
        )
    rule = Rule(direction, FAR if tolerance is None else _far(tolerance, "tolerance"), exact)
    join = AsOf(
        rule=rule,
        by=None if by is None else sides_of(by, "join_asof", "by"),
        table=cache,
        inner=how == "inner",
        wait="watermark" if wait == "watermark" else _wait(wait),
        revise=revise,
        grace=_far(grace, "grace"),
        retain=None if retain is None else _far(retain, "retain"),
    )
    if select is not None:
        check_callable(select, "join_asof", "select")
    text = _text(join, how)
    if other is None:
        node = _of_table(join, source.node, on, text)
    else:
        if join.retain is not None and join.retain < join.rule.reach < FAR:
            raise GraphError(
                "join_asof(retain) must be at least as long as tolerance: a match has to be kept"
            )
        node = JoinAsof(*stamped_sides(source, other, on, "join_asof"), join, text)
    pairs: Stream[Any] = source.via(node)
    return pairs if select is None else pairs.via(Starmap(pairs.node, select))


def _wait(value: Duration) -> float:
    return seconds(value, 'join_asof(wait), unless it is "watermark",', zero=True)


def _far(value: Duration, argument: str) -> int:
    return micros_of(value, f"join_asof({argument})")


def _of_table(join: AsOf, left: Node, on: Selector[Any] | Pair | None, text: str) -> Node:
    if join.table is None:
        raise GraphError("join_asof needs a right side: a stream, a cache, or both")
    given = {"wait": join.wait, "revise": join.revise, "grace": join.grace, "retain": join.retain}
    for name, value in given.items():
        if value:
            raise GraphError(
                f"join_asof({name}=) needs a stream on the right, whose clock tells how far it is: "
                f"with a cache alone, nothing tells that more will come"
            )
    time = None if on is None else sides_of(on, "join_asof", "on")[0]
    return JoinTable(_stamped(left, time, "join_asof", "left side"), join, text)


def _text(join: AsOf, how: str) -> str:
    """The join as it was written, with what isn't left as it was."""
    shown: dict[str, object] = {
        "direction": "" if join.rule.direction == "backward" else join.rule.direction,
        "tolerance": "" if join.rule.reach == FAR else join.rule.reach / SECOND,
        "exact": "" if join.rule.exact else False,
        "how": "" if how == "left" else how,
        "wait": join.wait or "",
        "revise": join.revise or "",
    }
    parts = [f"{name}={value!r}" for name, value in shown.items() if value != ""]
    if join.table is not None:
        parts.insert(0, f"cache={type(join.table).__name__}")
    return f"join_asof({', '.join(parts)})"
