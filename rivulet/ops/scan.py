"""``scan``: a running value."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from rivulet.core.callables import check_callable
from rivulet.core.entries import UNSET
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Apply

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")
A = TypeVar("A")


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
def scan(
    source: Stream[Any], fn: Callable[[Any, Any], Any], /, initial: Any = UNSET
) -> Stream[Any]:
    """Give the running value ``fn(value, item)`` after each item, sync or async.

    For the value at the end only, use ``fold``; to give something other than the state, use
    ``stateful_map``; for one value per key, ``group_by(key).scan(...)``.

    Emits:      one value per item. Without ``initial`` the first item is the first value.
    Waits:      for an async function before the next item is read.
    Completes:  when the source does.
    State:      the value. Each run begins with a deep copy of ``initial``.
    Time:       none; an item's time passes to the value.

    Args:
        fn: gives the new value from the one before and the item.
        initial: the value before the first item; it isn't emitted itself.

    Raises:
        GraphError: at build, if ``fn`` isn't callable.

    Example:
        >>> from operator import add
        >>> await Stream.of(1, 2, 3).scan(add).collect()
        [1, 3, 6]
        >>> await Stream.of("a", "b").scan(lambda n, item: n + 1, 0).collect()
        [1, 2]

    Source: ``itertools.accumulate``; unlike it, ``initial`` is not emitted.
    """
    check_callable(fn, "scan", "fn")
    return source.via(Scan(source.node, fn, initial))
