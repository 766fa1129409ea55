"""Aggregators: one value of many items, such as ``agg(n=Count(), mean=Mean("delay"))``.

One definition does for windows, for ``group_by(key).agg(...)`` and for ``scan(...)``. It says how;
what it accumulates is kept by these, as plain data that can be saved.
The meaning of each is that of polars' expression of the same name, for missing values too: ``None``
is skipped by what computes with values (`Sum`, `Mean`, `Min`, `Max`, `Std`, `Var`, `Quantile`,
`TopK`), and is a value like others to what only looks at them (`Counts`, `CountDistinct`, `First`,
`Last`, `Collect`). NaN is a number: a sum with one is NaN, `Min` and `Max` give it only when there
is nothing else, `Quantile` and `TopK` take it for the largest.

Whole numbers are exact, whatever their size. Floats are added as they come, so that the last digits
of a sum may depend on the order.
"""

from __future__ import annotations

import linecache
import math
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from heapq import nlargest
from itertools import count
from operator import itemgetter
from types import CodeType
from typing import Any, Protocol, cast

from rivulet.core.callables import Selector, check_callable, mode_of, name_of
from rivulet.core.checks import check_whole, plain_selector
from rivulet.core.text import shortened
from rivulet.errors import GraphError

__all__ = [
    "Aggregating",
    "Aggregator",
    "Collect",
    "Count",
    "CountDistinct",
    "Counts",
    "First",
    "Last",
    "Max",
    "Mean",
    "Min",
    "Quantile",
    "Reduce",
    "Std",
    "Sum",
    "TopK",
    "Var",
    "compiled",
    "fused",
]

Field = Selector[Any] | None


class Aggregating(Protocol):
    """What ``agg`` takes: an `Aggregator`, or any object with the same methods."""

    def init(self) -> Any:
        """What is accumulated of no items."""
        ...

    def merge(self, a: Any, b: Any, /) -> Any:
        """What is accumulated of the items of both, in a new object."""
        ...

    def result(self, acc: Any, /) -> Any:
        """The value that the window gives."""
        ...


class Aggregator:
    """Give one value of many; the base of all aggregators, and of your own.

    An aggregator has these methods; it needn't inherit from this class:

    - ``init()``: what is accumulated of no items. Plain data can be saved with a run's state.
    - ``add(acc, value)``: the same with one more value. It may change ``acc``, and gives it back.
      One that looks at time has ``add_at(acc, value, t)`` in its place, ``t`` in microseconds.
    - ``merge(a, b)``: what is accumulated of both, in a new object. Both are used again. Of items
      with one time, those in ``a`` came first.
    - ``result(acc)``: the value. The accumulation goes on, so it mustn't change with it.
    - ``remove(acc, value)``, where it is exact: the same without a value, always the earliest that
      is left. Or ``remove_at(acc, value, t)``. Sliding windows are faster with it.

    Items come in any order of their times.

    Args:
        field: a key or attribute's name, or a function, that takes the value of an item; None for
            the item itself.

    Raises:
        GraphError: at build, if ``field`` is no selector or an async function.

    Example:
        >>> from rivulet.aggregators import Aggregator
        >>> class Product(Aggregator):
        ...     def init(self):
        ...         return 1
        ...     def add(self, acc, value):
        ...         return acc * value
        ...     def merge(self, a, b):
        ...         return a * b
        ...     def result(self, acc):
        ...         return acc
        >>> rows = Stream.of((0, "a", 2), (1, "b", 3), (11, "a", 5)).event_time(0)
        >>> windows = rows.window(tumbling="10s").agg(product=Product(2))
        >>> await windows.map(lambda window: window.value).collect()
        [{'product': 6}, {'product': 5}]
        >>> await rows.group_by(1).agg(product=Product(2)).items().collect()
        [('a', {'product': 10}), ('b', {'product': 3})]
        >>> await rows.scan(Product(2)).collect()
        [2, 6, 30]

    Source: Beam's ``CombineFn`` and Flink's ``AggregateFunction``; ``remove`` is Kafka Streams'
    subtractor.
    """

    def __init__(self, field: Field = None) -> None:
        if field is not None:
            plain_selector(field, type(self).__name__, "field")
        self.field = field

    def __repr__(self) -> str:
        options = {name: value for name, value in vars(self).items() if value is not None}
        field = [_text(options.pop("field"))] if "field" in options else []
        shown = ", ".join(field + [f"{name}={_text(value)}" for name, value in options.items()])
        return f"{type(self).__name__}({shown})"


