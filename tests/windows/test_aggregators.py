"""Aggregators give what polars gives, however items are ordered and grouped."""

from __future__ import annotations

import functools
import linecache
import math
import pickle
import random
import statistics
import traceback
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType, SimpleNamespace

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rivulet import GraphError, aggregators, maybe_async
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
    fused,
)
from rivulet.codecs import MsgpackCodec

NAN = math.nan
KINDS = {
    "count": Count(),
    "counts": Counts(),
    "frequent": Counts(most_common=2),
    "sum": Sum(),
    "mean": Mean(),
    "min": Min(),
    "max": Max(),
    "first": First(),
    "last": Last(),
    "std": Std(),
    "var": Var(ddof=0),
    "quantile": Quantile(q=0.3),
    "distinct": CountDistinct(),
    "top": TopK(k=3),
    "collect": Collect(),
    "reduce": Reduce(lambda a, b: b if a is None or (b is not None and b > a) else a),
}
every_kind = pytest.mark.parametrize("name", KINDS)
few = settings(max_examples=40)
"""For tests that are run for each kind."""

INTEGERS = st.integers(-50, 50) | st.none()
FLOATS = st.floats(-1e6, 1e6).map(lambda x: round(x, 3) + 0.0) | st.none() | st.just(NAN)
LISTS = st.lists(INTEGERS, max_size=60) | st.lists(FLOATS, max_size=60)
TIMED = st.lists(st.tuples(INTEGERS, st.integers(0, 9)), max_size=40)


def accumulated(aggregator, timed):
    """What a fused aggregator keeps of pairs of a value and a time."""
    how = fused({"it": aggregator})
    acc = how.init()
    for value, t in timed:
        how.add(acc, value, t)
    return how, acc


def value_of(aggregator, values):
    how, acc = accumulated(aggregator, [(value, i) for i, value in enumerate(values)])
    return how.result(acc)["it"]


def by_hand(aggregator, values):
    """The same by the methods of the aggregator."""
    acc = aggregator.init()
    for i, value in enumerate(values):
        if hasattr(aggregator, "add_at"):
            acc = aggregator.add_at(acc, value, i)
        else:
            acc = aggregator.add(acc, value)
    return aggregator.result(acc)


def same(a, b):
    """Equal, where NaN equals NaN and floats may differ in the last digits."""
    if isinstance(a, float) and isinstance(b, float | int):
        return math.isnan(a) if math.isnan(b) else a == pytest.approx(b, rel=1e-9, abs=1e-9)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return same(sorted(a.items(), key=repr), sorted(b.items(), key=repr))
    return a == b and type(a) is type(b)


def series(values):
    whole = all(value is None or isinstance(value, int) for value in values)
    return pl.Series(values, dtype=pl.Int64 if whole else pl.Float64)


def largest(column, k):
    """The k largest, NaN before all: polars leaves open where it comes."""
    values = column.drop_nulls().to_list()
    return sorted(values, key=lambda v: (v != v, v if v == v else 0), reverse=True)[:k]


@given(LISTS)
def test_results_are_those_of_polars(values):
    column = series(values)
    wanted = {
        "count": column.len(),
        "sum": column.sum(),
        "mean": column.mean(),
        "min": column.min(),
        "max": column.max(),
        "first": column.first() if values else None,
        "last": column.last() if values else None,
        "std": column.std(),
        "var": column.var(0),
        "quantile": column.quantile(0.3, "linear"),
        "distinct": column.n_unique(),
        "top": largest(column, 3),
        "collect": column.to_list(),
        "counts": dict(column.value_counts().rows()),
    }
    for name, want in wanted.items():
        got = value_of(KINDS[name], values)
        if name == "quantile" and isinstance(got, int):
            got = float(got)
        assert same(got, want), (name, got, want)


@every_kind
@few
@given(values=LISTS)
def test_all_at_once_give_what_each_gives_by_its_methods(name, values):
    everything = fused(KINDS)
    acc = everything.init()
    for i, value in enumerate(values):
        try:
            everything.add(acc, value, i)
        except TypeError:
            assume(False)
    want = by_hand(KINDS[name], values)
    assert same(everything.result(acc)[name], want)
    assert same(everything.result(acc)[name], want), "a result changes nothing"
    assert same(value_of(KINDS[name], values), want)


