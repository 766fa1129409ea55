"""``join_interval``: pairs of items that happened near each other."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from rivulet.core.callables import Selector
from rivulet.core.checks import check_choice, check_flag
from rivulet.core.durations import Duration
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Binary, frozen
from rivulet.core.stage import Combine
from rivulet.joins.interval import Interval
from rivulet.ops.join_asof import Pair, micros_of, sides_of, stamped_sides

if TYPE_CHECKING:
    from rivulet.core.entries import Revision
    from rivulet.stream import Stream

L = TypeVar("L")
R = TypeVar("R")

StreamLike = AsyncIterable[R] | Iterable[R]
How = Literal["inner", "left", "right", "outer"]
HOW = ("inner", "left", "right", "outer")


@frozen
class JoinInterval(Binary):
    """Node: pairs of items that happened near each other."""

    before: Duration
    after: Duration
    by: Selector[Any] | Pair | None = None
    how: How = "inner"
    revise: bool = False

    def stage(self) -> Combine:
        return Combine(make=self.make, stepped=True, holds=True)

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        return self.join().make(context)

    def join(self) -> Interval:
        """The join, checked.

        Raises:
            GraphError: an argument is wrong.
        """
        return Interval(
            before=micros_of(self.before, "join_interval(before)"),
            after=micros_of(self.after, "join_interval(after)"),
            by=None if self.by is None else sides_of(self.by, "join_interval", "by"),
            outer=outer_sides(self.how),
            revise=self.revise,
        )

    def endless(self, inputs: Sequence[bool]) -> bool:
        return never_ends(self.how, inputs)

    def revises(self, corrected: bool) -> bool:
        return self.revise and self.how != "inner"


def outer_sides(how: How) -> tuple[bool, bool]:
    """For each side whether its items without a partner are given."""
    return how in ("left", "outer"), how in ("right", "outer")


def never_ends(how: How, inputs: Sequence[bool]) -> bool:
    """Whether a join is known never to end: some side that counts to the end is."""
    return all(inputs) or any(
        endless and outer for endless, outer in zip(inputs, outer_sides(how), strict=True)
    )


@overload
def join_interval(
    source: Stream[L],
    other: StreamLike[R],
    /,
    *,
    before: Duration,
    after: Duration,
    on: Selector[Any] | Pair | None = None,
    by: Selector[Any] | Pair | None = None,
    how: Literal["inner"] = "inner",
    revise: bool = False,
) -> Stream[tuple[L, R]]: ...
@overload
def join_interval(
    source: Stream[L],
    other: StreamLike[R],
    /,
    *,
    before: Duration,
    after: Duration,
    on: Selector[Any] | Pair | None = None,
    by: Selector[Any] | Pair | None = None,
    how: Literal["left"],
    revise: Literal[False] = False,
) -> Stream[tuple[L, R | None]]: ...
@overload
def join_interval(
    source: Stream[L],
    other: StreamLike[R],
    /,
    *,
    before: Duration,
    after: Duration,
    on: Selector[Any] | Pair | None = None,
    by: Selector[Any] | Pair | None = None,
    how: Literal["right"],
    revise: Literal[False] = False,
) -> Stream[tuple[L | None, R]]: ...
@overload
def join_interval(
    source: Stream[L],
    other: StreamLike[R],
    /,
    *,
    before: Duration,
    after: Duration,
    on: Selector[Any] | Pair | None = None,
    by: Selector[Any] | Pair | None = None,
    how: Literal["outer"],
    revise: Literal[False] = False,
) -> Stream[tuple[L | None, R | None]]: ...
@overload
def join_interval(
    source: Stream[L],
    other: StreamLike[R],
    /,
    *,
    before: Duration,
    after: Duration,
    on: Selector[Any] | Pair | None = None,
    by: Selector[Any] | Pair | None = None,
    how: How,
    revise: bool,
) -> Stream[tuple[L | None, R | None] | Revision[tuple[L | None, R | None]]]: ...
def join_interval(
    source: Stream[Any],
    other: StreamLike[Any],
    /,
    *,
    before: Duration,
    after: Duration,
    on: Selector[Any] | Pair | None = None,
    by: Selector[Any] | Pair | None = None,
    how: How = "inner",
    revise: bool = False,
) -> Stream[Any]:
    """Give the pairs of a left and a right item that happened near each other.

    For each left item all right ones from ``before`` it to ``after`` it, both bounds included. For
    the one right item that held at its time, use ``join_asof``; for pairs within fixed windows,
    ``join``.

    The two are read in step, as far as they can be read without waiting; a silent one holds nobody.
    The results are the same for every order of arrival within the ``max_delay`` of ``event_time``.

    Emits:      ``(left, right)`` as soon as both are there. With ``how="left"``, ``"right"`` or
                ``"outer"`` also ``(left, None)`` and ``(None, right)``, when it is certain that no
                partner comes; with ``revise`` at once, and ``Revision(old, new)`` if one does.
    Waits:      never for one side; each is read at most 256 items ahead, or one of what can be read
                only once.
    Completes:  when both do, or when one has and the other can't change anything.
    State:      the items of each side that can still find a partner, by the other's watermark.
    Time:       event time; a pair has the later of its items' times.

    Args:
        other: the right side: a stream, or anything that one can be made of.
        before: how long before the left item the right one may have happened.
        after: how long after it.
        on: takes the time of items that have none yet. Like ``by``, one selector for both sides or
            a pair, each a plain function, a key or an attribute.
        by: takes the key; only items of equal key match.
        how: ``"inner"``, ``"left"``, ``"right"`` or ``"outer"``.
        revise: give items without a partner at once and correct them later, as in ``join_asof``.

    Raises:
        GraphError: at build, if a side has no time, or an argument is wrong.
        TypeError: while running, if a key isn't hashable; the note names the item.

    Example:
        >>> shown = Stream.of({"at": 10, "ad": "a"}, {"at": 20, "ad": "b"})
        >>> clicks = Stream.of({"at": 13, "ad": "a", "by": "ana"})
        >>> pairs = shown.join_interval(clicks, before=0, after=5, on="at", by="ad", how="left")
        >>> await pairs.starmap(lambda ad, click: (ad["ad"], click and click["by"])).collect()
        [('a', 'ana'), ('b', None)]

    Source: interval joins of Flink, with the outer kinds that its SQL has.
    """
    check_choice(how, "join_interval", "how", HOW)
    check_flag(revise, "join_interval", "revise")
    left, right = stamped_sides(source, other, on, "join_interval")
    node = JoinInterval(left, right, before, after, by, how, revise)
    node.join()
    return source.via(node)
