"""Corrections below a join: operators apply them to both sides, refuse them, or write them."""

from __future__ import annotations

import asyncio
import pickle
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GONE, Cache, GraphError, Revision, Stream, maybe_async
from rivulet.aggregators import Count, Counts, Max, Mean, Quantile, Sum
from rivulet.core.time import FOREVER, NEVER, Clock
from rivulet.ops.revisions import Settle
from rivulet.testing import marbles, stamps
from tests.ops.cases import KINDS

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def revised():
    """Two results, of which the first is corrected twice."""
    left = marbles("ab-----|", event="-ab")
    right = marbles("---5-8-7|", event="78--5").map(int)
    return left.event_time(lambda x: "-ab".index(x)).join_asof(
        right.event_time(lambda n: {5: 0, 8: 1, 7: 0.5}[n], max_delay=5), revise=True
    )


RESULTS = [
    ("a", None),
    ("b", None),
    Revision(("a", None), ("a", 5)),
    Revision(("b", None), ("b", 5)),
    Revision(("a", 5), ("a", 8)),
    Revision(("b", 5), ("b", 8)),
]


def number(pair):
    return pair[1] or 0


async def test_without_anything_below_corrections_come_as_they_are():
    assert await revised().collect() == RESULTS
    assert [x async for x in revised()] == RESULTS


@every_kind
@pytest.mark.parametrize("options", [{}, {"concurrency": 3}])
async def test_map_applies_its_function_to_both(kind, options):
    wanted = [0, 0, Revision(0, 5), Revision(0, 5), Revision(5, 8), Revision(5, 8)]
    assert await revised().map(kind(number), **options).collect() == wanted


@every_kind
@pytest.mark.parametrize("options", [{}, {"concurrency": 3}])
async def test_starmap_does_too(kind, options):
    wanted = [0, 0, Revision(0, 5), Revision(0, 5), Revision(5, 8), Revision(5, 8)]
    stream = revised().starmap(kind(lambda _, n: n or 0), **options)
    assert await stream.collect() == wanted


@every_kind
async def test_filter_keeps_one_side_both_or_none(kind):
    async def kept(predicate):
        return await revised().map(number).filter(kind(predicate)).collect()

    assert await kept(lambda n: n == 5) == [5, 5, Revision(5, GONE), Revision(5, GONE)]
    assert await kept(lambda n: n < 8) == [
        0, 0, Revision(0, 5), Revision(0, 5), Revision(5, GONE), Revision(5, GONE),
    ]  # fmt: skip
    assert await kept(lambda n: n == 8) == [8, 8]
    assert await kept(lambda n: n > 9) == []


async def test_what_was_taken_back_stays_so():
    stream = revised().map(number).filter(lambda n: n < 8).map(str).filter(bool)
    assert await stream.collect() == [
        "0", "0", Revision("0", "5"), Revision("0", "5"), Revision("5", GONE), Revision("5", GONE),
    ]  # fmt: skip
    assert await stream.flat_map(list).map(int).filter(lambda n: n > 0).collect() == [
        5, 5, Revision(5, GONE), Revision(5, GONE),
    ]  # fmt: skip


@every_kind
@pytest.mark.parametrize("options", [{}, {"concurrency": 3}])
async def test_flat_map_puts_results_in_the_place_of_others_one_by_one(kind, options):
    stream = revised().map(number).filter(lambda n: n != 8)

    def parts(n):
        return ["few"] if n == 0 else ["many", "more"]

    assert await stream.flat_map(kind(parts), **options).collect() == [
        "few", "few",
        Revision("few", "many"), "more", Revision("few", "many"), "more",
        Revision("many", GONE), Revision("more", GONE),
        Revision("many", GONE), Revision("more", GONE),
    ]  # fmt: skip