@every_kind
@few
@given(timed=TIMED, seed=st.integers(0, 9))
def test_items_may_come_in_any_order(name, timed, seed):
    aggregator = KINDS[name]
    timed = [(value, i) for i, (value, _) in enumerate(timed)]
    how, acc = accumulated(aggregator, timed)
    random.Random(seed).shuffle(timed)
    _, other = accumulated(aggregator, timed)
    if name == "frequent":
        assert same(
            sorted(how.result(acc)["it"].values()), sorted(how.result(other)["it"].values())
        )
    else:
        assert same(how.result(acc), how.result(other))


@every_kind
@few
@given(timed=TIMED, cuts=st.lists(st.integers(0, 40), max_size=4))
def test_parts_that_are_merged_give_the_same_as_the_whole(name, timed, cuts):
    aggregator = KINDS[name]
    timed = sorted(timed, key=lambda pair: pair[1])
    how, whole = accumulated(aggregator, timed)
    bounds = [0, *sorted(min(cut, len(timed)) for cut in cuts), len(timed)]
    parts = [
        accumulated(aggregator, timed[i:j])[1] for i, j in zip(bounds, bounds[1:], strict=False)
    ]
    before = pickle.dumps(parts)
    for all_parts in ([how.init(), *parts], [*parts, how.init()]):
        merged = functools.reduce(how.merge, all_parts)
        result = how.result(merged)
        assert same(result, how.result(whole))
        for t in (-1, 5, 99):
            how.add(merged, 7, t)
        assert same(result, how.result(whole)), "results don't change with what they are of"
        assert pickle.dumps(parts) == before, "merging leaves the parts as they are"


@pytest.mark.parametrize("name", ["count", "counts", "frequent", "distinct", "quantile", "collect"])
@given(timed=TIMED | st.lists(st.tuples(FLOATS, st.integers(0, 9)), max_size=40), data=st.data())
def test_what_was_added_can_be_taken_back_from_the_earliest_on(name, timed, data):
    aggregator = KINDS[name]
    how, acc = accumulated(aggregator, timed)
    left = data.draw(st.integers(0, len(timed)))
    gone = sorted(range(len(timed)), key=lambda i: timed[i][1])[: len(timed) - left]
    for i in gone:
        how.remove(acc, *timed[i])
    rest = [pair for i, pair in enumerate(timed) if i not in gone]
    got, want = how.result(acc)["it"], how.result(accumulated(aggregator, rest)[1])["it"]
    if name == "frequent":
        got, want = sorted(got.values()), sorted(want.values())
    assert same(got, want)


def test_sums_of_values_are_not_taken_back_as_floats_would_not_be_exact():
    for name in ("sum", "mean", "min", "max", "std", "top", "first", "last", "reduce"):
        assert fused({"it": KINDS[name]}).remove is None
    assert fused({"n": Count(), "m": Mean()}).remove is None


@every_kind
@few
@given(values=st.lists(FLOATS, max_size=20), cut=st.integers(0, 20))
def test_what_is_accumulated_can_be_saved_at_any_item(name, values, cut):
    how = fused({"it": KINDS[name]})
    codec = MsgpackCodec()
    straight, saved = how.init(), how.init()
    for i, value in enumerate(values):
        how.add(straight, value, i)
        how.add(saved, value, i)
        if i == cut:
            saved = codec.decode(codec.encode(pickle.loads(pickle.dumps(saved))))
    assert same(how.result(saved), how.result(straight))


@pytest.mark.parametrize(
    ("aggregator", "result"),
    [
        (Count(), 0),
        (Counts(), {}),
        (Sum(), 0),
        (Mean(), None),
        (Min(), None),
        (Max(), None),
        (First(), None),
        (Last(), None),
        (Std(), None),
        (Var(ddof=0), None),
        (Quantile(q=0.5), None),
        (CountDistinct(), 0),
        (TopK(k=2), []),
        (Collect(), []),
        (Reduce(max), None),
    ],
)
def test_no_items_give_a_result_too(aggregator, result):
    assert same(value_of(aggregator, []), result)
    assert same(by_hand(aggregator, []), result)


