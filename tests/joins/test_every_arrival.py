"""Joins of several sources on each side, and windows of every kind after joins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import testing
from rivulet.testing import assert_closed
from tests.examples import examples
from tests.joins.tables import (
    DELAY,
    asof,
    bag,
    corrected,
    in_windows,
    interval,
    names,
    sides,
    stream,
    whole,
)
from tests.windows import oracle
from tests.windows.oracle import SECOND, plain

WAYS = st.tuples(*[st.sampled_from(["one", "merge", "partitions"])] * 2)


def fours(t):
    """The window of four seconds that a moment is in."""
    return ((t // 4 * 4, t // 4 * 4 + 4),)


def as_of(direction, **options):
    """An as-of join by key, its oracle, and the time of a result."""
    rule = {"direction": direction, "tolerance": 6}
    return (
        lambda a, b: a.join_asof(b, by="key", **rule, **options),
        lambda a, b: asof(a, b, **rule),
        lambda pair: pair[0].at * SECOND,
    )


def near(how, **options):
    """An interval join."""
    return (
        lambda a, b: a.join_interval(b, by="key", before=2, after=3, how=how, **options),
        lambda a, b: interval(a, b, before=2, after=3, how=how),
        lambda pair: max(row.at for row in pair if row) * SECOND,
    )


def together(how):
    """A join within windows."""
    return (
        lambda a, b: a.join(b, by="key", window=4, how=how),
        lambda a, b: in_windows(a, b, fours, how=how),
        lambda pair: fours(next(row for row in pair if row).at)[0][1] * SECOND - 1,
    )


JOINS = {
    **{f"as of, {way}": as_of(way, wait="watermark") for way in ("backward", "forward", "nearest")},
    **{f"as of, {way}, revised": as_of(way, revise=True) for way in ("backward", "nearest")},
    "as of, forward, revised after a wait": as_of("forward", revise=True, wait=1),
    **{f"interval, {how}": near(how) for how in ("inner", "left", "right", "outer")},
    **{f"interval, {how}, revised": near(how, revise=True) for how in ("left", "outer")},
    **{f"window, {how}": together(how) for how in ("inner", "left", "right", "outer")},
}
every_join = pytest.mark.parametrize("name", JOINS)
WINDOWS = {
    "tumbling": ({"tumbling": 5}, lambda rows: oracle.tumbling(rows, 5 * SECOND)),
    "hopping": (
        {"hopping": 6, "every": 4},
        lambda rows: oracle.hopping(rows, 6 * SECOND, 4 * SECOND),
    ),
    "session": ({"session": 3}, lambda rows: oracle.sessions(rows, 3 * SECOND)),
    "sliding": (
        {"sliding": 4, "emit": "close"},
        lambda rows: oracle.sliding(rows, 4 * SECOND),
    ),
    "calendar": ({"calendar": "hour"}, lambda rows: oracle.tumbling(rows, 3600 * SECOND)),
}


def rough(pairs):
    """Results without what depends on the order of arrival: which of several with one time."""
    return sorted(((a and a.at, b and b.at, (a or b).key) for a, b in pairs), key=repr)


@every_join
@examples(20)
@given(sides(), WAYS, st.tuples(st.booleans(), st.booleans()))
def test_sides_of_several_sources_give_what_the_whole_gives(name, both, ways, waits):
    join, of_all, _ = JOINS[name]

    async def main():
        left, right = (
            stream(side, waits=w, way=way) for side, w, way in zip(both, waits, ways, strict=True)
        )
        rows = await join(left, right).collect()
        assert_closed()
        return corrected(rows)

    found, wanted = testing.run(main()), of_all(*map(whole, both))
    assert rough(found) == rough(wanted)
    if "merge" not in ways and "partitions" not in ways:
        assert bag(found) == bag(wanted)


@every_join
@examples(20)
@given(
    sides(),
    st.sampled_from(list(WINDOWS)),
    st.booleans(),
    st.tuples(st.booleans(), st.booleans()),
    st.integers(0, 3),
    st.sampled_from(["close", "update"]),
)
def test_windows_of_every_kind_after_a_join(name, both, kind, keyed, waits, grace, emit):
    """Each result is in its window, in the form that it has after all corrections."""
    join, of_all, time = JOINS[name]
    options, of_rows = WINDOWS[kind]

    def by(pair):
        return pair[1] is None

    async def main():
        left, right = (stream(side, waits=w) for side, w in zip(both, waits, strict=True))
        windows = (
            join(left, right)
            .filter(lambda pair: pair[0] is None or pair[0].name != "l3")
            .map(names)
            .window(**{"emit": emit, **options}, by=by if keyed else None, grace=grace)
        )
        found, late = await windows.collect().collect(), await windows.late.collect()
        assert_closed()
        return found, late

    found, late = testing.run(main())
    assert late == []
    pairs = [pair for pair in of_all(*map(whole, both)) if pair[0] is None or pair[0].name != "l3"]
    rows = [(time(pair), by(names(pair)) if keyed else None, names(pair)) for pair in pairs]
    wanted = of_rows(rows)
    if isinstance(wanted, dict):
        wanted = [(*bounds, items) for bounds, items in wanted.items()]
    final = [plain(w) for w in found if w.final and w.value is not None]
    assert normal(final) == normal(
        [(k, a / SECOND, b / SECOND, items) for k, a, b, items in wanted]
    )


def normal(windows):
    """Windows in an order of their own; of pairs with one time, any may have come first."""
    return sorted(
        ((key, start, end, sorted(items, key=repr)) for key, start, end, items in windows), key=repr
    )


@examples(60)
@given(sides(), st.sampled_from(["backward", "forward", "nearest"]))
def test_corrections_of_late_items_are_applied_within_the_grace_of_a_window(both, direction):
    """Without ``max_delay`` items are late, and the window's ``grace`` makes up for it."""
    left, right = (stream(side, delay=0) for side in both)
    pairs = left.join_asof(right, direction=direction, by="key", revise=True, grace=DELAY)
    windows = pairs.map(names).window(tumbling=5, grace=2 * DELAY)
    found = testing.run(windows.collect().collect())
    pairs = asof(*map(whole, both), direction=direction)
    rows = [(row.at * SECOND, None, names((row, other))) for row, other in pairs]
    wanted = [(*bounds, items) for bounds, items in oracle.tumbling(rows, 5 * SECOND).items()]
    final = [plain(w) for w in found]
    assert normal(final) == normal(
        [(k, a / SECOND, b / SECOND, items) for k, a, b, items in wanted]
    )
