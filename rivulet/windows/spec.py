"""What windows there are: their kind and when they give results."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from rivulet.core.callables import check_callable, mode_of
from rivulet.core.checks import check_choice, check_whole
from rivulet.core.durations import Duration, seconds
from rivulet.core.logic import Context, Logic
from rivulet.core.stage import Lines
from rivulet.core.text import shortened
from rivulet.core.time import FOREVER, SECOND, Watermark, micros, zone
from rivulet.errors import GraphError, SourceError
from rivulet.windows.aligned import Aligned, adding
from rivulet.windows.arrival import counted, while_holds
from rivulet.windows.folding import Folding, counting, required_merge
from rivulet.windows.sessions import Sessions
from rivulet.windows.spans import CALENDAR, Spans, calendar, hopping, tumbling
from rivulet.windows.trailing import Trailing

__all__ = ["LateItem", "Spec", "spec_of"]

T_co = TypeVar("T_co", covariant=True)

Kind = Literal["tumbling", "hopping", "sliding", "session", "count", "calendar"]
KINDS = ("tumbling", "hopping", "sliding", "session", "count", "calendar")


class LateItem(NamedTuple, Generic[T_co]):
    """An item that came when all of its windows were closed.

    Attributes:
        item: the item.
        by: how far its time is behind the watermark.
    """

    item: T_co
    by: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A kind of windows, checked. Times are in microseconds.

    Attributes:
        kind: which kind.
        size: how long one is, the gap of sessions, or of how many items.
        every: how often one begins, or how many items lie between two.
        predicate: of sessions, whether an item belongs to the one before.
        unit: of the calendar.
        origin: where one begins.
        tz: in which zone bounds are told and the calendar is read.
        grace: how long after its end a window takes late items.
        emit: when there are results: when they close, after each item, or that often.
        late: what becomes of late items.
        processing: whether they go by the time at which items come.
    """

    kind: Kind
    size: int
    every: int
    predicate: Callable[[Any, Any], object] | None
    unit: str
    origin: int
    tz: tzinfo
    grace: int
    emit: Literal["close", "update", "arrival"] | int
    late: Literal["stream", "drop", "reassign"]
    processing: bool

    @property
    def by_time(self) -> bool:
        """Whether they go by the time of items, not by the order in which they come."""
        return self.kind != "count" and self.predicate is None

    @property
    def quiet(self) -> bool:
        """Whether items by themselves give no results, only time does."""
        return self.by_time and (self.emit == "close" or isinstance(self.emit, int))

    def check(self, how: Folding) -> None:
        """See whether results can be had in this way.

        Raises:
            GraphError: they can't.
        """
        if self.kind == "session" and self.predicate is None:
            required_merge(how)

    @property
    def inline(self) -> bool:
        """Whether the loop itself adds items: each is in one window, which gives one result."""
        one_each = self.kind in ("tumbling", "calendar")
        return one_each and self.emit == "close" and not self.processing

    def lines(self, how: Folding, *, keyed: bool) -> Lines | None:
        """What the loop does with an item, if it is the loop that adds items."""
        return adding(how, keyed=keyed) if self.inline else None

    def make(self, context: Context, how: Folding) -> Logic:
        """The state of one run, called with an item, its key and its time."""
        if not self.processing or not self.by_time:
            late = _Late(self, context.clock)
            return self._logic(context, context.clock, how, late, inline=self.inline)
        return _by_wall_clock(self, context, how)

    def make_late(self, context: Context) -> Logic:
        """The state of one run that gives the items that are late instead of results."""
        late = _Late(self, context.clock, keep=True)
        logic = self._logic(context, context.clock, counting(), late)
        call, on_time = logic.call, logic.on_time
        assert call is not None
        assert on_time is not None

        def only_late(item: Any, key: Any, t: int) -> Iterable[Any]:
            call(item, key, t)
            found, late.kept = late.kept, []
            return found

        def close(watermark: int) -> Iterable[Any]:
            for _ in on_time(watermark):
                pass
            return ()

        # Not counted as late here: they are what comes out, and the windows count them.
        return Logic(
            call=only_late,
            on_time=close,
            deadline=logic.deadline,
            snapshot=logic.snapshot,
            restore=logic.restore,
        )

    def _logic(
        self,
        context: Context,
        clock: Watermark,
        how: Folding,
        late: _Late,
        *,
        inline: bool = False,
    ) -> Logic:
        if self.kind == "count":
            return counted(context, self.size, self.every, how, tz=self.tz)
        if self.predicate is not None:
            return while_holds(context, self.predicate, how, tz=self.tz)
        if self.kind == "sliding":
            logic = Trailing(
                context,
                clock,
                self.size,
                how,
                on_late=late,
                grace=self.grace,
                arrival=self.emit == "arrival",
                tz=self.tz,
            ).logic()
        elif self.kind == "session":
            logic = Sessions(
                context,
                clock,
                self.size,
                how,
                on_late=late,
                grace=self.grace,
                emit=self.emit if isinstance(self.emit, int) else None,
                updates=self.emit == "update",
                tz=self.tz,
            ).logic()
        else:
            logic = Aligned(
                context,
                clock,
                self.spans(),
                how,
                on_late=late,
                grace=self.grace,
                emit=self.emit if isinstance(self.emit, int) else None,
                updates=self.emit == "update",
                tz=self.tz,
            ).logic(inline=inline)
        logic.late = lambda: late.count
        return logic

    def spans(self) -> Spans:
        """Where windows that don't depend on items lie."""
        match self.kind:
            case "tumbling":
                return tumbling(self.size, self.origin)
            case "hopping":
                return hopping(self.size, self.every, self.origin)
            case _:
                return calendar(self.unit, self.tz)


