"""``scan``: a running value."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from rivulet.aggregators import (
    Aggregating,
    Aggregator,
    Count,
    CountDistinct,
    Counts,
    Mean,
    Quantile,
    Sum,
    check_aggregators,
    field_of,
    fused,
)
from rivulet.core.callables import check_callable, selector
from rivulet.core.entries import GONE, UNSET, Revision
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Node, Unary, frozen
from rivulet.core.stage import Apply
from rivulet.errors import GraphError

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")
A = TypeVar("A")

_CORRECTABLE = (Count, CountDistinct, Counts, Mean, Quantile, Sum)
"""Of which any item can be taken back, whenever it came."""


@frozen
class Scan(Unary):
    """Node: the running value of a function."""

    fn: Callable[[Any, Any], Any]
    initial: Any = UNSET

    def stage(self) -> Apply:
        return Apply(fn=self.fn, fold="scan", make=self.make)

    def make(self, _: Context) -> Logic:
        """The state of one run."""
        return accumulator(self.initial)


@frozen
class Running(Unary):
    """Node: what an aggregator makes of all items so far."""

    aggregator: Aggregating

    def stage(self) -> Apply:
        fn = _corrected(self.aggregator) if self.up.has_revisions else _added(self.aggregator)
        return Apply(fn=fn, fold="map", make=self.make)

    def make(self, _: Context) -> Logic:
        """The state of one run."""
        init = self.aggregator.init if self.up.has_revisions else fused({"": self.aggregator}).init
        return accumulator((0, init()))

    def applies(self) -> bool:
        return type(self.aggregator) in _CORRECTABLE

    def revises(self, corrected: bool) -> bool:
        return False

    @property
    def name(self) -> str:
        return "scan"


def _added(aggregator: Aggregating) -> Callable[[Any, Any], Any]:
    """Add an item; where time matters, its place in the stream stands for it."""
    how = fused({"": aggregator})

    def fn(state: tuple[int, Any], item: Any) -> tuple[tuple[int, Any], Any]:
        number, kept = state
        how.add(kept, item, number)
        return (number + 1, kept), how.result(kept)[""]

    return fn


def _corrected(aggregator: Any) -> Callable[[Any, Any], Any]:
    """The same where items are corrected: what was given before is taken back."""
    field = field_of(aggregator)
    value = _itself if field is None else selector(field, "scan", "field")
    remove = getattr(aggregator, "remove", None) or _REMOVE[type(aggregator)]

    def fn(state: tuple[int, Any], item: Any) -> tuple[tuple[int, Any], Any]:
        number, kept = state
        if item.__class__ is Revision:
            kept = remove(kept, value(item.old))
            item = item.new
        if item is not GONE:
            kept = aggregator.add(kept, value(item))
        return (number + 1, kept), aggregator.result(kept)

    return fn


def _itself(item: Any) -> Any:
    return item


def _without(total: Any, value: Any) -> Any:
    return total if value is None else total - value


def _mean_without(kept: list[Any], value: Any) -> list[Any]:
    return kept if value is None else [kept[0] - 1, kept[1] - value]


_REMOVE: dict[type, Callable[[Any, Any], Any]] = {Sum: _without, Mean: _mean_without}
"""For floats the last digits are lost, so these don't offer it to windows."""


def accumulator(initial: Any) -> Logic:
    """A cell that holds the state of an accumulating stage; empty where there is no initial."""
    cell: list[Any] = [] if initial is UNSET else [_own(initial)]

    def snapshot() -> list[Any]:
        return copy.deepcopy(cell)

    def restore(state: list[Any]) -> None:
        cell[:] = copy.deepcopy(state)

    return Logic(cell=cell, snapshot=snapshot, restore=restore)


def _own(initial: Any) -> Any:
    """A copy of an initial value for one run."""
    try:
        return copy.deepcopy(initial)
    except Exception as error:
        error.add_note(f"rivulet: each run begins with a deep copy of {initial!r:.100}")
        raise


@overload
def scan(source: Stream[T], fn: Callable[[T, T], Awaitable[T] | T], /) -> Stream[T]: ...
@overload
def scan(source: Stream[T], fn: Callable[[A, T], Awaitable[A] | A], /, initial: A) -> Stream[A]: ...
@overload
def scan(source: Stream[Any], fn: Aggregating, /) -> Stream[Any]: ...
def scan(
    source: Stream[Any], fn: Callable[[Any, Any], Any] | Aggregating, /, initial: Any = UNSET
) -> Stream[Any]:
    """Give the running value ``fn(value, item)`` after each item, sync or async.

    Or what an aggregator makes of all items so far, such as ``Mean("price")``.

    For the value at the end only, use ``fold``; to give something other than the state, use
    ``stateful_map``; for one value per key, ``group_by(key).scan(...)``.

    Emits:      one value per item. Without ``initial`` the first item is the first value.
    Waits:      for an async function before the next item is read.
    Completes:  when the source does.
    State:      the value. Each run begins with a deep copy of ``initial``.
    Time:       none; an item's time passes to the value.

    Args:
        fn: gives the new value from the one before and the item; or an aggregator. One that looks
            at time takes items in the order in which they come. ``Count``, ``Sum``, ``Mean``,
            ``Counts``, ``CountDistinct`` and ``Quantile`` apply the corrections of a join: each
            gives the value as it is then.
        initial: the value before the first item; it isn't emitted itself. An aggregator has its
            own.

    Raises:
        GraphError: at build, if ``fn`` is neither, or an aggregator is given ``initial``.

    Example:
        >>> from operator import add
        >>> await Stream.of(1, 2, 3).scan(add).collect()
        [1, 3, 6]
        >>> await Stream.of("a", "b").scan(lambda n, item: n + 1, 0).collect()
        [1, 2]
        >>> from rivulet.aggregators import Mean
        >>> await Stream.of(1, 2, 6).scan(Mean()).collect()
        [1.0, 1.5, 3.0]

    Source: ``itertools.accumulate``; unlike it, ``initial`` is not emitted.
    """
    return source.via(scanning(source.node, fn, initial))


def scanning(up: Node, fn: Any, initial: Any) -> Node:
    """The node for a function or an aggregator.

    Raises:
        GraphError: it is neither.
    """
    given: Any = fn
    if inspect.isclass(given) and issubclass(given, Aggregator):
        name = given.__name__
        raise GraphError(f"scan needs an aggregator, not the class {name}: write {name}()")
    if isinstance(given, Aggregator) or (not callable(given) and hasattr(given, "merge")):
        check_aggregators({"": given})
        if initial is not UNSET:
            raise GraphError(f"scan({given!r}) begins with a value of its own: leave out initial")
        return Running(up, cast("Aggregating", given))
    check_callable(fn, "scan", "fn")
    return Scan(up, fn, initial)