async def test_a_running_sum_takes_corrections_in():
    numbers = revised().map(number)
    sums = numbers.scan(Sum())
    assert not sums.node.has_revisions
    assert await sums.collect() == [0, 0, 5, 10, 13, 16]
    # Of the two that were 5 nothing is left once they are 8.
    assert await numbers.filter(lambda n: n < 8).scan(Sum()).collect() == [0, 0, 5, 10, 5, 0]
    assert await numbers.scan(Count()).collect() == [1, 2, 2, 2, 2, 2]
    assert await numbers.scan(Mean()).collect() == [0, 0, 2.5, 5, 6.5, 8]
    rows = numbers.map(lambda n: {"n": n or None})
    assert await rows.scan(Sum("n")).collect() == [0, 0, 5, 10, 13, 16]
    assert await rows.scan(Mean("n")).collect() == [None, None, 5, 5, 6.5, 8]
    assert (await numbers.scan(Counts()).collect())[-2:] == [{5: 1, 8: 1}, {8: 2}]
    assert (await numbers.scan(Quantile(q=0)).collect())[-2:] == [5, 8]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=12), st.data())
def test_a_running_value_with_corrections_can_be_resumed(rows, data):
    up = revised().map(number)
    cut = data.draw(st.integers(0, len(rows)))
    for aggregator in Sum(), Mean(), Counts(), Quantile():
        stage = up.scan(aggregator).node.stage()
        given, items = [], []
        for value, old in rows:
            items.append(Revision(given[old], value) if old < len(given) else value)
            given[min(old, len(given)) : old + 1] = [value]
        whole, parts = stage.make(None), stage.make(None)
        for i, item in enumerate(items):
            if i == cut:
                state, parts = pickle.loads(pickle.dumps(parts.snapshot())), stage.make(None)
                parts.restore(state)
            results = []
            for logic in whole, parts:
                logic.cell[0], result = stage.fn(logic.cell[0], item)
                results.append(result)
            assert results[0] == results[1]


async def test_windows_take_items_when_they_can_t_be_corrected_any_more():
    numbers = revised().map(number)
    windows = numbers.window(tumbling=2)
    assert [w.value for w in await windows.collect().collect()] == [[8], [8]]
    assert await windows.late.collect() == []
    updates = numbers.window(tumbling=5, emit="update").agg(sum=Sum())
    assert [w.value["sum"] for w in await updates.collect()] == [8, 16, 16]
    kept = numbers.filter(lambda n: n < 8).window(sliding=1, emit="close").count()
    assert await kept.collect() == []


async def test_a_correction_that_comes_too_late_for_windows_is_counted():
    node = Settle(Stream.of().event_time(0).node)
    clock = Clock(0)
    logic = node.make(SimpleNamespace(clock=clock))
    clock.top = 10
    assert logic.call("at once", 9) == (("at once", 9),)
    assert logic.call("kept", 10) == ()
    assert logic.deadline() == 11
    assert logic.call(Revision("at once", "better"), 9) == ()
    assert logic.late() == 1
    assert logic.call(Revision("kept", "better"), 10) == ()
    assert (logic.late(), list(logic.on_time(10)), list(logic.on_time(11))) == (
        1, [], [("better", 10)],
    )  # fmt: skip
    assert logic.deadline() == FOREVER


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4), st.booleans())), st.data())
def test_items_that_wait_to_be_settled_can_be_saved(rows, data):
    node = Settle(Stream.of().event_time(0).node, 2)

    def made(top):
        clock = Clock(1)
        clock.top = top
        return clock, node.make(SimpleNamespace(clock=clock))

    def put(clock, logic, row, n):
        t, old, corrects = row
        given = []
        if t > clock.top:
            given += logic.on_time(t - 1)
            clock.top = t
        item = Revision(n - old, n if old % 2 else GONE) if corrects else n
        return [*given, *logic.call(item, t)]

    cut = data.draw(st.integers(0, len(rows)))
    clock, logic = made(NEVER)
    for n, row in enumerate(rows[:cut]):
        put(clock, logic, row, n)
    again, resumed = made(clock.top)
    resumed.restore(pickle.loads(pickle.dumps(logic.snapshot())))
    assert resumed.deadline() == logic.deadline()
    assert again.due <= logic.deadline() + 1
    for n, row in enumerate(rows[cut:], cut):
        assert put(clock, logic, row, n) == put(again, resumed, row, n)
    assert list(logic.on_end()) == list(resumed.on_end())
    assert logic.late() == resumed.late()


