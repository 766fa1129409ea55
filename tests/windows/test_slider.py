"""A slider gives what a loop over all items gives, for any stretch and order, at little cost."""

from __future__ import annotations

import gc
import math
import pickle
import random
import weakref
from collections import Counter
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError
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
    fused,
)
from rivulet.codecs import MsgpackCodec
from rivulet.windows import sliding
from rivulet.windows.sliding import Slider, Sliding

SETS = {
    "count": {"n": Count()},
    "taken back": {"c": Counts("x"), "n": Count(), "l": Collect("i"), "d": CountDistinct("x")},
    "stacked": {"n": Count(), "s": Sum("x"), "max": Max("x"), "f": First("i"), "l": Last("i")},
    "both": {"s": Sum("x"), "q": Quantile("x", 0.5), "min": Min("x"), "l": Collect("i")},
    "more": {"top": TopK("x", 2), "r": Reduce(max, "x"), "m": Mean("x"), "std": Std("x")},
}
every_set = pytest.mark.parametrize("name", SETS)
LENGTHS = st.sampled_from([0, 1, 5, 20, 100])
SIZES = st.sampled_from([(2, 2), (3, 2), (4, 4), (32, 8)])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "slide", "slide", "result", "expire", "save"]),
        st.integers(0, 4) | st.integers(0, 60),
        st.just(0) | st.integers(-30, 5) | st.integers(-200, 20),
        st.integers(0, 3),
    ),
    max_size=80,
)


def sized(sizes):
    leaf, branch = sizes
    return mock.patch.multiple(sliding, LEAF=leaf, BRANCH=branch)


def close(a, b):
    if isinstance(a, float):
        return a == pytest.approx(b)
    return a == b and type(a) is type(b)


class Model:
    """All items, and a loop over them."""

    def __init__(self, named, length):
        self.how, self.length, self.items = fused(named), length, []

    def add(self, t, item):
        self.items.append((t, item))

    def result_at(self, t):
        acc = self.how.init()
        for at, item in sorted(self.items, key=lambda pair: pair[0]):
            if t - self.length <= at <= t:
                self.how.add(acc, item, at)
        return self.how.result(acc)


@every_set
@given(length=LENGTHS, sizes=SIZES, steps=STEPS)
def test_results_are_those_of_a_loop_over_all_items(name, length, sizes, steps):
    named = SETS[name]
    how, model = Sliding(named, length), Model(named, length)
    slider, now, least = Slider(how), 0, -math.inf
    with sized(sizes):
        for i, (step, on, late, x) in enumerate(steps):
            now += on
            t = now + late
            item = {"x": x, "i": i}
            got = want = {}
            match step:
                case "add" | "slide":
                    if t < least:
                        continue
                    model.add(t, item)
                    if step == "add":
                        slider.add(t, item)
                        continue
                    got = slider.slide(t, item)
                    if t - length < least:
                        continue
                    want = model.result_at(t)
                case "result":
                    if t - length < least:
                        continue
                    got, want = slider.result_at(t), model.result_at(t)
                case "expire":
                    least = max(least, t - length)
                    slider.expire(least)
                case "save":
                    saved = slider.snapshot()
                    slider = Slider(how)
                    slider.restore(saved)
            assert [*got] == [*want]
            assert all(close(got[key], want[key]) for key in want), (got, want)


