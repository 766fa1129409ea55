"""The state of windows: saved at any item and restored, it goes on as if nothing had happened."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import Stream
from rivulet.aggregators import Collect, Count, Counts, Max, Sum
from rivulet.core.time import FOREVER, NEVER, Clock
from tests.examples import examples
from tests.windows.aggregates import AGGREGATORS
from tests.windows.oracle import DELAY, SECOND, arrivals

KINDS = {
    "tumbling": {"tumbling": 5},
    "tumbling, grace": {"tumbling": 5, "grace": 4},
    "tumbling, updates": {"tumbling": 5, "emit": "update"},
    "tumbling, early": {"tumbling": 5, "emit": 2},
    "tumbling, reassigned": {"tumbling": 5, "late": "reassign"},
    "hopping": {"hopping": 7, "every": 3},
    "hopping, grace, early": {"hopping": 7, "every": 3, "grace": 2, "emit": 3},
    "session": {"session": 4},
    "session, reassigned": {"session": 4, "late": "reassign"},
    "session, grace, updates": {"session": 4, "grace": 3, "emit": "update"},
    "session, updates": {"session": 4, "emit": "update"},
    "session, early": {"session": 4, "emit": 1},
    "calendar": {"calendar": "hour"},
    "count": {"count": 3, "every": 2},
    "condition": {"session": lambda before, item: item[2] >= before[2]},
    "sliding": {"sliding": 5},
    "sliding, closed": {"sliding": 5, "emit": "close"},
    "sliding, grace": {"sliding": 5, "grace": 2},
    "sliding, closed, grace": {"sliding": 5, "emit": "close", "grace": 3},
}


LASTING = ("session", "sliding", "count", "condition")
"""Kinds whose state may be kept as it is while the run goes on."""
OF_ROWS = {"n": Count(), "sum": Sum(2), "all": Collect(2), "each": Counts(2), "most": Max(2)}


class Context:
    """What a run offers to a logic, without a run."""

    stopping = False
    stamped = True

    def __init__(self):
        self.clock = Clock(DELAY * SECOND)


class Driver:
    """One logic, driven as a run drives it."""

    def __init__(self, node):
        self.context = Context()
        self.logic = node.make(self.context)

    def put(self, row):
        clock, logic, given = self.context.clock, self.logic, []
        t = row[0] * SECOND
        if t > clock.top:
            if t >= clock.due and logic.on_time is not None:
                given += logic.on_time(t - clock.delay)
                clock.due = FOREVER
                clock.call_at(logic.deadline())
            clock.top = t
        return [*given, *(logic.call(row, row[1], t) or ())]

    def restarted(self, node):
        """Another one, with the state of this one as it would be read from a disk."""
        other = Driver(node)
        other.context.clock.top = self.context.clock.top
        other.logic.restore(pickle.loads(pickle.dumps(self.logic.snapshot())))
        return other

    def end(self):
        return list(self.logic.on_end())


def told(results):
    return [(w.key, w._start, w._end, w.value, w.revision, w.final, stamp) for w, stamp in results]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@examples(25)
@given(rows=arrivals(delay=DELAY + 3), at=st.integers(0, 25))
def test_a_state_can_be_saved_and_restored_at_any_item(kind, rows, at):
    windows = Stream(rows).event_time(0).window(by=1, **kind)
    node = windows.of(lambda row: (row[0], row[2])).agg(**AGGREGATORS).node
    whole, parts = Driver(node), Driver(node)
    expected, given = [], []
    for i, row in enumerate(rows):
        if i == at:
            parts = parts.restarted(node)
        expected += whole.put(row)
        given += parts.put(row)
    expected += whole.end()
    given += parts.end()
    assert told(given) == told(expected)


@pytest.mark.parametrize("name", [name for name in KINDS if name.startswith(LASTING)])
@examples(10)
@given(rows=arrivals(), at=st.integers(0, 25))
def test_a_saved_state_is_apart_from_what_goes_on(name, rows, at):
    node = Stream(rows).event_time(0).window(by=1, **KINDS[name]).agg(**OF_ROWS).node
    whole = Driver(node)
    for row in rows[:at]:
        whole.put(row)
    saved, top = whole.logic.snapshot(), whole.context.clock.top
    rest = [given for row in rows[at:] for given in whole.put(row)] + whole.end()
    for _ in range(2):
        other = Driver(node)
        other.context.clock.top = top
        other.logic.restore(saved)
        again = [given for row in rows[at:] for given in other.put(row)] + other.end()
        assert told(again) == told(rest)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@examples(25)
@given(rows=arrivals())
def test_what_is_passed_on_is_never_past_a_later_result(kind, rows):
    """A stage below takes no result for late."""
    node = Stream(rows).event_time(0).window(by=1, **kind).count().node
    driver, passed = Driver(node), NEVER
    passes = driver.logic.passes
    for row in rows:
        for _, stamp in driver.put(row):
            assert stamp >= passed
        watermark = driver.context.clock.watermark
        for _, stamp in driver.logic.on_time(watermark) if driver.logic.on_time else ():
            assert stamp >= passed
        passed = max(passed, passes(watermark))
    assert all(stamp >= passed for _, stamp in driver.end())


@pytest.mark.parametrize(
    "kind", [{"tumbling": 5}, {"hopping": 7, "every": 3}, {"session": 4}, {"sliding": 5}], ids=list
)
@examples(25)
@given(rows=arrivals(delay=3 * DELAY), at=st.integers(0, 25))
def test_late_items_are_told_apart_as_before_after_a_restart(kind, rows, at):
    node = Stream(rows).event_time(0).window(by=1, grace=2, **kind).late.node
    whole, parts = Driver(node), Driver(node)
    for i, row in enumerate(rows):
        if i == at:
            parts = parts.restarted(node)
        assert parts.put(row) == whole.put(row)


@pytest.mark.parametrize("kind", ["tumbling", "session", "sliding"])
def test_memory_holds_only_what_is_open(kind):
    node = Stream([]).event_time(0).window(by=1, **{kind: 5}).count().node
    driver = Driver(node)
    sizes = []
    for t in range(3000):
        driver.put((t, t % 7, 0))
        if t % 100 == 99:
            sizes.append(len(pickle.dumps(driver.logic.snapshot())))
    assert max(sizes[5:]) <= 1.5 * sizes[3]
