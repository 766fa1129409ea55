"""``batch``: items in lists, by count, time, weight or a boundary."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, timed, to_marbles

NUMBERS = st.lists(st.integers(0, 9), max_size=20)
ARRIVALS = st.lists(st.sampled_from([0.0, 0.3, 1.0, 1.3, 2.3]), max_size=15)
"""Pauses before each item."""


async def slow(x):
    await asyncio.sleep(10)
    return x


def spaced(pauses):
    async def rows():
        for number, pause in enumerate(pauses):
            await asyncio.sleep(pause)
            yield number

    return Stream(rows)


def in_words(pairs):
    return [(when, "".join(items)) for when, items in pairs]


# By count


@given(NUMBERS, st.integers(1, 6))
def test_by_count_it_equals_chunking(items, n):
    wanted = [items[i : i + n] for i in range(0, len(items), n)]
    assert testing.run(Stream(items).batch(n).collect()) == wanted


async def test_lists_are_not_used_again():
    first, second = await Stream("abcd").batch(2).collect()
    first.append("x")
    assert second == ["c", "d"]


# By time


async def test_a_list_goes_on_when_its_time_is_up_though_the_source_is_silent():
    assert in_words(await timed(marbles("ab------c-|").batch(10, within=3))) == [
        (3.0, "ab"),
        (10.0, "c"),
    ]


async def test_the_time_begins_anew_with_the_first_item_of_each_list():
    rows = await timed(marbles("abc-d------|").batch(3, within=3))
    # "abc" is full at 2, before its time is up; the time of "d" begins at 4.
    assert in_words(rows) == [(2.0, "abc"), (7.0, "d")]


@given(ARRIVALS, st.integers(1, 4), st.sampled_from([0.5, 1.1, 2.0]))
def test_count_and_time_equal_a_simulation_by_hand(pauses, n, within):
    at, held, due, wanted = 0.0, [], 0.0, []
    for number, pause in enumerate(pauses):
        at = round(at + pause, 9)
        if held and due < at:
            wanted.append((due, held))
            held = []
        if not held:
            due = round(at + within, 9)
        held.append(number)
        if len(held) == n:
            wanted.append((at, held))
            held = []
    if held:
        wanted.append((at, held))
    got = testing.run(timed(spaced(pauses).batch(n, within=within)))
    # When an item comes at the very moment at which a list is due, either may be first.
    times = [sum(pauses[: i + 1]) for i in range(len(pauses))]
    if all(abs(a - b - within) > 1e-6 for a in times for b in times):
        assert got == wanted
    assert [x for _, rows in got for x in rows] == list(range(len(pauses)))
    assert all(0 < len(rows) <= n for _, rows in got)


async def test_a_list_goes_on_in_time_though_a_stage_above_waits():
    assert await timed(Stream("ab").map(slow).batch(10, within=1)) == [(11.0, ["a"]), (20.0, ["b"])]


async def test_two_times_run_side_by_side():
    pairs = marbles("ab-----c---d|").batch(9, within=2).batch(9, within=8)
    assert await timed(pairs) == [(10.0, [["a", "b"], ["c"]]), (12.0, [["d"]])]
    source = marbles("a--------|")
    both = source.batch(9, within=2).merge(source.batch(9, within=4).map(str))
    assert await timed(both) == [(2.0, ["a"]), (4.0, "['a']")]


async def test_a_slow_stage_below_delays_the_next_list_but_loses_nothing():
    rows = await timed(spaced([0.8] * 6).batch(9, within=2).map(slow))
    assert rows == [(12.8, [0, 1, 2]), (24.4, [3, 4, 5])]


# By weight


@given(NUMBERS, st.integers(1, 12))
def test_by_weight_no_list_weighs_too_much_and_none_could_be_longer(items, most):
    got = testing.run(Stream(items).batch(most, weight=lambda x: x).collect())
    assert [x for rows in got for x in rows] == items
    assert all(sum(rows) <= most or len(rows) == 1 for rows in got)
    assert all(
        sum(rows) >= most or sum(rows) + after[0] > most
        for rows, after in zip(got, got[1:], strict=False)
    )


async def test_an_item_that_weighs_more_comes_alone():
    rows = await Stream.of("a", "bbbbbb", "c", "dd").batch(3, weight=len).collect()
    assert rows == [["a"], ["bbbbbb"], ["c", "dd"]]


async def test_weights_may_be_async_and_go_with_a_time():
    async def weight(x):
        await asyncio.sleep(0)
        return int(x)

    stream = marbles("11-2----1|").batch(3, weight=weight, within=3)
    assert in_words(await timed(stream)) == [(3.0, "11"), (6.0, "2"), (9.0, "1")]


# Up to a boundary


@given(NUMBERS)
def test_until_ends_a_list_with_the_item_for_which_it_holds(items):
    got = testing.run(Stream(items).batch(until=lambda x: x == 0).collect())
    assert [x for rows in got for x in rows] == items
    assert all(0 not in rows[:-1] for rows in got)
    assert all(rows[-1] == 0 for rows in got[:-1])


async def test_until_goes_with_a_count_a_weight_and_an_async_condition():
    async def is_dot(x):
        return x == "."

    assert await Stream("ab.cdef.").batch(3, until=is_dot).collect() == [
        list("ab."), list("cde"), list("f."),
    ]  # fmt: skip
    weighed = Stream("ab.cdef.").batch(2, weight=lambda _: 1, until=is_dot)
    assert await weighed.collect() == [list("ab"), list("."), list("cd"), list("ef"), list(".")]


# The end


async def test_what_is_held_goes_on_at_the_end_and_at_a_stop():
    assert await Stream("abc").batch(2).collect() == [["a", "b"], ["c"]]
    for drain in (False, True):
        source = RecordingSource("abc", silent=True)
        run = Stream(source).batch(2, within=60).start()
        await asyncio.sleep(1)
        await run.stop(drain=drain)
        assert run.last() == [["a", "b"], ["c"]]
        assert_closed(source)


async def test_what_is_held_goes_on_when_a_stage_above_wants_no_more():
    source = RecordingSource(range(9), silent=True)
    assert await Stream(source).take(3).batch(2).collect() == [[0, 1], [2]]
    assert_closed(source)


async def test_what_is_held_is_dropped_when_the_stream_fails_or_is_left():
    assert await to_marbles(marbles("abc#").batch(2).flatten()) == "-(ab)-#"
    source = RecordingSource("abc", silent=True)
    async with Stream(source).batch(2, within=60).open() as lists:
        assert await anext(lists) == ["a", "b"]
    assert_closed(source)


async def test_a_list_has_the_latest_time_of_its_items():
    stream = marbles("abc|", event="-c-ab", max_delay=9).batch(2)
    assert await stamps(stream) == [(["a", "b"], 4.0), (["c"], 1.0)]


def test_the_clock_goes_on_up_to_what_is_held_and_no_further():
    logic = Stream.of().batch(9).node.stage().make(Mock(now=lambda: 0.0))
    assert logic.passes(9) == 9
    logic.call("a", 5)
    assert (logic.passes(3), logic.passes(9)) == (3, 5)


# Arguments


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((), {}, "batch needs n, within= or until=: without one a list would never end"),
        ((0,), {}, r"batch\(n\) must be a whole number of at least 1, not 0"),
        ((2.5,), {}, r"batch\(n\) must be a whole number of at least 1, not 2.5"),
        ((True,), {}, r"batch\(n\) must be a whole number"),
        ((2,), {"within": -1}, r"batch\(within\) must be more than zero, not -1"),
        ((2,), {"within": "1 fortnight"}, r"batch\(within\) must be a duration, not '1 fortnight'"),
        ((2,), {"weight": "size"}, r"batch\(weight\) needs a function, not 'size'"),
        ((), {"weight": len, "within": 1}, r"batch\(weight=\) needs n, the largest sum"),
        ((2,), {"until": "."}, r"batch\(until\) needs a function, not '.'"),
    ],
)
def test_wrong_arguments_are_refused_when_built(args, options, message):
    with pytest.raises(GraphError, match=message):
        Stream.of(1).batch(*args, **options)


# State


@given(NUMBERS, st.integers(1, 9), st.booleans(), st.data())
def test_a_restored_state_goes_on_as_if_uninterrupted(items, n, weighed, data):
    if weighed:
        node = Stream.of().batch(n, weight=len, until=bool).node
        calls = [(x, x, x == 0, x) for x in items]
    else:
        node, calls = Stream.of().batch(n).node, [(x, x) for x in items]
    cut = data.draw(st.integers(0, len(calls)))
    whole, first, second = (node.stage().make(Mock()) for _ in range(3))
    wanted = [list(whole.call(*call)) for call in calls] + [list(whole.on_end())]
    got = [list(first.call(*call)) for call in calls[:cut]]
    second.restore(first.snapshot())
    got += [list(second.call(*call)) for call in calls[cut:]] + [list(second.on_end())]
    assert got == wanted


def test_a_restored_list_is_given_within_its_time_from_then_on():
    node = Stream.of().batch(9, within=3).node
    first = node.stage().make(Mock(now=lambda: 100.0))
    first.call("a", None)
    context = Mock(now=lambda: 5.0)
    second = node.stage().make(context)
    second.restore(first.snapshot())
    context.wake_at.assert_called_once_with(8.0)
    assert list(second.on_timer(8.0)) == [(["a"], None)]
