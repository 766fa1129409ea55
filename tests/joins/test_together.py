"""Window joins: equal to a loop over all windows, in every order of arrival."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st

from rivulet import testing
from rivulet.core.time import FOREVER
from rivulet.joins.together import Together
from rivulet.testing import assert_closed, stamps
from rivulet.windows.spans import hopping, tumbling
from tests.examples import examples
from tests.joins.by_hand import ByHand, check_resuming, check_watermarks, steps
from tests.joins.tables import bag, in_windows, sides, stream, whole

HOW = ["inner", "left", "right", "outer"]
WINDOWS = [
    (5, tumbling(5)),
    ({"tumbling": 4, "origin": 3}, tumbling(4, 3)),
    ({"hopping": 6, "every": 2}, hopping(6, 2)),
    ({"hopping": "7s", "every": "3s"}, hopping(7, 3)),
]


@examples(200)
@given(
    sides(),
    st.sampled_from(WINDOWS),
    st.booleans(),
    st.sampled_from(HOW),
    st.tuples(st.booleans(), st.booleans()),
)
def test_every_order_of_arrival_gives_what_the_whole_gives(both, kind, by, how, waits):
    window, spans = kind

    async def main():
        left, right = (stream(side, waits=w) for side, w in zip(both, waits, strict=True))
        joined = left.join(right, window=window, by="key" if by else None, how=how)
        rows = await stamps(joined)
        assert_closed()
        return rows

    rows = testing.run(main())
    assert bag(row for row, _ in rows) == bag(in_windows(*map(whole, both), spans, by=by, how=how))
    ends = [round(t + 1e-6, 6) for _, t in rows]
    assert ends == sorted(ends)
    for (left, right), end in zip((row for row, _ in rows), ends, strict=True):
        for row in left, right:
            assert row is None or end in {end for _, end in spans(row.at)}


joins = st.builds(
    Together,
    spans=st.sampled_from([tumbling(4), hopping(6, 4)]),
    by=st.sampled_from([None, (lambda x: x[0], lambda x: x[0])]),
    outer=st.tuples(st.booleans(), st.booleans()),
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


def test_late_items_are_dropped_and_counted():
    run = ByHand(Together(spans=hopping(6, 2)))
    for side in 0, 1:
        run.do((side, "mark", 9))
    assert run.do((0, "one of its windows is open", 5))[0] == []
    assert run.logic.late() == 0
    assert run.do((0, "none is", 3))[0] == []
    assert run.logic.late() == 1
    assert run.do((1, "partner", 7))[0] == []
    assert run.do((0, "mark", FOREVER))[0] == []
    (given, *_) = run.do((1, "mark", 10))
    assert given == [(("one of its windows is open", "partner"), 9)]


def test_it_ends_when_what_is_left_can_t_change_anything():
    for side in 0, 1:
        run = ByHand(Together(spans=tumbling(5)))
        run.do((side, "item", 12))
        run.do((side, "mark", FOREVER))
        run.do((1 - side, "late for nobody", 20))
        assert not run.ended
        run.do((1 - side, "mark", 15))
        assert run.ended
    run = ByHand(Together(spans=tumbling(5), outer=(True, False)))
    run.do((1, "mark", FOREVER))
    run.do((0, "mark", 100))
    assert not run.ended