def _text(value: Any) -> str:
    return name_of(value) if callable(value) else shortened(value, 40)


class Count(Aggregator):
    """Give how many items there are.

    Example:
        >>> from functools import reduce
        >>> from rivulet.aggregators import Count
        >>> reduce(Count().add, ["a", "b", None], 0)
        3

    Source: polars' ``len``.
    """

    def __init__(self) -> None:
        super().__init__()

    def init(self) -> int:
        return 0

    def add(self, acc: int, value: object) -> int:
        return acc + 1

    def remove(self, acc: int, value: object) -> int:
        return acc - 1

    def merge(self, a: int, b: int) -> int:
        return a + b

    def result(self, acc: int) -> int:
        return acc


class Sum(Aggregator):
    """Give the sum of the values; 0 of none. ``None`` is skipped.

    Args:
        field: what takes the value of an item; None for the item itself.

    Example:
        >>> from functools import reduce
        >>> from rivulet.aggregators import Sum
        >>> reduce(Sum().add, [1, None, 10**30], 0)
        1000000000000000000000000000001

    Source: polars' ``sum``; whole numbers don't overflow.
    """

    def init(self) -> Any:
        return 0

    def add(self, acc: Any, value: Any) -> Any:
        return acc if value is None else acc + value

    def merge(self, a: Any, b: Any) -> Any:
        return a + b

    def result(self, acc: Any) -> Any:
        return acc


class Mean(Aggregator):
    """Give the arithmetic mean of the values; None of none. ``None`` is skipped.

    Args:
        field: what takes the value of an item; None for the item itself.

    Example:
        >>> from functools import reduce
        >>> from rivulet.aggregators import Mean
        >>> mean = Mean()
        >>> mean.result(reduce(mean.add, [1, None, 2], mean.init()))
        1.5

    Source: polars' ``mean``.
    """

    def init(self) -> list[Any]:
        return [0, 0]

    def add(self, acc: list[Any], value: Any) -> list[Any]:
        if value is not None:
            acc[1] += value
            acc[0] += 1
        return acc

    def merge(self, a: list[Any], b: list[Any]) -> list[Any]:
        return [a[0] + b[0], a[1] + b[1]]

    def result(self, acc: list[Any]) -> Any:
        number, total = acc
        return total / number if number else None


class Min(Aggregator):
    """Give the smallest value; None of none. ``None`` is skipped, and NaN if there is another.

    Args:
        field: what takes the value of an item; None for the item itself.

    Example:
        >>> from functools import reduce
        >>> from rivulet.aggregators import Min
        >>> reduce(Min().add, [2, None, 1], None)
        1

    Source: polars' ``min``.
    """

    def init(self) -> Any:
        return None

    def add(self, acc: Any, value: Any) -> Any:
        return _least(acc, value)

    def merge(self, a: Any, b: Any) -> Any:
        return _least(a, b)

    def result(self, acc: Any) -> Any:
        return acc


class Max(Aggregator):
    """Give the largest value; None of none. ``None`` is skipped, and NaN if there is another.

    Args:
        field: what takes the value of an item; None for the item itself.

    Example:
        >>> from functools import reduce
        >>> from rivulet.aggregators import Max
        >>> reduce(Max().add, [2, None, 1], None)
        2

    Source: polars' ``max``.
    """

    def init(self) -> Any:
        return None

    def add(self, acc: Any, value: Any) -> Any:
        return _greatest(acc, value)

    def merge(self, a: Any, b: Any) -> Any:
        return _greatest(a, b)

    def result(self, acc: Any) -> Any:
        return acc


def _least(a: Any, b: Any) -> Any:
    if b is None:
        return a
    return b if a is None or b < a or a != a else a  # noqa: PLR0124 - NaN


def _greatest(a: Any, b: Any) -> Any:
    if b is None:
        return a
    return b if a is None or b > a or a != a else a  # noqa: PLR0124 - NaN


