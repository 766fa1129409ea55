"""Interval joins: equal to a loop over all pairs, in every order of arrival."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import testing
from rivulet.core.entries import Revision
from rivulet.core.time import FOREVER
from rivulet.joins.interval import Interval
from rivulet.testing import assert_closed
from tests.examples import examples
from tests.joins.by_hand import ByHand, check_resuming, check_watermarks, steps
from tests.joins.tables import bag, corrected, interval, sides, stream, whole

HOW = ["inner", "left", "right", "outer"]


@examples(250)
@given(
    sides(),
    st.integers(0, 4),
    st.integers(0, 4),
    st.booleans(),
    st.sampled_from(HOW),
    st.booleans(),
    st.tuples(st.booleans(), st.booleans()),
)
def test_every_order_of_arrival_gives_what_the_whole_gives(
    both, before, after, by, how, revise, waits
):
    options = {"before": before, "after": after, "how": how}

    async def main():
        left, right = (stream(side, waits=w) for side, w in zip(both, waits, strict=True))
        key = "key" if by else None
        rows = await left.join_interval(right, by=key, revise=revise, **options).collect()
        assert_closed()
        return rows

    rows = testing.run(main())
    assert revise or not any(isinstance(row, Revision) for row in rows)
    assert bag(corrected(rows)) == bag(interval(*map(whole, both), by=by, **options))


joins = st.builds(
    Interval,
    before=st.sampled_from([0, 3]),
    after=st.sampled_from([0, 2]),
    by=st.sampled_from([None, (lambda x: x[0], lambda x: x[0])]),
    outer=st.tuples(st.booleans(), st.booleans()),
    revise=st.booleans(),
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


@pytest.mark.parametrize("how", [(False, False), (True, True)])
@pytest.mark.parametrize("keys", [1, 50, 100_000])
def test_memory_is_bounded_by_what_can_find_a_partner(how, keys):
    join = Interval(before=10, after=10, by=(lambda x: x[0], lambda x: x[0]), outer=how)
    run, sizes = ByHand(join), []
    for t in range(5000):
        run.do((0, (t % keys, t), t))
        run.do((1, ((t * 7) % keys, t), t))
        if t % 5 == 0:
            for side in 0, 1:
                run.do((side, "mark", t))
        if t % 500 == 499:
            sizes.append(len(pickle.dumps(run.logic.snapshot())))
    assert max(sizes) < 15_000


def test_it_ends_when_what_is_left_can_t_change_anything():
    for side in 0, 1:
        run = ByHand(Interval(before=3, after=3))
        run.do((side, "item", 10))
        run.do((side, "mark", FOREVER))
        assert not run.ended
        run.do((1 - side, "mark", 13))
        assert not run.ended
        run.do((1 - side, "mark", 14))
        assert run.ended
    run = ByHand(Interval(before=3, after=3, outer=(True, False)))
    run.do((1, "mark", FOREVER))
    run.do((0, "mark", 100))
    assert not run.ended


def test_a_late_item_still_finds_what_is_there():
    run = ByHand(Interval(before=0, after=10, outer=(True, True)))
    run.do((1, "right", 12))
    run.do((1, "mark", 20))
    assert run.do((0, "left", 5))[0] == [(("left", "right"), 12)]
    # Nobody can come for this one any more: that is certain at once.
    assert run.do((0, "later", 1))[0] == [(("later", None), 1)]