def test_whole_numbers_are_exact():
    values = [10**400, -(10**400) + 3, 2**64, None]
    assert value_of(Sum(), values) == 2**64 + 3
    assert value_of(Mean(), [2**70, 2**70 + 2]) == 2**70
    assert value_of(Max(), values) == 10**400
    assert value_of(Quantile(q=0.5), [2**70 + 1] * 3) == 2**70 + 1


def test_other_numbers_and_values_do_as_far_as_they_compute_and_compare():
    assert value_of(Sum(), [Decimal("0.1")] * 3) == Decimal("0.3")
    assert value_of(Mean(), [Fraction(1, 3), Fraction(2, 3)]) == Fraction(1, 2)
    assert value_of(Std(), [Decimal(1), Decimal(3)]) == pytest.approx(math.sqrt(2))
    assert value_of(Sum(), [True, False, True]) == 2
    assert value_of(Min(), ["b", "a"]) == "a"
    assert value_of(TopK(k=2), ["b", "c", "a"]) == ["c", "b"]
    assert value_of(Quantile(q=0.5), ["b", "c", "a"]) == "b"


def test_a_variance_far_from_zero_is_stable():
    values = [1e9 + x for x in (4.0, 7.0, 13.0, 16.0)]
    assert value_of(Var(), values) == pytest.approx(30)
    assert value_of(Std(), values) == pytest.approx(statistics.stdev(values))
    a, b = (accumulated(Var(), [(x, 0) for x in half])[1] for half in (values[:1], values[1:]))
    how = fused({"it": Var()})
    assert how.result(how.merge(a, b))["it"] == pytest.approx(30)
    assert value_of(Std(), [1.0]) is None
    assert value_of(Std(ddof=2), [1.0, 2.0]) is None