class First(Aggregator):
    """Give the value with the earliest time, of those with one time the first to come.

    ``None`` is a value like others; of no items None is given.

    Args:
        field: what takes the value of an item; None for the item itself.

    Example:
        >>> from rivulet.aggregators import First
        >>> first = First()
        >>> acc = first.add_at(first.add_at(first.init(), "late", 7), "early", 5)
        >>> first.result(acc)
        'early'

    Source: polars' ``first``, of rows in the order of their times.
    """

    def init(self) -> list[Any]:
        return []

    def add_at(self, acc: list[Any], value: Any, t: int) -> list[Any]:
        if not acc or t < acc[0]:
            acc[:] = t, value
        return acc

    def merge(self, a: list[Any], b: list[Any]) -> list[Any]:
        return list(b if not a or (b and b[0] < a[0]) else a)

    def result(self, acc: list[Any]) -> Any:
        return acc[1] if acc else None


class Last(Aggregator):
    """Give the value with the latest time, of those with one time the last to come.

    ``None`` is a value like others; of no items None is given.

    Args:
        field: what takes the value of an item; None for the item itself.

    Example:
        >>> from rivulet.aggregators import Last
        >>> last = Last()
        >>> acc = last.add_at(last.add_at(last.init(), "late", 7), "early", 5)
        >>> last.result(acc)
        'late'

    Source: polars' ``last``, of rows in the order of their times.
    """

    def init(self) -> list[Any]:
        return []

    def add_at(self, acc: list[Any], value: Any, t: int) -> list[Any]:
        if not acc or t >= acc[0]:
            acc[:] = t, value
        return acc

    def merge(self, a: list[Any], b: list[Any]) -> list[Any]:
        return list(a if not b or (a and b[0] < a[0]) else b)

    def result(self, acc: list[Any]) -> Any:
        return acc[1] if acc else None


class Var(Aggregator):
    """Give the variance of the values; None of ``ddof`` or fewer. ``None`` is skipped.

    Args:
        field: what takes the value of an item; None for the item itself.
        ddof: what the number of values is lessened by before dividing: 1 for a sample, 0 for all.

    Raises:
        GraphError: at build, if ``ddof`` is no whole number of at least 0.

    Example:
        >>> from functools import reduce
        >>> from rivulet.aggregators import Var
        >>> var = Var(ddof=0)
        >>> var.result(reduce(var.add, [1, 3], var.init()))
        1.0

    Source: polars' ``var``, by the methods of Welford and of Chan, Golub and LeVeque.
    """

    def __init__(self, field: Field = None, ddof: int = 1) -> None:
        super().__init__(field)
        check_whole(ddof, type(self).__name__, "ddof", least=0)
        self.ddof = ddof

    def init(self) -> list[Any]:
        return [0, 0, 0]

    def add(self, acc: list[Any], value: Any) -> list[Any]:
        if value is not None:
            number, mean, squares = acc
            number += 1
            delta = value - mean
            mean += delta / number
            acc[:] = number, mean, squares + delta * (value - mean)
        return acc

    def merge(self, a: list[Any], b: list[Any]) -> list[Any]:
        if not a[0] or not b[0]:
            return list(a if a[0] else b)
        number = a[0] + b[0]
        delta = b[1] - a[1]
        share = delta * b[0] / number
        return [number, a[1] + share, a[2] + b[2] + delta * a[0] * share]

    def result(self, acc: list[Any]) -> Any:
        freedom = acc[0] - self.ddof
        return acc[2] / freedom if freedom > 0 else None


class Std(Var):
    """Give the standard deviation of the values; None of ``ddof`` or fewer. ``None`` is skipped.

    Args:
        field: what takes the value of an item; None for the item itself.
        ddof: what the number of values is lessened by before dividing: 1 for a sample, 0 for all.

    Raises:
        GraphError: at build, if ``ddof`` is no whole number of at least 0.

    Example:
        >>> from functools import reduce
        >>> from rivulet.aggregators import Std
        >>> std = Std(ddof=0)
        >>> std.result(reduce(std.add, [1, 3], std.init()))
        1.0

    Source: polars' ``std``, by the methods of Welford and of Chan, Golub and LeVeque.
    """

    def result(self, acc: list[Any]) -> Any:
        variance = super().result(acc)
        return None if variance is None else math.sqrt(variance)


