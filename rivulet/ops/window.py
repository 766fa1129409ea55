"""``window``: what came of the items of each stretch of time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from rivulet.aggregators import Aggregating
from rivulet.core.callables import Selector, check_callable, mode_of, selector
from rivulet.core.durations import Duration
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Node, Unary, frozen, has_stamps, require_stamps
from rivulet.core.stage import Expand
from rivulet.core.text import shortened
from rivulet.errors import GraphError
from rivulet.ops.revisions import Settle
from rivulet.windows.folding import (
    Folding,
    aggregating,
    collecting,
    counting,
    folding,
    of_part,
)
from rivulet.windows.spec import LateItem, Spec, spec_of
from rivulet.windows.window import Window

if TYPE_CHECKING:
    from rivulet.stream import Stream

__all__ = ["Windowed", "window"]

A = TypeVar("A")
K = TypeVar("K")
R = TypeVar("R")
T = TypeVar("T")
U = TypeVar("U")
K_co = TypeVar("K_co", covariant=True)
T_co = TypeVar("T_co", covariant=True)


@frozen
class Windows(Unary):
    """Node: what came of the items of each window."""

    spec: Spec
    by: Selector[Any] | None
    how: Folding
    text: str

    def stage(self) -> Expand:
        stamps = "need" if self.spec.by_time or has_stamps(self.inputs()[0]) else "own"
        if self.spec.processing and self.spec.by_time:
            return Expand(select=_keys(self.by), make=self.make, stamps="lose", timed=True)
        return Expand(
            select=_keys(self.by),
            make=self.make,
            stamps=stamps,
            holds=True,
            quiet=self.spec.quiet,
            lines=self.spec.lines(self.how, keyed=self.by is not None),
        )

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        return _keyless(self.spec.make(context, self.how), self.by)

    @property
    def name(self) -> str:
        return "window"

    @property
    def label(self) -> str:
        return self.text


@frozen
class Late(Unary):
    """Node: the items that came when all of their windows were closed."""

    spec: Spec
    by: Selector[Any] | None
    text: str

    def stage(self) -> Expand:
        return Expand(select=_keys(self.by), make=self.make, stamps="need")

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        return _keyless(self.spec.make_late(context), self.by)

    @property
    def label(self) -> str:
        return self.text


def _keys(by: Selector[Any] | None) -> tuple[Callable[[Any], Any], ...]:
    return () if by is None else (selector(by, "window", "by"),)


def _keyless(logic: Logic, by: Selector[Any] | None) -> Logic:
    """The same logic, called without a key where there are none."""
    if by is None:
        call = logic.call
        assert call is not None

        def keyless(item: Any, t: int | None = None) -> Any:
            return call(item, None, t)

        logic.call = keyless
    return logic


class Windowed(Generic[K_co, T_co]):
    """Items in windows: say what is to come of them.

    ``agg``, ``count``, ``collect``, ``fold`` and ``apply`` give a stream of `Window`, in the order
    in which windows close; ``late`` is the stream of the items that came after that.
    """

    __slots__ = ("_by", "_item", "_node", "_spec", "_stream", "_text")

    def __init__(
        self,
        node: Node,
        stream: Callable[[Node], Stream[Any]],
        spec: Spec,
        by: Selector[Any] | None,
        text: str,
        item: Callable[[Any], Any] | None = None,
    ) -> None:
        self._node = node
        self._stream = stream
        self._spec = spec
        self._by = by
        self._text = text
        self._item = item

    def _ending(self, how: Folding, text: str) -> Stream[Any]:
        self._spec.check(how)
        if self._item is not None:
            how = of_part(how, self._item)
        return self._stream(Windows(self._node, self._spec, self._by, how, f"{self._text}.{text}"))

    def of(self, part: Callable[[T_co], U], /) -> Windowed[K_co, U]:
        """The same windows of a part of each item, such as the value of a pair."""
        whole, node = self._item, self._node
        taken = part if whole is None else _chained(whole, part)
        return Windowed(node, self._stream, self._spec, self._by, self._text, taken)

    def agg(self, **aggregators: Aggregating) -> Stream[Window[K_co, dict[str, Any]]]:
        """Give a dict of results, one for each aggregator.

        Args:
            aggregators: names of results, and how each comes about.

        Raises:
            GraphError: none is given, or one is no aggregator.

        Example:
            >>> from rivulet.aggregators import Count, Mean
            >>> rows = Stream.of((1, 10.0), (2, 20.0), (12, 5.0)).event_time(0)
            >>> await rows.window(tumbling="10s").agg(n=Count(), mean=Mean(1)).to(print).run()
            Window(1970-01-01 00:00:00 to 1970-01-01 00:00:10, {'n': 2, 'mean': 15.0})
            Window(1970-01-01 00:00:10 to 1970-01-01 00:00:20, {'n': 1, 'mean': 5.0})
        """
        how = aggregating(aggregators)
        named = ", ".join(f"{name}={given!r}" for name, given in aggregators.items())
        return self._ending(how, f"agg({named})")

    def count(self) -> Stream[Window[K_co, int]]:
        """Give the number of items.

        Example:
            >>> clicks = Stream.of(1, 2, 12).event_time(lambda t: t)
            >>> counts = clicks.window(tumbling=10).count()
            >>> await counts.map(lambda w: (w.start.second, w.value)).collect()
            [(0, 2), (10, 1)]
        """
        return self._ending(counting(), "count()")

    def collect(self) -> Stream[Window[K_co, list[T_co]]]:
        """Give the items in a list, in the order of their times, and else as they came.

        Example:
            >>> clicks = Stream.of(2, 1, 12).event_time(lambda t: t, max_delay=5)
            >>> await clicks.window(tumbling=10).collect().map(lambda w: w.value).collect()
            [[1, 2], [12]]
        """
        return self._ending(collecting(), "collect()")

    def apply(self, fn: Callable[[list[T_co]], R], /) -> Stream[Window[K_co, R]]:
        """Give ``fn(items)``, of the items in a list as ``collect`` gives them.

        Args:
            fn: a plain function; for an async one use ``collect().map(...)``.

        Raises:
            GraphError: it isn't callable, or async.
        """
        _check_plain(fn, "apply")
        return self._ending(collecting(fn), f"apply({_named(fn)})")

    def fold(
        self, fn: Callable[[A, T_co], A], /, initial: A, *, merge: Callable[[A, A], A] | None = None
    ) -> Stream[Window[K_co, A]]:
        """Give the state that ``fn(state, item)`` leads to, item by item as they come.

        Args:
            fn: a plain function that gives the new state.
            initial: the state before the first item; each window has a copy of its own.
            merge: gives one state of two, for sessions, which may grow together.

        Raises:
            GraphError: a function isn't callable, or is async; sessions without ``merge``.
        """
        _check_plain(fn, "fold")
        if merge is not None:
            _check_plain(merge, "fold")
        return self._ending(folding(initial, fn, merge), f"fold({_named(fn)})")

    @property
    def late(self) -> Stream[LateItem[T_co]]:
        """The items that came when all of their windows were closed, and how late they were.

        Raises:
            GraphError: windows that go by the order of arrival have no late items; or something
                else becomes of them.
        """
        if self._spec.late != "stream":
            raise GraphError(
                f'window(late="{self._spec.late}") says what becomes of late items: leave it out '
                f"to have them on .late"
            )
        if not self._spec.by_time or self._spec.processing:
            what = "order in" if not self._spec.by_time else "time at"
            raise GraphError(
                f"windows that go by the {what} which items come have no late items: .late goes "
                f"with windows by event time"
            )
        late = self._stream(Late(self._node, self._spec, self._by, f"{self._text}.late"))
        part = self._item
        return late if part is None else late.map(_late_part(part))

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(
                f"windows have no {name!r}: say first what is to come of them, with "
                f".agg(n=Count()), .count(), .collect(), .fold(...) or .apply(...)"
            )

    def __repr__(self) -> str:
        return f"<Windowed {self._text}: say what is to come of it, as in .count()>"


def _chained(first: Callable[[Any], Any], then: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda item: then(first(item))


def _late_part(part: Callable[[Any], Any]) -> Callable[[LateItem[Any]], LateItem[Any]]:
    return lambda late: LateItem(part(late.item), late.by)


def _check_plain(fn: Callable[..., Any], end: str) -> None:
    check_callable(fn, end, "fn")
    if mode_of(fn) == "async":
        raise GraphError(
            f"{end} of windows takes a plain function: use collect() and await in map(...) after it"
        )


def _named(fn: Callable[..., Any]) -> str:
    return getattr(fn, "__name__", type(fn).__name__)


@overload
def window(
    source: Stream[T],
    /,
    *,
    tumbling: Duration | None = None,
    hopping: Duration | None = None,
    every: Duration | int | None = None,
    sliding: Duration | None = None,
    session: Duration | Callable[[T, T], object] | None = None,
    count: int | None = None,
    calendar: Literal["hour", "day", "week", "month", "quarter", "year"] | None = None,
    by: None = None,
    origin: datetime | float | None = None,
    tz: str | tzinfo = "UTC",
    grace: Duration = 0,
    emit: Literal["close", "update", "arrival"] | Duration | None = None,
    late: Literal["stream", "drop", "reassign"] = "stream",
    time: Literal["event", "processing"] = "event",
    name: str | None = None,
) -> Windowed[None, T]: ...
@overload
def window(
    source: Stream[T],
    /,
    *,
    by: Callable[[T], Awaitable[K]],
    tumbling: Duration | None = None,
    hopping: Duration | None = None,
    every: Duration | int | None = None,
    sliding: Duration | None = None,
    session: Duration | Callable[[T, T], object] | None = None,
    count: int | None = None,
    calendar: Literal["hour", "day", "week", "month", "quarter", "year"] | None = None,
    origin: datetime | float | None = None,
    tz: str | tzinfo = "UTC",
    grace: Duration = 0,
    emit: Literal["close", "update", "arrival"] | Duration | None = None,
    late: Literal["stream", "drop", "reassign"] = "stream",
    time: Literal["event", "processing"] = "event",
    name: str | None = None,
) -> Windowed[K, T]: ...
@overload
def window(
    source: Stream[T],
    /,
    *,
    by: Callable[[T], K],
    tumbling: Duration | None = None,
    hopping: Duration | None = None,
    every: Duration | int | None = None,
    sliding: Duration | None = None,
    session: Duration | Callable[[T, T], object] | None = None,
    count: int | None = None,
    calendar: Literal["hour", "day", "week", "month", "quarter", "year"] | None = None,
    origin: datetime | float | None = None,
    tz: str | tzinfo = "UTC",
    grace: Duration = 0,
    emit: Literal["close", "update", "arrival"] | Duration | None = None,
    late: Literal["stream", "drop", "reassign"] = "stream",
    time: Literal["event", "processing"] = "event",
    name: str | None = None,
) -> Windowed[K, T]: ...
@overload
def window(
    source: Stream[T],
    /,
    *,
    by: str | int,
    tumbling: Duration | None = None,
    hopping: Duration | None = None,
    every: Duration | int | None = None,
    sliding: Duration | None = None,
    session: Duration | Callable[[T, T], object] | None = None,
    count: int | None = None,
    calendar: Literal["hour", "day", "week", "month", "quarter", "year"] | None = None,
    origin: datetime | float | None = None,
    tz: str | tzinfo = "UTC",
    grace: Duration = 0,
    emit: Literal["close", "update", "arrival"] | Duration | None = None,
    late: Literal["stream", "drop", "reassign"] = "stream",
    time: Literal["event", "processing"] = "event",
    name: str | None = None,
) -> Windowed[Any, T]: ...
def window(
    source: Stream[Any],
    /,
    *,
    tumbling: Duration | None = None,
    hopping: Duration | None = None,
    every: Duration | int | None = None,
    sliding: Duration | None = None,
    session: Duration | Callable[[Any, Any], object] | None = None,
    count: int | None = None,
    calendar: str | None = None,
    by: Selector[Any] | None = None,
    origin: datetime | float | None = None,
    tz: str | tzinfo = "UTC",
    grace: Duration = 0,
    emit: Any = None,
    late: str = "stream",
    time: str = "event",
    name: str | None = None,
) -> Windowed[Any, Any]:
    """Put items into windows of time; say next what is to come of them, as in ``.count()``.

    A window closes when the watermark reaches its end plus ``grace``, whatever key or partition is
    quiet, and at the end of input. Exactly one kind is given:

    ``tumbling``   one after the other, ``[start, end)``
    ``hopping``    one of that length begins ``every`` so often
    ``sliding``    for each item the stretch up to it, ``[t - sliding, t]``, both ends included
    ``session``    as long as each item is closer than that to the one before; or, by a function of
                   (the item before, the item), as long as it is true
    ``count``      the last so many items, after every so many (``every``)
    ``calendar``   hours, days, weeks, months, quarters or years in ``tz``

    Emits:      one `Window` for each window and key, when it closes; ``emit`` for other times.
    Waits:      never.
    Completes:  when the source does; open windows close then. ``stop()`` gives them as not final.
    State:      what is kept of the items of open windows; of ``sliding``, those items.
    Time:       event time. The time of a result is the last microsecond in the window. Behind a
                join with ``revise=True`` items come in when they can't be corrected any more, which
                is before their window closes.

    Args:
        tumbling: how long a window is.
        hopping: how long a window is.
        every: how often one begins; with ``count``, after how many items there is a result.
        sliding: how long a window is.
        session: the gap after which an item begins another window, or the condition to go on.
        count: how many items a window has.
        calendar: ``"hour"``, ``"day"``, ``"week"``, ``"month"``, ``"quarter"`` or ``"year"``.
        by: takes the key; windows are per key then.
        origin: where a tumbling or hopping window begins, instead of the epoch.
        tz: the zone of the calendar, and of the bounds that results tell.
        grace: how long after its end a window stays open for late items.
        emit: ``"close"``: once, final. ``"update"``: after each item with a rising ``revision``;
            the last one is final. A duration: that often while the window is open, and when it
            closes. For ``sliding``: ``"arrival"`` (the default), at once for each item from what
            has come; ``"close"``, when no earlier item is expected any more.
        late: what becomes of an item whose windows are all closed: ``"stream"`` gives it on
            ``.late``, ``"drop"`` drops it, ``"reassign"`` puts it into the oldest that is open.
            Each is counted.
        time: ``"processing"`` goes by the moment at which items come.
        name: what it is called in ``explain()``.

    Raises:
        GraphError: at build, if not exactly one kind is given, arguments don't go together, or
            items have no time: put ``event_time`` before it.
        TypeError: while running, if a key can't be hashed.

    Example:
        >>> clicks = Stream.of((1, "a"), (3, "b"), (4, "a"), (11, "a")).event_time(0)
        >>> counts = clicks.window(tumbling="10s", by=1).count()
        >>> await counts.map(lambda w: (w.key, w.start.second, w.value)).collect()
        [('a', 0, 2), ('b', 0, 1), ('a', 10, 1)]

    Source: Flink's windows and lateness; ``sliding`` is Kafka Streams' and Quix's, Flink's and
        Beam's sliding windows are ``hopping``. Windows of Kafka Streams stay open when input stops.
    """
    spec = spec_of(
        tumbling=tumbling,
        hopping=hopping,
        every=every,
        sliding=sliding,
        session=session,
        count=count,
        calendar=calendar,
        origin=origin,
        tz=tz,
        grace=grace,
        emit=emit,
        late=late,
        time=time,
    )
    if spec.by_time and not spec.processing:
        require_stamps(source.node, "window")
    _keys(by)
    text = f"window({name!r})" if name else _text_of(locals(), spec)
    node = source.node
    if node.has_revisions and spec.by_time and not spec.processing:
        node = Settle(node, spec.grace)
    return Windowed(node, source.via, spec, by, text)


def _text_of(given: dict[str, Any], spec: Spec) -> str:
    usual = {"tz": "UTC", "grace": 0, "late": "stream", "time": "event"}
    shown = [spec.kind, "every", "by", "origin", "tz", "grace", "emit", "late", "time"]
    parts = [
        f"{name}={_named(given[name]) if callable(given[name]) else shortened(given[name], 40)}"
        for name in shown
        if given[name] is not None and given[name] != usual.get(name)
    ]
    return f"window({', '.join(parts)})"