async def test_failures_are_handled_below():
    def fails(pair):
        if pair[1] == 8:
            raise ValueError
        return number(pair)

    stream = revised().map(fails).on_error("skip")
    assert await stream.collect() == [0, 0, Revision(0, 5), Revision(0, 5)]
    assert [f.item for f in await stream.errors.collect()] == RESULTS[-2:]
    checked = revised().map(number).on_error("skip").map(str)
    assert (await checked.collect())[-1] == Revision("5", "8")


async def test_corrections_have_the_time_of_what_they_correct():
    times = [t for _, t in await stamps(revised().map(number).filter(bool))]
    assert times == [1.0, 2.0, 1.0, 2.0]


async def test_a_sink_says_which_side_it_takes():
    both, new, last = [], [], {}
    await revised().to(both, revisions="both").run()
    assert both == RESULTS
    stream = revised().filter(lambda pair: pair[1] != 8)
    assert stream.node.has_revisions
    await stream.to(new, revisions="new").run()
    assert new == [("a", None), ("b", None), ("a", 5), ("b", 5)]
    await revised().to(last, revisions="new").run()
    assert last == {"a": 8, "b": 8}


async def test_a_sink_may_be_async_a_cache_or_a_kind_of_both():
    rows, cache = [], Cache(":memory:")

    async def write(row):
        await asyncio.sleep(0.1)
        rows.append(row)

    sinks = write, cache, maybe_async(lambda row: write(row) if row[1] else None)
    await revised().to(*sinks, revisions="new").run()
    assert dict(cache.items()) == {"a": 8, "b": 8}
    assert rows == [
        ("a", None), ("b", None), ("a", 5), ("a", 5), ("b", 5), ("b", 5),
        ("a", 8), ("a", 8), ("b", 8), ("b", 8),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "use",
    [
        lambda s: s.to(print),
        lambda s: s.to(print, concurrency=2, revisions="new"),
        lambda s: s.to(print, batch=2, revisions="new"),
        lambda s: s.map(str, concurrency=2, ordered=False),
        lambda s: s.map(str, concurrency=2, by=0),
        lambda s: s.starmap(str, concurrency=2, ordered=False),
        lambda s: s.flat_map(list, concurrency=2, ordered=False),
        lambda s: s.scan(max),
        lambda s: s.scan(Max()),
        lambda s: s.window(count=2).count(),
        lambda s: s.window(session=lambda a, b: a < b).count(),
        lambda s: s.window(tumbling=3, time="processing").count(),
        lambda s: s.take(3),
        lambda s: s.distinct(),
        lambda s: s.batch(3),
        lambda s: s.group_by(0),
        lambda s: s.merge([1]),
        lambda s: s.concat([1]),
        lambda s: s.retry(1),
        lambda s: s.share(),
        lambda s: s.pipe(iter),
        lambda s: s.tap(print),
        lambda s: s.fold(max, 0),
        lambda s: s.event_time(0).window(tumbling=3).count(),
        lambda s: s.join_asof([1], on=0),
        lambda s: Stream.of(1).join_asof(s, on=0),
        lambda s: s.join_interval([1], before=1, after=1, on=0),
        lambda s: s.lookup({}, 0),
    ],
)
def test_other_operators_refuse_corrections_when_they_are_built(use):
    stream = revised().map(number).filter(bool)
    with pytest.raises(GraphError, match=r"can't apply the corrections of a join .* sink take"):
        use(stream)


def test_a_wrong_word_is_refused():
    with pytest.raises(GraphError, match=r"to\(revisions\) must be one of 'new', 'both'"):
        revised().to(print, revisions="old")


async def test_streams_without_corrections_are_as_they_were():
    rows = []
    stream = Stream.of(1, 2).to(rows, revisions="new")
    assert not stream.node.has_revisions
    await stream.run()
    assert rows == [1, 2]
    joined = Stream.of(1).join_interval([1], before=1, after=1, on=lambda x: x, revise=True)
    # Of an inner join nothing has to be taken back.
    assert not joined.node.has_revisions


def test_what_is_gone_is_so_after_it_was_saved():
    assert pickle.loads(pickle.dumps(Revision(1, GONE))).new is GONE
    assert repr(Revision(("a", 1), GONE)) == "Revision(old=('a', 1), new=GONE)"