class Quantile(Aggregator):
    """Give the value below which a share of the values is, exactly; None of none.

    Between two values it is interpolated. ``None`` is skipped, NaN is the largest. All values of
    the window are kept.

    Args:
        field: what takes the value of an item; None for the item itself.
        q: the share, from 0 to 1; 0.5 is the median.

    Raises:
        GraphError: at build, if ``q`` isn't from 0 to 1.

    Example:
        >>> from functools import reduce
        >>> from rivulet.aggregators import Quantile
        >>> median = Quantile(q=0.5)
        >>> median.result(reduce(median.add, [1, 9, 2, 4], median.init()))
        3.0

    Source: polars' ``quantile(q, "linear")``.
    """

    def __init__(self, field: Field = None, q: float = 0.5) -> None:
        super().__init__(field)
        given: Any = q
        if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= 1:
            raise GraphError(
                f"Quantile(q) must be a number from 0 to 1, such as 0.95, not {given!r}"
            )
        self.q = q

    def init(self) -> list[Any]:
        """Sorted values, values that came after sorting, and how many NaN."""
        return [[], [], 0]

    def add(self, acc: list[Any], value: Any) -> list[Any]:
        if _is_nan(value):
            acc[2] += 1
        elif value is not None:
            acc[1].append(value)
        return acc

    def remove(self, acc: list[Any], value: Any) -> list[Any]:
        if _is_nan(value):
            acc[2] -= 1
        elif value is not None:
            values = _sorted(acc)
            del values[bisect_left(values, value)]
        return acc

    def merge(self, a: list[Any], b: list[Any]) -> list[Any]:
        return [sorted(a[0] + b[0] + a[1] + b[1]), [], a[2] + b[2]]

    def result(self, acc: list[Any]) -> Any:
        values = _sorted(acc)
        number = len(values)
        if not number and not acc[2]:
            return None
        place = self.q * (number + acc[2] - 1)
        below = math.floor(place)
        above = math.ceil(place)
        if above >= number:
            return math.nan
        low, high = values[below], values[above]
        return low if low == high else low + (high - low) * (place - below)


def _sorted(acc: list[Any]) -> list[Any]:
    values, more, _ = acc
    if len(more) > 32:
        values += more
        values.sort()
    else:
        for value in more:
            insort(values, value)
    more.clear()
    return values


class TopK(Aggregator):
    """Give a list of the largest values, the largest first. ``None`` is skipped, NaN the largest.

    For the most frequent values, use ``Counts(field, most_common=k)``.

    Args:
        field: what takes the value of an item; None for the item itself.
        k: how many at most.

    Raises:
        GraphError: at build, if ``k`` is no whole number of at least 1.

    Example:
        >>> from functools import reduce
        >>> from rivulet.aggregators import TopK
        >>> top = TopK(k=2)
        >>> top.result(reduce(top.add, [1, 9, 2, 4], top.init()))
        [9, 4]

    Source: polars' ``top_k``, which gives no order, and ``None`` where values are lacking.
    """

    def __init__(self, field: Field = None, k: int = 5) -> None:
        super().__init__(field)
        check_whole(k, "TopK", "k")
        self.k = k

    def init(self) -> list[Any]:
        """The largest values, ascending, and how many NaN."""
        return [[], 0]

    def add(self, acc: list[Any], value: Any) -> list[Any]:
        if _is_nan(value):
            acc[1] += 1
        elif value is not None:
            values = acc[0]
            if len(values) < self.k:
                insort(values, value)
            elif values[0] < value:
                insort(values, value)
                del values[0]
        return acc

    def merge(self, a: list[Any], b: list[Any]) -> list[Any]:
        return [sorted(a[0] + b[0])[-self.k :], a[1] + b[1]]

    def result(self, acc: list[Any]) -> list[Any]:
        values, number = acc
        return ([math.nan] * min(number, self.k) + values[::-1])[: self.k]