@given(st.lists(st.floats(-100, 100), min_size=1), st.floats(0, 1))
def test_a_quantile_is_that_of_polars(values, q):
    got = value_of(Quantile(q=q), values)
    assert got == pytest.approx(pl.Series(values).quantile(q, "linear"), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("n", [10, 1000])
def test_a_quantile_is_right_whenever_it_is_asked_for(n):
    how = fused({"it": Quantile(q=0.5)})
    acc, values = how.init(), []
    for i in range(n):
        value = i * 7919 % 1009
        values.append(value)
        how.add(acc, value, i)
        if i % 50 in (0, 1, 40):
            assert how.result(acc)["it"] == statistics.median(values)


def test_of_one_time_the_first_is_the_one_that_came_first_and_the_last_the_last():
    timed = [("a", 5), ("b", 5), ("c", 3), ("d", 3), ("e", 5), ("f", 4)]
    wanted = {"first": "c", "last": "e", "collect": ["c", "d", "f", "a", "b", "e"]}
    for name, want in wanted.items():
        how, acc = accumulated(KINDS[name], timed)
        assert how.result(acc)["it"] == want
        if name == "collect":
            how.add(acc, "g", 3)
            assert how.result(acc)["it"] == ["c", "d", "g", "f", "a", "b", "e"]


def test_counts_are_in_the_order_in_which_values_came():
    how, acc = accumulated(Counts(), [(value, i) for i, value in enumerate("bab")])
    assert [*how.result(acc)["it"].items()] == [("b", 2), ("a", 1)]
    how.remove(acc, "b", 0)
    how.remove(acc, "a", 1)
    how.add(acc, "a", 3)
    assert [*how.result(acc)["it"].items()] == [("b", 1), ("a", 1)]
    assert value_of(Counts(most_common=2), "cabbac") == {"c": 2, "a": 2}
    assert [*value_of(Counts(most_common=2), "abbcca")] == ["a", "b"]
    assert [*value_of(Counts(most_common=1), "abb")] == ["b"]


@given(st.lists(st.sampled_from("abcd")))
def test_counts_are_those_of_a_counter(values):
    assert value_of(Counts(), values) == Counter(values)
    assert [*value_of(Counts(most_common=3), values).items()] == Counter(values).most_common(3)


def test_each_nan_is_the_same_value():
    values = [NAN, float("nan"), 1.0, float("nan")]
    assert value_of(CountDistinct(), values) == 2
    assert [*value_of(Counts(), values).values()] == [3, 1]
    assert [*value_of(Counts(most_common=1), values).values()] == [3]


@pytest.mark.parametrize("field", ["x", lambda item: item["x"]], ids=["name", "function"])
@pytest.mark.parametrize("make", [dict, lambda **kw: MappingProxyType(kw)], ids=["dict", "mapping"])
def test_a_field_is_taken_of_mappings(field, make):
    how = fused({"n": Count(), "s": Sum(field), "top": TopK(field, 1)})
    acc = how.init()
    how.add(acc, make(x=2, y=0), 0)
    assert how.result(acc) == {"n": 1, "s": 2, "top": [2]}


def test_a_field_is_taken_of_objects_and_rows():
    how = fused({"s": Sum("x"), "t": Sum("x.real"), "m": Max(lambda item: item.x)})
    acc = how.init()
    how.add(acc, SimpleNamespace(x=2), 0)
    assert how.result(acc) == {"s": 2, "t": 2, "m": 2}
    how = fused({"s": Sum(1), "m": Max(-1)})
    acc = how.init()
    how.add(acc, ("a", 3, 4), 0)
    assert how.result(acc) == {"s": 3, "m": 4}


def test_a_field_of_several_aggregators_is_taken_once():
    taken = []

    def field(item):
        taken.append(item)
        return item

    how = fused({"a": Sum(field), "b": Mean(field), "c": Collect(field), "d": Sum()})
    acc = how.init()
    how.add(acc, 5, 0)
    assert taken == [5]
    assert how.result(acc) == {"a": 5, "b": 5.0, "c": [5], "d": 5}


def test_keys_that_are_equal_but_not_the_same_are_told_apart():
    how = fused({"a": Sum(1), "b": Sum("1"), "c": Sum(0)})
    acc = how.init()
    how.add(acc, {1: 10, "1": 20, 0: 30}, 0)
    assert how.result(acc) == {"a": 10, "b": 20, "c": 30}


def test_results_have_the_names_that_were_given():
    names = ["class", "a b", "a", "m", 'quote"', "item"]
    how = fused({name: Sum() for name in names})
    acc = how.init()
    how.add(acc, 1, 0)
    assert [*how.result(acc).items()] == [(name, 1) for name in names]


def test_an_item_that_fails_is_not_counted():
    how = fused({"n": Count(), "m": Mean("x"), "s": Sum("y")})
    acc = how.init()
    how.add(acc, {"x": 1, "y": 1}, 0)
    for bad in ({"x": 1}, {"x": "text", "y": 1}):
        with pytest.raises((KeyError, TypeError)):
            how.add(acc, bad, 0)
    assert how.result(acc) == {"n": 1, "m": 1.0, "s": 1}


def test_a_failing_line_is_shown():
    how = fused({"s": Sum("x")})
    with pytest.raises(TypeError) as caught:
        how.add(how.init(), {"x": "text"}, 0)
    frame = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert frame.line == "a[0] += x0"
    assert linecache.getline(frame.filename, frame.lineno)


class Product(Aggregator):
    def init(self):
        return 1

    def add(self, acc, value):
        return acc * value

    def merge(self, a, b):
        return a * b

    def result(self, acc):
        return acc


class Longest:
    """An aggregator that inherits from nothing."""

    def init(self):
        return []

    def add_at(self, acc, value, t):
        acc.append((len(value), -t, value))
        return acc

    def remove_at(self, acc, value, t):
        acc.remove((len(value), -t, value))
        return acc

    def merge(self, a, b):
        return a + b

    def result(self, acc):
        return max(acc)[2]


def test_an_aggregator_of_the_users_own_works_like_the_others():
    how = fused({"p": Product("x"), "l": Longest(), "n": Count()})
    acc = how.init()
    for t, item in enumerate([{"x": 3}, {"x": 2, "y": 1}, {"x": 7, "y": 2}]):
        how.add(acc, item, t)
    assert how.result(how.merge(acc, how.init())) == {"p": 42, "l": {"x": 2, "y": 1}, "n": 3}
    assert how.remove is None
    how, acc = accumulated(Longest(), [("ab", 0), ("c", 1), ("de", 2)])
    how.remove(acc, "ab", 0)
    assert how.result(acc) == {"it": "de"}


def test_a_class_derived_from_a_built_in_one_keeps_its_own_methods():
    class Twice(Sum):
        def add(self, acc, value):
            return acc + 2 * value

    assert value_of(Twice(), [1, 2]) == 6


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "at least one aggregator, as in agg\\(n=Count\\(\\)\\)"),
        ({"n": Count}, "agg\\(n\\) needs an aggregator, not the class Count: write Count\\(\\)"),
        ({"m": "x"}, "agg\\(m\\) needs an aggregator such as .* not 'x'"),
        ({"m": max}, "agg\\(m\\) needs an aggregator such as"),
        ({"l": SimpleNamespace(init=list, add=max)}, "no merge and no result"),
        (
            {"l": SimpleNamespace(init=list, add=max, merge=max, result=max, field=1.5)},
            "needs a function, a key or an attribute's name, not 1.5",
        ),
    ],
)
def test_what_is_no_aggregator_is_refused(given, message):
    with pytest.raises(GraphError, match=message):
        fused(given)


