"""One definition of an aggregator: the same in windows, in groups and as a running value."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream
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
from tests.examples import examples
from tests.windows.oracle import run


class Range(Aggregator):
    """One of the user's own."""

    def init(self):
        return []

    def add(self, acc, value):
        return [min([*acc, value]), max([*acc, value])]

    def merge(self, a, b):
        return [min(a + b), max(a + b)] if a + b else []

    def result(self, acc):
        return acc[1] - acc[0] if acc else None


class Falls:
    """Another, which inherits from nothing, looks at times and takes items back."""

    field = "x"

    def init(self):
        return []

    def add_at(self, acc, value, t):
        return sorted([*acc, (t, value)])

    def remove_at(self, acc, value, t):
        return acc[1:]

    def merge(self, a, b):
        return sorted(a + b)

    def result(self, acc):
        return sum(before > after for (_, before), (_, after) in pairwise(acc))

    def __str__(self):
        return "Falls()"


AGGREGATORS = [
    Collect("x"),
    Count(),
    CountDistinct("x"),
    Counts("x"),
    Counts("x", most_common=2),
    First("x"),
    Last("x"),
    Max("x"),
    Mean("x"),
    Min("x"),
    Quantile("x", 0.25),
    Reduce(max, "x"),
    Std("x"),
    Sum("x"),
    TopK("x", 3),
    Var("x", ddof=0),
    Range("x"),
    Falls(),
]

VALUES = st.lists(st.integers(-9, 9), min_size=1, max_size=12)
FOREVER = 10_000


@pytest.mark.parametrize("aggregator", AGGREGATORS, ids=str)
@examples(40)
@given(VALUES)
def test_windows_groups_and_running_values_agree(aggregator, values):
    rows = Stream([{"t": t, "x": x} for t, x in enumerate(values)])
    timed = rows.event_time("t")
    running = run(rows.scan(aggregator))
    assert len(running) == len(values)
    last = pytest.approx(running[-1]) if isinstance(running[-1], float) else running[-1]
    kinds = [
        {"tumbling": FOREVER},
        {"session": 2},
        {"session": lambda before, item: True},
        {"count": len(values), "every": len(values)},
        {"calendar": "day"},
        {"hopping": FOREVER, "every": FOREVER},
    ]
    for kind in kinds:
        assert run(timed.window(**kind).agg(it=aggregator))[0].value == {"it": last}
    for emit in ("arrival", "close"):
        sliding = run(timed.window(sliding=FOREVER, emit=emit).agg(it=aggregator))
        assert [window.value["it"] for window in sliding] == [
            pytest.approx(value) if isinstance(value, float) else value for value in running
        ]
    grouped = rows.group_by(lambda _: "all")
    # Without times, their places in the stream stand for them.
    assert run(grouped.agg(it=aggregator).items()) == [("all", {"it": last})]
    assert run(grouped.scan(aggregator).values()) == running
    grouped = timed.group_by(lambda _: "all").window(tumbling=FOREVER).agg(it=aggregator)
    assert [window.value for window in run(grouped)] == [{"it": last}]


def test_one_object_can_be_used_in_several_places_at_once():
    total = Sum("x")
    rows = Stream([{"t": t, "k": "ab"[t % 2], "x": t} for t in range(6)]).event_time("t")
    found = run(rows.window(tumbling=3, by="k").agg(one=total, two=total))
    assert [(w.key, w.value) for w in found] == [
        ("a", {"one": 2, "two": 2}),
        ("b", {"one": 1, "two": 1}),
        ("b", {"one": 8, "two": 8}),
        ("a", {"one": 4, "two": 4}),
    ]
    assert run(rows.group_by("k").scan(total).items()) == [
        ("a", 0), ("b", 1), ("a", 2), ("b", 4), ("a", 6), ("b", 9),
    ]  # fmt: skip
    assert run(rows.group_by("k").agg(total=total).values()) == [
        {"total": 6},
        {"total": 9},
    ]


@pytest.mark.parametrize(
    "use",
    [
        lambda rows: rows.window(tumbling=5).agg(n=Count),
        lambda rows: rows.group_by(bool).agg(n=Count),
        lambda rows: rows.scan(Count),
        lambda rows: rows.group_by(bool).scan(Count),
    ],
    ids=["window", "agg", "scan", "scan per key"],
)
def test_a_class_in_place_of_an_aggregator_is_refused_with_what_to_write(use):
    with pytest.raises(GraphError, match=r"not the class Count: write Count\(\)"):
        use(Stream([1]).event_time(float))
