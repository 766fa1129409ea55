"""``join_interval``: pairs of items that happened near each other."""

from __future__ import annotations

import asyncio

import pytest

from rivulet import GraphError, Revision, Stream
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, timed


def itself(x):
    return x


def near(left, right, **options):
    return Stream(left).join_interval(right, on=itself, **options)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"before": 0, "after": 0}, [(5, 5)]),
        ({"before": 1, "after": 0}, [(4, 3), (5, 5)]),
        ({"before": 0, "after": 1}, [(4, 5), (5, 5)]),
        ({"before": 2, "after": 1}, [(4, 3), (4, 5), (5, 3), (5, 5)]),
        ({"before": "999ms", "after": 0}, [(5, 5)]),
    ],
)
async def test_both_bounds_are_included(options, wanted):
    assert sorted(await near([4, 5, 9], [3, 5, 12], **options).collect()) == wanted


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ("inner", [(4, 4)]),
        ("left", [(4, 4), (9, None)]),
        ("right", [(None, 1), (4, 4), (None, 20)]),
        ("outer", [(None, 1), (4, 4), (9, None), (None, 20)]),
    ],
)
async def test_items_without_a_partner_are_given_on_the_outer_sides(how, wanted):
    rows = await stamps(near([4, 9], [1, 4, 20], before=1, after=1, how=how))
    assert sorted(rows, key=lambda row: row[1]) == [(pair, pair[0] or pair[1]) for pair in wanted]


async def test_a_pair_comes_when_both_are_there_and_has_the_later_time():
    left = marbles("a---b|", event="--a-----b")
    right = marbles("-x-y-|", event="-x-----y")
    joined = left.join_interval(right, before=1, after=5)
    assert await timed(joined) == [(1.0, ("a", "x")), (3.0, ("a", "y")), (4.0, ("b", "y"))]
    assert await stamps(joined) == [(("a", "x"), 2.0), (("a", "y"), 7.0), (("b", "y"), 8.0)]


async def test_it_doesn_t_matter_which_of_a_pair_comes_first():
    # Other systems lose the pair when the later one comes first.
    for left, right in [("a--|", "--x|"), ("--a|", "x--|")]:
        one = marbles(left, event="a")
        other = marbles(right, event="-----x")
        assert await one.join_interval(other, before=0, after=5).collect() == [("a", "x")]


async def test_a_row_without_a_partner_comes_when_it_is_certain():
    left = marbles("a------|", event="-a")
    right = marbles("-x-y-z-|", event="---x-y-z", max_delay=1)
    joined = left.join_interval(right, before=0, after=1, how="left")
    # Certain when the right is past 2 s: at the item of 5 s, with a delay of 1 s.
    assert await timed(joined) == [(3.0, ("a", None))]


async def test_with_revise_it_comes_at_once_and_is_corrected():
    left = marbles("a----|", event="-a")
    right = marbles("-x-yz|", event="x-yz", max_delay=5)
    options = {"before": 1, "after": 1, "how": "outer"}
    assert await timed(left.join_interval(right, **options, revise=True)) == [
        (0.0, ("a", None)),
        (1.0, Revision(("a", None), ("a", "x"))),
        (3.0, ("a", "y")),
        (4.0, (None, "z")),
    ]
    assert await timed(left.join_interval(right, **options)) == [
        (1.0, ("a", "x")), (3.0, ("a", "y")), (5.0, (None, "z")),
    ]  # fmt: skip


async def test_keys_and_times_are_fields_attributes_or_functions():
    shown = [{"at": 1, "ad": "a"}, {"at": 2, "ad": "b"}]
    clicks = [(1.5, "a"), (2.5, "a"), (2.5, "c")]
    joined = Stream(shown).join_interval(
        clicks, before=0, after=1, on=("at", 0), by=("ad", lambda c: c[1])
    )
    assert await joined.collect() == [(shown[0], clicks[0])]


async def test_a_silent_side_doesn_t_hold_the_other():
    for number in 0, 1:
        silent, busy = RecordingSource([1], silent=True), RecordingSource(range(3000), silent=True)
        sides = [silent, busy] if number else [busy, silent]
        run = near(*sides, before=2, after=2).start()
        await asyncio.sleep(1)
        assert len(busy.read) == 3000
        assert len(run.last(10)) == 4
        await run.cancel()
        assert_closed(silent, busy)


async def test_it_ends_when_one_has_ended_and_the_other_is_past_it():
    endless = Stream.timer(1).event_time(itself)
    short = Stream.of(2).event_time(itself)
    assert await timed(short.join_interval(endless, before=0, after=1)) == [
        (3.0, (2, 2)), (4.0, (2, 3)),
    ]  # fmt: skip
    assert await endless.join_interval(short, before=0, after=1).collect() == [(1, 2), (2, 2)]
    left = short.join_interval(endless, before=0, after=1, how="right")
    assert await left.take(4).collect() == [(None, 0), (None, 1), (2, 2), (2, 3)]


async def test_a_failing_side_raises_and_the_other_is_closed():
    other = RecordingSource([1, 2], silent=True)
    with pytest.raises(ConnectionError):
        await near(Stream(other), marbles("-#", error=ConnectionError()), before=1, after=1)
    assert_closed(other)


async def test_windows_after_it_lose_nothing():
    left = marbles("a---b--c-|", event="--a----b-------c")
    right = marbles("--x------y|", event="-------x------y")
    joined = left.join_interval(right, before=0, after=1, how="outer")
    counts = await joined.window(tumbling=5).count().collect()
    assert [(w.end.second, w.value) for w in counts] == [(5, 1), (10, 1), (15, 1), (20, 1)]


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda s: s.join_interval([1], before=1, after=1), "left side has none: say how"),
        (lambda s: near(s, [1], before=-1, after=1), r"join_interval\(before\) must be zero or mo"),
        (lambda s: near(s, [1], before=1, after="x"), r"join_interval\(after\) must be a duration"),
        (lambda s: near(s, [1], before=1, after=1, how="full"), "one of 'inner', 'left', 'right'"),
        (lambda s: near(s, [1], before=1, after=1, by=1.5), r"join_interval\(by\) needs a funct"),
        (lambda s: near(s, 1, before=1, after=1), "a stream needs an iterable"),
    ],
)
def test_what_can_t_work_is_refused_when_it_is_built(use, message):
    with pytest.raises(GraphError, match=message):
        use(Stream.of(1))


async def test_a_key_that_isn_t_hashable_raises_and_names_the_item():
    with pytest.raises(TypeError, match="must be hashable") as caught:
        await near([1], [1], before=1, after=1, by=lambda n: [n]).collect()
    assert "join_interval" in caught.value.__notes__[0]
    assert "on item 1" in caught.value.__notes__[0]