class _Late:
    """Takes late items; says for which time one counts after all."""

    def __init__(self, spec: Spec, clock: Watermark, *, keep: bool = False) -> None:
        self.count = 0
        self.kept: list[tuple[LateItem[Any], int]] = []
        self._keep = keep
        self._clock = clock
        self._grace = spec.grace
        self._reassign = spec.late == "reassign"

    def __call__(self, item: Any, t: int) -> int | None:
        self.count += 1
        watermark = self._clock.watermark
        if self._keep:
            self.kept.append((LateItem(item, timedelta(microseconds=watermark - t)), t))
        return watermark - self._grace if self._reassign and watermark < FOREVER else None


class _WallClock(Watermark):
    """The time of day as a watermark."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def watermark(self) -> int:
        return int(self._context.wall() * SECOND)

    def call_at(self, watermark: int) -> None:
        self._context.wake_at(self._context.now() + max(0, watermark - self.watermark) / SECOND)


def _by_wall_clock(spec: Spec, context: Context, how: Folding) -> Logic:
    """Windows of the time at which items come, which timers close."""
    clock = _WallClock(context)
    logic = spec._logic(context, clock, how, _Late(spec, clock))
    call, on_time, on_end = logic.call, logic.on_time, logic.on_end
    deadline = logic.deadline
    assert call is not None
    assert on_time is not None
    assert on_end is not None
    assert deadline is not None

    def at_once(item: Any, key: Any, _t: object = None) -> Iterable[Any]:
        return [window for window, _ in call(item, key, clock.watermark) or ()]

    def on_timer(_now: float) -> Iterable[Any]:
        given = [window for window, _ in on_time(clock.watermark)]
        # A timer may come a moment early.
        if (due := deadline()) < FOREVER:
            clock.call_at(due)
        return given

    return Logic(
        call=at_once,
        on_timer=on_timer,
        on_end=lambda: [window for window, _ in on_end()],
        snapshot=logic.snapshot,
        restore=logic.restore,
    )


def spec_of(
    *,
    tumbling: Duration | None,
    hopping: Duration | None,
    every: Duration | int | None,
    sliding: Duration | None,
    session: Duration | Callable[[Any, Any], object] | None,
    count: int | None,
    calendar: str | None,
    origin: datetime | float | None,
    tz: str | tzinfo,
    grace: Duration,
    emit: Duration | None,
    late: str,
    time: str,
) -> Spec:
    """Windows as they were asked for, checked.

    Raises:
        GraphError: there is no such kind, or arguments don't go together.
    """
    given: dict[Any, Any] = {
        "tumbling": tumbling,
        "hopping": hopping,
        "sliding": sliding,
        "session": session,
        "count": count,
        "calendar": calendar,
    }
    kinds: list[Kind] = [kind for kind in given if given[kind] is not None]
    if len(kinds) != 1:
        raise GraphError(
            f"window takes exactly one of {', '.join(f'{kind}=' for kind in KINDS)}, not "
            f"{' and '.join(kinds) or 'none'}"
        )
    kind = kinds[0]
    check_choice(late, "window", "late", ("stream", "drop", "reassign"))
    check_choice(time, "window", "time", ("event", "processing"))
    size = step = 0
    predicate = None
    zone_ = zone(tz)
    if kind == "count":
        check_whole(count, "window", "count")
        assert count is not None
        size = step = count
        if every is not None:
            check_whole(every, "window", "every")
            step = int(every)  # pyright: ignore[reportArgumentType] - a whole number
    elif kind == "calendar":
        check_choice(calendar, "window", "calendar", CALENDAR)
    elif callable(session):
        check_callable(session, "window", "session")
        if mode_of(session) == "async":
            raise GraphError(
                "window(session) must be a plain function of two items: put .map(...) before it to "
                "await"
            )
        predicate = session
    else:
        size = step = _micros(given[kind], f"window({kind})")
    if kind == "hopping":
        if every is None:
            raise GraphError(
                f"window(hopping={hopping!r}) needs every=, how often a window begins, as in "
                f'window(hopping="10m", every="1m")'
            )
        step = _micros(every, "window(every)")
        if step > size:
            raise GraphError(
                f"window(every={every!r}) is longer than hopping={hopping!r}, so items between two "
                f"windows would be in none: use filter for that"
            )
    elif every is not None and kind != "count":
        raise GraphError(f"window(every) goes with hopping or count, not with {kind}")
    if origin is not None and kind not in ("tumbling", "hopping"):
        raise GraphError(f"window(origin) goes with tumbling or hopping, not with {kind}")
    spec = Spec(
        kind=kind,
        size=size,
        every=step,
        predicate=predicate,
        unit=calendar or "",
        origin=_origin(origin, zone_),
        tz=zone_,
        grace=round(seconds(grace, "window(grace)", zero=True) * SECOND),
        emit=_emit(emit, kind),
        late=late,  # pyright: ignore[reportArgumentType] - checked above
        processing=time == "processing",
    )
    if not spec.by_time and (spec.grace or spec.emit != "close"):
        raise GraphError(
            "windows by count or by a condition go by the order in which items come: grace and "
            "emit don't go with them"
        )
    return spec


def _micros(value: Any, name: str) -> int:
    found = round(seconds(value, name) * SECOND)
    if not found:
        raise GraphError(f"{name} must be at least a microsecond, not {value!r}")
    return found


def _origin(origin: datetime | float | None, tz: tzinfo) -> int:
    if origin is None:
        return 0
    try:
        return micros(origin, tz)
    except SourceError:
        raise GraphError(
            f"window(origin) must be a datetime or POSIX seconds, not {shortened(origin)}"
        ) from None


def _emit(emit: Any, kind: Kind) -> Literal["close", "update", "arrival"] | int:
    if emit is None:
        return "arrival" if kind == "sliding" else "close"
    if emit in ("close", "arrival" if kind == "sliding" else "update"):
        return emit
    if kind == "sliding":
        raise GraphError(
            f'window(sliding, emit) must be "arrival" (a result at once for each item) or "close" '
            f"(when no earlier item is expected any more), not {emit!r}"
        )
    if isinstance(emit, str) and not any(letter.isdigit() for letter in emit):
        raise GraphError(
            f'window(emit) must be "close", "update" or a duration such as "10s", not {emit!r}'
        )
    return _micros(emit, "window(emit)")
