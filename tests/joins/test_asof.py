"""As-of joins: equal to polars and to a loop over all pairs, in every order of arrival."""

from __future__ import annotations

import pickle
from dataclasses import asdict

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import Cache, testing
from rivulet.core.time import FOREVER
from rivulet.joins.asof import AsOf
from rivulet.joins.rule import FAR, Rule
from rivulet.testing import assert_closed
from tests.examples import examples
from tests.joins.by_hand import ByHand, check_resuming, check_watermarks, steps
from tests.joins.tables import DELAY, Row, asof, bag, corrected, names, sides, stream, whole

DIRECTIONS = ["backward", "forward", "nearest"]
rules = st.fixed_dictionaries(
    {
        "direction": st.sampled_from(DIRECTIONS),
        "tolerance": st.sampled_from([None, 0, 1, 4]),
        "exact": st.booleans(),
        "how": st.sampled_from(["left", "inner"]),
    }
)


def joined(left, right, *, by, waits=(True, True), delay=DELAY, cache=None, **options):
    async def main():
        one, other = (
            stream(left, waits=waits[0], delay=delay),
            stream(right, waits=waits[1], delay=delay),
        )
        rows = await one.join_asof(other, cache, by="key" if by else None, **options).collect()
        assert_closed()
        return rows

    return testing.run(main())


# The oracle


@examples(100)
@given(sides(most=15), rules, st.booleans())
def test_the_loop_over_all_pairs_agrees_with_polars(both, rule, by):
    left, right = map(whole, both)
    if not left:
        return
    latest = {(row.key if by else None, row.at): row for row in right}
    schema = {"at": pl.Int64, "key": pl.String, "name": pl.String}

    def table(rows):
        ordered = sorted(rows, key=lambda row: row.at)
        return pl.DataFrame([(r.at, r.key, r.name) for r in ordered], schema=schema, orient="row")

    result = table(left).join_asof(
        table(latest.values()),
        on="at",
        by="key" if by else None,
        strategy=rule["direction"],
        tolerance=rule["tolerance"],
        allow_exact_matches=rule["exact"],
        check_sortedness=False,
    )
    theirs = dict(zip(result["name"], result["name_right"], strict=True))
    times = {row.name: row.at for row in (*left, *right)}
    for one, other in asof(left, right, by=by, **{**rule, "how": "left"}):
        name = theirs[one.name]
        if rule["direction"] == "nearest" and name is not None and other is not None:
            # Of two as near as each other polars takes the later, pandas and rivulet the earlier.
            assert abs(other.at - one.at) == abs(times[name] - one.at)
            assert other.at <= times[name]
        else:
            assert (other and other.name) == name


# The promise


@examples(200)
@given(sides(), rules, st.booleans(), st.tuples(st.booleans(), st.booleans()))
def test_with_the_watermark_every_order_of_arrival_gives_what_the_whole_gives(
    both, rule, by, waits
):
    rows = joined(*both, by=by, waits=waits, wait="watermark", **rule)
    assert bag(rows) == bag(asof(*map(whole, both), by=by, **rule))


@examples(200)
@given(sides(), rules, st.booleans(), st.sampled_from([0, 1, "watermark"]))
def test_with_corrections_every_order_of_arrival_gives_what_the_whole_gives(both, rule, by, wait):
    rows = joined(*both, by=by, revise=True, wait=wait, **rule)
    assert bag(corrected(rows)) == bag(asof(*map(whole, both), by=by, **rule))


@examples(100)
@given(sides(), rules, st.booleans())
def test_a_grace_as_long_as_the_delay_stands_for_it(both, rule, by):
    rows = joined(*both, by=by, revise=True, delay=0, grace=DELAY, **rule)
    assert bag(corrected(rows)) == bag(asof(*map(whole, both), by=by, **rule))


@examples(100)
@given(sides(delay=0), rules, st.booleans())
def test_sources_that_need_not_wait_are_read_in_step(both, rule, by):
    rule["direction"] = "backward"
    rows = joined(*both, by=by, waits=(False, False), delay=0, **rule)
    assert list(map(names, rows)) == list(map(names, asof(*map(whole, both), by=by, **rule)))


