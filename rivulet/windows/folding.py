"""How a window makes one value of its items."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import itemgetter
from typing import Any

from rivulet.aggregators import Aggregating, Collect, Count, fused
from rivulet.errors import GraphError

__all__ = ["Folding", "aggregating", "collecting", "counting", "folding", "of_part"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folding:
    """What is kept of the items of a window, and what comes of it.

    Attributes:
        init: what is kept of no items; it is changed in place.
        add: takes what is kept, an item and its time.
        merge: makes one of two, the first having begun earlier; None if that can't be done.
        result: the value, from what is kept.
        parts: the same as aggregators, for sliding windows.
        after: the value, from the results of these; None if it is they.
        take: the part of an item that all of this is about; None if it is the whole.
        lines: the source of ``add``, as templates over ``$a``, ``$item`` and ``$t``.
        value: the source of ``result``, over ``a``.
        names: what the names in these stand for.
    """

    init: Callable[[], Any]
    add: Callable[[Any, Any, int], object]
    merge: Callable[[Any, Any], Any] | None
    result: Callable[[Any], Any]
    parts: Mapping[str, Aggregating] = field(repr=False)
    after: Callable[[dict[str, Any]], Any] | None = None
    take: Callable[[Any], Any] | None = None
    lines: tuple[str, ...] = field(repr=False)
    value: str = field(repr=False)
    names: Mapping[str, Any] = field(repr=False)


def aggregating(
    aggregators: Mapping[str, Aggregating], after: Callable[[dict[str, Any]], Any] | None = None
) -> Folding:
    """What aggregators give, by their names.

    Raises:
        GraphError: there is none, or one is no aggregator.
    """
    whole = fused(aggregators)
    result: Callable[[Any], Any] = whole.result
    if after is not None:
        result = _chained(whole.result, after)
    return Folding(
        init=whole.init,
        add=whole.add,
        merge=whole.merge,
        result=result,
        parts=aggregators,
        after=after,
        lines=whole.lines,
        value=whole.value if after is None else f"after({whole.value})",
        names={"after": after, **whole.names},
    )


def counting() -> Folding:
    """How many items there are."""
    return aggregating({"n": Count()}, itemgetter("n"))


def collecting(result: Callable[[list[Any]], Any] | None = None) -> Folding:
    """The items in the order of their times, or what a function makes of them."""
    items = itemgetter("items")
    return aggregating({"items": Collect()}, items if result is None else _chained(items, result))


def folding(
    initial: Any, fn: Callable[[Any, Any], Any], merge: Callable[[Any, Any], Any] | None
) -> Folding:
    """The state that a function gives of the state before and each item, as items come.

    For sliding windows items are gone through in the order of their times.
    """
    make: Callable[[], Any] = initial if callable(initial) else lambda: deepcopy(initial)

    def add(kept: list[Any], item: Any, _t: int) -> None:
        kept[0] = fn(kept[0], item)

    def join(a: list[Any], b: list[Any]) -> list[Any]:
        assert merge is not None
        return [merge(a[0], b[0])]

    return Folding(
        init=lambda: [make()],
        add=add,
        merge=None if merge is None else join,
        result=itemgetter(0),
        parts={"items": Collect()},
        after=lambda found: reduce(fn, found["items"], make()),
        lines=("$a[0] = $fn($a[0], $item)",),
        value="a[0]",
        names={"fn": fn},
    )


def of_part(how: Folding, take: Callable[[Any], Any]) -> Folding:
    """The same of a part of each item."""
    add = how.add

    def add_part(kept: Any, whole: Any, t: int) -> None:
        add(kept, take(whole), t)

    return replace(
        how,
        add=add_part,
        take=take,
        lines=("$part = $take($item)", *(line.replace("$item", "$part") for line in how.lines)),
        names={"take": take, **how.names},
    )


def required_merge(how: Folding) -> Callable[[Any, Any], Any]:
    """The function that makes one of two.

    Raises:
        GraphError: there is none.
    """
    if how.merge is None:
        raise GraphError(
            "sessions may grow together: give fold(f, initial, merge=), which makes one state of "
            "two, as in fold(lambda total, x: total + x, 0, merge=lambda a, b: a + b)"
        )
    return how.merge


def _chained(first: Callable[[Any], Any], then: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: then(first(value))