class Counts(Aggregator):
    """Give a dict of how often each value is there.

    Values are in the order in which they came; in a sliding window one that had gone comes last
    when it is back. ``None`` and NaN are counted like others.

    Args:
        field: what takes the value of an item, which can be hashed; None for the item itself.
        most_common: give only so many, the most frequent first; of equally frequent ones, those
            that came first.

    Raises:
        GraphError: at build, if ``most_common`` is no whole number of at least 1.

    Example:
        >>> from functools import reduce
        >>> from rivulet.aggregators import Counts
        >>> reduce(Counts().add, ["b", "a", "b"], {})
        {'b': 2, 'a': 1}

    Source: ``collections.Counter`` and polars' ``value_counts``; values are told apart as the keys
    of a dict are.
    """

    def __init__(self, field: Field = None, *, most_common: int | None = None) -> None:
        super().__init__(field)
        if most_common is not None:
            check_whole(most_common, "Counts", "most_common")
        self.most_common = most_common

    def init(self) -> dict[Any, int]:
        return {}

    def add(self, acc: dict[Any, int], value: Any) -> dict[Any, int]:
        return _counted(acc, value)

    def remove(self, acc: dict[Any, int], value: Any) -> dict[Any, int]:
        return _uncounted(acc, value)

    def merge(self, a: dict[Any, int], b: dict[Any, int]) -> dict[Any, int]:
        return _counts(a, b)

    def result(self, acc: dict[Any, int]) -> dict[Any, int]:
        if self.most_common is not None:
            acc = dict(nlargest(self.most_common, acc.items(), key=itemgetter(1)))
        if _NAN in acc:
            return {math.nan if key == _NAN else key: number for key, number in acc.items()}
        return dict(acc)


class CountDistinct(Aggregator):
    """Give how many different values there are. ``None`` and NaN are values like others.

    Each different value of the window is kept.

    Args:
        field: what takes the value of an item, which can be hashed; None for the item itself.

    Example:
        >>> from functools import reduce
        >>> from rivulet.aggregators import CountDistinct
        >>> distinct = CountDistinct()
        >>> distinct.result(reduce(distinct.add, ["b", "a", "b"], distinct.init()))
        2

    Source: polars' ``n_unique``; values are told apart as the keys of a dict are.
    """

    def init(self) -> dict[Any, int]:
        return {}

    def add(self, acc: dict[Any, int], value: Any) -> dict[Any, int]:
        return _counted(acc, value)

    def remove(self, acc: dict[Any, int], value: Any) -> dict[Any, int]:
        return _uncounted(acc, value)

    def merge(self, a: dict[Any, int], b: dict[Any, int]) -> dict[Any, int]:
        return _counts(a, b)

    def result(self, acc: dict[Any, int]) -> int:
        return len(acc)


_NAN = ("rivulet.aggregators", "NaN")
"""Stands for NaN as a key: each NaN is another key, and a saved one comes back as yet another."""


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value  # noqa: PLR0124


def _counted(acc: dict[Any, int], value: Any) -> dict[Any, int]:
    key = _NAN if _is_nan(value) else value
    try:
        acc[key] = acc.get(key, 0) + 1
    except TypeError:
        raise TypeError(
            f"a value that is counted must be hashable, and {shortened(value)} "
            f"({type(value).__name__}) isn't: let the field give a number, text, or a tuple of "
            f"these"
        ) from None
    return acc


def _uncounted(acc: dict[Any, int], value: Any) -> dict[Any, int]:
    key = _NAN if _is_nan(value) else value
    number = acc[key]
    if number == 1:
        del acc[key]
    else:
        acc[key] = number - 1
    return acc


def _counts(a: dict[Any, int], b: dict[Any, int]) -> dict[Any, int]:
    both = dict(a)
    for key, number in b.items():
        both[key] = both.get(key, 0) + number
    return both