async def later(*args):
    return args


class Awaited(Product):
    async def add(self, acc, value):
        return acc


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sum(later), "Sum\\(field\\) must be a plain function: put .map"),
        (lambda: Sum(1.5), "Sum\\(field\\) needs a function, a key or an attribute's name"),
        (lambda: Product(later), "Product\\(field\\) must be a plain function"),
        (lambda: Reduce(later), "Reduce\\(fn\\) must be a plain function"),
        (lambda: Reduce("x"), "Reduce\\(fn\\) needs a function, not 'x'"),
        (lambda: fused({"a": Awaited()}), "agg\\(a\\): .*add must be a plain method"),
        (lambda: Std("x", ddof=-1), "Std\\(ddof\\) must be a whole number of at least 0, not -1"),
        (lambda: Var("x", ddof=0.5), "Var\\(ddof\\) must be a whole number"),
        (lambda: Quantile("x", 95), "Quantile\\(q\\) must be a number from 0 to 1.* not 95"),
        (lambda: Quantile("x", NAN), "not nan"),
        (lambda: Quantile("x", True), "not True"),
        (lambda: Quantile("x", "0.5"), "not '0.5'"),
        (lambda: TopK("x", 0), "TopK\\(k\\) must be a whole number of at least 1, not 0"),
        (lambda: Counts("x", most_common=0), "Counts\\(most_common\\) must be a whole number"),
    ],
)
def test_arguments_are_checked_when_it_is_built(make, message):
    with pytest.raises(GraphError, match=message):
        make()


def test_a_function_that_only_may_be_async_is_taken():
    assert value_of(Sum(maybe_async(abs)), [-1, 2]) == 3


def test_they_show_what_they_were_given():
    shown = [Count(), Mean("x"), Quantile("x", 0.5), Std(), Reduce(max), Product("x"), Sum(len)]
    assert [repr(aggregator) for aggregator in shown] == [
        "Count()",
        "Mean('x')",
        "Quantile('x', q=0.5)",
        "Std(ddof=1)",
        "Reduce(fn=max)",
        "Product('x')",
        "Sum(len)",
    ]


def test_all_are_public():
    classes = [value for value in vars(aggregators).values() if isinstance(value, type)]
    own = {c.__name__ for c in classes if issubclass(c, Aggregator)}
    assert own <= set(aggregators.__all__)
