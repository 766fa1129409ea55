"""Every aggregator, and what it should give of the items of a window."""

from __future__ import annotations

import statistics
from collections import Counter

from rivulet.aggregators import (
    Aggregator,
    Collect,
    Count,
    CountDistinct,
    Counts,
    First,
    Last,
    Max,
    Mean,
    Min,
    Quantile,
    Reduce,
    Std,
    Sum,
    TopK,
    Var,
)


class Span(Aggregator):
    """One of the user's own."""

    def init(self):
        return ()

    def add(self, acc, value):
        return (min(acc[0], value), max(acc[1], value)) if acc else (value, value)

    def merge(self, a, b):
        both = a + b
        return (min(both), max(both)) if both else ()

    def result(self, acc):
        return acc[1] - acc[0] if acc else None


class Odd(Aggregator):
    """One that can take back what was added."""

    def init(self):
        return 0

    def add(self, acc, value):
        return acc + value % 2

    def remove(self, acc, value):
        return acc - value % 2

    def merge(self, a, b):
        return a + b

    def result(self, acc):
        return acc


def quantile(values):
    """Interpolated between two values, as ``Quantile(q=0.3)`` does."""
    place = 0.3 * (len(values) - 1)
    low, *more = sorted(values)[int(place) : int(place) + 2]
    return low + (more[0] - low) * (place % 1) if more else low


EVERY = {
    "n": (Count(), len),
    "counts": (Counts(1), lambda items: Counter(x for _, x in items)),
    "sum": (Sum(1), lambda items: sum(x for _, x in items)),
    "mean": (Mean(1), lambda items: statistics.fmean(x for _, x in items)),
    "min": (Min(1), lambda items: min(x for _, x in items)),
    "max": (Max(1), lambda items: max(x for _, x in items)),
    "first": (First(), lambda items: items[0]),
    "last": (Last(), lambda items: items[-1]),
    "std": (Std(1, ddof=0), lambda items: statistics.pstdev(x for _, x in items)),
    "var": (Var(1, ddof=0), lambda items: statistics.pvariance([x for _, x in items])),
    "quantile": (Quantile(1, q=0.3), lambda items: quantile([x for _, x in items])),
    "distinct": (CountDistinct(1), lambda items: len({x for _, x in items})),
    "top": (TopK(1, k=2), lambda items: sorted((x for _, x in items), reverse=True)[:2]),
    "all": (Collect(), list),
    "reduce": (Reduce(max, 1), lambda items: max(x for _, x in items)),
    "span": (Span(1), lambda items: max(x for _, x in items) - min(x for _, x in items)),
    "odd": (Odd(1), lambda items: sum(x % 2 for _, x in items)),
}
"""Of items that are pairs of a time and a value, in the order of their times."""
AGGREGATORS = {name: aggregator for name, (aggregator, _) in EVERY.items()}