class Collect(Aggregator):
    """Give a list of the values in the order of their times, of one time as they came.

    All values of the window are kept. ``None`` is a value like others.

    Args:
        field: what takes the value of an item; None for the item itself.

    Example:
        >>> from rivulet.aggregators import Collect
        >>> collect = Collect()
        >>> collect.result(collect.add_at(collect.add_at([], "late", 7), "early", 5))
        ['early', 'late']

    Source: polars' ``implode``, of rows in the order of their times.
    """

    def init(self) -> list[tuple[int, Any]]:
        return []

    def add_at(self, acc: list[tuple[int, Any]], value: Any, t: int) -> list[tuple[int, Any]]:
        acc.append((t, value))
        return acc

    def remove_at(self, acc: list[tuple[int, Any]], value: Any, t: int) -> list[tuple[int, Any]]:
        del acc[next(i for i, (at, _) in enumerate(acc) if at == t)]
        return acc

    def merge(self, a: list[tuple[int, Any]], b: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
        return a + b

    def result(self, acc: list[tuple[int, Any]]) -> list[Any]:
        acc.sort(key=_stamp)
        return [value for _, value in acc]


_stamp = itemgetter(0)


class Reduce(Aggregator):
    """Give what a function of two values makes of all of them; None of none.

    Items come in any order, and results of some of them are put together by the same function. So
    it must give the same however values are grouped and ordered, as a maximum or a union does. For
    other functions, apply them to what `Collect` gives.

    Args:
        fn: gives one value of two, in a new object.
        field: what takes the value of an item; None for the item itself.

    Raises:
        GraphError: at build, if ``fn`` isn't callable or is async.

    Example:
        >>> from functools import reduce
        >>> from math import gcd
        >>> from rivulet.aggregators import Reduce
        >>> divisor = Reduce(gcd)
        >>> divisor.result(reduce(divisor.add, [12, 30, 18], divisor.init()))
        6

    Source: ``functools.reduce``.
    """

    def __init__(self, fn: Callable[[Any, Any], Any], field: Field = None) -> None:
        super().__init__(field)
        check_callable(fn, "Reduce", "fn")
        if mode_of(fn) == "async":
            raise GraphError("Reduce(fn) must be a plain function: windows don't await")
        self.fn = fn

    def init(self) -> list[Any]:
        return []

    def add(self, acc: list[Any], value: Any) -> list[Any]:
        acc[:] = [self.fn(acc[0], value) if acc else value]
        return acc

    def merge(self, a: list[Any], b: list[Any]) -> list[Any]:
        return [self.fn(a[0], b[0])] if a and b else a + b

    def result(self, acc: list[Any]) -> Any:
        return acc[0] if acc else None


@dataclass(frozen=True, slots=True)
class Fused:
    """Several aggregators as one, over one list of what they accumulate.

    Attributes:
        init: the list of no items.
        add: changes the list for an item and its time.
        merge: a new list of two.
        result: the value of each aggregator by its name.
        remove: changes the list for an item that goes, the earliest of those left, and its time;
            None if one of the aggregators can't.
        lines: the source of ``add``, for loops that hold it: templates in which names are marked,
            over ``$a``, ``$item`` and ``$t``.
        value: the source of ``result``, over ``a``.
        names: what the names in these stand for.
    """

    init: Callable[[], list[Any]]
    add: Callable[[list[Any], Any, int], None]
    merge: Callable[[list[Any], list[Any]], list[Any]]
    result: Callable[[list[Any]], dict[str, Any]]
    remove: Callable[[list[Any], Any, int], None] | None
    lines: tuple[str, ...]
    value: str
    names: Mapping[str, Any]


def fused(
    aggregators: Mapping[str, Aggregating], fields: Mapping[str, Field] | None = None
) -> Fused:
    """One function for all aggregators that an item is added to.

    Args:
        aggregators: by the names that their results get.
        fields: what they take of an item in place of their own fields, by the same names.

    Raises:
        GraphError: one is no aggregator, or it would have to be awaited.
    """
    check_aggregators(aggregators)
    source = _Source()
    for name, aggregator in aggregators.items():
        source.take(
            name, aggregator, fields.get(name) if fields is not None else field_of(aggregator)
        )
    return Fused(*source.functions(removes=all(map(removable, aggregators.values()))))


def taken(
    aggregators: Mapping[str, Aggregating],
) -> tuple[Callable[[Any], tuple[Any, ...]], dict[str, Field]]:
    """A function that gives all that aggregators take of an item, and where each finds its own.

    The places are ``fields`` for `fused`.

    Raises:
        GraphError: one is no aggregator, or it would have to be awaited.
    """
    check_aggregators(aggregators)
    source = _Source()
    places: dict[str, Field] = {
        name: source.place(field_of(aggregator))
        for name, aggregator in aggregators.items()
        if type(aggregator) is not Count
    }
    values = "".join(f"{source.value(field)}, " for field in source.fields)
    body = [*source.takes(), f"return ({values})"]
    source.lines += ["def row(item):", *_indented(body)]
    (row,) = source.compiled("row")
    return row, places


def field_of(aggregator: Aggregating) -> Field:
    """What an aggregator takes of an item."""
    return getattr(aggregator, "field", None)


def removable(aggregator: Aggregating) -> bool:
    """Whether an item that was added can be taken back."""
    return _method(aggregator, "remove") is not None


def check_aggregators(aggregators: Mapping[str, Any]) -> None:
    """Refuse what isn't an aggregator.

    Raises:
        GraphError: there is none, one isn't, or it would have to be awaited.
    """
    if not aggregators:
        raise GraphError("agg() needs at least one aggregator, as in agg(n=Count())")
    for name, aggregator in aggregators.items():
        if isinstance(aggregator, type):
            cls = aggregator.__name__
            raise GraphError(f"agg({name}) needs an aggregator, not the class {cls}: write {cls}()")
        kind = type(aggregator).__name__
        methods = {need: _method(aggregator, need) for need in ("init", "add", "merge", "result")}
        lacking = [need for need, method in methods.items() if method is None]
        if len(lacking) == len(methods):
            raise GraphError(
                f'agg({name}) needs an aggregator such as Count() or Mean("x"), not '
                f"{shortened(aggregator, 80)}"
            )
        if lacking:
            raise GraphError(
                f"agg({name}): {kind} has no {' and no '.join(lacking)}; an aggregator has the "
                "methods init(), add(acc, value) or add_at(acc, value, t), merge(a, b) and "
                "result(acc)"
            )
        methods["remove"] = _method(aggregator, "remove")
        for method in methods.values():
            if method is not None and mode_of(method) == "async":
                raise GraphError(
                    f"agg({name}): {name_of(method)} must be a plain method: put .map(...) before "
                    "the window, or after it, to await"
                )
        field = field_of(aggregator)
        if field is not None:
            plain_selector(field, kind, "field")


def _method(aggregator: Any, name: str) -> Callable[..., Any] | None:
    method = getattr(aggregator, name, None)
    if name in ("add", "remove"):
        method = getattr(aggregator, f"{name}_at", method)
    return method if callable(method) else None


# Source text is made of these templates and numbered names; nothing of the user's gets into it.
# What is done for each item is written with a mark before each name, so that it can stand in a loop
# under other names.
# What built-in aggregators accumulate is made of a few quantities, each kept once: the mean of a
# field is its total by the number of items that don't lack it.

_NUMBERS = {
    "items": "{a} += 1",
    "lacking": "{a} += 1",
    "total": "{a} += {x}",
}
_EXTREMES = {
    "least": "$m = {a}\nif $m is None or not $m <= {x} and ({x} < $m or $m != $m): {a} = {x}",
    "greatest": "$m = {a}\nif $m is None or not $m >= {x} and ({x} > $m or $m != $m): {a} = {x}",
}
_ADDS = _NUMBERS | _EXTREMES
_RESULTS: dict[type, tuple[tuple[str, ...], str]] = {
    Count: (("items",), "{0}"),
    Sum: (("total",), "{0}"),
    Mean: (("total", "items", "lacking"), "{0} / ({1} - {2}) if {1} != {2} else None"),
    Min: (("least",), "{0}"),
    Max: (("greatest",), "{0}"),
}


class _Source:
    """Collects the source of the functions. Lives for one call of `fused`."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.bound: dict[str, Any] = {"least": _least, "greatest": _greatest}
        self.fields: list[Field] = []
        self.quantities: dict[tuple[str, str], int] = {}
        self.calls: list[str] = []
        self.removals: list[str] = []
        self.inits: list[str] = []
        self.merges: list[str] = []
        self.results: list[str] = []

    def bind(self, name: str, value: Any) -> str:
        self.bound[name] = value
        return name

    def place(self, field: Field) -> int:
        """Where a field is among those taken of an item: one place for all that take the same."""
        for i, other in enumerate(self.fields):
            if other is field or (isinstance(field, str | int) and other == field):
                return i
        self.fields.append(field)
        return len(self.fields) - 1

    def value(self, field: Field) -> str:
        """The variable for what a field takes of an item."""
        place = self.place(field)
        return "$item" if field is None else f"$x{place}"

    def takes(self) -> list[str]:
        """The lines that set these variables."""
        lines: list[str] = []
        for i, field in enumerate(self.fields):
            if field is None:
                continue
            text = f"${self.bind(f'f{i}', plain_selector(field, 'agg', 'field'))}($item)"
            if not callable(field):
                key = self.bind(f"k{i}", field)
                # A name is a key or an attribute, as rivulet.core.callables.selector has it.
                other = f" if $item.__class__ is dict else {text}" if isinstance(field, str) else ""
                text = f"$item[${key}]{other}"
            lines.append(f"$x{i} = {text}")
        return lines

    def slot(self, init: str, merge: str) -> int:
        slot = len(self.inits)
        self.inits.append(init)
        self.merges.append(merge.format(a=f"a[{slot}]", b=f"b[{slot}]"))
        return slot

    def quantity(self, name: str, value: str) -> int:
        key = (name, "" if name == "items" else value)
        if key not in self.quantities:
            new = ("0", "{a} + {b}") if name in _NUMBERS else ("None", f"{name}({{a}}, {{b}})")
            self.quantities[key] = self.slot(*new)
        return self.quantities[key]

    def take(self, name: str, aggregator: Any, field: Field) -> None:
        """Add an aggregator."""
        i = len(self.results)
        if type(aggregator) in _RESULTS:
            needs, result = _RESULTS[type(aggregator)]
            value = "" if needs == ("items",) else self.value(field)
            result = result.format(*(f"a[{self.quantity(need, value)}]" for need in needs))
        else:
            value = self.value(field)
            self.bind(f"init{i}", aggregator.init)
            self.bind(f"merge{i}", aggregator.merge)
            self.bind(f"result{i}", aggregator.result)
            slot = self.slot(f"init{i}()", f"merge{i}({{a}}, {{b}})")
            for calls, method in ((self.calls, "add"), (self.removals, "remove")):
                if (bound := _method(aggregator, method)) is not None:
                    call = self.bind(f"{method}{i}", bound)
                    time = ", $t" if hasattr(aggregator, f"{method}_at") else ""
                    calls.append(f"$a[{slot}] = ${call}($a[{slot}], {value}{time})")
            result = f"result{i}(a[{slot}])"
        self.results.append(f"{self.bind(f'n{i}', name)}: {result}")

    def functions(self, *, removes: bool) -> tuple[Any, ...]:
        """The functions of a `Fused`."""
        takes = self.takes()
        items = self.quantities.get(("items", ""))
        # What may fail comes before the count, so that a failed item isn't half counted.
        self.lines += ["def init():", f"    return [{', '.join(self.inits)}]"]
        adds = [*takes, *self._updates(), *self.calls]
        if items is not None:
            adds.append(f"$a[{items}] += 1")
        self.lines += ["def add(a, item, t):", *_indented(adds)]
        self.lines += ["def merge(a, b):", f"    return [{', '.join(self.merges)}]"]
        self.lines += ["def result(a):", f"    return {{{', '.join(self.results)}}}"]
        self.lines += ["remove = None"]
        if removes:
            self.lines += ["def remove(a, item, t):", *_indented([*takes, *self.removals])]
            if items is not None:
                self.lines.append(f"    a[{items}] -= 1")
        made = self.compiled("init", "add", "merge", "result", "remove")
        return (*made, tuple(adds), f"{{{', '.join(self.results)}}}", self.bound)

    def _updates(self) -> list[str]:
        """The lines that update the quantities of each value."""
        lines: list[str] = []
        values = dict.fromkeys(value for _, value in self.quantities if value)
        for value in values:
            there: list[str] = []
            lacking: list[str] = []
            for (name, of), slot in self.quantities.items():
                if of == value:
                    text = _ADDS[name].format(a=f"$a[{slot}]", x=value)
                    (lacking if name == "lacking" else there).extend(text.splitlines())
            lines += [f"if {value} is not None:", *(f"    {line}" for line in there)]
            if lacking:
                lines += ["else:", *(f"    {line}" for line in lacking)]
        return lines

    def compiled(self, *names: str) -> tuple[Any, ...]:
        """The functions, with what they use."""
        lines = [f"def make({', '.join(self.bound)}):", *(f"    {line}" for line in self.lines)]
        lines.append(f"    return {', '.join(names)},")
        made: dict[str, Any] = {}
        exec(compiled("\n".join(lines) + "\n"), made)  # noqa: S102 - our own templates
        return cast("tuple[Any, ...]", made["make"](**self.bound))


def _indented(lines: Iterable[str]) -> list[str]:
    """The body of a function, under the names as they are."""
    return [f"    {line.replace('$', '')}" for line in lines]


_files = count(1)


@lru_cache(512)
def compiled(text: str) -> CodeType:
    """Compile a text, and show it to debuggers and tracebacks."""
    name = f"<rivulet aggregators {next(_files)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    return compile(text, name, "exec")
