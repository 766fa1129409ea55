"""Random outages of two dependencies, random interleavings, restarts anywhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rivulet import testing
from tests.gates.outages import LATEST, NAMES, Case, Original, World, ahead, cases, clock

END = 3 * LATEST + 50
turns = st.tuples(*[st.integers(0, 3)] * 3)
kills = st.lists(st.integers(0, END), max_size=4, unique=True).map(
    lambda found: [time + 0.5 for time in sorted(found)]
)


def play(case, kills=(), turns=(0, 0, 0), pause=True, end=0, **gate):
    """A world after all its runs."""
    world = World(case, turns, end, **gate)

    async def main():
        for kill in [*kills, END + 1]:
            await world.run_until(kill, pause_dependent=pause)

    testing.run(main())
    return world


def staleness(case, world):
    """By brute force on what was recorded: how far each item was ahead of each dependency."""
    for time, number in world.passed:
        for name in NAMES:
            if case.ends[name] <= time:
                continue
            known = [marker for at, marker in world.finished[name] if at <= time]
            yield case.items[number][1] - max(known, default=-1000) - case.thresholds[name]


@settings(max_examples=100)
@given(cases(), turns)
def test_ahead_nothing_passes_with_staler_data_and_everything_as_soon_as_it_may(case, turns):
    world = play(case, turns=turns)
    assert max(staleness(case, world), default=0) <= 0
    assert world.passed == ahead(case)


@settings(max_examples=50)
@given(cases(), st.integers(0, 4), st.integers(0, 4))
def test_ahead_sinks_that_wait_are_waited_for(case, one, other):
    case = replace(case, slow={"a": one, "b": other})
    assert play(case).passed == ahead(case)


@settings(max_examples=80)
@given(cases(), kills)
def test_ahead_a_restart_changes_nothing(case, kills):
    whole, world = play(case), play(case, kills)
    assert world.passed == whole.passed == ahead(case)
    assert world.told == whole.told


@settings(max_examples=50)
@given(cases(), kills, st.integers(0, 4), st.integers(0, 4))
def test_ahead_a_restart_in_the_middle_of_a_sink(case, kills, one, other):
    case = replace(case, slow={"a": one, "b": other}, ends=dict.fromkeys(NAMES, END - 1))
    world = play(case, kills)
    assert max(staleness(case, world), default=0) <= 0
    assert [number for _, number in world.passed] == list(range(len(case.items)))
    check_callbacks(world.told)


def check_callbacks(told):
    """One for each downtime, and one when all are up."""
    down = set()
    for _, what, name, _ in told:
        if what == "down":
            assert name not in down
            down.add(name)
        else:
            assert name in down
            down.clear()


@settings(max_examples=50)
@given(cases())
def test_ahead_callbacks_come_once_for_an_outage(case):
    check_callbacks(play(case).told)


@settings(max_examples=100)
@given(cases(), turns, st.booleans())
def test_after_exactly_the_items_of_the_original_rule(case, turns, pause):
    original = Original(case, pauses=pause).run()
    world = play(case, turns=turns, hold="after", pause=pause)
    assert world.passed == original.passed
    assert world.told == original.told


@settings(max_examples=80)
@given(cases(), kills, st.booleans())
def test_after_a_restart_changes_nothing(case, kills, pause):
    original = Original(case, pauses=pause).run()
    world = play(case, kills, hold="after", pause=pause)
    assert world.passed == original.passed
    assert world.told == original.told


@settings(max_examples=80)
@given(cases(sorted_markers=True), kills)
def test_replay_corrects_all_that_went_out_too_early(case, kills):
    """Whatever an item saw first, at last it saw data as fresh as the threshold."""
    case = replace(
        case,
        items=[(time + 3, marker) for time, marker in case.items],
        beats={
            name: [(number, 0), *((time + 3, marker) for time, marker in case.beats[name])]
            for number, name in enumerate(NAMES, 1)
        },
        ends=dict.fromkeys(NAMES, 3 * LATEST + 9),
    )
    world = play(case, kills, hold="after", replay=True)
    last = {number: time for time, number in world.passed}
    assert sorted(last) == list(range(len(case.items)))
    world.passed = [(time, number) for number, time in last.items()]
    assert max(staleness(case, world), default=0) <= 0


@pytest.mark.parametrize("hold", ["ahead", "after"])
async def test_a_recovery_resumes_at_once(hold):
    """Fault 15: it is an event, not a look at every so often."""
    for pause in 0.5, 1.0, 2.5, 3.2, 1000.1:
        begun = clock()
        items = [(begun, 1), (begun, 5), (begun, 6)]
        case = Case(
            items,
            {"a": [(begun, 1), (begun + pause, 9)], "b": [(begun, 9)]},
            dict.fromkeys(NAMES, float("inf")),
            dict.fromkeys(NAMES, 0),
        )
        world = World(case, hold=hold)
        await world.run_until(begun + pause + 1)
        times = [round(time - begun, 6) for time, _ in world.passed]
        assert times == ([0, pause, pause] if hold == "ahead" else [0, 0, pause])
