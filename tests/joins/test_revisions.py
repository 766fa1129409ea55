"""Corrections below a join: operators apply them to both sides, refuse them, or write them."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from rivulet import GONE, Cache, GraphError, Revision, Stream, maybe_async
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
