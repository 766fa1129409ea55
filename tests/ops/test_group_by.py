"""``group_by`` and ``KeyedStream``: as if each key had a stream of its own."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from functools import reduce
from itertools import accumulate, groupby, pairwise
from operator import add, itemgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rivulet
from rivulet import GraphError, Stream, testing
from rivulet.aggregators import Collect, Count, Sum
from rivulet.testing import Recorder, RecordingSource, assert_closed, marbles, stamps, timed

SECOND_OF = itemgetter(1)


def chunks(xs, n):
    return [xs[i : i + n] for i in range(0, len(xs), n)]


def count_up(state, x):
    return state + 1, (state, x)


OPERATORS = {
    "map": (lambda g: g.map(lambda x: -x), lambda xs: [-x for x in xs]),
    "filter": (lambda g: g.filter(lambda x: x % 2), lambda xs: [x for x in xs if x % 2]),
    "flat_map": (lambda g: g.flat_map(lambda x: [x] * x), lambda xs: [x for x in xs for _ in range(x)]),
    "tap": (lambda g: g.tap(lambda x: None), list),
    "scan": (lambda g: g.scan(add), lambda xs: list(accumulate(xs))),
    "scan initial": (lambda g: g.scan(add, 5), lambda xs: list(accumulate(xs, initial=5))[1:]),
    "fold": (lambda g: g.fold(add, 5), lambda xs: [sum(xs, 5)] if xs else []),
    "agg": (lambda g: g.agg(n=Count(), all=Collect()), lambda xs: [{"n": len(xs), "all": xs}] if xs else []),
    "scan aggregator": (lambda g: g.scan(Sum()), lambda xs: list(accumulate(xs))),
    "reduce": (lambda g: g.reduce(add), lambda xs: [reduce(add, xs)] if xs else []),
    "count": (lambda g: g.count(), lambda xs: [len(xs)] if xs else []),
    "stateful_map": (lambda g: g.stateful_map(count_up, 0), lambda xs: list(enumerate(xs))),
    "pairwise": (lambda g: g.pairwise(), lambda xs: list(pairwise(xs))),
    "enumerate": (lambda g: g.enumerate(3), lambda xs: list(enumerate(xs, 3))),
    "changes": (lambda g: g.changes(), lambda xs: [x for x, _ in groupby(xs)]),
    "changes key": (lambda g: g.changes(lambda x: x // 2), lambda xs: [next(run) for _, run in groupby(xs, lambda x: x // 2)]),
    "distinct": (lambda g: g.distinct(), lambda xs: list(dict.fromkeys(xs))),
    "take": (lambda g: g.take(2), lambda xs: xs[:2]),
    "take 0": (lambda g: g.take(0), lambda xs: []),
    "take_last": (lambda g: g.take_last(2), lambda xs: xs[-2:]),
    "skip": (lambda g: g.skip(1), lambda xs: xs[1:]),
    "batch": (lambda g: g.batch(2), lambda xs: chunks(xs, 2)),
    "several": (lambda g: g.pairwise().map(sum).batch(2), lambda xs: chunks([a + b for a, b in pairwise(xs)], 2)),
    "state after state": (lambda g: g.batch(2).map(len).fold(add, 0), lambda xs: [len(xs)] if xs else []),
    "end after end": (lambda g: g.take_last(2).reduce(add).batch(2), lambda xs: [[sum(xs[-2:])]] if xs else []),
}  # fmt: skip

ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4)), max_size=20)


def by_key(rows):
    found = defaultdict(list)
    for key, x in rows:
        found[key].append(x)
    return found


@pytest.mark.parametrize("name", OPERATORS)
@given(rows=ROWS, max_keys=st.sampled_from([None, None, 1, 2]))
def test_each_operator_does_for_each_key_what_it_does_for_a_list(name, rows, max_keys):
    operate, on_list = OPERATORS[name]
    lives, wanted = OrderedDict(), defaultdict(list)
    for key, x in rows:
        lives.setdefault(key, []).append(x)
        lives.move_to_end(key)
        while max_keys is not None and len(lives) > max_keys:
            gone, xs = lives.popitem(last=False)
            wanted[gone] += on_list(xs)
    for key, xs in lives.items():
        wanted[key] += on_list(xs)
    grouped = Stream(rows).group_by(0, max_keys=max_keys).map(SECOND_OF)
    got = testing.run(operate(grouped).items().collect())
    assert by_key(got) == {key: xs for key, xs in wanted.items() if xs}


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([0.3, 1.0, 4.0])), max_size=15))
def test_a_key_that_is_silent_for_long_begins_anew(rows):
    idle, at, heard, lives = 2.95, 0.0, {}, defaultdict(list)
    for key, pause in rows:
        at += pause
        if key not in heard or at - heard[key] > idle:
            lives[key].append(0)
        lives[key][-1] += 1
        heard[key] = at

    async def spaced():
        for row in rows:
            await asyncio.sleep(row[1])
            yield row

    got = testing.run(Stream(spaced).group_by(0, idle=idle).count().items().collect())
    assert by_key(got) == lives


async def test_a_silent_key_gives_what_it_holds_in_time():
    stream = marbles("aab-----a---|").group_by(lambda x: x, idle=3).count().items()
    assert await timed(stream) == [(4.0, ("a", 2)), (5.0, ("b", 1)), (11.0, ("a", 1))]


async def test_it_does_so_below_a_stage_that_waits():
    async def slow(x):
        await asyncio.sleep(10)
        return x

    stream = Stream("ab").map(slow).group_by(lambda x: x, idle=3).count().items()
    assert await timed(stream) == [(13.0, ("a", 1)), (20.0, ("b", 1))]


async def test_results_come_in_the_order_of_the_items_and_at_the_end_in_that_of_the_keys():
    letters = Stream("baab").group_by(lambda x: x)
    assert await letters.enumerate().values().collect() == [(0, "b"), (0, "a"), (1, "a"), (1, "b")]
    assert await letters.count().items().collect() == [("b", 2), ("a", 2)]


async def test_with_max_keys_the_one_unused_for_longest_goes_before_the_new_one_begins():
    stream = Stream("abacb").group_by(lambda x: x, max_keys=2)
    assert await stream.batch(9).values().collect() == [["b"], ["a", "a"], ["c"], ["b"]]
    seen = []
    await stream.batch(9).values().merge(stream.values()).to(seen).run()
    assert seen.index(["b"]) < seen.index("c")


@pytest.mark.parametrize(
    ("item", "key"),
    [({"id": 7}, "id"), ((7, 8), 0), (7j, "imag"), (7, lambda x: x)],
)
async def test_keys_are_fields_attributes_or_functions(item, key):
    assert await Stream.of(item).group_by(key).items().collect() == [(7, item)]


async def test_the_key_and_every_function_may_be_async():
    async def key(x):
        await asyncio.sleep(1)
        return x % 2

    async def negative(x):
        return -x

    async def positive(x):
        return x < 0

    async def added(a, b):
        await asyncio.sleep(0)
        return a + b

    async def numbered(state, x):
        return state + 1, (state, x)

    async def twice(x):
        yield x
        yield x

    stream = Stream(range(4)).group_by(key)
    assert await stream.map(negative).filter(positive).items().collect() == [
        (1, -1),
        (0, -2),
        (1, -3),
    ]
    assert await stream.scan(added).values().collect() == [0, 1, 2, 4]
    assert await stream.fold(added, 10).items().collect() == [(0, 12), (1, 14)]
    assert await stream.reduce(added).values().collect() == [2, 4]
    assert await stream.stateful_map(numbered, 0).values().collect() == [
        (0, 0),
        (0, 1),
        (1, 2),
        (1, 3),
    ]
    assert await stream.flat_map(twice).values().take(3).collect() == [0, 0, 1]


async def test_each_key_begins_with_a_value_of_its_own():
    def appended(rows, x):
        rows.append(x)
        return rows

    stream = Stream("abab").group_by(lambda x: x)
    for _ in range(2):
        assert await stream.fold(appended, []).values().collect() == [["a", "a"], ["b", "b"]]
        assert (await stream.scan(appended, []).values().collect())[-1] == ["b", "b"]


async def test_branches_of_one_group_share_its_key_but_not_its_state():
    keys = []
    group = Stream("aba").group_by(lambda x: keys.append(x) or x)
    counts, numbers = [], []
    await rivulet.run(group.count().items().to(counts), group.enumerate().values().to(numbers))
    assert counts == [("a", 2), ("b", 1)]
    assert numbers == [(0, "a"), (0, "b"), (1, "a")]
    assert keys == ["a", "b", "a"]


async def test_a_group_left_and_entered_again_goes_by_the_new_key():
    words = Stream.of("apple", "ant", "bee", "bear")
    firsts = words.group_by(0).enumerate().values()
    again = firsts.group_by(lambda pair: pair[0]).map(lambda pair: pair[1]).batch(2)
    assert await again.items().collect() == [(0, ["apple", "bee"]), (1, ["ant", "bear"])]


async def test_without_keys_nothing_comes():
    assert await Stream.empty().group_by(0).count().items().collect() == []


@pytest.mark.parametrize("drain", [False, True])
async def test_a_stop_gives_what_each_key_holds(drain):
    source = RecordingSource("aba", silent=True)
    run = Stream(source).group_by(lambda x: x).batch(9).items().start()
    await asyncio.sleep(1)
    await run.stop(drain=drain)
    assert run.last() == [("a", ["a", "a"]), ("b", ["b"])]
    assert_closed(source)


async def test_leaving_early_and_failing_close_the_source():
    source = RecordingSource("ab", silent=True)
    async with Stream(source).group_by(lambda x: x, idle=9).enumerate().items().open() as items:
        assert await anext(items) == ("a", (0, "a"))
    with pytest.raises(ZeroDivisionError) as caught:
        await Stream(source).group_by(lambda x: x).map(lambda x: 1 / 0).values().collect()
    assert "map" in caught.value.__notes__[0]
    assert_closed(source)


async def test_a_policy_below_takes_items_whose_key_or_function_fails():
    stream = Stream.of(1, 0, 2).group_by(lambda x: 2 // x).map(lambda x: 1 // (x - 2)).values()
    stream = stream.on_error("skip")
    assert await stream.collect() == [-1]
    assert [failure.item for failure in await stream.errors.collect()] == [0, 2]


async def test_a_key_that_can_t_be_hashed_raises_and_names_the_item():
    with pytest.raises(TypeError, match="must be hashable") as caught:
        await Stream.of([1]).group_by(lambda x: x).count().items().collect()
    assert "in group_by(" in caught.value.__notes__[0]
    assert "on item [1]" in caught.value.__notes__[0]


@pytest.mark.parametrize("name", ["to", "explain", "collect", "merge"])
def test_what_is_not_done_per_key_says_to_leave_the_group(name):
    grouped = Stream([1]).group_by(bool)
    with pytest.raises(
        AttributeError, match=rf"has no '{name}'.* leave the group first, with .item"
    ):
        getattr(grouped, name)
    assert not hasattr(grouped, "_repr_html_")


async def test_items_keep_their_time():
    stream = marbles("abab|", event="b-a", values={"a": "a", "b": "b"}).group_by(lambda x: x)
    assert await stamps(stream.pairwise().values()) == [(("a", "a"), 2.0), (("b", "b"), 0.0)]


@pytest.mark.parametrize("operate", [lambda g: g.batch(2), lambda g: g.take_last(2)])
async def test_what_a_key_holds_holds_the_clock_back(operate):
    rows = Stream([("a", 1.0), ("b", 10.0), ("b", 20.0)]).event_time(1, max_delay=5)
    recorder = Recorder()
    await recorder.watch(operate(rows.group_by(0)).values()).run()
    assert sorted(at for _, at in recorder.events) in ([1.0, 20.0], [1.0, 10.0, 20.0])
    # The item of "a" is held to the end.
    assert all(watermark <= 1.0 for watermark in recorder.watermarks)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: s.group_by(1.5), r"group_by\(key\) needs a function, a key or an attribute"),
        (lambda s: s.group_by(0, max_keys=0), r"group_by\(max_keys\) must be a whole number of at least 1"),
        (lambda s: s.group_by(0, idle="x"), r"group_by\(idle\) must be a duration, not 'x'"),
        (lambda s: s.group_by(0).map(1), r"map\(fn\) needs a function, not 1"),
        (lambda s: s.group_by(0).filter(None), r"filter\(predicate\) needs a function"),
        (lambda s: s.group_by(0).flat_map(None), r"flat_map\(fn\) needs a function"),
        (lambda s: s.group_by(0).tap(None), r"tap\(fn\) needs a function"),
        (lambda s: s.group_by(0).scan(None), r"scan\(fn\) needs a function"),
        (lambda s: s.group_by(0).fold(None, 0), r"fold\(fn\) needs a function"),
        (lambda s: s.group_by(0).reduce(None), r"reduce\(fn\) needs a function"),
        (lambda s: s.group_by(0).stateful_map(None, 0), r"stateful_map\(fn\) needs a function"),
        (lambda s: s.group_by(0).changes(2.5), r"changes\(key\) needs a function"),
        (lambda s: s.group_by(0).distinct(2.5), r"distinct\(key\) needs a function"),
        (lambda s: s.group_by(0).distinct(last=0), r"distinct\(last\) must be a whole number"),
        (lambda s: s.group_by(0).take(-1), r"take\(n\) must be a whole number of at least 0"),
        (lambda s: s.group_by(0).take_last("x"), r"take_last\(n\) must be a whole number"),
        (lambda s: s.group_by(0).skip(-1), r"skip\(n\) must be a whole number"),
        (lambda s: s.group_by(0).batch(0), r"batch\(n\) must be a whole number of at least 1"),
        (lambda s: s.group_by(0).enumerate("x"), r"enumerate\(start\) must be a whole number"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused_when_built(make, message):
    with pytest.raises(GraphError, match=message):
        make(Stream.of("a"))


def test_a_keyed_stream_shows_how_it_is_left():
    assert repr(Stream.of(1).group_by(0).count()) == (
        "<KeyedStream count(): leave the group with .items() or .values()>"
    )
