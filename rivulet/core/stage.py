"""The closed set of stages in which every operator describes itself.

Planner and runner know these and no operator. Eight of them do the work; four marks say something
about the path that items take.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Literal

from rivulet.core.logic import Context, Logic

if TYPE_CHECKING:
    from rivulet.core.node import Node

__all__ = [
    "Apply",
    "Channel",
    "Combine",
    "Effect",
    "Expand",
    "Group",
    "Guard",
    "Lines",
    "Port",
    "Produce",
    "Sharing",
    "Stage",
    "Stamp",
    "Step",
    "Test",
    "Transform",
    "Work",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Sharing:
    """One subscription of a graph for all who read it at the same time, also in several runs.

    Attributes:
        node: what is read once.
        size: how many items may wait for each reader.
        overflow: what happens when one is full, as for a ``Channel``.
        replay: how many of the last items a reader gets that comes later.
        hubs: the subscription of each event loop, while it lasts.
    """

    node: Node
    size: int
    overflow: str | Callable[[Any, Any], Any]
    replay: int
    hubs: dict[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Produce:
    """Opens a source: ``for x in source`` or ``async for x in source``.

    Attributes:
        open: gives an iterable, an async iterable, or an awaitable of one.
        replayable: whether a new run can read the same again.
        is_async: whether it will be an async iterable, where that is known before.
        one_shot: the iterator that can be read once, by which two readers are found out.
        is_feed: ``one_shot`` is what the loop itself feeds a pipe with, to be iterated as it is.
        nested: graphs that ``open`` may subscribe to; their entries are passed on as they are.
        sharing: in place of ``open``, a subscription shared by the branches below.
        guards: a failure inside the nested graphs may be left to a policy below.
    """

    open: Callable[[Context], Any] | None = None
    replayable: bool = True
    is_async: bool = True
    one_shot: Any = None
    is_feed: bool = False
    nested: tuple[Node, ...] = ()
    sharing: Sharing | None = None
    guards: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """What the loop does with an item by lines of its own, in place of a call.

    Attributes:
        text: templates (``string.Template``) of these lines. They may use ``$item``, ``$t`` for its
            stamp, ``$v0`` and so on for what the selectors gave (None where there is none), and
            ``$state`` for the cell of the logic. Other names are variables.
        names: those that aren't, and what they stand for.
    """

    text: tuple[str, ...]
    names: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Step:
    """Work on one item at a time, in the loop itself.

    Either ``fn``, a function of the user that the loop calls as it is, or ``make``, which gives
    the logic of one run, or both (``fold``).

    Attributes:
        fn: the user's function, sync or async.
        select: the user's selectors, sync or async; their results go to the logic after the item.
        make: makes the logic of one run.
        spread: call ``fn(*item)``.
        fold: ``fn(state, item)`` gives the new state, which goes on (``scan``) or stays until the
            end (``fold``), or gives the new state and what goes on (``map``).
        stamps: items keep the stamp of the item they came from; or the logic takes a stamp and
            gives its own; or it does so and can't work without; or some items have none.
        timed: the logic has timers.
        ends: the logic may want no more input before its source ends.
        holds: the logic keeps items back, so the watermark below it is another.
        awaits: the logic's call, or what it calls after an item, gives None or something to await.
        signals: what this stage lets other stages go on with.
        waits: what this stage may wait for, which stages with the same ``signals`` bring.
        replays: this stage may make the source go back, so that items come again.
        quiet: the logic's call gives nothing; outputs come with time and at the end.
        lines: of a quiet stage, what is done with an item in place of the logic's call, where the
            logic has a cell.
    """

    fn: Callable[..., Any] | None = None
    select: tuple[Callable[[Any], Any], ...] = ()
    make: Callable[[Context], Logic] | None = None
    spread: bool = False
    fold: Literal["", "scan", "fold", "map"] = ""
    stamps: Literal["keep", "own", "need", "lose"] = "keep"
    timed: bool = False
    ends: bool = False
    holds: bool = False
    awaits: bool = False
    signals: tuple[object, ...] = ()
    waits: tuple[object, ...] = ()
    replays: bool = False
    quiet: bool = False
    lines: Lines | None = None


class Apply(Step):
    """One in, one out."""

    __slots__ = ()


class Test(Step):
    """Keeps an item or drops it; what it drops comes out of the port ``no``.

    A logic may also give None: it has kept the item to itself, which comes out of neither.
    """

    __slots__ = ()
    __test__ = False


class Expand(Step):
    """One in, any number out."""

    __slots__ = ()


class Effect(Step):
    """A side effect; the item passes on."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Transform:
    """An opaque function of an async iterable, stepped in place."""

    fn: Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Work:
    """What is done with the items of a channel beside the loops.

    Attributes:
        fn: the user's function, sync or async.
        concurrency: how many items are worked on at once.
        ordered: results keep the order of the input.
        by: items of equal key are worked on one after another.
        expand: ``fn`` gives an iterable, whose items are the results.
        newest: a new item ends the work on the one before.
    """

    fn: Callable[[Any], Any]
    concurrency: int
    ordered: bool = True
    by: Callable[[Any], Any] | None = None
    expand: bool = False
    newest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Channel:
    """The part after runs in another task.

    Attributes:
        size: how many items may be on their way.
        overflow: what happens when it is full: ``wait``, ``drop_oldest``, ``drop_newest``,
            ``error``, or a function of (the newest item held, the new one) that gives one for both.
        delay: seconds that each item is kept.
        work: what is done with each item on the way.
        only_for: there is a boundary only where a stage that signals one of these is fed by the
            same loop: what follows waits for it, and would wait for its own loop.
    """

    size: int = 1
    overflow: str | Callable[[Any, Any], Any] = "wait"
    delay: float = 0.0
    work: Work | None = None
    only_for: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Combine:
    """Several inputs, one output.

    Without ``make``, items come out as they come in. A logic is called with (input, item) or
    (input, item, stamp), with ``CLOSED`` for an item when an input has ended, and gives outputs.
    A stepped one is told that by ``on_mark``.

    Attributes:
        make: makes the logic of one run.
        select: the user's selectors, called for each item; their results come after the stamp.
        selective: only the inputs that the logic ``wants`` are read.
        stepped: of two inputs the one that is behind in event time is read first, the second where
            they are level; needs stamps.
        holds: the logic keeps items back.
        timed: the logic has timers.
        silent: inputs that give no items, only their end, so that no time is asked of them.
    """

    make: Callable[[Context], Logic] | None = None
    select: tuple[Callable[[Any], Any], ...] = ()
    silent: tuple[int, ...] = ()
    selective: bool = False
    stepped: bool = False
    holds: bool = False
    timed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Stamp:
    """Mark: from here on items carry the time at which they happened.

    Attributes:
        ts: takes an item's time.
        tz: the zone of naive datetimes.
        max_delay: microseconds by which an item may be late.
        partition: takes the part of the source that an item is from, each with a clock of its own.
        idle: seconds after which a silent input is left out.
        advance: a silent input's clock goes on with the time that passes.
    """

    ts: Callable[[Any], Any]
    tz: tzinfo
    max_delay: int = 0
    partition: Callable[[Any], Any] | None = None
    idle: float | None = None
    advance: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Guard:
    """Mark: a failure of a stage above is handled here rather than raised.

    Attributes:
        types: which errors.
        handle: called with the ``Failure``; None only counts it.
        inline: the ``Failure`` goes on as an item.
        raises: the error is raised after all, whatever policy is below.
        retries: how often the call that failed is tried again first.
        backoff: seconds before the given retry.
    """

    types: tuple[type[BaseException], ...]
    handle: Callable[[Any], Any] | None = None
    inline: bool = False
    raises: bool = False
    retries: int = 0
    backoff: Callable[[int], float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Port:
    """Mark: another output of the stage above."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Group:
    """Mark: from here on state is kept per key, until the group is left.

    Attributes:
        key: takes the key.
        leave: the group ends here, and items go on as ``(key, item)`` (``pairs``) or as they are.
        max_keys: the key unused for longest is closed when there are more.
        idle: seconds after which a key without items is closed.
    """

    key: Callable[[Any], Any] | None = None
    leave: Literal["", "pairs", "values"] = ""
    max_keys: int | None = None
    idle: float | None = None


Stage = (
    Produce
    | Apply
    | Test
    | Expand
    | Effect
    | Transform
    | Channel
    | Combine
    | Stamp
    | Guard
    | Port
    | Group
)