@every_set
@pytest.mark.parametrize("seed", range(3))
def test_results_are_right_where_many_items_have_one_time(name, seed):
    rnd = random.Random(seed)
    with sized((2, 2)):
        for _ in range(40):
            length = rnd.randrange(5)
            how, model = Sliding(SETS[name], length), Model(SETS[name], length)
            slider, least = Slider(how), -9
            for i in range(60):
                t = i // 6 + rnd.randrange(-3, 3)
                item = {"x": rnd.randrange(3), "i": i}
                if t >= least:
                    model.add(t, item)
                    if rnd.random() < 0.5:
                        slider.add(t, item)
                    elif (got := slider.slide(t, item)) and t - length >= least:
                        want = model.result_at(t)
                        assert all(close(got[key], want[key]) for key in want)
                t = max(i // 6 + rnd.randrange(-4, 6), least + length)
                if rnd.random() < 0.7:
                    got, want = slider.result_at(t), model.result_at(t)
                    assert all(close(got[key], want[key]) for key in want)
                if rnd.random() < 0.2:
                    least = max(least, t - length - rnd.randrange(3))
                    slider.expire(least)
                if rnd.random() < 0.2:
                    saved = slider.snapshot()
                    slider = Slider(how)
                    slider.restore(saved)


@every_set
@given(length=LENGTHS, sizes=SIZES, steps=STEPS, cut=st.integers(0, 80))
def test_restoring_at_any_step_is_as_if_nothing_had_happened(name, length, sizes, steps, cut):
    how = Sliding(SETS[name], length)
    codec = MsgpackCodec()
    with sized(sizes):

        def play(restarted):
            slider, now = Slider(how), 0
            for i, (step, on, late, x) in enumerate(steps):
                now += on
                t = now + late
                item = {"x": (x + i) * 0.1, "i": i}
                match step:
                    case "add":
                        slider.add(t, item)
                    case "slide":
                        yield repr(slider.slide(t, item))
                    case "result":
                        yield repr(slider.result_at(t))
                    case "expire":
                        slider.expire(t - length)
                if restarted and i == cut:
                    state = slider.snapshot()
                    before = pickle.dumps(state)
                    assert slider.slide(now, item)
                    assert pickle.dumps(state) == before, "a snapshot is apart from the slider"
                    slider = Slider(how)
                    slider.restore(codec.decode(codec.encode(state)))

        assert [*play(True)] == [*play(False)]


def test_both_ends_of_the_stretch_belong_to_it():
    slider = Slider(Sliding({"l": Collect()}, 10))
    for t in (0, 9, 10, 20, 21):
        slider.add(t, t)
    assert [slider.result_at(t)["l"] for t in (9, 10, 20, 30, 5, 32)] == [
        [0, 9],
        [0, 9, 10],
        [10, 20],
        [20, 21],
        [0],
        [],
    ]


@every_set
def test_no_items_give_a_result_too(name):
    named = SETS[name]
    slider = Slider(Sliding(named, 10))
    how = fused(named)
    empty = how.result(how.init())
    assert slider.result_at(5) == empty
    slider.slide(7, {"x": 1, "i": 1})
    assert slider.result_at(50) == empty
    assert slider.result_at(6) == empty


def test_sliders_of_several_keys_are_apart():
    how = Sliding({"n": Count(), "c": Counts(), "m": Mean()}, 10)
    a, b = Slider(how), Slider(how)
    a.slide(1, 5)
    assert b.slide(2, 6) == {"n": 1, "c": {6: 1}, "m": 6.0}
    assert a.slide(3, 5) == {"n": 2, "c": {5: 2}, "m": 5.0}


def test_results_that_were_given_dont_change():
    slider = Slider(Sliding({"c": Counts(), "l": Collect(), "t": TopK(k=3)}, 10))
    given = [slider.slide(t, t) for t in range(20)]
    assert given[1] == {"c": {0: 1, 1: 1}, "l": [0, 1], "t": [1, 0]}


def test_of_an_item_only_what_fields_take_is_kept_and_they_take_it_once():
    class Item:
        pass

    taken = []

    def field(item):
        taken.append(item.x)
        return item.x

    slider = Slider(Sliding({"n": Count(), "s": Sum(field), "c": Counts(field), "x": Max("x")}, 50))
    kept = []
    for t in range(200):
        item = Item()
        item.x = t
        kept.append(weakref.ref(item))
        slider.slide(t, item)
    slider.result_at(120)
    del item
    gc.collect()
    assert taken == [*range(200)]
    assert not any(ref() for ref in kept)


def kept_by(slider):
    leaf, number = slider._tree.oldest, 0
    while leaf is not None:
        number += len(leaf.times)
        leaf = leaf.next
    return number


@every_set
@pytest.mark.parametrize("asked", [True, False], ids=["asked", "not asked"])
def test_what_has_expired_is_let_go(name, asked):
    slider = Slider(Sliding(SETS[name], 100))
    assert slider.is_empty
    for t in range(2000):
        slider.add(t, {"x": t % 5, "i": t})
        if asked:
            slider.result_at(t)
        slider.expire(t - 100)
        assert kept_by(slider) <= 101 + sliding.LEAF
    assert not slider.is_empty
    assert slider.result_at(1999) == Slider.result_at(slider, 1999)
    slider.expire(2000)
    assert slider.is_empty
    assert kept_by(slider) == 0
    assert slider.slide(2000, {"x": 1, "i": 1}) == slider.result_at(2000)
    assert len(pickle.dumps(slider.snapshot())) < 2000


@pytest.mark.parametrize("named", [{"m": Mean()}, {"c": Counts()}, {"m": Mean(), "c": Counts()}])
@pytest.mark.parametrize("asked", [True, False], ids=["asked", "not asked"])
def test_leaves_that_are_gone_dont_stay_in_memory(named, asked):
    slider = Slider(Sliding(named, 10))
    slider.add(0, 1)
    gone = weakref.WeakSet()

    class Leaf(sliding._Leaf):
        __slots__ = ("__weakref__",)

        def __init__(self, *args):
            super().__init__(*args)
            gone.add(self)

    with mock.patch.object(sliding, "_Leaf", Leaf):
        for t in range(1, 3000):
            slider.add(t, 1)
            if asked:
                slider.slide(t, 2)
            slider.expire(t - 10)
    gc.collect()
    assert len(gone) < 5


class Touchy(Aggregator):
    """Fails for some values, when it feels like it."""

    def __init__(self, method):
        super().__init__()
        self.method, self.bad = method, None

    def init(self):
        return []

    def add(self, acc, value):
        if self.method == "add" and value == self.bad:
            raise RuntimeError(value)
        return [*acc, value]

    def merge(self, a, b):
        if self.method == "merge" and self.bad in (*a, *b):
            raise RuntimeError(self.bad)
        return a + b

    def result(self, acc):
        if self.method == "result" and self.bad in acc:
            raise RuntimeError(self.bad)
        return sorted(acc)


class TouchyToo(Touchy):
    def remove(self, acc, value):
        if self.method == "remove" and value == self.bad:
            raise RuntimeError(value)
        acc.remove(value)
        return acc


def test_what_has_expired_is_let_go_where_items_have_failed():
    touchy = Touchy("add")
    slider = Slider(Sliding({"it": touchy}, 10))
    with sized((2, 2)):
        for t in range(100):
            touchy.bad = t
            with pytest.raises(RuntimeError):
                slider.slide(t, t)
            if t % 7 == 0:
                slider.slide(t, t + 1)
            slider.expire(t - 10)
            assert kept_by(slider) <= 4
        slider.expire(100)
        assert slider.is_empty


def test_a_leaf_that_a_failed_item_left_empty_is_let_go():
    touchy = Touchy("add")
    slider = Slider(Sliding({"it": touchy}, 10))
    with sized((2, 2)):
        for t in (3, 5, 7, 8):
            slider.slide(t, t)
        touchy.bad = 6
        with pytest.raises(RuntimeError):
            slider.slide(6, 6)
        slider.expire(7)
        assert slider.result_at(17) == {"it": [7, 8]}
        slider.expire(100)
    assert slider.is_empty


@every_set
def test_an_item_may_come_before_all_others_when_the_earliest_are_gone(name):
    named = SETS[name]
    slider, model = Slider(Sliding(named, 10)), Model(named, 10)
    with sized((2, 2)):
        for t in (0, 1, 50, 51):
            slider.add(t, {"x": t, "i": t})
        slider.result_at(1)
        slider.expire(20)
        for t in (40, 47):
            slider.add(t, {"x": t, "i": t})
            model.add(t, {"x": t, "i": t})
            got, want = slider.result_at(t + 1), model.result_at(t + 1)
            assert all(close(got[key], want[key]) for key in want)


@every_set
def test_asking_for_what_has_expired_does_no_harm(name):
    named = SETS[name]
    slider, model = Slider(Sliding(named, 10)), Model(named, 10)
    for t in range(6):
        slider.slide(t, {"x": t, "i": t})
        model.add(t, {"x": t, "i": t})
    slider.expire(3)
    slider.result_at(6)
    for t in (7, 14, 15):
        model.add(t, {"x": t, "i": t})
        got, want = slider.slide(t, {"x": t, "i": t}), model.result_at(t)
        assert t == 7 or all(close(got[key], want[key]) for key in want)


def test_a_snapshot_may_be_used_more_than_once():
    how = Sliding(SETS["both"], 10)
    first, again = Slider(how), Slider(how)
    for t in range(30):
        first.slide(t, {"x": t, "i": t})
    saved = first.snapshot()
    again.restore(saved)
    given = again.slide(31, {"x": 0, "i": 31})
    again = Slider(how)
    again.restore(saved)
    assert again.slide(31, {"x": 0, "i": 31}) == given


@pytest.mark.parametrize("cls", [Touchy, TouchyToo])
@pytest.mark.parametrize("method", ["add", "merge", "result"])
@given(late=st.lists(st.integers(0, 12), min_size=5, max_size=60), bad=st.integers(2, 60))
def test_an_item_that_fails_isnt_there(cls, method, late, bad):
    touchy = cls(method)
    slider = Slider(Sliding({"n": Count(), "it": touchy}, 10))
    items = []
    touchy.bad = bad
    with sized((2, 2)):
        for i, by in enumerate(late):
            t = i - by
            try:
                got = slider.slide(t, i)
            except RuntimeError:
                assert i == bad or method == "merge"
                continue
            items.append((t, i))
            want = [x for at, x in sorted(items) if t - 10 <= at <= t]
            if bad not in want:
                assert got == {"n": len(want), "it": sorted(want)}
        touchy.bad = None
        for t in range(-12, len(late) + 12):
            want = sorted(x for at, x in items if t - 10 <= at <= t)
            assert slider.result_at(t) == {"n": len(want), "it": want}


def test_a_failure_to_take_back_leaves_what_is_right():
    touchy = TouchyToo("remove")
    slider = Slider(Sliding({"it": touchy}, 10))
    for t in range(10):
        slider.slide(t, t)
    touchy.bad = 3
    with pytest.raises(RuntimeError):
        slider.result_at(15)
    with pytest.raises(RuntimeError):
        slider.result_at(5)
        slider.expire(9)
    touchy.bad = None
    assert slider.result_at(15) == {"it": [5, 6, 7, 8, 9]}


def test_an_item_whose_field_fails_isnt_there():
    slider = Slider(Sliding({"n": Count(), "s": Sum("x")}, 10))
    for put in (slider.add, slider.slide):
        with pytest.raises(KeyError):
            put(1, {})
    assert slider.is_empty
    assert slider.slide(1, {"x": 2}) == {"n": 1, "s": 2}


class Calls(Aggregator):
    """Counts what is done: init, add, merge, result."""

    def __init__(self):
        super().__init__()
        self.calls = Counter()

    def init(self):
        self.calls["init"] += 1
        return 0

    def add(self, acc, value):
        self.calls["add"] += 1
        return acc + value

    def merge(self, a, b):
        self.calls["merge"] += 1
        return a + b

    def result(self, acc):
        return acc


class Back(Calls):
    def remove(self, acc, value):
        self.calls["remove"] += 1
        return acc - value


def calls_of(cls, held, late=lambda i: 0, events=2000):
    """How often methods are called per event, of items in order and of late ones."""
    counted = cls()
    slider = Slider(Sliding({"it": counted}, held - 1))
    calls, number = Counter(), Counter()
    for i in range(3 * held + events):
        t = i - late(i)
        before = counted.calls.total()
        slider.slide(t, 1)
        slider.expire(i - 2 * held)
        if i >= 3 * held:
            calls[t < i] += counted.calls.total() - before
            number[t < i] += 1
    return {late: calls[late] / number[late] for late in number}


@pytest.mark.parametrize("cls", [Calls, Back])
def test_the_cost_of_items_in_order_is_flat(cls):
    few, many = (calls_of(cls, held, events=3 * held)[False] for held in (100, 5000))
    assert few <= 6
    assert many <= few * 1.1


@pytest.mark.parametrize("cls", [Calls, Back])
def test_items_that_are_somewhat_late_cost_a_logarithm_and_others_nothing(cls):
    def late(i):
        return i * 7919 % 40 if i % 5 == 0 else 0

    few, many = (calls_of(cls, held, late, events=3 * held) for held in (200, 6000))
    assert many[False] <= few[False] * 1.1 <= 8
    assert many[True] <= few[True] + 4 * math.log2(6000 / 200) * sliding.BRANCH
    assert many[True] < 150


def test_items_in_any_order_cost_a_logarithm():
    rnd = random.Random(1)

    def late(i):
        return rnd.randrange(4000)

    cost = calls_of(Calls, 4000, late, events=500)
    assert max(cost.values()) < 250


def test_what_is_no_aggregator_is_refused():
    with pytest.raises(GraphError, match="write Count\\(\\)"):
        Sliding({"n": Count}, 10)
    with pytest.raises(GraphError, match="at least one"):
        Sliding({}, 10)