@examples(60)
@given(sides(), rules, st.booleans(), st.sampled_from(["watermark", "revise"]))
def test_a_cache_on_the_right_gives_the_same(both, rule, by, way):
    options = {"wait": "watermark"} if way == "watermark" else {"revise": True}
    left, right = both

    async def main():
        other = stream(right).map(asdict)
        with Cache(":memory:") as cache:
            selectors = ("key", "key") if by else None
            return (
                await stream(left)
                .join_asof(other, cache, by=selectors, **options, **rule)
                .collect()
            )

    def row_of(pair):
        return pair[0], pair[1] and Row(**pair[1])

    rows = [row_of(pair) for pair in corrected(testing.run(main()))]
    assert bag(rows) == bag(asof(*map(whole, both), by=by, **rule))


@examples(100)
@given(sides(), rules, st.booleans(), st.booleans())
def test_a_cache_that_others_fill_gives_the_same(both, rule, by, waits):
    left, right = both
    rule = {name: value for name, value in rule.items() if value is not None}

    async def main():
        with Cache(":memory:") as cache:
            for row in whole(right):
                cache.put((row.key, float(row.at)) if by else float(row.at), row.name)
            joined = stream(left, waits=waits).join_asof(
                None, cache, by="key" if by else None, **rule
            )
            return await joined.collect()

    rows = [(row.name, name) for row, name in testing.run(main())]
    assert sorted(rows, key=repr) == bag(asof(*map(whole, both), by=by, **rule))


# State


joins = st.builds(
    AsOf,
    rule=st.builds(
        Rule,
        direction=st.sampled_from(DIRECTIONS),
        reach=st.sampled_from([FAR, 0, 2, 5]),
        exact=st.booleans(),
    ),
    by=st.sampled_from([None, (lambda x: x[0], lambda x: x[0])]),
    inner=st.booleans(),
    wait=st.sampled_from([0.0, 3.0, "watermark"]),
    revise=st.booleans(),
    grace=st.sampled_from([0, 2]),
    retain=st.sampled_from([None, 6]),
)


@examples(200)
@given(joins, steps(), st.data())
def test_a_restored_state_goes_on_as_if_nothing_had_happened(join, given_steps, data):
    cut = data.draw(st.integers(0, len(given_steps)))
    check_resuming(join, given_steps, cut, lambda state: pickle.loads(pickle.dumps(state)))


@examples(200)
@given(joins, steps())
def test_no_result_is_behind_the_watermark_that_was_passed_on(join, given_steps):
    check_watermarks(join, given_steps)


@pytest.mark.parametrize("options", [{}, {"wait": "watermark"}, {"revise": True}, {"wait": 5.0}])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("keys", [1, 50])
def test_memory_is_bounded_by_what_can_be_needed(options, direction, keys):
    def key(x):
        return x[0]

    join = AsOf(rule=Rule(direction, 20, exact=True), by=(key, key), **options)
    run = ByHand(join)
    sizes = []
    for t in range(4000):
        for side in 0, 1:
            run.do((side, (t % keys, t), t))
        if t % 5 == 0:
            for side in 0, 1:
                run.do((side, "mark", t))
        if t % 400 == 399:
            sizes.append(len(pickle.dumps(run.logic.snapshot())))
    assert max(sizes) < 20_000
    run.do((1, "mark", FOREVER))
    run.do((0, "mark", FOREVER))
    assert run.ended


def test_keys_that_went_quiet_are_forgotten_where_there_is_a_tolerance():
    join = AsOf(rule=Rule("backward", 10, exact=True), by=(lambda x: x, lambda x: x))
    run = ByHand(join)
    for t in range(5000):
        run.do((1, f"key {t}", t))
        run.do((0, "mark", t))
    assert len(run.logic.snapshot()[0][0]) < 200


def test_retain_bounds_what_is_kept_of_quiet_keys_without_a_tolerance():
    by = (lambda x: x, lambda x: x)
    kept, dropped = (
        ByHand(AsOf(rule=Rule("backward", FAR, exact=True), by=by, retain=retain))
        for retain in (None, 10)
    )
    for t in range(5000):
        for run in kept, dropped:
            run.do((1, f"key {t}", t))
            run.do((0, "mark", t))
    assert len(kept.logic.snapshot()[0][0]) == 5000
    assert len(dropped.logic.snapshot()[0][0]) < 200


def test_of_a_key_only_the_last_item_before_the_watermark_is_kept():
    run = ByHand(AsOf(rule=Rule("backward", FAR, exact=True)))
    for t in range(1000):
        run.do((1, t, t))
        run.do((0, "mark", t))
    assert len(run.logic.snapshot()[0][0][None][0]) < 70
    assert run.do((0, "left", 2000))[0] == [(("left", 999), 2000)]
